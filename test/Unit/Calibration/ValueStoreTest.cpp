//===- ValueStoreTest.cpp - Activations in memory and in a file -----------===//
#include "qopt/Calibration/ValueStore.h"
#include <gtest/gtest.h>
#include <numeric>

using namespace qopt;

namespace {

qrt::Tensor numbers(int64_t count, float first) {
  qrt::Tensor tensor(ElementType::F32, {1, count});
  std::iota(tensor.data<float>(), tensor.data<float>() + count, first);
  return tensor;
}

void expectNumbers(ValueStore &store, const ValueStore::Handle &handle, int64_t count, float first) {
  Result<qrt::Tensor> tensor = store.get(handle);
  ASSERT_TRUE(bool(tensor));
  ASSERT_EQ(tensor->dims(), (std::vector<int64_t>{1, count}));
  for (int64_t i = 0; i < count; ++i)
    ASSERT_EQ(tensor->data<float>()[i], first + i);
}

TEST(ValueStore, keepsAllInMemoryWithoutALimit) {
  ValueStore store(0);
  Result<ValueStore::Handle> a = store.put(numbers(100, 1));
  EXPECT_EQ(store.memoryBytes(), 400);
  EXPECT_EQ(store.fileBytes(), 0);
  expectNumbers(store, *a, 100, 1);
  a = Error{""};
  EXPECT_EQ(store.memoryBytes(), 0);
}

TEST(ValueStore, spillsBeyondTheLimitAndReusesTheFile) {
  ValueStore store(500);
  Result<ValueStore::Handle> a = store.put(numbers(100, 1)), b = store.put(numbers(50, 200)),
                             c = store.put(numbers(25, 300)), d = store.put(numbers(10, 400));
  EXPECT_EQ(store.memoryBytes(), 500);
  EXPECT_EQ(store.fileBytes(), 240);
  expectNumbers(store, *a, 100, 1);
  expectNumbers(store, *b, 50, 200);
  expectNumbers(store, *c, 25, 300);
  expectNumbers(store, *d, 10, 400);
  b = Error{""};
  Result<ValueStore::Handle> e = store.put(numbers(20, 500)), f = store.put(numbers(30, 600));
  EXPECT_EQ(store.fileBytes(), 240);
  expectNumbers(store, *c, 25, 300);
  expectNumbers(store, *d, 10, 400);
  expectNumbers(store, *e, 20, 500);
  expectNumbers(store, *f, 30, 600);
}

TEST(ValueStore, saysWhereNoFileCanBeMade) {
  const char *old = std::getenv("TMPDIR");
  std::string saved = old ? old : "";
  setenv("TMPDIR", "/nonexistent", 1);
  ValueStore store(1);
  Result<ValueStore::Handle> a = store.put(numbers(1, 1));
  ASSERT_FALSE(bool(a));
  EXPECT_EQ(a.error().message, "cannot create a temporary file in /nonexistent: No such file or directory");
  if (old)
    setenv("TMPDIR", saved.c_str(), 1);
  else
    unsetenv("TMPDIR");
}

} // namespace
