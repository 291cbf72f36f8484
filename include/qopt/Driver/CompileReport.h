//===- CompileReport.h - What became of a model ---------------------------===//
//
// The report as data, and as the files that programs read. What people read is in
// ReportText.h.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_COMPILEREPORT_H
#define QOPT_DRIVER_COMPILEREPORT_H

#include "qopt/Calibration/Report.h"
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// Float against quantized on one text (`--eval`).
struct Evaluation {
  double floatPerplexity = 0, quantizedPerplexity = 0;
  double floatStandardError = 0, standardError = 0; ///< of these
  std::string mode;                                 ///< which definition of perplexity it is (Perplexity.h)
  double klDivergenceMean = 0, klDivergenceMedian = 0, klDivergenceP99 = 0;
  double sameTop1 = 0;
  int64_t tokens = 0, windows = 0, window = 0;
};

/// Why a pass did less with a part of the model than the compiler can (Remarks.h).
struct ReportedRemark {
  std::string topic; ///< "attention"
  std::string where; ///< the node, or line and column; may be empty
  std::string text;

  bool operator==(const ReportedRemark &) const = default;
};

/// What `--report` writes. Layers in the order of the graph.
struct CompileReport {
  std::string model, pipeline;
  std::vector<LayerReport> layers;
  std::vector<std::string> warnings;   ///< as they were printed
  std::vector<ReportedRemark> remarks; ///< in the order in which passes came upon them
  int64_t linearWeights = 0;           ///< weights of all linears
  double bitsPerWeight = 0;            ///< over all linears, scales and zero points included
  int64_t linearBytes = 0;             ///< bytes of these
  int64_t modelWeights = 0;            ///< numbers in the model's file, embedding and norms included
  int64_t weightBytes = 0;             ///< of all weights in the output file; 0 when none was written
  int64_t moduleBytes = 0;             ///< of the output file; 0 when none was written
  int64_t calibrationTokens = 0;
  double seconds = 0, quantizeSeconds = 0;
  int64_t peakMemoryBytes = 0;
  std::vector<LayerChoice> choices; ///< what layers got under a budget; empty: there was none
  std::optional<Evaluation> evaluation;
  std::string refusal; ///< why nothing was written although all went well: the evaluation's limits; else empty
};

/// Adds up the layers: weights, bits and bytes.
void addTotals(CompileReport &report);

/// Bits that the output file spends per number of the model's file, with all that it keeps of
/// the model: embedding, norms, scales, rotary tables. Nothing when no module was written.
std::optional<double> modelBitsPerWeight(const CompileReport &report);

/// The overrides that give layers what they chose: PATTERN=SPEC.
std::vector<std::string> choiceOverrides(const CompileReport &report);

/// The report as JSON (keys as in docs) and as CSV, one row per layer.
std::string toJson(const CompileReport &report);
std::string toCsv(const CompileReport &report);

} // namespace qopt

#endif // QOPT_DRIVER_COMPILEREPORT_H
