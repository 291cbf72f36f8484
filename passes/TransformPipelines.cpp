//===- TransformPipelines.cpp - Pipelines that stand before a scheme ------===//
//
// Transformations of the float model, which take the raised form and leave it.
//
//===----------------------------------------------------------------------===//
#include "PipelineOptions.h"
#include "qopt/Passes/Transforms.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::pipelines;

namespace {

/// Outliers of activations into weights.
Status buildSmoothQuant(OpPassManager &pm, const SmoothQuantOptions &options) {
  SmoothActivationsOptions smooth;
  if (Status status = options.read(kSmoothAlpha, options.alpha, smooth.alpha); !status)
    return status;
  smooth.calibration = options.calibration;
  pm.addPass(createSmoothActivations(smooth));
  return {};
}

/// Weights of large activations scaled up, so that rounding changes them less.
Status buildAwq(OpPassManager &pm, const AwqOptions &options) {
  SearchScalesOptions search;
  search.scheme = options.scheme;
  if (Status status = options.read(kAwqDuo, options.duo, search.duo); !status)
    return status;
  if (Status status = options.read(kAwqClip, options.clip, search.clip); !status)
    return status;
  search.calibration = options.calibration;
  pm.addPass(createSearchScales(search));
  return {};
}

/// Ablations of LLM.int8().
Status buildRoundInt8(OpPassManager &pm, const RoundInt8PipelineOptions &options) {
  RoundInt8Options round;
  for (auto [info, text, to] : {std::tuple(&kRoundInputs, &options.inputs, &round.inputs),
                                std::tuple(&kRoundWeights, &options.weights, &round.weights)}) {
    if (Result<OptionValue> value = info->parse(*text); !value)
      return value.error();
    *to = *text;
  }
  if (Status status = options.read(kRoundZeroPoint, options.zeroPoint, round.zeroPoint); !status)
    return status;
  if (Status status = options.read(kRoundThreshold, options.threshold, round.threshold); !status)
    return status;
  round.skip.assign(options.skip.begin(), options.skip.end());
  pm.addPass(createRoundInt8(round));
  return {};
}

/// Features are rotated once no normalization scales them.
Status buildRotate(OpPassManager &pm, const RotateOptions &options) {
  RotateActivationsOptions rotate;
  if (Status status = options.read(kRotateSeed, options.seed, rotate.seed); !status)
    return status;
  if (Status status = options.read(kRotateHeads, options.heads, rotate.heads); !status)
    return status;
  pm.addPass(createFoldNorms());
  pm.addPass(createRotateActivations(rotate));
  return {};
}

} // namespace

std::vector<NamedPipeline> qopt::pipelines::transformationPipelines() {
  std::vector<NamedPipeline> all = {
      makePipeline("fold-norms", "Scales of normalizations into weights",
                   [](OpPassManager &pm) { pm.addPass(createFoldNorms()); }),
      makePipeline<SmoothQuantOptions>("smoothquant", "Outliers of activations into weights (SmoothQuant)",
                                       buildSmoothQuant),
      makePipeline<AwqOptions>("awq", "Weights of large activations scaled up and clipped (AWQ)", buildAwq),
      makePipeline<RoundInt8PipelineOptions>(
          "round-int8", "Weights and inputs rounded to int8 in float (LLM.int8's ablations)", buildRoundInt8),
      makePipeline<RotateOptions>("rotate", "Features rotated by Hadamard matrices in weights (QuaRot)", buildRotate)};
  for (NamedPipeline &pipeline : all)
    pipeline.isTransformation = true;
  return all;
}
