//===- GemmTest.cpp - A whole int8 product, and faults planted in it -------===//
//
// C[M, N] = A[M, K] W[N, K]^T in i32. A block of 128 threads makes 64x64 of C; tiles
// of 64x64 bytes come by cp.async, fragments by ldmatrix, products by mma.sync.
//
//===----------------------------------------------------------------------===//
#include "SimTest.h"
#include <chrono>

using namespace qopt::test;

namespace {

std::string gemmKernel(const std::string &wait, const std::string &first, const std::string &last, int pitch) {
  std::string body, results, types;
  auto number = [](int i) { return std::to_string(i); };
  auto emit = [&](const std::string &line) { body += "    " + line + "\n"; };
  auto constant = [&](const std::string &name, int value) {
    emit("%" + name + " = arith.constant " + number(value) + " : i32");
  };
  // acc[i][j][r]: rows 16i, columns 8j of the warp's 32x32.
  auto acc = [&](int i, int j, int r) { return number(i) + number(j) + number(r); };
  std::string starts, yields;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int r = 0; r < 4; ++r) {
        std::string comma = starts.empty() ? "" : ", ";
        starts += comma + "%x" + acc(i, j, r) + " = %zero";
        types += comma + "i32";
        yields += comma + "%y1" + acc(i, j, r);
      }
  // Two rows of each tile per thread.
  for (int h = 0; h < 2; ++h)
    for (std::string m : {"a", "w"}) {
      std::string n = m + number(h);
      constant("h" + n, 32 * h);
      emit("%r" + n + " = arith.addi %row, %h" + n + " : i32");
      emit("%gr" + n + " = arith.addi %" + (m == "a" ? "m0" : "n0") + ", %r" + n + " : i32");
      emit("%g0" + n + " = arith.muli %gr" + n + ", %k : i32");
      emit("%g1" + n + " = arith.addi %g0" + n + ", %kk : i32");
      emit("%g2" + n + " = arith.addi %g1" + n + ", %column : i32");
      emit("%from" + n + " = llvm.getelementptr %" + m + "1[%g2" + n + "] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i8");
      emit("%s0" + n + " = arith.muli %r" + n + ", %pitch : i32");
      emit("%s1" + n + " = arith.addi %s0" + n + ", %column : i32");
      emit("%to" + n + " = llvm.getelementptr %s" + m + "[%s1" + n + "] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8");
      emit("nvvm.cp.async.shared.global %to" + n + ", %from" + n + ", 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>");
    }
  emit("nvvm.cp.async.commit.group");
  emit(wait);
  emit(first);
  const std::string matrix =
      "{num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, "
      "eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>";
  for (int kk = 0; kk < 2; ++kk) {
    for (std::string m : {"a", "w"})
      for (int i = 0; i < 2; ++i) {
        std::string n = m + "f" + number(kk) + number(i);
        constant("o" + n, 16 * i * pitch + 32 * kk);
        emit("%p" + n + " = arith.addi %frag" + m + ", %o" + n + " : i32");
        emit("%q" + n + " = llvm.getelementptr %s" + m + "[%p" + n + "] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8");
        emit("%l" + n + " = nvvm.ldmatrix %q" + n + " " + matrix);
        for (int r = 0; r < 4; ++r)
          emit("%" + n + number(r) + " = llvm.extractvalue %l" + n + "[" + number(r) +
               "] : !llvm.struct<(i32, i32, i32, i32)>");
      }
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 4; ++j) {
        std::string a = "%af" + number(kk) + number(i), w = "%wf" + number(kk) + number(j / 2);
        std::string d = "%d" + number(kk) + number(i) + number(j), c = kk == 0 ? "%x" : "%y0";
        emit(d + " = nvvm.mma.sync A[" + a + "0, " + a + "1, " + a + "2, " + a + "3] B[" + w + number(j % 2 * 2) +
             ", " + w + number(j % 2 * 2 + 1) + "] C[" + c + acc(i, j, 0) + ", " + c + acc(i, j, 1) + ", " + c +
             acc(i, j, 2) + ", " + c + acc(i, j, 3) +
             "] {intOverflowBehavior = #nvvm.mma_int_overflow<satfinite>, layoutA = #nvvm.mma_layout<row>, "
             "layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<s8>, multiplicandBPtxType = "
             "#nvvm.mma_type<s8>, shape = #nvvm.shape<m = 16, n = 8, k = 32>} : (i32, i32, i32) -> !llvm.struct<(i32, "
             "i32, i32, i32)>");
        for (int r = 0; r < 4; ++r)
          emit("%y" + number(kk) + acc(i, j, r) + " = llvm.extractvalue " + d + "[" + number(r) +
               "] : !llvm.struct<(i32, i32, i32, i32)>");
      }
  }
  emit(last);
  std::string loop = body, stores;
  body.clear();
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int r = 0; r < 4; ++r) {
        std::string n = acc(i, j, r);
        constant("ro" + n, 16 * i + 8 * (r / 2));
        constant("co" + n, 8 * j + r % 2);
        emit("%or" + n + " = arith.addi %outRow, %ro" + n + " : i32");
        emit("%oc" + n + " = arith.addi %outColumn, %co" + n + " : i32");
        emit("%om" + n + " = arith.muli %or" + n + ", %n : i32");
        emit("%oo" + n + " = arith.addi %om" + n + ", %oc" + n + " : i32");
        emit("%op" + n + " = llvm.getelementptr %c[%oo" + n + "] : (!llvm.ptr, i32) -> !llvm.ptr, i32");
        emit("llvm.store %z#" + number((i * 4 + j) * 4 + r) + ", %op" + n + " : i32, !llvm.ptr");
      }
  return fill(R"(gpu.func @f(%a: !llvm.ptr, %w: !llvm.ptr, %c: !llvm.ptr, %n: i32, %k: i32) kernel {
    %id = gpu.thread_id x
    %bx = gpu.block_id x
    %by = gpu.block_id y
    %tid = arith.index_cast %id : index to i32
    %bxi = arith.index_cast %bx : index to i32
    %byi = arith.index_cast %by : index to i32
    %zero = arith.constant 0 : i32
    %c2 = arith.constant 2 : i32
    %c4 = arith.constant 4 : i32
    %c8 = arith.constant 8 : i32
    %c16 = arith.constant 16 : i32
    %c32 = arith.constant 32 : i32
    %c64 = arith.constant 64 : i32
    %pitch = arith.constant {pitch} : i32
    %n0 = arith.muli %bxi, %c64 : i32
    %m0 = arith.muli %byi, %c64 : i32
    %lane = arith.remui %tid, %c32 : i32
    %warp = arith.divui %tid, %c32 : i32
    %wm = arith.divui %warp, %c2 : i32
    %wn = arith.remui %warp, %c2 : i32
    %wm32 = arith.muli %wm, %c32 : i32
    %wn32 = arith.muli %wn, %c32 : i32
    %row = arith.divui %tid, %c4 : i32
    %column0 = arith.remui %tid, %c4 : i32
    %column = arith.muli %column0, %c16 : i32
    %a1 = llvm.addrspacecast %a : !llvm.ptr to !llvm.ptr<1>
    %w1 = llvm.addrspacecast %w : !llvm.ptr to !llvm.ptr<1>
    %sa = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %tileBytes = arith.muli %pitch, %c64 : i32
    %sw = llvm.getelementptr %sa[%tileBytes] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
    // A: lanes 0-15 give rows, 16-31 the same rows 16 bytes on; W: as two pairs.
    %ar0 = arith.remui %lane, %c16 : i32
    %half = arith.divui %lane, %c16 : i32
    %ac = arith.muli %half, %c16 : i32
    %ar = arith.addi %ar0, %wm32 : i32
    %ap = arith.muli %ar, %pitch : i32
    %fraga = arith.addi %ap, %ac : i32
    %wr0 = arith.remui %lane, %c8 : i32
    %wr1 = arith.muli %half, %c8 : i32
    %wr2 = arith.addi %wr0, %wr1 : i32
    %wr = arith.addi %wr2, %wn32 : i32
    %wq0 = arith.divui %lane, %c8 : i32
    %wq = arith.remui %wq0, %c2 : i32
    %wc = arith.muli %wq, %c16 : i32
    %wp = arith.muli %wr, %pitch : i32
    %fragw = arith.addi %wp, %wc : i32
    %z:32 = scf.for %kk = %zero to %k step %c64 iter_args({starts}) -> ({types}) : i32 {
{loop}    scf.yield {yields} : {types}
    }
    %g = arith.divui %lane, %c4 : i32
    %t = arith.remui %lane, %c4 : i32
    %t2 = arith.muli %t, %c2 : i32
    %or0 = arith.addi %m0, %wm32 : i32
    %outRow = arith.addi %or0, %g : i32
    %oc0 = arith.addi %n0, %wn32 : i32
    %outColumn = arith.addi %oc0, %t2 : i32
{stores}    gpu.return
  })",
              {{"loop", loop},
               {"stores", body},
               {"starts", starts},
               {"types", types},
               {"yields", yields},
               {"pitch", number(pitch)}});
}

constexpr const char *wait = "nvvm.cp.async.wait.group 0", *barrier = "nvvm.barrier0";

struct Product {
  int m, n, k;
  Array<int8_t> a = randomBits<int8_t>(m * k, 1), w = randomBits<int8_t>(n * k, 2);
  Array<int32_t> c{size_t(m * n), -1};

  std::string run(const std::string &kernel, int pitch) {
    Kernels kernels(kernel);
    return kernels.run("f", {{n / 64, m / 64, 1}, {128, 1, 1}, 128 * pitch}, a.data(), w.data(), c.data(), n, k);
  }
  int mismatches() {
    int wrong = 0;
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        int32_t sum = 0;
        for (int l = 0; l < k; ++l)
          sum += a[i * k + l] * w[j * k + l];
        wrong += c[i * n + j] != sum;
      }
    return wrong;
  }
};

TEST(SimGemm, IsBitExact) {
  Product product{128, 192, 256};
  ASSERT_EQ(product.run(gemmKernel(wait, barrier, barrier, 80), 80), "");
  EXPECT_EQ(product.mismatches(), 0);
}

TEST(SimGemm, FindsPlantedFaults) {
  // The last group is never waited for: all of C is wrong.
  Product noWait{128, 64, 128};
  ASSERT_EQ(noWait.run(gemmKernel("nvvm.cp.async.wait.group 1", barrier, barrier, 80), 80), "");
  EXPECT_GT(noWait.mismatches(), 128 * 64 * 9 / 10);
  // Warp 0 multiplies before the rows of the others are there.
  Product noBarrier{64, 64, 64};
  ASSERT_EQ(noBarrier.run(gemmKernel(wait, "", barrier, 80), 80), "");
  EXPECT_GT(noBarrier.mismatches(), 0);
  // Rows of 72 bytes do not keep 16-byte alignment.
  Product misaligned{64, 64, 64};
  EXPECT_EQ(misaligned.run(gemmKernel(wait, barrier, barrier, 72), 72),
            "kernel f, block (0, 0, 0), thread (4, 0, 0): misaligned access of shared memory: offset 72 is not a "
            "multiple of 16");
}

} // namespace
