//===- PtxTest.cpp - Every kernel as PTX and as machine code ---------------===//
#include "CudaProgram.h"
#include "qopt/Codegen/Cuda.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

/// Chips of every generation from the baseline on.
constexpr const char *kChips[] = {"sm_80", "sm_90a", "sm_100a", "sm_120"};

struct PtxCase {
  const char *name, *text;
};

/// Several shapes of one kernel per entry, ragged ones among them.
const PtxCase kCases[] = {
    {"rms_norm", R"(
func.func private @even(memref<?x4096xf32>, memref<4096xf32>, memref<?x4096xf32>) attributes {qopt.kernel = "rms_norm"}
func.func private @ragged(memref<?x171xf32>, memref<171xf32>, memref<?x171xf32>)
    attributes {qopt.kernel = "rms_norm", qopt.config = {epsilon = 1.0e-3 : f32}}
func.func private @small(memref<?x8xf32>, memref<8xf32>, memref<?x8xf32>) attributes {qopt.kernel = "rms_norm"}
func.func private @wide(memref<?x28672xf32>, memref<28672xf32>, memref<?x28672xf32>) attributes {qopt.kernel = "rms_norm"}
)"},
    {"gather", R"(
func.func private @floats(memref<32000x4096xf32>, memref<?xi64>, memref<?x4096xf32>) attributes {qopt.kernel = "gather"}
func.func private @ragged(memref<?x21xf16>, memref<?xi32>, memref<?x21xf16>) attributes {qopt.kernel = "gather"}
func.func private @bytes(memref<9x40xi8>, memref<?xi32>, memref<?x40xi8>) attributes {qopt.kernel = "gather"}
func.func private @bits(memref<9x7xi1>, memref<?xi64>, memref<?x7xi1>) attributes {qopt.kernel = "gather"}
)"},
};

class Ptx : public testing::TestWithParam<PtxCase> {};

TEST_P(Ptx, IsTheSameTwice) {
  std::string first = CudaProgram(GetParam().text).ptx(), second = CudaProgram(GetParam().text).ptx();
  EXPECT_EQ(first, second);
}

TEST_P(Ptx, NeedsNoLibrary) {
  std::string ptx = CudaProgram(GetParam().text).ptx();
  EXPECT_EQ(ptx.find(".extern .func"), std::string::npos) << ptx;
  EXPECT_EQ(ptx.find("call"), std::string::npos) << ptx;
}

TEST_P(Ptx, AssemblesWithoutSpills) {
  if (findPtxas().empty())
    GTEST_SKIP() << "ptxas is not installed";
  CudaProgram program(GetParam().text);
  for (const char *chip : kChips) {
    mlir::FailureOr<Cubin> cubin = compileCubin(program.module->getLoc(), program.ptx(chip), chip);
    ASSERT_TRUE(succeeded(cubin)) << chip;
    EXPECT_FALSE(cubin->bytes.empty());
    EXPECT_FALSE(cubin->kernels.empty());
    for (const auto &[name, resources] : cubin->kernels) {
      EXPECT_EQ(resources.spilledBytes, 0) << name.str() << " on " << chip;
      EXPECT_EQ(resources.stackBytes, 0) << name.str() << " on " << chip;
      EXPECT_GT(resources.registers, 0) << name.str() << " on " << chip;
    }
  }
}

/// The baseline's PTX runs on later GPUs: their drivers assemble it.
TEST_P(Ptx, OfTheBaselineAssemblesForLaterChips) {
  if (findPtxas().empty())
    GTEST_SKIP() << "ptxas is not installed";
  CudaProgram program(GetParam().text);
  std::string ptx = program.ptx(kBaselineChip.str());
  for (const char *chip : kChips)
    EXPECT_TRUE(succeeded(compileCubin(program.module->getLoc(), ptx, chip))) << chip;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Ptx, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<PtxCase> &info) { return std::string(info.param.name); });

TEST(CudaDiagnostics, UnknownKernel) {
  EXPECT_NE(diagnose("func.func private @f(memref<?xf32>) attributes {qopt.kernel = \"fft\"}").find("unknown kernel \"fft\""),
            std::string::npos);
}

TEST(CudaDiagnostics, UnknownChip) {
  CudaProgram program(kCases[0].text);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&program.context, [&](mlir::Diagnostic &d) { message = d.str(); });
  EXPECT_TRUE(failed(compilePtx(*program.module, "sm_1")));
  EXPECT_NE(message.find("unknown chip \"sm_1\""), std::string::npos) << message;
}

TEST(CudaDiagnostics, PtxasMessage) {
  if (findPtxas().empty())
    GTEST_SKIP() << "ptxas is not installed";
  CudaProgram program(kCases[0].text);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&program.context, [&](mlir::Diagnostic &d) { message = d.str(); });
  EXPECT_TRUE(failed(compileCubin(program.module->getLoc(), ".version 7.0\n.target sm_80\nnonsense\n", "sm_80")));
  EXPECT_NE(message.find("ptxas failed for sm_80"), std::string::npos) << message;
  EXPECT_NE(message.find("nonsense"), std::string::npos) << message;
}

TEST(Ptxas, Resources) {
  auto kernels = parseResources("ptxas info    : 0 bytes gmem\n"
                                "ptxas info    : Compiling entry function 'a' for 'sm_80'\n"
                                "ptxas info    : Function properties for a\n"
                                "    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
                                "ptxas info    : Used 18 registers, used 1 barriers, 944 bytes smem, 384 bytes cmem[0]\n"
                                "ptxas info    : Compiling entry function 'b' for 'sm_80'\n"
                                "ptxas info    : Used 255 registers, 8 bytes cumulative stack size\n");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels["a"].stackBytes, 8);
  EXPECT_EQ(kernels["a"].spilledBytes, 16);
  EXPECT_EQ(kernels["a"].registers, 18);
  EXPECT_EQ(kernels["a"].sharedBytes, 944);
  EXPECT_EQ(kernels["b"].registers, 255);
  EXPECT_EQ(kernels["b"].sharedBytes, 0);
}

} // namespace
