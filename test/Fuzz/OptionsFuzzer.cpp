//===- OptionsFuzzer.cpp - Patterns of layers and options of pipelines ----===//
//
// The first byte chooses: the text of --override, or that of --pass-pipeline.
//
//===----------------------------------------------------------------------===//
#include "Compiler.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Calibration/CalibrationContext.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::fuzz;

static const char *const kLayers = R"(func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
  %a = onnx.MatMul %x, %w {qopt.layer = "model.layers.0.mlp.up_proj"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %b = onnx.MatMul %a, %w {qopt.layer = "lm_head"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %b : tensor<?x4xf32>
})";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  std::string text(reinterpret_cast<const char *>(data + 1), size - 1);
  MLIRContext &mlir = context();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kLayers, &mlir);
  if (data[0] % 2 == 0) {
    CalibrationContext::attach(mlir).overrides = {text};
    run(*module, "builtin.module(qopt-assign-scheme{scheme=rtn-int4})");
    CalibrationContext::attach(mlir).overrides.clear();
    return 0;
  }
  constexpr const char *packages[] = {"", "gptq", "quanto", "no such package"};
  PassManager passes(&mlir);
  if (Status status = parsePipeline(passes, text, packages[data[0] / 2 % 4]); !status)
    return status.error().message.find('\n') != std::string::npos ? (std::abort(), 0) : 0;
  return 0;
}
