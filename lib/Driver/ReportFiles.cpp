//===- ReportFiles.cpp - The files beside a module ------------------------===//
//
// All are written to temporaries first, so a failing compilation leaves old ones intact.
//
//===----------------------------------------------------------------------===//
#include "ReportFiles.h"
#include "qopt/Support/File.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Tool.h"

using namespace qopt;

Status qopt::checkFiles(const CompileOptions &options) {
  // Standard input can be read only once, so it is not looked at before it is needed.
  if (!options.evaluation.empty() && options.evaluation != "-")
    if (auto text = MappedFile::open(options.evaluation); !text)
      return inFile(options.evaluation, text.error());
  std::vector<std::string> inputs = {options.model, options.model + ".data", options.calibration, options.evaluation,
                                     options.tokenizer};
  if (Status status = checkOutputPaths({options.output, options.report, options.log, options.checkpoint}, inputs);
      !status)
    return status;
  // An AtomicFile that is not committed leaves nothing behind, not even an empty file.
  for (const std::string &path : {options.output, options.report, options.log})
    if (!path.empty())
      if (auto file = AtomicFile::create(path); !file)
        return inFile(path, file.error());
  return {};
}

Status qopt::writeReports(const CompileReport &report, const CompileOptions &options) {
  for (const auto &[path, text] : {std::pair(options.report, toJson(report)), std::pair(options.log, toCsv(report))})
    if (!path.empty())
      if (Status status = writeFileAtomically(path, text); !status)
        return inFile(path, status.error());
  return {};
}
