//===- Driver.h - One model from file to file -----------------------------===//
//
// What `qopt` does, as a library: import, raise, quantize, lower, generate code,
// write. Everything that the command prints comes back as data.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_DRIVER_H
#define QOPT_DRIVER_DRIVER_H

#include "qopt/Calibration/Report.h"
#include "qopt/Support/Result.h"
#include "qopt/Tokenizer/TokenWindows.h"
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// Where to stop: the IR as this phase leaves it is the result.
enum class Phase { Import, Raise, Quantize, Lower, End };

struct CompileOptions {
  std::string model;                  ///< .onnx, .mlir or .mlirbc
  std::string output;                 ///< .qmod, .mlir or .mlirbc by its ending; empty: only the report
  std::string pipeline;               ///< named pipelines, or builtin.module(...); empty: float
  std::string compat;                 ///< "", "gptq" or "quanto"
  std::vector<std::string> overrides; ///< PATTERN=SPEC
  Phase until = Phase::End;

  std::string calibration;                          ///< corpus or .npy; "-": standard input; empty: none
  DocumentRule documents = DocumentRule::Automatic; ///< of plain text, to calibrate and to evaluate on
  int64_t calibrationSamples = 128;
  int64_t calibrationLength = 0; ///< 0: min(2048, context of the model)
  uint64_t seed = 0;
  std::string tokenizer; ///< empty: tokenizer.json beside the model, if there is one

  std::vector<std::string> targets = {"cpu"}; ///< "cpu", "cuda", "sim"
  std::vector<std::string> cpus;              ///< host levels; empty: all
  std::vector<std::string> cudaArchs;         ///< GPUs to make cubins for: "sm_90a"; needs ptxas
  int threads = 1;
  int64_t maxMemory = 0;    ///< bytes of activations kept between stages; 0: no limit
  bool mlirOptions = false; ///< apply MLIR's own command line options to the pass manager

  /// Called for things worth a line on stderr.
  std::function<void(const std::string &)> onWarning;
  std::function<void(const LayerReport &)> onLayer;
  std::function<void(int64_t done, int64_t total)> onProgress;
};

/// Float against quantized on one text (`--eval`).
struct Evaluation {
  double floatPerplexity = 0, quantizedPerplexity = 0;
  double standardError = 0; ///< of the quantized mean NLL
  double klDivergenceMean = 0, sameTop1 = 0;
  int64_t tokens = 0, windows = 0, window = 0;
};

/// What `--report` writes. Layers in the order of the graph.
struct CompileReport {
  std::string model, pipeline;
  std::vector<LayerReport> layers;
  int64_t linearWeights = 0; ///< weights of all linears
  double bitsPerWeight = 0;  ///< over all linears, scales and zero points included
  int64_t linearBytes = 0;   ///< bytes of these
  int64_t moduleBytes = 0;   ///< of the output file; 0 when none was written
  int64_t calibrationTokens = 0;
  double seconds = 0, quantizeSeconds = 0;
  int64_t peakMemoryBytes = 0;
  std::optional<Evaluation> evaluation;
};

/// Errors: one line "FILE[: where]: what, with numbers". On error no output is
/// left and an older file at `output` is untouched.
Result<CompileReport> compileModel(const CompileOptions &options);

/// The linears of a model: name, shape, group, scheme. Does nothing else.
Result<CompileReport> listModelLayers(const CompileOptions &options);

/// Runs options.output beside the float model on `text` (.txt, .jsonl, .npy).
Result<Evaluation> evaluateModel(const CompileOptions &options, const std::string &text);

/// Texts for people: one short table; a table of the layers; one line without its
/// end on the finished module; one on a layer that was just quantized.
std::string toText(const Evaluation &evaluation);
std::string layerTable(const CompileReport &report);
std::string summaryLine(const CompileReport &report, const std::string &output);
std::string progressLine(const LayerReport &layer);

/// The report as JSON (keys as in docs) and as CSV, one row per layer.
std::string toJson(const CompileReport &report);
std::string toCsv(const CompileReport &report);

} // namespace qopt

#endif // QOPT_DRIVER_DRIVER_H
