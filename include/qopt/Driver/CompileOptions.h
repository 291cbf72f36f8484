//===- CompileOptions.h - What to compile, and how ------------------------===//
//
// One compilation as data, and the phases that it consists of.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_COMPILEOPTIONS_H
#define QOPT_DRIVER_COMPILEOPTIONS_H

#include "qopt/Calibration/Report.h"
#include "qopt/Tokenizer/TokenWindows.h"
#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qopt {

/// What is done to a model, in order. Where a compilation stops, the IR as this phase
/// leaves it is the result. Linalg and Quant start from what Quantize leaves, Host, Ptx and Sim from what
/// Lower does; End does for all targets what each of these three does for one.
enum class Phase { Import, Raise, Quantize, Linalg, Quant, Lower, Host, Ptx, Sim, End };

/// The name of a phase, as `--until` takes it, or `--emit` where it is an exit to other
/// compilers, and what it makes of the model.
struct PhaseDescription {
  Phase phase;
  const char *name, *summary;
  bool isExit = false;
};

/// All phases in order.
std::vector<PhaseDescription> describePhases();

/// One compilation. Paths may be empty where something is not wanted.
struct CompileOptions {
  std::string model; ///< .onnx, .mlir or .mlirbc
  /// The model's contents where they are in memory: `model` is then the path that it would have.
  std::optional<std::span<const std::byte>> modelBytes;
  bool hasFolder = true;               ///< of a model in memory: whether other files are looked for beside it
  std::string dataDirectory;           ///< where its external data may lie besides its own directory
  bool dequantize = false;             ///< weights that the model has as codes become float first
  std::string output;                  ///< .qmod, .mlir or .mlirbc by its ending; empty: only the report
  std::string pipeline;                ///< named pipelines, or builtin.module(...); empty: float
  std::string compat;                  ///< package whose choices the scheme repeats; empty: none
  std::vector<std::string> overrides;  ///< PATTERN=SPEC
  double targetBits = 0;               ///< per weight, under which layers choose among `candidates`; 0: no limit
  int64_t maxSize = 0;                 ///< of the module in bytes, likewise
  std::vector<std::string> candidates; ///< schemes; empty: those of the pipeline's family
  int64_t otherBytes = 0;              ///< with `maxSize`: what the module has besides the weights of layers
  Phase until = Phase::End;
  std::vector<std::string> passPlugins, dialectPlugins; ///< shared libraries (qopt/Plugins/Plugins.h)
  bool strict = false;                                  ///< a warning ends the compilation as an error would
  bool keepsLostLayers = false;                         ///< a layer that quantization leaves no signal is no error

  std::string calibration;                          ///< corpus or .npy; "-": standard input; empty: none
  DocumentRule documents = DocumentRule::Automatic; ///< of plain text, to calibrate and to evaluate on
  int64_t calibrationSamples = 128;
  int64_t calibrationLength = 0; ///< 0: min(2048, context of the model)
  uint64_t seed = 0;
  std::string device = "cpu";  ///< where calibration computes activations: see qrt::SessionOptions
  std::string checkpoint;      ///< where calibration keeps its work, for a run that goes on; empty: nowhere
  std::string saveCalibration; ///< where what calibration measured goes; empty: nowhere
  std::vector<std::string> loadCalibration; ///< files of that, instead of text
  std::string tokenizer;                    ///< empty: tokenizer.json beside the model, if there is one

  std::vector<std::string> targets = {"cpu"}; ///< "cpu", "cuda", "sim"
  std::vector<std::string> cpus;              ///< host levels; empty: all
  std::vector<std::string> cudaArchs;         ///< GPUs to make cubins for: "sm_90a"; needs ptxas
  std::string cacheType = "auto";             ///< of keys and values: "f16", "f32" or what fits targets and compat
  int threads = 1;
  int64_t maxMemory = 0;    ///< bytes of activations kept between stages; 0: no limit
  std::string reproducer;   ///< where MLIR writes what a failing phase was given; empty: nowhere
  bool mlirOptions = false; ///< apply MLIR's own command line options to the pass managers

  std::string evaluation; ///< text to measure the float and the quantized model on: .txt, .jsonl, .npy; "-"
  std::optional<double> maxPplIncrease; ///< percent of the float model's perplexity; beyond it nothing is written
  std::optional<double> maxKl;          ///< mean divergence from it in nats; likewise
  std::string report;                   ///< .json: the figures per layer and in total
  std::string log;                      ///< .csv: the figures per layer
  bool keepsExisting = false;           ///< an output that is there already is an error

  /// Set from any thread, it ends the compilation soon, with an error; null: it goes to its end.
  const std::atomic<bool> *cancelled = nullptr;
  bool isCancelled() const { return cancelled && cancelled->load(std::memory_order_relaxed); }

  /// Called for things worth a line on stderr.
  std::function<void(const std::string &)> onWarning;
  /// Called for what is worth a line on stderr but no warning.
  std::function<void(const std::string &)> onNote;
  /// Called for each remark: "FILE: where: what, with numbers".
  std::function<void(const std::string &)> onRemark;
  std::function<void(const LayerReport &)> onLayer;
  std::function<void(int64_t done, int64_t total)> onProgress;
};

} // namespace qopt

#endif // QOPT_DRIVER_COMPILEOPTIONS_H
