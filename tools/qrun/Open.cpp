//===- Open.cpp - How qrun's commands begin and end -----------------------===//
//
// The module, the session and the model of a command, its tokenizer and its JSON.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Utf8.h"
#include <cstdio>
#include <sys/stat.h>
#include <thread>

using namespace qopt;

/// Whoever can write to a module can make others run code of theirs.
static void warnIfOthersCanWrite(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH))
    std::fprintf(stderr, "qrun: warning: %s: everybody may write to this file, and its code is run\n",
                 printable(path).c_str());
}

Result<std::shared_ptr<const Module>> openModule(const std::string &path) {
  auto module = Module::open(path);
  if (!module)
    return inFile(path, module.error());
  return module;
}

Result<std::unique_ptr<qrt::Session>> openSession(const Request &request, const std::string &path) {
  auto module = openModule(path);
  if (!module)
    return module.error();
  warnIfOthersCanWrite(path);
  int64_t cores = std::max<int64_t>(std::thread::hardware_concurrency(), 1);
  Progress progress("weights", request.isQuiet);
  qrt::SessionOptions options;
  options.threads = static_cast<int>(request.threads > 0 ? request.threads : cores);
  options.device = request.device;
  options.hostLevel = request.hostLevel;
  options.onUpload = [&](int64_t done, int64_t total) { progress.update(done, total); };
  options.onWarning = [&](const std::string &text) {
    progress.clear();
    std::fprintf(stderr, "qrun: warning: %s: %s\n", printable(path).c_str(), text.c_str());
  };
  auto session = qrt::Session::create(*module, options);
  progress.clear();
  if (!session)
    return inFile(path, session.error());
  if (!request.isQuiet)
    std::fprintf(stderr, "qrun: %s runs on %s\n", printable(path).c_str(), (*session)->description().c_str());
  return session;
}

Result<OpenModel> openModel(const Request &request, const std::string &path) {
  auto session = openSession(request, path);
  if (!session)
    return session.error();
  auto model = qrt::makeSessionModel(**session);
  if (!model)
    return inFile(path, model.error());
  return OpenModel{std::move(*session), std::move(*model)};
}

Result<std::unique_ptr<Tokenizer>> openTokenizer(const Request &request, const qrt::Session &session) {
  std::span<const char> section = session.module().section(kTokenizerSection);
  if (section.empty())
    return inFile(request.modulePath, {"holds no tokenizer; compile it with one (qopt --tokenizer=FILE)"});
  auto tokenizer = Tokenizer::parse({section.data(), section.size()});
  if (!tokenizer)
    return inFile(request.modulePath, {"tokenizer: " + tokenizer.error().message});
  return tokenizer;
}

Status writeJson(const Request &request, const std::string &json) {
  if (request.jsonFile.empty())
    return {};
  if (request.jsonToStdout()) {
    std::fputs(json.c_str(), stdout);
    return {};
  }
  Status status = writeFileAtomically(request.jsonFile, json);
  return status ? status : Status(inFile(request.jsonFile, status.error()));
}
