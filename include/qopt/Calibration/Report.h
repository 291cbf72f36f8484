//===- Report.h - What became of one linear layer -------------------------===//
//
// One row per layer, filled in by whoever knows a figure: the walk over the IR, the
// weight quantizer, calibration.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_REPORT_H
#define QOPT_CALIBRATION_REPORT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// What the quantizer of the weights says of one layer.
struct QuantizerFigures {
  std::optional<double> loss;    ///< GPTQ: tr((W-Q) H (W-Q)^T) / N, H a mean over tokens
  std::optional<double> damping; ///< GPTQ: the share finally added to the diagonal
  int64_t tokens = 0;            ///< calibration tokens that weighed in
  int64_t deadColumns = 0;       ///< inputs that were always 0
  bool fallback = false;         ///< GPTQ gave up: rounded to nearest
};

/// One row of the log. Figures that a scheme has not are absent.
struct LayerReport : QuantizerFigures {
  std::string name;                ///< "model.layers.0.self_attn.q_proj"
  std::string node;                ///< the exporter's name, of the location
  std::string group;               ///< the first layer that reads the same value
  std::string scheme;              ///< its name (Scheme.h)
  bool isQuantized = false;        ///< whether the scheme is another than float
  bool hasInt8Activations = false; ///< whether its inputs are rounded to int8
  int64_t activationGroupSize = 0; ///< inputs that share a scale of activations; 0: those of a token, or all
  int64_t outFeatures = 0, inFeatures = 0;
  double bitsPerWeight = 32;             ///< codes, scales and zero points as stored
  std::optional<double> sqnrDb;          ///< of the weights: 10 log10(sum w^2 / sum (w - q)^2); absent when exact
  std::optional<double> inputScale;      ///< of activations that have one for all; known once calibration is folded
  std::optional<int64_t> outlierColumns; ///< chosen by calibration: inputs whose weights were kept
  double seconds = 0;                    ///< quantizing this layer, without gathering its statistics
};

/// What a layer got of the schemes that it could have under a budget.
struct LayerChoice {
  std::string name;
  std::string scheme;       ///< as an override names it
  double bitsPerWeight = 0; ///< as stored
  double divergence = 0;    ///< of the model's predictions from the float model's, in nats, from this layer alone
};

/// Name, node, scheme, shape and bits per weight of a linear, before or after
/// quantization; nothing when `op` is none.
std::optional<LayerReport> describeLayer(mlir::Operation *op);

/// Adds what only the quantizer of a layer knows to what the graph shows.
void addMeasured(LayerReport &layer, const LayerReport &measured);

/// What describeLayer() says of a linear that was quantized, with what its quantizer says in `measured`.
LayerReport describeMeasured(mlir::Operation *op, const LayerReport &measured);

/// The linears of `function` in order: what describeLayer() says of each, its group, and
/// what its quantizer has reported to the CalibrationContext, if there is one.
std::vector<LayerReport> listLayers(mlir::func::FuncOp function);

/// Adds to `layers` what quantizers have reported since then.
void addFigures(mlir::MLIRContext &context, std::vector<LayerReport> &layers);

} // namespace qopt

#endif // QOPT_CALIBRATION_REPORT_H
