//===- Reproducer.cpp - Pipelines that replay elsewhere -------------------===//
//
// Only the two passes that ask the driver get options.
//
//===----------------------------------------------------------------------===//
#include "Reproducer.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Support/Npy.h"
#include "qopt/Support/Tool.h"
#include "llvm/ADT/STLExtras.h"
#include <filesystem>

using namespace mlir;
using namespace qopt;

static std::string calibrationFileOf(const CompileOptions &options) { return options.reproducer + ".calibration.npy"; }

/// The windows as token ids [n, length].
static Status writeWindows(const std::string &path, const std::vector<std::vector<int32_t>> &windows) {
  std::vector<int32_t> tokens;
  for (const std::vector<int32_t> &window : windows)
    tokens.insert(tokens.end(), window.begin(), window.end());
  int64_t shape[] = {static_cast<int64_t>(windows.size()), static_cast<int64_t>(windows.front().size())};
  Status status = writeNpy(path, NpyType::Int32, shape, std::as_bytes(std::span(tokens)));
  return status ? status : Status(inFile(path, status.error()));
}

/// Sets options of the pass of that name, where it is there.
static Status setOptions(OpPassManager &passes, StringRef name, const std::string &options) {
  for (Pass &pass : passes.getPasses()) {
    std::string reason;
    auto keep = [&](const Twine &text) {
      reason = text.str();
      return failure();
    };
    if (pass.getArgument() == name && failed(pass.initializeOptions(options, keep)))
      return Error{"a reproducer cannot have the options \"" + options + "\": " + reason};
  }
  return {};
}

Status qopt::makeReplayable(OpPassManager &passes, const CompileOptions &options, MLIRContext &context) {
  auto *calibration = CalibrationContext::get(context);
  if (!calibration || options.reproducer.empty())
    return {};
  // In braces, as a list is cut at commas.
  std::string overrides;
  for (const std::string &one : calibration->overrides)
    overrides += (overrides.empty() ? "overrides={" : ",{") + one + "}";
  if (!overrides.empty())
    if (Status status = setOptions(passes, "qopt-assign-scheme", overrides); !status)
      return status;
  const auto &windows = calibration->samples;
  if (windows.empty())
    return {};
  if (llvm::any_of(windows, [&](const auto &window) { return window.size() != windows.front().size(); })) {
    options.onWarning("the windows of the calibration have different lengths: a reproducer goes without them");
    return {};
  }
  std::string path = calibrationFileOf(options);
  if (Status status = writeWindows(path, windows); !status)
    return status;
  return setOptions(passes, "qopt-calibrate", "calibration=" + path);
}

Status qopt::removeReplayed(const CompileOptions &options) {
  std::error_code code;
  if (!options.reproducer.empty())
    std::filesystem::remove(calibrationFileOf(options), code);
  return code ? Status(inFile(calibrationFileOf(options), {"cannot remove: " + code.message()})) : Status();
}
