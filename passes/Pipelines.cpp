//===- Pipelines.cpp - What qopt does, in order ---------------------------===//
//
// The file to read first. A pipeline is a list of passes, each described in
// docs/Passes.md and runnable alone with qopt-opt. What a user types is a scheme
// with its options, which takes a raised model; the phases before and after it
// are pipelines too.
//
//===----------------------------------------------------------------------===//
#include "PipelineOptions.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Support/Targets.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::pipelines;

namespace {

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Products: one pass for each operator of the qopt dialect.
void buildProducts(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW8A8());
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW8A16());
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW4A8());
  pm.addNestedPass<func::FuncOp>(createQuantizeMatmulW4A16());
}

/// Exporters' decompositions become the standard operators. What comes out, the
/// raised form of a decoder:
///
/// - activations are [batch, sequence, features]; `onnx.Gather` of a constant table
///   by the tokens, `onnx.RMSNormalization` with a constant scale;
/// - a linear is `onnx.MatMul` with a constant [K, N], cast to f32 where it has 16 bits,
///   and a name (`qopt.layer`), its bias an `onnx.Add`; linears that share an input read
///   the same value;
/// - `onnx.RotaryEmbedding` and `onnx.Attention` in the three-dimensional form, the
///   tables [position, rotated size / 2] as constants, positions [batch or 1,
///   sequence] from the model's input or counted; `is_causal` instead of a mask, and
///   a boolean mask [batch, 1, 1, keys] only where there is an attention_mask;
/// - every argument and result has its role (`qopt.role`);
/// - `onnx.Swish`, and shapes that are constants but for 0 and -1.
///
/// What is not recognised stays as the exporter wrote it.
void buildRaise(OpPassManager &pm, const RaiseOptions &options) {
  // What the file has quantized already.
  RaiseQuantizedOptions quantized;
  quantized.dequantize = options.dequantize;
  pm.addNestedPass<func::FuncOp>(createRaiseQuantized(quantized));
  pm.addNestedPass<func::FuncOp>(createExpandQuantization());
  // One float type.
  pm.addNestedPass<func::FuncOp>(createWidenFloats());
  // Shapes and constants, so that what follows sees through them.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createFoldConstants());
  // What the inputs and outputs are, while the graph says it.
  pm.addNestedPass<func::FuncOp>(createAssignRoles());
  pm.addNestedPass<func::FuncOp>(createResolveShapes());
  pm.addNestedPass<func::FuncOp>(createFoldConstants());
  pm.addNestedPass<func::FuncOp>(createFoldWeights());
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
  // Products of the codes that the file has.
  pm.addNestedPass<func::FuncOp>(createSplitProducts());
  buildProducts(pm);
}

/// Every linear gets its scheme, and observers where the scheme needs data.
void buildPrepare(OpPassManager &pm, const AssignSchemeOptions &scheme) {
  pm.addPass(createAssignScheme(scheme));
  pm.addNestedPass<func::FuncOp>(createInsertObservers());
}

/// Measures what must be measured and rewrites the linears, each as its scheme says.
void buildQuantize(OpPassManager &pm, const CalibrateOptions &calibrate) {
  // Data.
  pm.addPass(createCalibrate(calibrate));
  pm.addNestedPass<func::FuncOp>(createFoldCalibration());
  // Weights, and the embedding where it is the head's.
  pm.addNestedPass<func::FuncOp>(createTieEmbedding());
  pm.addNestedPass<func::FuncOp>(createQuantizeWeights());
  pm.addNestedPass<func::FuncOp>(createSplitColumns());
  buildProducts(pm);
  // Contract.
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createVerifyQuantized());
}

} // namespace

void qopt::pipelines::buildScheme(OpPassManager &pm, const AssignSchemeOptions &scheme,
                                  const CalibrateOptions &calibrate) {
  buildPrepare(pm, scheme);
  buildQuantize(pm, calibrate);
}

//===----------------------------------------------------------------------===//
// Lowering: what all schemes and the float model end with
//===----------------------------------------------------------------------===//

void qopt::buildLowerPipeline(OpPassManager &pm, const AddCacheOptions &cache) {
  // Rounding that nothing has raised.
  ExpandQuantizationOptions expand;
  expand.codes = true;
  pm.addNestedPass<func::FuncOp>(createExpandQuantization(expand));
  // Entry points for texts that grow.
  pm.addPass(createAddCache(cache));
  // Heavy operators to calls of kernels, the others to loops over tensors; chains
  // of elementwise ones to one loop.
  pm.addPass(createConvertToKernels());
  pm.addPass(createConvertOnnxToLinalg());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createFuseElementwise());
  pm.addPass(createCSEPass());
  pm.addPass(createExtractParameters());
  // Tensors to memory.
  pm.addNestedPass<func::FuncOp>(createSeparateBuffers());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createGroupKernels());
  // One copy of the code of all layers.
  pm.addNestedPass<func::FuncOp>(createRollLayers());
  pm.addNestedPass<func::FuncOp>(createPlanMemory());
  // Loops to functions; equal ones, as repeated layers have them, become one, and then
  // groups that call them.
  pm.addPass(createOutlineKernels());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(func::createDuplicateFunctionEliminationPass());
  pm.addPass(func::createDuplicateFunctionEliminationPass());
  pm.addPass(createSymbolDCEPass());
}

void qopt::buildLinalgPipeline(OpPassManager &pm, bool quantTypes) {
  // Every operator to loops over tensors, none to a kernel.
  pm.addPass(createConvertOnnxToLinalg({.quantTypes = quantTypes}));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // Constants and checks; after this nothing is qopt's.
  pm.addPass(createReplaceDialects());
}

//===----------------------------------------------------------------------===//
// Code: from what lowering leaves to what is written as text or machine code
//===----------------------------------------------------------------------===//

namespace {

struct HostOptions : PassPipelineOptions<HostOptions> {
  Option<std::string> level{*this, "level", llvm::cl::desc("Level of x86-64 to compile for"),
                            llvm::cl::init(std::string(kHostV3.name))};
};

struct PtxOptions : PassPipelineOptions<PtxOptions> {
  Option<std::string> chip{*this, "chip", llvm::cl::desc("Architecture to compile for"),
                           llvm::cl::init(std::string(kBaselineArch))};
};

} // namespace

void qopt::buildHostPipeline(OpPassManager &pm, StringRef level) {
  // Kernels and what is left of linalg to loops.
  EmitCpuKernelsOptions kernels;
  kernels.level = level.str();
  pm.addPass(createEmitCpuKernels(kernels));
  pm.addNestedPass<func::FuncOp>(createLowerToLoops());
  // Memory, errors, launches and threads are the runtime's.
  pm.addPass(createLowerHostAbi());
  pm.addPass(createLowerLaunches());
  pm.addPass(createOutlineTasks());
  pm.addPass(createExpandMath());
  // All dialects to LLVM's.
  pm.addPass(createPrepareForLlvm());
  host::addLlvmLowering(pm);
}

void qopt::buildPtxPipeline(OpPassManager &pm, StringRef chip) {
  SelectKernelsOptions select;
  select.chip = chip.str();
  pm.addPass(createSelectKernels(select));
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  // Loops to branches.
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  // All dialects to LLVM's and NVIDIA's.
  kernels.addPass(arith::createArithExpandOpsPass());
  kernels.addPass(createConvertKernelsToLlvm());
  kernels.addPass(createConvertNVVMToLLVMPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
}

void qopt::buildSimPipeline(OpPassManager &pm) {
  // Kernels of all architectures, as functions of one thread.
  pm.addPass(createSelectKernels());
  pm.addPass(createConvertKernelsToSim());
  pm.addPass(createExpandMath());
  // To the LLVM dialect, as host code.
  pm.addPass(createPrepareForLlvm());
  host::addLlvmLowering(pm);
  // What only GPUs have.
  pm.addPass(createLowerSimOps());
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

void qopt::registerUpstreamPasses() {
  // Of all phases.
  registerCanonicalizerPass();
  registerCSEPass();
  registerSymbolDCEPass();
  // Lowering.
  bufferization::registerOneShotBufferizePass();
  func::registerDuplicateFunctionEliminationPass();
  // Code.
  arith::registerArithExpandOpsPass();
  memref::registerExpandStridedMetadataPass();
  registerArithToLLVMConversionPass();
  registerConvertControlFlowToLLVMPass();
  registerConvertFuncToLLVMPass();
  registerConvertIndexToLLVMPass();
  registerConvertMathToLLVMPass();
  registerConvertNVVMToLLVMPass();
  registerConvertVectorToLLVMPass();
  registerFinalizeMemRefToLLVMConversionPass();
  registerLowerAffinePass();
  registerReconcileUnrealizedCastsPass();
  registerSCFToControlFlowPass();
  registerUBToLLVMConversionPass();
}

/// All pipelines that have a name.
static std::vector<NamedPipeline> allPipelines() {
  std::vector<NamedPipeline> all = {
      // Phases.
      makePipeline<RaiseOptions>("qopt-raise", "Exporters' decompositions to standard operators", buildRaise),
      makePipeline<PrepareOptions>("qopt-prepare", "A scheme for every linear, and observers",
                                   [](OpPassManager &pm, const PrepareOptions &options) {
                                     buildPrepare(pm, options.assign(options.scheme, options.compat));
                                   }),
      makePipeline("qopt-quantize", "Calibrate and rewrite what has a scheme",
                   [](OpPassManager &pm) { buildQuantize(pm, {}); }),
      makePipeline("qopt-lower", "A graph to functions on memrefs", [](OpPassManager &pm) { buildLowerPipeline(pm); }),
      makePipeline<LinalgOptions>(
          "qopt-linalg", "A graph to MLIR's own dialects, for other compilers",
          [](OpPassManager &pm, const LinalgOptions &options) { buildLinalgPipeline(pm, options.quantTypes); }),
      // Code.
      makePipeline<HostOptions>(
          "qopt-host", "Functions on memrefs to what is compiled for one level of x86-64",
          [](OpPassManager &pm, const HostOptions &options) { buildHostPipeline(pm, options.level); }),
      makePipeline<PtxOptions>(
          "qopt-ptx", "GPU kernels to what is written as PTX",
          [](OpPassManager &pm, const PtxOptions &options) { buildPtxPipeline(pm, options.chip); }),
      makePipeline("qopt-sim", "GPU kernels to what is compiled for the simulator", buildSimPipeline)};
  // Transformations, which take the raised form and leave it.
  llvm::append_range(all, transformationPipelines());
  // Schemes, by their names: they take the raised form.
  llvm::append_range(all, schemePipelines());
  return all;
}

void qopt::registerPipelines() {
  for (NamedPipeline &pipeline : allPipelines())
    registerPassPipeline(pipeline.name, pipeline.summary, pipeline.build, pipeline.withOptions);
}

std::vector<PipelineInfo> qopt::describePipelines() {
  std::vector<PipelineInfo> result;
  for (const NamedPipeline &pipeline : allPipelines())
    result.push_back(describe(pipeline));
  return result;
}
