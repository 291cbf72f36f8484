//===- AttentionTest.cpp - Attention on the simulated GPU against plain loops ===//
//
// Values are about 1, so outputs are, too. Both kernels are as exact as f32.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "SimProgram.h"
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>
#include <list>
#include <random>

using namespace qopt::test;

namespace {

enum class Mask { None, Padding, Boolean, Additive, PerHead };

struct Form {
  const char *name;
  int64_t heads, keyHeads, headSize, valueSize;
  bool queryHeadsFirst, keyHeadsFirst, causal, offset;
  Mask mask;
  float softcap;
};

constexpr Form kForms[] = {
    {"plain64", 8, 4, 64, 64, false, false, false, false, Mask::None, 0},
    {"causal128", 4, 4, 128, 128, true, true, true, true, Mask::None, 0},
    {"multiquery16", 6, 1, 16, 16, false, true, true, false, Mask::Padding, 0},
    {"padding32", 8, 4, 32, 32, true, false, true, true, Mask::Padding, 0},
    {"boolean8", 4, 4, 8, 8, false, false, false, false, Mask::Boolean, 0},
    {"additive40", 6, 1, 40, 40, true, true, false, false, Mask::Additive, 0},
    {"perHead128", 2, 1, 128, 64, false, false, false, false, Mask::PerHead, 0},
    {"capped20", 2, 1, 20, 12, true, false, true, true, Mask::Boolean, 5},
    {"odd13", 3, 3, 13, 9, false, true, true, false, Mask::None, 0},
    {"large160", 2, 1, 160, 256, false, false, true, true, Mask::None, 0},
    {"group9", 9, 1, 12, 1, false, false, false, false, Mask::None, 0},
};

struct Sizes {
  int64_t batch, queries, keys;
};
/// More queries than keys, with `offset`: the first ones see nothing.
constexpr Sizes kSizes[] = {{2, 1, 1},   {1, 1, 70},  {2, 2, 37},   {1, 7, 7},  {1, 8, 600}, {1, 17, 17},
                            {2, 33, 65}, {1, 70, 70}, {1, 70, 133}, {1, 40, 9}, {1, 6, 3}};

std::vector<float> randomFloats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> values(count);
  for (float &v : values)
    v = normal(random);
  return values;
}

struct Array {
  bool headsFirst;
  int64_t batch, heads, length, size;
  GuardedArray<float> numbers;

  Array(bool headsFirst, int64_t batch, int64_t heads, int64_t length, int64_t size, unsigned seed)
      : headsFirst(headsFirst), batch(batch), heads(heads), length(length), size(size),
        numbers(randomFloats(batch * heads * length * size, seed)) {}
  DeviceArray array() {
    return {numbers.data(), headsFirst ? std::vector<int64_t>{batch, heads, length, size}
                                       : std::vector<int64_t>{batch, length, heads, size}};
  }
  double at(int64_t b, int64_t h, int64_t s, int64_t i) const {
    return numbers[(headsFirst ? (b * heads + h) * length + s : (b * length + s) * heads + h) * size + i];
  }
};

struct MaskArray {
  std::vector<int64_t> shape;
  std::vector<float> added;
  std::vector<char> booleans;

  /// Padding on the left hides the first keys: early queries then see nothing.
  MaskArray(Mask kind, const Form &form, const Sizes &s) {
    shape = {s.batch, kind == Mask::PerHead ? form.heads : 1, kind == Mask::Padding ? 1 : s.queries, s.keys};
    added = randomFloats(shape[0] * shape[1] * shape[2] * shape[3], 4);
    for (size_t i = 0; i < added.size(); ++i) {
      int64_t key = i % s.keys, row = i / s.keys;
      bool seen = kind == Mask::Padding ? key >= (row == 0 ? s.keys / 2 : 1) : added[i] > -0.5f && row != 1;
      booleans.push_back(seen);
      if (kind == Mask::Additive && added[i] > 1.0f)
        added[i] = added[i] > 1.5f ? -INFINITY : -FLT_MAX;
    }
  }
  size_t place(int64_t b, int64_t h, int64_t q, int64_t key) const {
    return ((b * shape[1] + (shape[1] == 1 ? 0 : h)) * shape[2] + (shape[2] == 1 ? 0 : q)) * shape[3] + key;
  }
};

bool isAdditive(Mask mask) { return mask == Mask::Additive || mask == Mask::PerHead; }

std::string tensor(bool headsFirst, int64_t heads, int64_t size) {
  std::string h = std::to_string(heads), s = std::to_string(size);
  return headsFirst ? "?x" + h + "x?x" + s + "xf32" : "?x?x" + h + "x" + s + "xf32";
}

std::string kernelOf(const Form &f) {
  // Of one query, or of sizes that only the call knows.
  constexpr const char *kMasks[] = {"", "?x1x1x?xi1, ", "?x1x?x?xi1, ", "?x?x?x?xf32, ", "?x?x?x?xf32, "};
  std::string operands = tensor(f.queryHeadsFirst, f.heads, f.headSize) + ", " +
                         tensor(f.keyHeadsFirst, f.keyHeads, f.headSize) + ", " +
                         tensor(f.keyHeadsFirst, f.keyHeads, f.valueSize) + ", " + kMasks[static_cast<int>(f.mask)] +
                         tensor(f.queryHeadsFirst, f.heads, f.valueSize);
  return kernelFunction(f.name, "attention", operands,
                        std::string(f.queryHeadsFirst ? "q_heads_first, " : "") +
                            (f.keyHeadsFirst ? "kv_heads_first, " : "") + (f.causal ? "causal, " : "") +
                            (f.offset ? "offset, " : "") + "softcap = " + std::to_string(f.softcap) + " : f32");
}

/// Weights of one query, of sum 1.
std::vector<double> weights(const Form &f, const Sizes &s, const Array &q, const Array &k, const MaskArray &mask,
                            int64_t b, int64_t h, int64_t t) {
  std::vector<double> scores(s.keys);
  double largest = -DBL_MAX, total = 0;
  for (int64_t j = 0; j < s.keys; ++j) {
    double dot = 0;
    for (int64_t i = 0; i < f.headSize; ++i)
      dot += q.at(b, h, t, i) * k.at(b, h / (f.heads / f.keyHeads), j, i);
    dot /= std::sqrt(static_cast<double>(f.headSize));
    if (f.softcap != 0)
      dot = f.softcap * std::tanh(dot / f.softcap);
    size_t place = mask.place(b, h, t, j);
    if (isAdditive(f.mask))
      dot = std::max<double>(dot + mask.added[place], -FLT_MAX);
    bool seen = f.mask == Mask::None || isAdditive(f.mask) || mask.booleans[place];
    seen &= !f.causal || j <= t + (f.offset ? s.keys - s.queries : 0);
    scores[j] = seen ? dot : -FLT_MAX;
    largest = std::max(largest, scores[j]);
  }
  for (double &score : scores)
    total += score = std::exp(score - largest);
  for (double &score : scores)
    score /= total;
  return scores;
}

class CudaAttention : public testing::TestWithParam<Form> {};

TEST_P(CudaAttention, IsWhatLoopsGive) {
  const Form &f = GetParam();
  SimProgram program(kernelOf(f));
  for (const Sizes &s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.batch << " x " << s.queries << " queries, " << s.keys << " keys");
    Array q(f.queryHeadsFirst, s.batch, f.heads, s.queries, f.headSize, 1),
        y(f.queryHeadsFirst, s.batch, f.heads, s.queries, f.valueSize, 9);
    Array k(f.keyHeadsFirst, s.batch, f.keyHeads, s.keys, f.headSize, 2),
        v(f.keyHeadsFirst, s.batch, f.keyHeads, s.keys, f.valueSize, 3);
    MaskArray mask(f.mask, f, s);
    GuardedArray<float> added(mask.added);
    GuardedArray<char> booleans(mask.booleans);
    std::vector<DeviceArray> operands{q.array(), k.array(), v.array(), y.array()};
    if (f.mask != Mask::None)
      operands.insert(operands.begin() + 3,
                      {isAdditive(f.mask) ? static_cast<void *>(added.data()) : booleans.data(), mask.shape});
    ASSERT_EQ(program.run(f.name, operands), "");
    bool areFew = s.queries <= 8 || std::max(f.headSize, f.valueSize) > 128;
    EXPECT_EQ(program.launched, std::vector<std::string>{std::string(f.name) + (areFew ? "_rows" : "_tiles")});
    EXPECT_TRUE(y.numbers.marginsAreUntouched());

    double largest = 0, error = 0;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t h = 0; h < f.heads; ++h)
        for (int64_t t = 0; t < s.queries; ++t) {
          std::vector<double> p = weights(f, s, q, k, mask, b, h, t);
          for (int64_t i = 0; i < f.valueSize; ++i) {
            double expected = 0;
            for (int64_t j = 0; j < s.keys; ++j)
              expected += p[j] * v.at(b, h / (f.heads / f.keyHeads), j, i);
            double difference = std::abs(y.at(b, h, t, i) - expected);
            ASSERT_LE(difference, 4e-6) << "batch " << b << " head " << h << " query " << t << " column " << i;
            largest = std::max(largest, std::abs(expected));
            error = std::max(error, difference);
          }
        }
    EXPECT_LE(error, 2e-6 * largest);
  }
}

/// The order of the CPU costs more than tensor cores do, and is kept where that is little.
TEST(CudaAttentionOrder, KeepsTheOrderWhereThereIsLittleToDo) {
  SimProgram program(
      kernelFunction("f", "attention", "?x?x2x16xf32, ?x?x1x16xf32, ?x?x1x16xf32, ?x?x2x16xf32", "causal, in_order"));
  auto launched = [&](int64_t queries, int64_t keys) {
    std::list<GuardedArray<float>> arrays;
    std::vector<DeviceArray> operands;
    for (auto [length, heads] : {std::pair(queries, 2), {keys, 1}, {keys, 1}, {queries, 2}}) {
      arrays.emplace_back(length * heads * 16, 0.0f);
      operands.push_back(arrays.back().shaped({1, length, heads, 16}));
    }
    EXPECT_EQ(program.run("f", operands), "");
    return program.launched;
  };
  EXPECT_EQ(launched(9, 65536), std::vector<std::string>{"f_ordered"});
  EXPECT_EQ(launched(9, 65537), std::vector<std::string>{"f_tiles"});
  EXPECT_EQ(launched(8, 65537), std::vector<std::string>{"f_rows"});
}

INSTANTIATE_TEST_SUITE_P(Forms, CudaAttention, testing::ValuesIn(kForms),
                         [](const testing::TestParamInfo<Form> &info) { return std::string(info.param.name); });

} // namespace
