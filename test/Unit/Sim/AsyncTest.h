//===- AsyncTest.h - A kernel of sm_90a as text, to be broken --------------===//
#ifndef QOPT_TEST_UNIT_SIM_ASYNCTEST_H
#define QOPT_TEST_UNIT_SIM_ASYNCTEST_H

#include "SimTest.h"

namespace qopt::test {

/// What is replaced in the kernel's text; the defaults are right.
struct AsyncFaults {
  std::string init = "nvvm.fence.mbarrier.init", bytes = "1024", chunks = "2";
  uint64_t descriptor = uint64_t(1024 / 16) << 32 | uint64_t(1) << 62; ///< stride 1024, swizzle of 128 bytes, start 0
  bool full = true, empty = true, fence = true, wait = true;           ///< whether they are there
  bool readsEarly = false;                                             ///< sums that were not waited for
  bool freesEarly = false;      ///< the place of the copy, before its products were waited for
  bool isLastWarpBlind = false; ///< waits for no copy
  std::string barrier = "nvvm.barrier0";
};

/// Five warps: four multiply 64 x 256 of `a` [thread][8 steps][4 words] with the transposed
/// 8 x 256 bytes of the matrix of a tensor map, to `out` [thread][4 words]; a fifth copies
/// 128 bytes of all rows at a time. s8 or f16.
inline std::string asyncKernel(bool isInteger, const AsyncFaults &faults = {}) {
  std::string type = isInteger ? "i32" : "f32",
              sums = "!llvm.struct<(" + type + ", " + type + ", " + type + ", " + type + ")>";
  std::string constraints = isInteger ? "=r,=r,=r,=r,0,1,2,3" : "=f,=f,=f,=f,0,1,2,3";
  auto guard = [](const std::string &text, bool isThere) { return isThere ? text : ""; };
  std::string names, products, before = "%s0, %s1, %s2, %s3";
  auto extract = [&](const std::string &from, const std::string &to) {
    std::string text;
    for (int i = 0; i < 4; ++i)
      text += to + std::to_string(i) + " = llvm.extractvalue " + from + "[" + std::to_string(i) + "] : " + sums + "\n";
    return text;
  };
  for (int step = 0; step < 4; ++step) {
    std::string n = std::to_string(step);
    products += "%at" + n + " = arith.addi %firstStep, %c" + n + " : i32\n%p" + n + " = llvm.getelementptr %mine[%at" +
                n + "] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<4 x i32>\n%v" + n + " = llvm.load %p" + n +
                " : !llvm.ptr -> vector<4xi32>\n";
    for (int i = 0; i < 4; ++i)
      products += "%a" + n + std::to_string(i) + " = vector.extract %v" + n + "[" + std::to_string(i) +
                  "] : i32 from vector<4xi32>\n";
    products += "%d" + n + " = arith.constant " + std::to_string(2 * step) + " : i64\n%b" + n +
                " = arith.addi %descriptor, %d" + n + " : i64\n";
  }
  products += guard("nvvm.wgmma.fence.aligned\n", faults.fence);
  for (int step = 0; step < 4; ++step) {
    std::string n = std::to_string(step), a;
    for (int i = 0; i < 4; ++i)
      a += "%a" + n + std::to_string(i) + ", ";
    products += "%m" + n +
                " = llvm.inline_asm has_side_effects \"{ .reg .pred adds; setp.ne.b32 adds, 1, 0; "
                "wgmma.mma_async.sync.aligned.m64n8" +
                std::string(isInteger ? "k32.s32.s8.s8" : "k16.f32.f16.f16") +
                " {$0, $1, $2, $3}, {$8, $9, $10, $11}, $12, adds" + (isInteger ? "" : ", 1, 1, 0") + "; }\", \"" +
                constraints + ",r,r,r,r,l\" " + before + ", " + a + "%b" + n + " : (" + type + ", " + type + ", " +
                type + ", " + type + ", i32, i32, i32, i32, i64) -> " + sums + "\n" + extract("%m" + n, "%m" + n + "_");
    before = "%m" + n + "_0, %m" + n + "_1, %m" + n + "_2, %m" + n + "_3";
  }
  std::string four = type + ", " + type + ", " + type + ", " + type;
  products += "nvvm.wgmma.commit.group.sync.aligned\n";
  const std::string arrive = "%now = nvvm.mbarrier.arrive %empty : !llvm.ptr<3> -> i64\n";
  products += guard(arrive, faults.freesEarly);
  if (faults.wait)
    products += "%w = llvm.inline_asm has_side_effects \"wgmma.wait_group.sync.aligned 0;\", \"" + constraints + "\" " +
                before + " : (" + four + ") -> " + sums + "\n" + extract("%w", "%w");
  const std::string full = "nvvm.mbarrier.try_wait.parity %full, %chunk, %ticks : !llvm.ptr<3>, i32, i32";
  std::string result = faults.wait && !faults.readsEarly ? "%w0, %w1, %w2, %w3" : before;
  return fill(
      R"(
  gpu.func @f(%map: !llvm.ptr {qopt.tensor_map}, %a: !llvm.ptr, %out: !llvm.ptr) kernel {
    %id = gpu.thread_id x
    %i = arith.index_cast %id : index to i32
    %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %full = llvm.getelementptr %shared[1024] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
    %empty = llvm.getelementptr %shared[1032] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %c2 = arith.constant 2 : i32
    %c3 = arith.constant 3 : i32
    %c4 = arith.constant 4 : i32
    %chunks = arith.constant {chunks} : i32
    %rowBytes = arith.constant 128 : i32
    %bytes = arith.constant {bytes} : i32
    %ticks = arith.constant 1000 : i32
    %multiplying = arith.constant 128 : i32
    %start = arith.constant {zero} : {type}
    %isFirst = arith.cmpi eq, %i, %c0 : i32
    scf.if %isFirst {
      nvvm.mbarrier.init %full, %c1 : !llvm.ptr<3>, i32
      nvvm.mbarrier.init %empty, %multiplying : !llvm.ptr<3>, i32
      {init}
    }
    {barrier}
    %multiplies = arith.cmpi slt, %i, %multiplying : i32
    %isCopier = arith.cmpi eq, %i, %multiplying : i32
    scf.if %multiplies {
      %mine = llvm.getelementptr %a[%i] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<8 x array<4 x i32>>
      %descriptor = arith.constant {descriptor} : i64
      %r:4 = scf.for %chunk = %c0 to %chunks step %c1 iter_args(%s0 = %start, %s1 = %start, %s2 = %start, %s3 = %start) -> ({four}) : i32 {
        %firstStep = arith.muli %chunk, %c4 : i32
        {full}
        {products}
        {arrive}
        scf.yield {result} : {four}
      }
      %o = llvm.getelementptr %out[%i] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<4 x i32>
      {stores}
    }
    scf.if %isCopier {
      scf.for %chunk = %c0 to %chunks step %c1 : i32 {
        %parity = arith.xori %chunk, %c1 : i32
        {empty}
        nvvm.mbarrier.arrive.expect_tx %full, %bytes : !llvm.ptr<3>, i32
        %to = llvm.addrspacecast %shared : !llvm.ptr<3> to !llvm.ptr<7>
        %x = arith.muli %chunk, %rowBytes : i32
        nvvm.cp.async.bulk.tensor.shared.cluster.global %to, %map, %full, box[%x, %c0] : !llvm.ptr<7>, !llvm.ptr
      }
    }
    gpu.return
  })",
      {{"full", faults.isLastWarpBlind ? "%first = arith.constant 96 : i32\n%sees = arith.cmpi slt, %i, %first : i32\n"
                                         "scf.if %sees {\n" +
                                             full + "\n}"
                                       : guard(full, faults.full)},
       {"arrive", guard(arrive, !faults.freesEarly)},
       {"barrier", faults.barrier},
       {"empty", guard("nvvm.mbarrier.try_wait.parity %empty, %parity, %ticks : !llvm.ptr<3>, i32, i32", faults.empty)},
       {"stores",
        [&] {
          std::string text;
          for (int i = 0; i < 4; ++i) {
            std::string n = std::to_string(i);
            text += "%o" + n + " = llvm.getelementptr %o[" + n + "] : (!llvm.ptr) -> !llvm.ptr, i32\nllvm.store %r#" +
                    n + ", %o" + n + " : " + type + ", !llvm.ptr\n";
          }
          return text;
        }()},
       {"products", products},
       {"result", result},
       {"four", four},
       {"init", faults.init},
       {"bytes", faults.bytes},
       {"chunks", faults.chunks},
       {"zero", isInteger ? "0" : "0.0"},
       {"descriptor", std::to_string(faults.descriptor)},
       {"type", type}});
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_SIM_ASYNCTEST_H
