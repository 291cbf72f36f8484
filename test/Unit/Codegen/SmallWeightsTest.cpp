//===- SmallWeightsTest.cpp - Products of weights of 4 and 8 bits ----------===//
//
// All forms that are not plain integers, with shapes that no tile divides, against plain loops.
//
//===----------------------------------------------------------------------===//
#include "../SmallWeights.h"
#include "../KernelText.h"
#include "KernelProgram.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

struct Case {
  int64_t n, k, groupSize;
  bool isHalf;
};
constexpr Case kCases[] = {{40, 100, 32, true}, {5, 33, 33, false}};
constexpr int64_t kRows[] = {1, 7, 33};

class SmallWeightKernels : public testing::TestWithParam<std::string> {};

TEST_P(SmallWeightKernels, areProducts) {
  std::string text;
  std::vector<SmallWeights> all;
  for (SmallWeights::Form form : SmallWeights::kForms)
    for (const Case &c : kCases) {
      const SmallWeights &w = all.emplace_back(form, c.n, c.k, c.groupSize, c.isHalf);
      std::string types = memref({-1, c.k}, "f32");
      for (const SmallWeights::Operand &operand : w.operands)
        types += ", " + memref(operand.shape, operand.type);
      text += kernelFunction("f" + std::to_string(all.size()), w.kernel, types + ", " + memref({-1, c.n}, "f32"),
                             w.attributes);
    }
  KernelProgram program(text, GetParam());
  for (size_t i = 0; i < all.size(); ++i) {
    const Case &c = kCases[i % std::size(kCases)];
    std::vector<Buffer> packed;
    for (const SmallWeights::Operand &operand : all[i].operands)
      packed.push_back({operand.shape, {operand.bytes.begin(), operand.bytes.end()}});
    for (int64_t rows : kRows) {
      std::mt19937 random(rows);
      std::normal_distribution<float> normal;
      Buffer x = makeBuffer<float>({rows, c.k}), y = makeBuffer<float>({rows, c.n});
      std::generate_n(x.as<float>(), rows * c.k, [&] { return normal(random); });
      std::vector<Buffer *> operands{&x};
      for (Buffer &buffer : packed)
        operands.push_back(&buffer);
      operands.push_back(&y);
      program.run("f" + std::to_string(i + 1), operands);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t n = 0; n < c.n; ++n) {
          double sum = 0, magnitudes = 0;
          for (int64_t k = 0; k < c.k; ++k) {
            double product = x.as<float>()[t * c.k + k] * all[i].weights[n * c.k + k];
            sum += product;
            magnitudes += std::abs(product);
          }
          ASSERT_NEAR(y.as<float>()[t * c.n + n], sum, 0x1p-20 * magnitudes + 1e-30)
              << all[i].kernel << " " << all[i].attributes << " row " << t << " column " << n;
        }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, SmallWeightKernels, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return info.param.substr(7); });

} // namespace
