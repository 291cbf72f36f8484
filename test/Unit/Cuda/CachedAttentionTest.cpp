//===- CachedAttentionTest.cpp - Attention to a cache on the simulated GPU --===//
//
// Against plain loops; values are about 1, and both kernels are as exact as f32.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "SimProgram.h"
#include "qopt/Runtime/Abi.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace qopt::test;

namespace {

struct Form {
  const char *name;
  int64_t heads, keyHeads, size, valueSize;
  float softcap;
};
constexpr Form kForms[] = {
    {"group2x16", 8, 4, 16, 16, 0},    {"plain32", 4, 4, 32, 32, 20}, {"multiquery64", 6, 1, 64, 64, 0},
    {"group2x128", 4, 2, 128, 128, 0}, {"odd13", 9, 3, 13, 9, 0},     {"large160", 2, 1, 160, 96, 0},
};

struct Sizes {
  int64_t batch, tokens, past, room; ///< room: of the cache beyond them
};
/// A large capacity makes many parts, most of them without keys when there are few.
constexpr Sizes kSizes[] = {{1, 1, 0, 0}, {1, 1, 1, 5000}, {2, 1, 33, 400},  {3, 1, 200, 1}, {1, 1, 700, 3000},
                            {2, 3, 0, 2}, {1, 3, 33, 900}, {2, 3, 200, 700}, {1, 70, 33, 20}};

/// Normal numbers [a,b,c,d].
struct Array {
  std::vector<int64_t> shape;
  GuardedArray<float> numbers;

  Array(std::vector<int64_t> dims, unsigned seed) : shape(std::move(dims)), numbers(count(), 0.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < count(); ++i)
      numbers[i] = normal(random);
  }
  size_t count() const { return static_cast<size_t>(shape[0] * shape[1] * shape[2] * shape[3]); }
  float &at(int64_t a, int64_t b, int64_t c, int64_t d) {
    return numbers[static_cast<size_t>(((a * shape[1] + b) * shape[2] + c) * shape[3] + d)];
  }
  bool equals(const Array &other) const {
    return std::memcmp(numbers.data(), other.numbers.data(), count() * sizeof(float)) == 0;
  }
  DeviceArray array() { return numbers.shaped(shape); }
};

std::string kernelsOf(const Form &f) {
  auto tokens = [](int64_t heads, int64_t size) {
    return "?x?x" + std::to_string(heads) + "x" + std::to_string(size) + "xf32";
  };
  auto cache = [&](int64_t size) { return "?x" + std::to_string(f.keyHeads) + "x?x" + std::to_string(size) + "xf32"; };
  return kernelFunction("append", "cache_append", tokens(f.keyHeads, f.size) + ", 1xi64, " + cache(f.size)) +
         kernelFunction("attend", "cached_attention",
                        tokens(f.heads, f.size) + ", " + cache(f.size) + ", " + cache(f.valueSize) + ", 1xi64, " +
                            tokens(f.heads, f.valueSize),
                        "softcap = " + std::to_string(f.softcap) + " : f32");
}

class CudaCachedAttention : public testing::TestWithParam<Form> {};

TEST_P(CudaCachedAttention, IsWhatLoopsGive) {
  const Form &f = GetParam();
  SimProgram program(kernelsOf(f));
  for (const Sizes &s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.batch << " x " << s.tokens << " after " << s.past);
    int64_t length = s.past + s.tokens, capacity = length + s.room;
    Array q({s.batch, s.tokens, f.heads, f.size}, 1), k({s.batch, s.tokens, f.keyHeads, f.size}, 2);
    Array keys({s.batch, f.keyHeads, capacity, f.size}, 3), values({s.batch, f.keyHeads, capacity, f.valueSize}, 4);
    Array y({s.batch, s.tokens, f.heads, f.valueSize}, 5);
    for (int64_t b = 0; b < s.batch; ++b) // nobody may read what is beyond
      for (int64_t h = 0; h < f.keyHeads; ++h)
        for (int64_t i = length; i < capacity; ++i) {
          std::fill_n(&keys.at(b, h, i, 0), f.size, NAN);
          std::fill_n(&values.at(b, h, i, 0), f.valueSize, NAN);
        }
    Array expectedKeys = keys;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t t = 0; t < s.tokens; ++t)
        for (int64_t h = 0; h < f.keyHeads; ++h)
          std::copy_n(&k.at(b, t, h, 0), f.size, &expectedKeys.at(b, h, s.past + t, 0));
    alignas(64) int64_t past = s.past;
    ASSERT_EQ(program.run("append", {k.array(), {&past, {1}}, keys.array()}), "");
    EXPECT_EQ(program.error.code, QRT_OK);
    ASSERT_TRUE(keys.equals(expectedKeys) && keys.numbers.marginsAreUntouched());

    ASSERT_EQ(program.run("attend", {q.array(), keys.array(), values.array(), {&past, {1}}, y.array()}), "");
    EXPECT_TRUE(y.numbers.marginsAreUntouched());
    bool areFew = s.tokens <= 8 || f.size > 128;
    EXPECT_EQ(program.launched, areFew ? (std::vector<std::string>{"attend_parts", "attend_combine"})
                                       : std::vector<std::string>{"attend_tiles"});
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t h = 0; h < f.heads; ++h)
        for (int64_t t = 0; t < s.tokens; ++t) {
          int64_t keyHead = h / (f.heads / f.keyHeads), seen = s.past + t + 1;
          std::vector<double> weights(static_cast<size_t>(seen));
          double total = 0;
          for (int64_t j = 0; j < seen; ++j) {
            double dot = 0;
            for (int64_t i = 0; i < f.size; ++i)
              dot += static_cast<double>(q.at(b, t, h, i)) * keys.at(b, keyHead, j, i);
            dot /= std::sqrt(static_cast<double>(f.size));
            total += weights[j] = std::exp(f.softcap != 0 ? f.softcap * std::tanh(dot / f.softcap) : dot);
          }
          for (int64_t i = 0; i < f.valueSize; ++i) {
            double expected = 0;
            for (int64_t j = 0; j < seen; ++j)
              expected += weights[j] / total * values.at(b, keyHead, j, i);
            ASSERT_NEAR(y.at(b, t, h, i), expected, 4e-6)
                << "batch " << b << " head " << h << " token " << t << " column " << i;
          }
        }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, CudaCachedAttention, testing::ValuesIn(kForms),
                         [](const testing::TestParamInfo<Form> &info) { return std::string(info.param.name); });

TEST(CudaCacheAppend, WritesNothingThatDoesNotFit) {
  SimProgram program(kernelsOf({"", 2, 2, 8, 8, 0}));
  Array x({2, 3, 2, 8}, 1), q({2, 3, 2, 8}, 2), y = q;
  struct Case {
    int64_t past, capacity, last;
  };
  for (Case c : {Case{2, 4, 4}, Case{-1, 4, 1}, Case{0, 2, 2}, Case{INT64_MAX, 4, INT64_MIN + 1}}) {
    Array cache({2, 2, c.capacity, 8}, 3), before = cache;
    alignas(64) int64_t past = c.past;
    ASSERT_EQ(program.run("append", {x.array(), {&past, {1}}, cache.array()}), "");
    EXPECT_TRUE(cache.equals(before));
    EXPECT_EQ(program.error.code, QRT_INDEX_OUT_OF_RANGE);
    EXPECT_EQ(program.error.a, c.last);
    EXPECT_EQ(program.error.b, c.capacity);
    // Whoever attends all the same reads the cache only.
    EXPECT_EQ(program.run("attend", {q.array(), cache.array(), cache.array(), {&past, {1}}, y.array()}), "");
  }
}

} // namespace
