//===- TargetsTest.cpp - Names of what code is made for -------------------===//
//
// What the command lines and the headers of modules may say, and what they may not.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Targets.h"
#include "qopt/Support/ElementType.h"
#include "qopt/Support/Half.h"
#include <gtest/gtest.h>

using namespace qopt;

TEST(Targets, FindsHostLevels) {
  EXPECT_EQ(*findHostLevel("x86-64-v4"), kHostV4);
  EXPECT_EQ(findHostLevel("x86-64-v9"), nullptr);
  EXPECT_EQ(hostLevelNames(), (std::vector<std::string>{"x86-64-v3", "x86-64-v4"}));
}

TEST(Targets, ReadsArchitectures) {
  EXPECT_EQ(parseGpuArch("sm_80"), (GpuArch{80}));
  EXPECT_EQ(parseGpuArch("sm_90a"), (GpuArch{90, 'a'}));
  EXPECT_EQ(parseGpuArch("sm_120f")->name(), "sm_120f");
  for (const char *text : {"", "sm_", "sm_a", "sm_-80", "sm_80x", "sm_9", "sm_1000", "compute_80", "sm_80 "})
    EXPECT_FALSE(parseGpuArch(text)) << text;
}

TEST(Targets, ReadsDevices) {
  EXPECT_EQ(parseDevice("cpu")->kind, DeviceKind::Cpu);
  EXPECT_EQ(parseDevice("cuda")->index, 0);
  EXPECT_EQ(parseDevice("cuda:3")->index, 3);
  EXPECT_EQ(parseDevice("sim")->arch, "");
  EXPECT_EQ(parseDevice("sim:sm_90a")->arch, kHopperArch);
  for (const char *text : {"", "gpu", "cuda:", "cuda:-1", "cuda:1024", "cuda:x", "sim:sm_80", "cpu:0", "CUDA"})
    EXPECT_FALSE(parseDevice(text)) << text;
}

TEST(Targets, NamesSections) {
  EXPECT_EQ(hostSection(kHostV3), "host:x86-64-v3");
  EXPECT_TRUE(isPtxSection("ptx"));
  EXPECT_TRUE(isPtxSection(ptxSection("sm_90a")));
  EXPECT_TRUE(isCubinSection(cubinSection("sm_90a")));
  EXPECT_FALSE(isPtxSection("ptxas"));
  EXPECT_EQ(sectionTarget("cubin:sm_90a"), "sm_90a");
  EXPECT_EQ(sectionTarget("ptx"), "");
}

TEST(ElementType, HasNamesAndNumbers) {
  EXPECT_EQ(elementTypeByName("bf16"), ElementType::BF16);
  EXPECT_EQ(elementTypeByName("f64"), std::nullopt);
  EXPECT_EQ(elementTypeByNumber(7), ElementType::I64);
  EXPECT_EQ(elementTypeByNumber(0), std::nullopt);
  EXPECT_EQ(elementBytes(ElementType::F16), 2);
  EXPECT_EQ(elementBytes(ElementType::None), 0);
}

TEST(Half, WidensExactly) {
  EXPECT_EQ(halfToFloat(0x3C00), 1.0f);
  EXPECT_EQ(halfToFloat(0x0001), 0x1p-24f);
  EXPECT_EQ(brainToFloat(0xC000), -2.0f);
  EXPECT_EQ(floatToHalf(1.5f), 0x3E00);
}
