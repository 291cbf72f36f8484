//===- SimTest.cpp - Kernels compiled from text and simulated -------------===//
#include "SimTest.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Passes/Codegen.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

Kernels::Kernels(const std::string &text, bool detectRaces) {
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, func::FuncDialect, gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect,
                  NVVM::NVVMDialect, scf::SCFDialect, vector::VectorDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      messages += diagnostic.str() + "\n";
  });
  std::string source = "module attributes {gpu.container_module} { gpu.module @kernels {\n"
                       "llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 128 : i64} "
                       ": !llvm.array<0 x i8>\n" +
                       text + "\n}}";
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
  if (!module)
    return;
  FailureOr<std::vector<char>> result = compileSim(*module, detectRaces);
  if (failed(result))
    return;
  elf = std::move(*result);
  if (detectRaces)
    return;
  auto code = qrt::HostCode::load(elf);
  if (code)
    loaded = *code;
  else
    messages = code.error().message;
}

std::string Kernels::launch(const std::string &name, const Shape &shape, void *const *arguments) {
  if (!loaded)
    return "does not compile: " + messages;
  qrt::SimLaunch launch{reinterpret_cast<QrtSimKernel>(loaded->symbol(name)),
                        name,
                        shape.grid,
                        shape.block,
                        shape.sharedBytes,
                        arguments};
  if (!launch.kernel)
    return "no kernel " + name;
  qrt::ThreadPool threads(shape.threads);
  qrt::Status status = qrt::simLaunch(launch, threads);
  return status ? "" : status.error().message;
}

std::string qopt::test::fill(std::string text, const std::vector<std::pair<std::string, std::string>> &values) {
  for (const auto &[key, value] : values)
    for (size_t at = 0; (at = text.find("{" + key + "}", at)) != std::string::npos; at += value.size())
      text.replace(at, key.size() + 2, value);
  return text;
}
