//===- AttentionKernelTest.cpp - Attention against plain loops -------------===//
//
// Values are about 1, so outputs are, too; the kernel's float sums and its
// exponential are within 2e-6 of double arithmetic.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "KernelProgram.h"
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt::test;

namespace {

enum class Mask { None, Padding, Boolean, Additive };

struct Case {
  int64_t heads, keyHeads, headSize, valueSize;
  bool queryHeadsFirst, keyHeadsFirst, causal, offset;
  Mask mask;
  float softcap;
};

constexpr Case kCases[] = {
    {4, 2, 32, 32, false, false, true, false, Mask::Padding, 0},
    {2, 2, 8, 8, true, true, true, false, Mask::None, 0},
    {6, 2, 64, 48, false, true, false, false, Mask::Additive, 0},
    {2, 1, 20, 12, true, false, true, true, Mask::Boolean, 0},
    {1, 1, 128, 128, false, false, true, true, Mask::None, 5.0f},
};

struct Sizes {
  int64_t batch, queries, keys;
};
constexpr Sizes kSizes[] = {{1, 1, 1}, {2, 1, 37}, {2, 17, 17}, {1, 70, 70}, {2, 9, 33}};

std::string tensor(bool headsFirst, int64_t heads, int64_t size) {
  std::string h = std::to_string(heads), s = std::to_string(size);
  return headsFirst ? "memref<?x" + h + "x?x" + s + "xf32>" : "memref<?x?x" + h + "x" + s + "xf32>";
}

struct Array {
  bool headsFirst;
  int64_t heads, length, size;
  Buffer buffer;

  Array(bool headsFirst, int64_t batch, int64_t heads, int64_t length, int64_t size, unsigned seed)
      : headsFirst(headsFirst), heads(heads), length(length), size(size),
        buffer(makeBuffer<float>(headsFirst ? std::vector<int64_t>{batch, heads, length, size}
                                            : std::vector<int64_t>{batch, length, heads, size},
                                 randomFloats(batch * heads * length * size, seed))) {}
  float at(int64_t b, int64_t h, int64_t t, int64_t i) {
    return buffer.as<float>()[(headsFirst ? (b * heads + h) * length + t : (b * length + t) * heads + h) * size + i];
  }
};

class AttentionKernel : public testing::TestWithParam<std::string> {};

void checkCase(KernelProgram &program, size_t index, const Case &c, const Sizes &s) {
  Array q(c.queryHeadsFirst, s.batch, c.heads, s.queries, c.headSize, 1),
      y(c.queryHeadsFirst, s.batch, c.heads, s.queries, c.valueSize, 9);
  Array k(c.keyHeadsFirst, s.batch, c.keyHeads, s.keys, c.headSize, 2),
      v(c.keyHeadsFirst, s.batch, c.keyHeads, s.keys, c.valueSize, 3);
  // Padding on the left hides the first keys: early queries then see nothing.
  int64_t maskQueries = c.mask == Mask::Padding ? 1 : s.queries;
  std::vector<float> numbers = randomFloats(s.batch * maskQueries * s.keys, 4);
  std::vector<char> booleans(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    int64_t key = i % s.keys, row = i / s.keys;
    booleans[i] = c.mask == Mask::Padding ? key >= (row == 0 ? s.keys / 2 : 1) : numbers[i] > -0.5f;
    if (c.mask == Mask::Boolean && row == 1)
      booleans[i] = 0;
    if (c.mask == Mask::Additive && numbers[i] > 1.0f)
      numbers[i] = numbers[i] > 1.5f ? -INFINITY : -FLT_MAX;
  }
  Buffer mask = c.mask == Mask::Additive ? makeBuffer<float>({s.batch, 1, maskQueries, s.keys}, numbers)
                                         : makeBuffer<char>({s.batch, 1, maskQueries, s.keys}, booleans);
  std::vector<Buffer *> operands{&q.buffer, &k.buffer, &v.buffer, &y.buffer};
  if (c.mask != Mask::None)
    operands.insert(operands.begin() + 3, &mask);
  program.run("attention" + std::to_string(index), operands);

  double scale = 1 / std::sqrt(static_cast<double>(c.headSize));
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < c.heads; ++h)
      for (int64_t t = 0; t < s.queries; ++t) {
        int64_t keyHead = h / (c.heads / c.keyHeads);
        std::vector<double> scores(s.keys);
        double largest = -DBL_MAX, total = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          double dot = 0;
          for (int64_t i = 0; i < c.headSize; ++i)
            dot += static_cast<double>(q.at(b, h, t, i)) * k.at(b, keyHead, j, i);
          dot *= scale;
          if (c.softcap != 0)
            dot = c.softcap * std::tanh(dot / c.softcap);
          size_t place = (b * maskQueries + (maskQueries == 1 ? 0 : t)) * s.keys + j;
          if (c.mask == Mask::Additive)
            dot = std::max<double>(dot + numbers[place], -FLT_MAX);
          bool seen = c.mask == Mask::None || c.mask == Mask::Additive || booleans[place];
          seen &= !c.causal || j <= t + (c.offset ? s.keys - s.queries : 0);
          scores[j] = seen ? dot : -FLT_MAX;
          largest = std::max(largest, scores[j]);
        }
        for (double &score : scores)
          total += score = std::exp(score - largest);
        for (int64_t i = 0; i < c.valueSize; ++i) {
          double expected = 0;
          for (int64_t j = 0; j < s.keys; ++j)
            expected += scores[j] / total * v.at(b, keyHead, j, i);
          ASSERT_NEAR(y.at(b, h, t, i), expected, 2e-6) << "case " << index << " batch " << b << " head " << h
                                                        << " query " << t << " of " << s.queries << " x " << s.keys;
        }
      }
}

TEST_P(AttentionKernel, Forms) {
  std::string text;
  for (auto [i, c] : llvm::enumerate(kCases)) {
    std::string mask = c.mask == Mask::None       ? ""
                       : c.mask == Mask::Additive ? "memref<?x1x?x?xf32>, "
                       : c.mask == Mask::Padding  ? "memref<?x1x1x?xi1>, "
                                                  : "memref<?x1x?x?xi1>, ";
    text += kernelFunction("attention" + std::to_string(i), "attention",
                           tensor(c.queryHeadsFirst, c.heads, c.headSize) + ", " +
                               tensor(c.keyHeadsFirst, c.keyHeads, c.headSize) + ", " +
                               tensor(c.keyHeadsFirst, c.keyHeads, c.valueSize) + ", " + mask +
                               tensor(c.queryHeadsFirst, c.heads, c.valueSize),
                           std::string(c.queryHeadsFirst ? "q_heads_first, " : "") +
                               (c.keyHeadsFirst ? "kv_heads_first, " : "") + (c.causal ? "causal, " : "") +
                               (c.offset ? "offset, " : "") + "softcap = " + std::to_string(c.softcap) + " : f32");
  }
  KernelProgram program(text, GetParam());
  for (auto [i, c] : llvm::enumerate(kCases))
    for (const Sizes &s : kSizes)
      checkCase(program, i, c, s);
}

INSTANTIATE_TEST_SUITE_P(Levels, AttentionKernel, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return info.param.substr(7); });

} // namespace
