//===- WgmmaTest.cpp - Products of sm_90a, simulated -----------------------===//
//
// The launch for sm_90a through the host's code, against the CPU's kernel: more rows than
// a block takes and blocks that are not full, more chunks than the ring has places and
// chunks that are not full, more columns than a block has; and inputs whose rows no tensor
// copy takes, which stay with the tiles.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "SimProgram.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int64_t kRows[] = {64, 65, 100, 137, 161, 300};

std::vector<int8_t> randomBytes(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int8_t> values(count);
  std::generate(values.begin(), values.end(), [&] { return static_cast<int8_t>(random()); });
  return values;
}
std::vector<float> randomFloats(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return values;
}

struct Int8Case {
  int64_t n, k;
  bool perToken, hasOutliers, canUseWgmma;
};

class Int8Wgmma : public testing::TestWithParam<Int8Case> {};

TEST_P(Int8Wgmma, IsExact) {
  const Int8Case &c = GetParam();
  int64_t blocks = llvm::divideCeil(c.n, kColumns), words = llvm::divideCeil(c.k, int64_t(4));
  auto memref = [](std::initializer_list<std::string> parts) { return "memref<" + llvm::join(parts, "x") + ">, "; };
  std::string n = std::to_string(c.n), k = std::to_string(c.k), padded = std::to_string(blocks * kColumns);
  std::string text = memref({"?", k, "i8"}) + (c.perToken ? "memref<?xf32>, " : "memref<f32>, ") +
                     memref({std::to_string(blocks), std::to_string(words), "64", "i8"}) + memref({padded, "i32"}) +
                     memref({n, "f32"});
  if (c.hasOutliers)
    text += memref({"?", k, "f32"}) + memref({k, "i32"});
  text = kernelFunction("f", "matmul_w8a8", text + "memref<?x" + n + "xf32>");
  CpuProgram cpu(text);
  SimProgram sim(text);
  sim.capability = 90;

  std::vector<int8_t> codes = randomBytes(c.n * c.k, 1);
  std::fill_n(codes.begin(), c.k, -128); // the largest possible sum
  GuardedArray<int8_t> w(packInt8Dot(codes, c.n, c.k));
  GuardedArray<int32_t> corrections(packDotCorrection(codes, c.n, c.k)), list(c.k, -1);
  list[0] = 3, list[1] = static_cast<int32_t>(c.k - 1);
  GuardedArray<float> scales(randomFloats(c.n, 2));
  for (int64_t rows : kRows) {
    GuardedArray<int8_t> x(randomBytes(rows * c.k, rows));
    std::fill_n(x.data(), c.k, -128);
    GuardedArray<float> tokens(randomFloats(c.perToken ? rows : 1, 3)), outliers(randomFloats(rows * c.k, 4));
    GuardedArray<float> y(rows * c.n, NAN), expected(rows * c.n, NAN);
    auto run = [&](Program &program, GuardedArray<float> &result) {
      std::vector<DeviceArray> operands;
      for (void *data :
           std::initializer_list<void *>{x.data(), tokens.data(), w.data(), corrections.data(), scales.data()})
        operands.push_back({data, {rows}});
      if (c.hasOutliers)
        operands.insert(operands.end(), {{outliers.data(), {rows}}, {list.data(), {rows}}});
      operands.push_back({result.data(), {rows}});
      return program.run("f", operands);
    };
    ASSERT_EQ(run(cpu, expected), "");
    ASSERT_EQ(run(sim, y), "");
    bool usesWgmma = sim.launched.back() == "f_wgmma";
    EXPECT_EQ(usesWgmma, c.canUseWgmma && rows > 64) << sim.launched.back();
    for (int64_t i = 0; i < rows * c.n; ++i)
      ASSERT_EQ(y[i], expected[i]) << "row " << i / c.n << " column " << i % c.n << " of " << rows;
    EXPECT_TRUE(y.marginsAreUntouched());
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8Wgmma,
                         testing::Values(Int8Case{300, 656, true, false, true}, Int8Case{40, 64, false, false, true},
                                         Int8Case{257, 16, true, false, true}, Int8Case{36, 176, true, true, true},
                                         Int8Case{64, 172, true, false, false}),
                         [](const testing::TestParamInfo<Int8Case> &info) {
                           return std::to_string(info.param.n) + "x" + std::to_string(info.param.k);
                         });

} // namespace
