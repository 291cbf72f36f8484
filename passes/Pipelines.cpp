//===- Pipelines.cpp - What qopt does, in order ---------------------------===//
//
// The file to read first. A pipeline is a list of passes, each described in
// docs/Passes.md and runnable alone with qopt-opt. What a user types is a scheme
// (`gptq-int4{group-size=32}`); the phases it consists of are pipelines too.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Options, as MLIR writes them: NAME{option=value ...}
//===----------------------------------------------------------------------===//

namespace {

/// Whether a scheme repeats what the package it comes from does.
enum class Compat { None, Package };

/// Options of every scheme.
struct SchemeOptions : virtual mlir::detail::PassOptions {
  Option<bool> head{*this, "head", llvm::cl::desc("Quantize the output layer too"), llvm::cl::init(false)};
  ListOption<std::string> overrides{
      *this, "overrides", llvm::cl::desc("PATTERN=SPEC per layer; the last match wins")};
};

struct PlainOptions : PassPipelineOptions<PlainOptions>, SchemeOptions {};

struct LlmInt8Options : PassPipelineOptions<LlmInt8Options>, SchemeOptions {
  Option<double> threshold{*this, "threshold", llvm::cl::desc("Magnitude from which a column stays in float"),
                           llvm::cl::init(6.0)};
};

struct StaticOptions : PassPipelineOptions<StaticOptions>, SchemeOptions {
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("Token ids [n, length] as .npy")};
  Option<std::string> observer{*this, "observer", llvm::cl::desc("How input scales are chosen: mse or absmax"),
                               llvm::cl::init("mse")};
  Option<Compat> compat{*this, "compat", llvm::cl::desc("Whose choices to repeat"), llvm::cl::init(Compat::None),
                        llvm::cl::values(clEnumValN(Compat::None, "none", "qopt's own"),
                                         clEnumValN(Compat::Package, "quanto", "A moving average over batches of 2"))};
};

/// Options of the int4 schemes.
struct GroupOptions : SchemeOptions {
  Option<int64_t> groupSize{*this, "group-size", llvm::cl::desc("Inputs per scale; -1: a whole row"),
                                         llvm::cl::init(128)};
  Option<bool> sym{*this, "sym", llvm::cl::desc("Codes around a fixed zero point"), llvm::cl::init(true)};
  Option<std::string> grid{*this, "grid", llvm::cl::desc("How scales are chosen: search or minmax"),
                                        llvm::cl::init("search")};
};

struct RtnOptions : PassPipelineOptions<RtnOptions>, GroupOptions {
  Option<Compat> compat{*this, "compat", llvm::cl::desc("Whose choices to repeat"), llvm::cl::init(Compat::None),
                        llvm::cl::values(clEnumValN(Compat::None, "none", "qopt's own"),
                                         clEnumValN(Compat::Package, "gptq", "The baseline of the GPTQ paper"))};
};

struct GptqSchemeOptions : PassPipelineOptions<GptqSchemeOptions>, GroupOptions {
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("Token ids [n, length] as .npy")};
  Option<double> dampPercent{*this, "damp-percent", llvm::cl::desc("Share of mean(diag(H)) added to the diagonal"),
                             llvm::cl::init(0.01)};
  Option<bool> actOrder{*this, "act-order", llvm::cl::desc("Columns by falling diag(H)"), llvm::cl::init(true)};
  Option<bool> staticGroups{*this, "static-groups", llvm::cl::desc("Scales from the weights before any update"),
                            llvm::cl::init(true)};
  Option<int64_t> polish{*this, "polish", llvm::cl::desc("Passes of coordinate descent afterwards"), llvm::cl::init(4)};
  Option<bool> refit{*this, "refit", llvm::cl::desc("Least-squares scales before each of these passes"),
                     llvm::cl::init(true)};
  Option<double> floatTarget{*this, "float-target", llvm::cl::desc("How far the float activations are the target"),
                             llvm::cl::init(0.5)};
  Option<Compat> compat{*this, "compat", llvm::cl::desc("Whose choices to repeat"), llvm::cl::init(Compat::None),
                        llvm::cl::values(clEnumValN(Compat::None, "none", "qopt's own"),
                                         clEnumValN(Compat::Package, "gptq", "The reference implementation"))};
};

//===----------------------------------------------------------------------===//
// What the options mean to the passes
//===----------------------------------------------------------------------===//

AssignSchemeOptions assignment(StringRef scheme, const SchemeOptions &options) {
  AssignSchemeOptions result;
  result.scheme = scheme.str();
  result.head = options.head;
  result.overrides.assign(options.overrides.begin(), options.overrides.end());
  return result;
}

AssignSchemeOptions groupAssignment(StringRef scheme, const GroupOptions &options) {
  AssignSchemeOptions result = assignment(scheme, options);
  result.groupSize = options.groupSize;
  result.symmetric = options.sym;
  return result;
}

/// quanto calibrates in batches of 2 (here) and keeps .9 of the scale each time.
CalibrateOptions calibration(const StaticOptions &options) {
  CalibrateOptions result;
  result.calibration = options.calibration;
  result.observer = options.observer;
  if (options.compat == Compat::Package) {
    result.batchSize = 2;
    result.observer = "moving-average";
  }
  return result;
}

/// The reference has none of the later improvements, unless asked for one by one.
CalibrateOptions calibration(const GptqSchemeOptions &options) {
  bool reference = options.compat == Compat::Package;
  auto choose = [&](const auto &option, auto other) {
    return reference && !option.hasValue() ? other : decltype(other)(option);
  };
  CalibrateOptions result;
  result.calibration = options.calibration;
  result.dampPercent = options.dampPercent;
  result.actOrder = choose(options.actOrder, false);
  result.staticGroups = choose(options.staticGroups, false);
  result.grid = choose(options.grid, std::string("minmax"));
  result.polish = choose(options.polish, int64_t(0));
  result.refit = choose(options.refit, false);
  result.floatTarget = choose(options.floatTarget, 0.0);
  result.exactReference = reference;
  return result;
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Exporters' decompositions become the standard operators. What comes out, the
/// raised form of a decoder:
///
/// - activations are [batch, sequence, features]; `onnx.Gather` of a constant table
///   by the tokens, `onnx.RMSNormalization` with a constant scale;
/// - a linear is `onnx.MatMul` with a constant [K, N] and a name (`qopt.layer`), its
///   bias an `onnx.Add`; linears that share an input read the same value;
/// - `onnx.RotaryEmbedding` and `onnx.Attention` in the three-dimensional form, the
///   tables [position, rotated size / 2] as constants, positions [batch or 1,
///   sequence] from the model's input or counted; `is_causal` instead of a mask, and
///   a boolean mask [batch, 1, 1, keys] only where there is an attention_mask;
/// - `onnx.Swish`, and shapes that are constants but for 0 and -1.
///
/// What is not recognised stays as the exporter wrote it.
void buildRaise(OpPassManager &pm) {
  // Shapes and constants, so that what follows sees through them.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createFoldConstants());
  pm.addNestedPass<func::FuncOp>(createResolveShapes());
  pm.addPass(createCSEPass());
  // Operators: normalizations first, where rotations start.
  pm.addNestedPass<func::FuncOp>(createNormalizeLinears());
  pm.addNestedPass<func::FuncOp>(createRaiseRmsNormalization());
  pm.addNestedPass<func::FuncOp>(createRaiseSwish());
  pm.addNestedPass<func::FuncOp>(createRaiseRotaryEmbedding());
  pm.addNestedPass<func::FuncOp>(createRaiseAttention());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // Names, from where linears stand if nothing else tells.
  pm.addNestedPass<func::FuncOp>(createNameLayers());
}

/// Every linear gets its scheme, and observers where the scheme needs data.
void buildPrepare(OpPassManager &pm, const AssignSchemeOptions &scheme) {
  pm.addPass(createAssignScheme(scheme));
  pm.addNestedPass<func::FuncOp>(createInsertObservers());
}

/// Measures what must be measured and rewrites the linears.
void buildQuantize(OpPassManager &pm, const CalibrateOptions &calibrate, const QuantizeWeightsOptions &weights) {
  // Data.
  pm.addPass(createCalibrate(calibrate));
  pm.addNestedPass<func::FuncOp>(createFoldCalibration());
  // Weights.
  pm.addNestedPass<func::FuncOp>(createQuantizeWeights(weights));
  // Products: one pass for each operator of the qopt dialect.
  pm.addNestedPass<func::FuncOp>(createSplitColumns());
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW8A8());
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW8A16());
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW4A16());
  // Contract.
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createVerifyQuantized());
}

void buildScheme(OpPassManager &pm, const AssignSchemeOptions &scheme, const CalibrateOptions &calibrate = {},
                 const QuantizeWeightsOptions &weights = {}) {
  buildRaise(pm);
  buildPrepare(pm, scheme);
  buildQuantize(pm, calibrate, weights);
}

} // namespace

//===----------------------------------------------------------------------===//
// Lowering: what all schemes and the float model end with
//===----------------------------------------------------------------------===//

void qopt::buildLowerPipeline(OpPassManager &pm) {
  // Heavy operators to calls of kernels, the others to loops over tensors; chains
  // of elementwise ones to one loop.
  pm.addPass(createConvertToKernels());
  pm.addPass(createConvertOnnxToLinalg());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createLinalgElementwiseOpFusionPass());
  pm.addPass(createCSEPass());
  pm.addPass(createExtractParameters());
  // Tensors to memory.
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createPlanMemory());
  // Loops to functions; equal ones, as repeated layers have them, become one.
  pm.addPass(createOutlineKernels());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(func::createDuplicateFunctionEliminationPass());
  pm.addPass(createSymbolDCEPass());
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

void qopt::registerPipelines() {
  // Phases.
  PassPipelineRegistration<>("qopt-raise", "Exporters' decompositions to standard operators", buildRaise);
  PassPipelineRegistration<>("qopt-lower", "A graph to functions on memrefs", buildLowerPipeline);
  PassPipelineRegistration<>("qopt-quantize", "Calibrate and rewrite what has a scheme",
                             [](OpPassManager &pm) { buildQuantize(pm, {}, {}); });

  // Schemes.
  PassPipelineRegistration<>("float", "The float model: no quantization", buildRaise);
  PassPipelineRegistration<PlainOptions>(
      "int8-weights", "int8 weights with a scale per output (quanto qint8)",
      [](OpPassManager &pm, const PlainOptions &options) { buildScheme(pm, assignment("int8-weights", options)); });
  PassPipelineRegistration<StaticOptions>(
      "int8-static", "int8 weights, int8 activations with calibrated scales",
      [](OpPassManager &pm, const StaticOptions &options) {
        buildScheme(pm, assignment("int8-static", options), calibration(options));
      });
  PassPipelineRegistration<PlainOptions>(
      "int8-dynamic", "int8 weights, int8 activations with a scale per token",
      [](OpPassManager &pm, const PlainOptions &options) { buildScheme(pm, assignment("int8-dynamic", options)); });
  PassPipelineRegistration<LlmInt8Options>(
      "llm-int8", "int8-dynamic with outlier columns in float (LLM.int8)",
      [](OpPassManager &pm, const LlmInt8Options &options) {
        AssignSchemeOptions scheme = assignment("llm-int8", options);
        scheme.threshold = options.threshold;
        buildScheme(pm, scheme);
      });
  PassPipelineRegistration<RtnOptions>(
      "rtn-int4", "int4 weights in groups, rounded to nearest", [](OpPassManager &pm, const RtnOptions &options) {
        QuantizeWeightsOptions weights;
        weights.exactReference = options.compat == Compat::Package;
        weights.grid = weights.exactReference && !options.grid.hasValue() ? "minmax" : std::string(options.grid);
        buildScheme(pm, groupAssignment("rtn-int4", options), {}, weights);
      });
  PassPipelineRegistration<GptqSchemeOptions>(
      "gptq-int4", "int4 weights in groups by GPTQ", [](OpPassManager &pm, const GptqSchemeOptions &options) {
        buildScheme(pm, groupAssignment("gptq-int4", options), calibration(options));
      });
}
