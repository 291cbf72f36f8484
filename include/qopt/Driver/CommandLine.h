//===- CommandLine.h - The compiler's options as text ---------------------===//
//
// One table of options, which the command `qopt` and the C interface both parse: what
// one of them takes means the same to the other.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_COMMANDLINE_H
#define QOPT_DRIVER_COMMANDLINE_H

#include "qopt/Driver/CompileOptions.h"
#include "qopt/Support/Options.h"

namespace qopt {

/// What is asked for: a model is compiled, or something is listed instead.
enum class Request { Compile, ListLayers, ListSchemes, PrintPipelines, DumpPassPipeline };

class CommandLine {
public:
  CommandLine();
  CommandLine(const CommandLine &) = delete; // the table points into it

  /// To be parsed; then the functions below tell what it says.
  Options &table() { return options; }

  /// Errors: two requests at once.
  Result<Request> request() const;
  /// For Request::Compile and ListLayers: everything but the callbacks. `model` is its path.
  /// Errors: options that do not go together.
  Result<CompileOptions> compileOptions(const std::string &model);
  /// The pipeline of Request::DumpPassPipeline as builtin.module(...), which stands for the
  /// same with `--override` and `--compat` in it. Errors: there is none of this name.
  Result<std::string> passPipeline() const;

  bool isQuiet() const { return quiet; }
  bool wantsRemarks() const { return remarks; }
  /// Where the figures or the list go for programs: a path, "-" for standard output
  /// instead of what people read; empty: nowhere.
  const std::string &report() const { return reportFile; }

private:
  void addOptions();
  void addCompilation();
  void addCalibration();
  void addOutput();
  Status checkCombination() const;
  Status chooseOutput();

  Options options;
  CompileOptions compile;
  // Words that stand for a value of CompileOptions wait here until all have been read.
  bool listLayers = false, listSchemes = false, printPipelines = false, dumpPassPipeline = false;
  bool quiet = false, remarks = false;
  std::string until = "end", emit = "module", documents = "auto", cpu, reportFile;
  int64_t threads = 0, seed = 0;
  double maxPplIncrease = 0, maxKl = 0;
};

} // namespace qopt

#endif // QOPT_DRIVER_COMMANDLINE_H
