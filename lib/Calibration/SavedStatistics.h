//===- SavedStatistics.h - What calibration measured, as a file -----------===//
//
// For runs on other text to be taken together, and for schemes to be tried without text. A file holds
// the statistics of each observer under its name, and of which model they are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_SAVEDSTATISTICS_H
#define QOPT_LIB_CALIBRATION_SAVEDSTATISTICS_H

#include "Statistics.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Sha256.h"
#include <map>

namespace qopt {

/// Writes such a file, which appears when it is finished.
class StatisticsFile {
public:
  /// `model` tells models apart (fingerprintOfModel).
  static Result<StatisticsFile> create(const std::string &path, const std::string &model);
  Status add(llvm::StringRef name, const Statistics &statistics);
  Status finish();

private:
  StatisticsFile(AtomicFile file, std::string path) : file(std::move(file)), path(std::move(path)) {}
  Status write(std::string_view bytes);

  AtomicFile file;
  std::string path;
  Sha256 hash;
};

/// Files of one model, taken together.
class SavedStatistics {
public:
  /// Errors: no such file, a damaged one, one of another model.
  static Result<SavedStatistics> open(const std::vector<std::string> &paths, const std::string &model);
  /// Adds to `statistics` what the files have under `name`. Errors: a file has none of this name, or lacks what is
  /// wanted.
  Status addTo(llvm::StringRef name, Statistics &statistics) const;

private:
  struct File {
    std::string path;
    MappedFile bytes;
    std::map<std::string, std::string_view, std::less<>> records;
  };
  std::vector<File> files;
};

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_SAVEDSTATISTICS_H
