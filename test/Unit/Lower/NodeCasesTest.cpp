//===- NodeCasesTest.cpp - ONNX's own node cases, compiled ----------------===//
//
// Every case in one function, expected values as ONNX gives them; tolerances are
// those of ONNX's own runner: rtol 1e-3, atol 1e-7.
//
//===----------------------------------------------------------------------===//
#include "HostTest.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

struct NodeCases : HostTest {};

/// Refused when lowering: an axis that is data.
const llvm::StringRef kRefused[] = {"test_cumsum_2d_axis_1", "test_cumsum_1d_reverse_exclusive"};

TEST_F(NodeCases, AllAgree) {
  auto module = parseSourceFile<ModuleOp>(QOPT_TEST_INPUTS "/onnx-node-tests/cases.mlir", &context());
  ASSERT_TRUE(module) << diagnostics;
  int taken = 0;
  for (func::FuncOp function : llvm::make_early_inc_range(module->getOps<func::FuncOp>()))
    taken += !llvm::is_contained(kRefused, function.getName()) && checkAgainstAttributes(function);
  EXPECT_GE(taken, 92);
}

} // namespace
