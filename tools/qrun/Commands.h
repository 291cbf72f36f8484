//===- Commands.h - What qrun can do with a module ------------------------===//
//
// One function for each command, and the opening of modules that they share.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOOLS_QRUN_COMMANDS_H
#define QOPT_TOOLS_QRUN_COMMANDS_H

#include "qopt/Runtime/Bench.h"
#include "qopt/Support/Tool.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <string>
#include <vector>

/// The command line.
struct Request {
  std::string modulePath;

  std::string perplexityFile, mode = "windows", documents = "auto", compareModule;
  int64_t window = 0, maxWindows = 0, paddingId = -1;

  std::vector<std::string> inputs;
  std::string outputFolder;

  std::vector<std::string> prompts;
  std::string promptFile;
  int64_t maxTokens = 128, topK = 0, seed = 0, startTokens = qrt::kBenchStartTokens;
  double temperature = 0, topP = 1;

  bool wantsInfo = false, wantsBench = false, wantsVerification = false;
  std::string sectionToExtract, outputFile;

  std::string device = "auto", hostLevel, jsonFile;
  int64_t threads = 0;
  bool isQuiet = false;

  bool jsonToStdout() const { return jsonFile == "-"; }
  /// The files that are read, where they are given.
  std::vector<std::string> filesRead() const;
};

/// The module. Errors of this and the functions below begin with its path.
qopt::Result<std::shared_ptr<const qopt::Module>> openModule(const std::string &path);
/// The module, loaded on the device that the command line asks for.
qopt::Result<std::unique_ptr<qrt::Session>> openSession(const Request &request, const std::string &path);

/// A session and what gives its logits.
struct OpenModel {
  std::unique_ptr<qrt::Session> session;
  std::unique_ptr<qrt::LanguageModel> model;
};
/// The module, loaded, as a language model.
qopt::Result<OpenModel> openModel(const Request &request, const std::string &path);

/// The tokenizer in the module of `session`, which is the first one; an error when there is none.
qopt::Result<std::unique_ptr<qopt::Tokenizer>> openTokenizer(const Request &request, const qrt::Session &session);

/// Writes `json` where --json says, if it does.
qopt::Status writeJson(const Request &request, const std::string &json);

qopt::Status measure(const Request &request);
qopt::Status runOnce(const Request &request);
qopt::Status continuePrompts(const Request &request);
qopt::Status bench(const Request &request);
qopt::Status showInfo(const Request &request);
qopt::Status verifyModule(const Request &request);
qopt::Status extractSection(const Request &request);

#endif // QOPT_TOOLS_QRUN_COMMANDS_H
