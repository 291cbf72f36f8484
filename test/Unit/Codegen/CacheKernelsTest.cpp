//===- CacheKernelsTest.cpp - Attention to a cache against plain attention --===//
//
// Both kernels of the CPU sum in the same order: results are equal bit by bit, whatever
// the cache holds beyond the tokens.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "KernelProgram.h"
#include "qopt/Runtime/Abi.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt::test;

namespace {

struct Form {
  int64_t heads, keyHeads, size, valueSize;
};
constexpr Form kForms[] = {{8, 4, 16, 16}, {4, 4, 32, 32}, {6, 1, 64, 64}, {4, 2, 128, 128}, {9, 3, 13, 9}};

struct Sizes {
  int64_t batch, tokens, past, room; ///< room: of the cache beyond them
};
constexpr Sizes kSizes[] = {{1, 1, 0, 0}, {1, 1, 1, 5},  {2, 1, 33, 40}, {3, 1, 200, 1},
                            {2, 3, 0, 2}, {1, 3, 33, 0}, {2, 3, 200, 7}, {1, 40, 5, 30}};

std::string number(int64_t n) { return std::to_string(n); }
std::string tokensType(int64_t heads, int64_t size) {
  return "memref<?x?x" + number(heads) + "x" + number(size) + "xf32>";
}
std::string cacheType(int64_t heads, int64_t size, const char *element = "f32") {
  return "memref<?x" + number(heads) + "x?x" + number(size) + "x" + element + ">";
}

std::string declarations(size_t i, const Form &f) {
  std::string n = number(static_cast<int64_t>(i)), q = tokensType(f.heads, f.size),
              y = tokensType(f.heads, f.valueSize), keys = cacheType(f.keyHeads, f.size),
              values = cacheType(f.keyHeads, f.valueSize), config = "softcap = 20.0 : f32";
  auto append = [&](const char *name, int64_t size, const std::string &cache) {
    return kernelFunction(name + n, "cache_append", tokensType(f.keyHeads, size) + ", memref<1xi64>, " + cache);
  };
  return append("append_keys", f.size, keys) + append("append_values", f.valueSize, values) +
         kernelFunction("cached" + n, "cached_attention", q + ", " + keys + ", " + values + ", memref<1xi64>, " + y,
                        config) +
         kernelFunction("plain" + n, "attention", q + ", " + keys + ", " + values + ", " + y,
                        "kv_heads_first, causal, offset, " + config);
}

Buffer randomTokens(int64_t batch, int64_t tokens, int64_t heads, int64_t size, unsigned seed) {
  return makeBuffer<float>({batch, tokens, heads, size}, randomFloats(batch * tokens * heads * size, seed));
}

/// What a cache [B,heads,capacity,size] with x [B,S,heads,size] at `past` holds.
Buffer appended(Buffer cache, Buffer &x, int64_t past) {
  int64_t heads = cache.shape[1], capacity = cache.shape[2], size = cache.shape[3], tokens = x.shape[1];
  for (int64_t b = 0; b < x.shape[0]; ++b)
    for (int64_t s = 0; s < tokens; ++s)
      for (int64_t h = 0; h < heads; ++h)
        std::copy_n(x.as<float>() + ((b * tokens + s) * heads + h) * size, size,
                    cache.as<float>() + ((b * heads + h) * capacity + past + s) * size);
  return cache;
}

/// The first `length` tokens of a cache.
Buffer firstTokens(Buffer &cache, int64_t length) {
  Buffer result = makeBuffer<float>({cache.shape[0], cache.shape[1], length, cache.shape[3]});
  int64_t from = cache.shape[2] * cache.shape[3], to = length * cache.shape[3];
  for (int64_t row = 0; row < cache.shape[0] * cache.shape[1]; ++row)
    std::copy_n(cache.as<float>() + row * from, to, result.as<float>() + row * to);
  return result;
}

class CacheKernels : public testing::TestWithParam<std::string> {};

TEST_P(CacheKernels, AreAttentionToAllKeys) {
  std::string text;
  for (size_t i = 0; i < std::size(kForms); ++i)
    text += declarations(i, kForms[i]);
  KernelProgram program(text, GetParam());
  for (size_t i = 0; i < std::size(kForms); ++i)
    for (const Sizes &s : kSizes) {
      const Form &f = kForms[i];
      SCOPED_TRACE(testing::Message() << "form " << i << ", " << s.batch << " x " << s.tokens << " after " << s.past);
      std::string n = number(static_cast<int64_t>(i));
      int64_t length = s.past + s.tokens, capacity = length + s.room;
      Buffer q = randomTokens(s.batch, s.tokens, f.heads, f.size, 1),
             k = randomTokens(s.batch, s.tokens, f.keyHeads, f.size, 2),
             v = randomTokens(s.batch, s.tokens, f.keyHeads, f.valueSize, 3);
      auto makeCache = [&](int64_t size, unsigned seed) {
        Buffer tokens = randomTokens(s.batch, s.past, f.keyHeads, size, seed);
        int64_t count = s.batch * f.keyHeads * capacity * size;
        return appended(makeBuffer<float>({s.batch, f.keyHeads, capacity, size}, std::vector<float>(count, NAN)),
                        tokens, 0);
      };
      Buffer keys = makeCache(f.size, 4), values = makeCache(f.valueSize, 5);
      Buffer allKeys = appended(keys, k, s.past), allValues = appended(values, v, s.past);
      Buffer past = makeBuffer<int64_t>({1}, {s.past});
      program.run("append_keys" + n, {&k, &past, &keys});
      program.run("append_values" + n, {&v, &past, &values});
      EXPECT_TRUE(failures.empty());
      ASSERT_EQ(keys.bytes, allKeys.bytes);
      ASSERT_EQ(values.bytes, allValues.bytes);

      Buffer y = makeBuffer<float>({s.batch, s.tokens, f.heads, f.valueSize}), expected = y;
      Buffer plainKeys = firstTokens(keys, length), plainValues = firstTokens(values, length);
      program.run("cached" + n, {&q, &keys, &values, &past, &y});
      program.run("plain" + n, {&q, &plainKeys, &plainValues, &expected});
      ASSERT_EQ(y.bytes, expected.bytes);
    }
}

/// What attention reads in a cache of f16 is what one of f32 with the same numbers has.
TEST_P(CacheKernels, RoundToHalf) {
  for (const Form &f : kForms) {
    std::string q = tokensType(f.heads, f.size), y = tokensType(f.heads, f.valueSize), text;
    for (const char *element : {"f16", "f32"}) {
      std::string keys = cacheType(f.keyHeads, f.size, element), values = cacheType(f.keyHeads, f.valueSize, element);
      text += kernelFunction(std::string("append_") + element, "cache_append",
                             tokensType(f.keyHeads, f.size) + ", memref<1xi64>, " + keys) +
              kernelFunction(std::string("cached_") + element, "cached_attention",
                             q + ", " + keys + ", " + values + ", memref<1xi64>, " + y);
    }
    KernelProgram program(text, GetParam());
    int64_t tokens = 5, capacity = 50, count = f.keyHeads * capacity;
    Buffer past = makeBuffer<int64_t>({1}, {40}), x = randomTokens(1, tokens, f.keyHeads, f.size, 1);
    x.as<float>()[0] = 1e6f, x.as<float>()[1] = -INFINITY; // beyond the largest f16
    Buffer wideKeys = makeBuffer<float>({1, f.keyHeads, capacity, f.size}, randomFloats(count * f.size, 2)),
           wideValues = makeBuffer<float>({1, f.keyHeads, capacity, f.valueSize}, randomFloats(count * f.valueSize, 3));
    auto narrowed = [](Buffer &wide) {
      Buffer narrow = makeBuffer<_Float16>(wide.shape);
      for (size_t i = 0; i < wide.bytes.size() / 4; ++i) {
        narrow.as<_Float16>()[i] = static_cast<_Float16>(std::clamp(wide.as<float>()[i], -65504.0f, 65504.0f));
        wide.as<float>()[i] = static_cast<float>(narrow.as<_Float16>()[i]);
      }
      return narrow;
    };
    Buffer keys = narrowed(wideKeys), values = narrowed(wideValues);
    program.run("append_f16", {&x, &past, &keys});
    program.run("append_f32", {&x, &past, &wideKeys});
    Buffer expected = narrowed(wideKeys);
    ASSERT_EQ(keys.bytes, expected.bytes);
    Buffer queries = randomTokens(1, tokens, f.heads, f.size, 4),
           result = makeBuffer<float>({1, tokens, f.heads, f.valueSize}), wide = result;
    program.run("cached_f16", {&queries, &keys, &values, &past, &result});
    program.run("cached_f32", {&queries, &wideKeys, &wideValues, &past, &wide});
    ASSERT_EQ(result.bytes, wide.bytes);
  }
}

TEST_P(CacheKernels, WriteNothingThatDoesNotFit) {
  KernelProgram program(declarations(0, {2, 2, 8, 8}), GetParam());
  Buffer x = randomTokens(2, 3, 2, 8, 1);
  struct Case {
    int64_t past, capacity, last;
  };
  for (Case c : {Case{2, 4, 4}, Case{-1, 4, 1}, Case{0, 2, 2}, Case{INT64_MAX, 4, INT64_MIN + 1}}) {
    Buffer cache =
        makeBuffer<float>({2, 2, c.capacity, 8}, std::vector<float>(static_cast<size_t>(32 * c.capacity), 7));
    Buffer before = cache, past = makeBuffer<int64_t>({1}, {c.past});
    program.run("append_keys0", {&x, &past, &cache});
    EXPECT_EQ(cache.bytes, before.bytes);
    ASSERT_FALSE(failures.empty());
    EXPECT_EQ(failures.front(), (std::array<int64_t, 3>{QRT_INDEX_OUT_OF_RANGE, c.last, c.capacity}));
    // Whoever attends all the same reads the cache only.
    Buffer q = randomTokens(2, 3, 2, 8, 2), y = q;
    program.run("cached0", {&q, &cache, &cache, &past, &y});
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, CacheKernels, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return info.param.substr(7); });

} // namespace
