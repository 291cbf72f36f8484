// Products on a GPU: what cuBLAS is asked for, with a fake one.
#include "qopt/Runtime/CudaBlas.h"
#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <random>

namespace {

/// The fakes, under the names that the runtime opens: a library that is loaded already is
/// found by its soname.
class CudaBlasTest : public ::testing::Test {
protected:
  void SetUp() override {
    for (const char *name : {"/libcuda.so.1", "/libcublas.so.13"})
      ASSERT_TRUE(::dlopen((FAKE_CUDA_FOLDER + std::string(name)).c_str(), RTLD_NOW)) << ::dlerror();
  }
  void TearDown() override { ::unsetenv("FAKE_CUBLAS_FAIL"); }

  static std::vector<float> random(int64_t count) {
    std::minstd_rand numbers(static_cast<unsigned>(count));
    std::vector<float> values(count);
    for (float &value : values)
      value = static_cast<float>(numbers() % 200) / 100 - 1;
    return values;
  }

  static float at(const qrt::BlasOperand &x, int64_t row, int64_t col) {
    return x.isTransposed ? x.data[col * x.stride + row] : x.data[row * x.stride + col];
  }

  static void expectProduct(qrt::CudaBlas &blas, const qrt::BlasOperand &a, const qrt::BlasOperand &b) {
    int64_t m = a.isTransposed ? a.cols : a.rows, k = a.isTransposed ? a.rows : a.cols,
            n = b.isTransposed ? b.rows : b.cols;
    std::vector<float> result(m * n, 99);
    qopt::Status status = blas.multiply(a, b, result.data());
    ASSERT_TRUE(status) << status.error().message;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += double(at(a, i, l)) * at(b, l, j);
        ASSERT_NEAR(result[i * n + j], sum, 1e-5) << i << " " << j;
      }
  }
};

TEST_F(CudaBlasTest, MultipliesInAllForms) {
  auto blas = qrt::CudaBlas::open(0);
  ASSERT_TRUE(blas) << blas.error().message;
  std::vector<float> a = random(7 * 5), b = random(5 * 9), rows = random(6 * 8);
  expectProduct(**blas, {a.data(), 7, 5, 5, false}, {b.data(), 5, 9, 9, false});
  expectProduct(**blas, {a.data(), 5, 7, 7, true}, {b.data(), 5, 9, 9, false});
  expectProduct(**blas, {a.data(), 7, 5, 5, false}, {b.data(), 9, 5, 5, true});
  expectProduct(**blas, {a.data(), 5, 7, 7, true}, {b.data(), 9, 5, 5, true});
  // x^T x of rows with a gap behind each.
  expectProduct(**blas, {rows.data(), 6, 5, 8, true}, {rows.data(), 6, 5, 8, false});
}

TEST_F(CudaBlasTest, SaysWhatFailed) {
  ::setenv("FAKE_CUBLAS_FAIL", "cublasCreate=3", 1);
  auto refused = qrt::CudaBlas::open(0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cuBLAS cannot start on cuda:0: the device has not enough free memory (status 3)");
  ::setenv("FAKE_CUBLAS_FAIL", "cublasSgemm=13", 1);
  auto blas = qrt::CudaBlas::open(0);
  ASSERT_TRUE(blas);
  std::vector<float> a = random(4), result(4);
  qopt::Status status = (*blas)->multiply({a.data(), 2, 2, 2, false}, {a.data(), 2, 2, 2, false}, result.data());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "cuBLAS cannot multiply on cuda:0: its reason is not known (status 13)");
}

TEST_F(CudaBlasTest, SaysHowMuchMemoryIsMissing) {
  auto blas = qrt::CudaBlas::open(0);
  ASSERT_TRUE(blas);
  std::vector<float> column(17000), result(1); // 17000^2 floats are more than the fake device has
  qopt::Status status =
      (*blas)->multiply({column.data(), 17000, 1, 1, false}, {column.data(), 1, 17000, 17000, false}, result.data());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message.find("a product on cuda:0 needs 1156000000 bytes more, but "), 0u)
      << status.error().message;
}

} // namespace
