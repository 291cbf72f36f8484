//===- LaunchTest.cpp - What host code passes to QrtApi::launch -----------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Runtime/Runtime.h"
#include "gtest/gtest.h"
#include <cstring>

using namespace mlir;
using namespace qopt;

namespace {

/// One launch as the runtime saw it; arguments as 8 bytes each.
struct Launch {
  QrtLaunch description;
  std::vector<uint64_t> args;
};

/// What the fake runtime below was asked for.
struct Recorder {
  std::vector<Launch> launches;
  std::vector<const void *> maps; // that the runtime filled, and that a launch passed on
  std::vector<std::unique_ptr<char[]>> memory;
  QrtErrorRecord errors = {};
};

Recorder *recorder(QrtContext *context) { return reinterpret_cast<Recorder *>(context); }

const QrtApi api = {
    [](QrtContext *context, int64_t bytes) -> void * {
      recorder(context)->memory.push_back(std::make_unique<char[]>(bytes + 1));
      return recorder(context)->memory.back().get();
    },
    [](QrtContext *, void *) {},
    [](QrtContext *, QrtTask task, void *args, int64_t count, int64_t) { task(args, 0, count); },
    [](QrtContext *, int64_t, int64_t, int64_t) {},
    [](QrtContext *context, const QrtLaunch *launch, void *const *args) {
      Launch seen{*launch, {}};
      if (launch->numArgs == 1) // that of a tensor map
        recorder(context)->maps.push_back(args[0]);
      for (int64_t i = 0; launch->numArgs > 1 && i < launch->numArgs; ++i) {
        // The kernel's signature is (ptr, i32, i64, f32, ptr).
        uint64_t value = 0;
        std::memcpy(&value, args[i], i == 1 || i == 3 ? 4 : 8);
        seen.args.push_back(value);
      }
      recorder(context)->launches.push_back(std::move(seen));
    },
    [](QrtContext *context) -> void * { return &recorder(context)->errors; },
    [](QrtContext *) -> int64_t { return 90; },
    [](QrtContext *context, void *map, const void *, int64_t rows, int64_t rowBytes, int64_t boxRows) {
      EXPECT_EQ(rows * 10000 + rowBytes * 100 + boxRows, 31608);
      recorder(context)->maps.push_back(map);
    },
};

constexpr StringLiteral kSource = R"(module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first() kernel attributes {qopt.shared_bytes = 0 : i64} { gpu.return }
    gpu.func @second(%p: !llvm.ptr, %n: i32, %k: i64, %s: f32, %e: !llvm.ptr) kernel attributes {qopt.shared_bytes = 4096 : i64} { gpu.return }
  }
  func.func private @qrt_errors() -> !llvm.ptr
  func.func private @body(%rows: index, %x: memref<?x4xf32>, %y: memref<?x4xf32>) {
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c128 = arith.constant 128 : index
    %bytes = arith.constant 4096 : i32
    %n = arith.index_cast %rows : index to i32
    %k = arith.constant 1099511627776 : i64
    %s = arith.constant 1.5 : f32
    %i = memref.extract_aligned_pointer_as_index %x : memref<?x4xf32> -> index
    %j = arith.index_cast %i : index to i64
    %p = llvm.inttoptr %j : i64 to !llvm.ptr
    %errors = func.call @qrt_errors() : () -> !llvm.ptr
    %big = arith.muli %rows, %rows : index
    scf.for %l = %c1 to %rows step %c1 {
      gpu.launch_func @kernels::@second blocks in (%rows, %l, %c2) threads in (%c128, %c1, %c1) dynamic_shared_memory_size %bytes
        args(%p : !llvm.ptr, %n : i32, %k : i64, %s : f32, %errors : !llvm.ptr)
    }
    gpu.launch_func @kernels::@first blocks in (%big, %c1, %c1) threads in (%c1, %c1, %c1)
    return
  }
  func.func @f(%x: memref<?x4xf32>) -> memref<?x4xf32> {
    %c0 = arith.constant 0 : index
    %rows = memref.dim %x, %c0 : memref<?x4xf32>
    %y = memref.alloc(%rows) {qopt.output} : memref<?x4xf32>
    func.call @body(%rows, %x, %y) : (index, memref<?x4xf32>, memref<?x4xf32>) -> ()
    return %y : memref<?x4xf32>
  }
})";

class LaunchTest : public testing::Test {
protected:
  LaunchTest() {
    context = std::make_unique<MLIRContext>();
    context->loadDialect<arith::ArithDialect, func::FuncDialect, gpu::GPUDialect, LLVM::LLVMDialect,
                         memref::MemRefDialect, scf::SCFDialect>();
    context->getDiagEngine().registerHandler(
        [this](Diagnostic &diagnostic) { diagnostics += diagnostic.str() + "\n"; });
  }
  FailureOr<std::vector<char>> compile(const std::string &source) {
    auto module = parseSourceString<ModuleOp>(source, context.get());
    if (!module)
      return failure();
    for (gpu::GPUFuncOp kernel : listKernels(*module))
      kernels.push_back(kernel.getName().str());
    return compileHost(*module, kHostV3);
  }
  /// The source with `from` replaced.
  static std::string with(StringRef from, StringRef to) {
    std::string text = kSource.str();
    size_t at = text.find(from.str());
    EXPECT_NE(at, std::string::npos) << from.str();
    return text.replace(at, from.size(), to.str());
  }

  std::unique_ptr<MLIRContext> context;
  std::vector<std::string> kernels;
  std::string diagnostics;
};

void expectSizes(const int32_t (&got)[3], std::array<int32_t, 3> expected) {
  EXPECT_EQ((std::array{got[0], got[1], got[2]}), expected);
}

TEST_F(LaunchTest, LaunchesReachTheRuntime) {
  FailureOr<std::vector<char>> object = compile(kSource.str());
  ASSERT_TRUE(succeeded(object)) << diagnostics;
  EXPECT_EQ(kernels, (std::vector<std::string>{"first", "second"}));
  if (qrt::hostLevel().empty())
    GTEST_SKIP() << "this machine has no AVX2";
  auto code = qrt::HostCode::load(*object);
  ASSERT_TRUE(code) << code.error().message;
  QrtEntry entry = (*code)->entry("f");
  ASSERT_TRUE(entry);

  float data[12];
  QrtTensor input = {data, QRT_F32, 2, {3, 4}}, output = {};
  Recorder seen;
  ASSERT_EQ(entry(&api, reinterpret_cast<QrtContext *>(&seen), nullptr, &input, &output), QRT_OK);
  ASSERT_EQ(seen.launches.size(), 3u);
  for (int32_t i : {0, 1}) {
    const QrtLaunch &launch = seen.launches[i].description;
    EXPECT_EQ(launch.kernel, 1);
    expectSizes(launch.grid, {3, i + 1, 2});
    expectSizes(launch.block, {128, 1, 1});
    EXPECT_EQ(launch.sharedBytes, 4096);
    uint32_t scale;
    float value = 1.5;
    std::memcpy(&scale, &value, 4);
    EXPECT_EQ(seen.launches[i].args, (std::vector<uint64_t>{reinterpret_cast<uint64_t>(data), 3, 1099511627776, scale,
                                                            reinterpret_cast<uint64_t>(&seen.errors)}));
  }
  const QrtLaunch &last = seen.launches[2].description;
  EXPECT_EQ(last.kernel, 0);
  expectSizes(last.grid, {9, 1, 1});
  EXPECT_EQ(last.sharedBytes, 0);
  EXPECT_EQ(last.numArgs, 0);

  // More blocks than a grid can have must not wrap around.
  input.dims[0] = 0;
  int64_t many = int64_t(1) << 16;
  QrtTensor big = {data, QRT_F32, 2, {many, 4}};
  Recorder wide;
  ASSERT_EQ(entry(&api, reinterpret_cast<QrtContext *>(&wide), nullptr, &big, &output), QRT_OK);
  expectSizes(wide.launches.back().description.grid, {-1, 1, 1});
}

/// What the runtime has filled is what the launch passes on, by value.
TEST_F(LaunchTest, TensorMapsArePassedByValue) {
  FailureOr<std::vector<char>> object = compile(R"(module attributes {gpu.container_module} {
    gpu.module @kernels {
      gpu.func @third(%map: !llvm.ptr {qopt.tensor_map}) kernel attributes {qopt.arch = "sm_90a"} { gpu.return }
    }
    func.func private @qrt_capability() -> i64
    func.func private @qrt_tensor_map(!llvm.ptr, i64, i64, i64) -> !llvm.ptr
    func.func @f(%x: memref<?x4xf32>) -> memref<?x4xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %rows = memref.dim %x, %c0 : memref<?x4xf32>
      %y = memref.alloc(%rows) {qopt.output} : memref<?x4xf32>
      %n = arith.index_cast %rows : index to i64
      %bytes = arith.constant 16 : i64
      %box = arith.constant 8 : i64
      %i = memref.extract_aligned_pointer_as_index %x : memref<?x4xf32> -> index
      %j = arith.index_cast %i : index to i64
      %p = llvm.inttoptr %j : i64 to !llvm.ptr
      %capability = func.call @qrt_capability() : () -> i64
      %hopper = arith.constant 90 : i64
      %can = arith.cmpi sle, %hopper, %capability : i64
      scf.if %can {
        %map = func.call @qrt_tensor_map(%p, %n, %bytes, %box) : (!llvm.ptr, i64, i64, i64) -> !llvm.ptr
        gpu.launch_func @kernels::@third blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%map : !llvm.ptr)
      }
      return %y : memref<?x4xf32>
    }
  })");
  ASSERT_TRUE(succeeded(object)) << diagnostics;
  if (qrt::hostLevel().empty())
    GTEST_SKIP() << "this machine has no AVX2";
  auto code = qrt::HostCode::load(*object);
  ASSERT_TRUE(code) << code.error().message;
  float data[12];
  QrtTensor input = {data, QRT_F32, 2, {3, 4}}, output = {};
  Recorder seen;
  ASSERT_EQ((*code)->entry("f")(&api, reinterpret_cast<QrtContext *>(&seen), nullptr, &input, &output), QRT_OK);
  ASSERT_EQ(seen.maps.size(), 2u);
  EXPECT_EQ(seen.maps[0], seen.maps[1]);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(seen.maps[0]) % 64, 0u);
}

TEST_F(LaunchTest, WhatCannotBeLaunchedIsRefused) {
  EXPECT_TRUE(failed(compile(with("%k : i64, %s : f32", "%k : i64, %s : f64"))));
  diagnostics.clear();
  std::string parallel =
      with("scf.for %l = %c1 to %rows step %c1 {", "scf.parallel (%l) = (%c1) to (%rows) step (%c1) {");
  EXPECT_TRUE(failed(compile(parallel)));
  EXPECT_NE(diagnostics.find("may not be in a parallel loop"), std::string::npos) << diagnostics;
  diagnostics.clear();
  std::string index = kSource.str();
  for (StringRef part : {"%n: i32", "%n : i32"})
    index.replace(index.find(part.str()), part.size(), part.take_front(part.size() - 3).str() + "index");
  index.replace(index.find("%n = arith.index_cast %rows : index to i32"), 42, "%n = arith.addi %rows, %rows : index");
  EXPECT_TRUE(failed(compile(index)));
  EXPECT_NE(diagnostics.find("expected arguments of type"), std::string::npos) << diagnostics;
}

} // namespace
