//===- ReportFiles.cpp - The files beside a module ------------------------===//
//
// All are written to temporaries first, so a failing compilation leaves old ones intact.
//
//===----------------------------------------------------------------------===//
#include "ReportFiles.h"
#include "qopt/Support/File.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Tool.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <filesystem>
#include <iterator>

using namespace qopt;

Status qopt::checkFiles(const CompileOptions &options) {
  // Standard input can be read only once, so it is not looked at before it is needed.
  if (!options.evaluation.empty() && options.evaluation != "-")
    if (auto text = MappedFile::open(options.evaluation); !text)
      return inFile(options.evaluation, text.error());
  std::vector<std::string> inputs = {options.model, options.model + ".data", options.calibration, options.evaluation,
                                     options.tokenizer};
  inputs.insert(inputs.end(), options.loadCalibration.begin(), options.loadCalibration.end());
  if (Status status = checkOutputPaths(
          {options.output, options.report, options.log, options.checkpoint, options.saveCalibration}, inputs);
      !status)
    return status;
  // An AtomicFile that is not committed leaves nothing behind, not even an empty file.
  for (const std::string &path : {options.output, options.report, options.log, options.saveCalibration})
    if (!path.empty()) {
      if (options.keepsExisting && std::filesystem::is_regular_file(path))
        return inFile(path, {"is there already, and --no-clobber keeps it"});
      if (auto file = AtomicFile::create(path); !file)
        return inFile(path, file.error());
    }
  return {};
}

Status qopt::checkOutputs(const CompileOptions &options, std::vector<std::string> before) {
  // What else this process maps, a module that is in use for one, may well be replaced.
  std::vector<std::string> now = mappedFiles(), read;
  llvm::sort(before);
  llvm::sort(now);
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(read));
  return checkOutputPaths({options.output, options.report, options.log}, read);
}

Status qopt::writeReports(const CompileReport &report, const CompileOptions &options) {
  for (const auto &[path, text] : {std::pair(options.report, toJson(report)), std::pair(options.log, toCsv(report))})
    if (!path.empty())
      if (Status status = writeFileAtomically(path, text); !status)
        return inFile(path, status.error());
  return {};
}
