//===- NodeCasesTest.cpp - The evaluator against ONNX's own node cases ----===//
//
// Tolerances are those of ONNX's own runner: rtol 1e-3, atol 1e-7.
//
//===----------------------------------------------------------------------===//
#include "Parse.h"

#include "gtest/gtest.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

static void expectEqual(const reference::Tensor &expected, const reference::Tensor &actual) {
  ASSERT_EQ(expected.type, actual.type);
  for (int64_t i = 0; i < expected.numElements(); ++i) {
    if (!expected.isFloat()) {
      ASSERT_EQ(expected.ints[i], actual.ints[i]) << "element " << i;
      continue;
    }
    double want = expected.floats[i], got = actual.floats[i];
    if (std::isnan(want) || std::isinf(want))
      ASSERT_TRUE(std::isnan(want) ? std::isnan(got) : want == got) << "element " << i << ": " << want << ", " << got;
    else
      ASSERT_NEAR(want, got, 1e-7 + 1e-3 * std::abs(want)) << "element " << i;
  }
}

TEST(NodeCases, AllAgree) {
  test::Ir ir;
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(QOPT_TEST_INPUTS "/onnx-node-tests/cases.mlir", &ir.context);
  ASSERT_TRUE(module) << ir.diagnostics;
  int cases = 0;
  for (func::FuncOp function : module->getOps<func::FuncOp>()) {
    SCOPED_TRACE(function.getName().str());
    std::vector<reference::Tensor> inputs;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      inputs.push_back(*reference::fromAttribute(function.getArgAttrOfType<ElementsAttr>(i, "test.value")));
    auto results = reference::evaluate(function, inputs);
    EXPECT_TRUE(succeeded(results)) << ir.diagnostics;
    ir.diagnostics.clear();
    if (failed(results))
      continue;
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      expectEqual(*reference::fromAttribute(function.getResultAttrOfType<ElementsAttr>(i, "test.value")),
                  (*results)[i]);
    ++cases;
  }
  EXPECT_GE(cases, 90);
}
