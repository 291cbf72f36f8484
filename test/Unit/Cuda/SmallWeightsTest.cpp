//===- SmallWeightsTest.cpp - Products of weights of 4 and 8 bits, simulated ===//
//
// All forms that are not plain integers in every launch, against sums in double. Tiles round
// activations to f16 or tf32 where weights are exact in them.
//
//===----------------------------------------------------------------------===//
#include "../SmallWeights.h"
#include "../KernelText.h"
#include "SimProgram.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

struct Case {
  int64_t n, k, groupSize;
  bool isHalf;
};
constexpr Case kCases[] = {{17, 100, 64, true}, {40, 33, 20, false}};

struct Call {
  int64_t rows, capability;
};
constexpr Call kCalls[] = {{3, 80}, {33, 80}, {70, 80}, {70, 90}};

class CudaSmallWeights : public testing::TestWithParam<SmallWeights::Form> {};

TEST_P(CudaSmallWeights, areProducts) {
  for (const Case &c : kCases) {
    SmallWeights w(GetParam(), c.n, c.k, c.groupSize, c.isHalf);
    std::string types = memref({-1, c.k}, "f32");
    std::vector<GuardedArray<int8_t>> packed;
    for (const SmallWeights::Operand &operand : w.operands) {
      types += ", " + memref(operand.shape, operand.type);
      packed.emplace_back(operand.bytes);
    }
    SimProgram program(kernelFunction("f", w.kernel, types + ", " + memref({-1, c.n}, "f32"), w.attributes));
    for (auto [rows, capability] : kCalls) {
      program.capability = capability;
      std::mt19937 random(rows);
      std::normal_distribution<float> normal;
      GuardedArray<float> x(rows * c.k, 0), y(rows * c.n, NAN);
      std::generate_n(x.data(), rows * c.k, [&] { return normal(random); });
      std::vector<DeviceArray> arrays{{x.data(), {rows}}};
      for (GuardedArray<int8_t> &array : packed)
        arrays.push_back({array.data(), {rows}});
      arrays.push_back({y.data(), {rows}});
      ASSERT_EQ(program.run("f", arrays), "");
      EXPECT_TRUE(y.marginsAreUntouched());
      double precision = 0x1p-20 + (rows <= 8 ? 0 : 0x1p-11);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t n = 0; n < c.n; ++n) {
          double sum = 0, magnitudes = 0;
          for (int64_t k = 0; k < c.k; ++k) {
            double product = x[t * c.k + k] * w.weights[n * c.k + k];
            sum += product;
            magnitudes += std::abs(product);
          }
          ASSERT_NEAR(y[t * c.n + n], sum, precision * magnitudes + 1e-30)
              << program.launched.back() << " " << w.attributes << " row " << t << " column " << n << " of " << rows;
        }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, CudaSmallWeights, testing::ValuesIn(SmallWeights::kForms));

} // namespace
