//===- HostTest.h - Compiled code against the reference -------------------===//
#ifndef QOPT_TEST_UNIT_CODEGEN_HOSTTEST_H
#define QOPT_TEST_UNIT_CODEGEN_HOSTTEST_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Passes/Lower.h"
#include "qopt/Reference/Evaluator.h"
#include "qopt/Runtime/Runtime.h"
#include "gtest/gtest.h"

namespace qopt::test {

/// Parses IR, lowers and compiles it for every level that this machine runs, runs
/// it with one and three threads, and compares with lib/Reference.
class HostTest : public testing::Test {
protected:
  HostTest();
  ~HostTest() override;

  reference::Tensor floats(llvm::ArrayRef<int64_t> shape, std::vector<double> values);
  reference::Tensor ints(llvm::ArrayRef<int64_t> shape, std::vector<int64_t> values, unsigned width = 64);
  /// Numbers between -scale and scale that look random and are always the same.
  reference::Tensor randomFloats(llvm::ArrayRef<int64_t> shape, double scale = 1);
  reference::Tensor convert(reference::Tensor tensor, mlir::Type element);

  /// `source`: one function @f. Integer results must be equal, floats within
  /// tolerance * max(1, |expected|); results of 1 and 3 threads have equal bytes.
  /// All functions of a test are compiled together when it ends.
  void check(llvm::StringRef source, std::vector<reference::Tensor> inputs, double tolerance = 1e-6);
  /// The same for a function whose inputs and results are in `test.value`, within
  /// 1e-3; false where its types cannot cross the runtime's boundary.
  bool checkAgainstAttributes(mlir::func::FuncOp function);
  /// The function fails at run time; the runtime's message.
  std::string runAndFail(llvm::StringRef source, std::vector<reference::Tensor> inputs);
  /// What lowering says of a source that it refuses.
  std::string lowerAndFail(llvm::StringRef source);

  struct Compiled {
    LoweredModule lowered;
    mlir::OwningOpRef<mlir::ModuleOp> module;
    std::vector<std::string> levels;
    std::vector<std::vector<char>> code;
    std::vector<std::vector<char>> parameterStorage;
    std::vector<const void *> parameters;
  };
  std::unique_ptr<Compiled> compile(llvm::StringRef source);
  qopt::Result<std::vector<qrt::Tensor>> run(const Compiled &compiled, size_t level, const std::string &entry,
                                             llvm::ArrayRef<reference::Tensor> inputs, int threads);

  mlir::MLIRContext &context() { return *ir; }
  std::string diagnostics;

  void TearDown() override;

private:
  struct Case {
    std::string trace, entry;
    std::vector<reference::Tensor> inputs, expected;
    double tolerance;
  };
  std::unique_ptr<Compiled> compile(mlir::OwningOpRef<mlir::ModuleOp> module);
  void addCase(mlir::func::FuncOp function, std::string trace, std::vector<reference::Tensor> inputs,
               std::vector<reference::Tensor> expected, double tolerance);
  void checkCase(const Compiled &compiled, size_t level, const Case &test);

  std::unique_ptr<mlir::MLIRContext> ir;
  mlir::OwningOpRef<mlir::ModuleOp> together;
  std::vector<Case> cases;
  uint64_t seed = 1;
};

qrt::Tensor toRuntime(const reference::Tensor &tensor);
reference::Tensor fromRuntime(const qrt::Tensor &tensor, mlir::Type element);

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CODEGEN_HOSTTEST_H
