//===- Compile.cpp - Strings and callbacks to a compilation ---------------===//
//
// The command's table of options takes the strings; the driver does the work. What is left
// is to tell kinds of failures apart.
//
//===----------------------------------------------------------------------===//
#include "Compile.h"
#include "qopt/Driver/Driver.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include <limits>

using namespace qopt;
using namespace qopt::capi;

//===----------------------------------------------------------------------===//
// Callbacks
//===----------------------------------------------------------------------===//

qopt_layer qopt::capi::describe(const LayerReport &layer) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  return {sizeof(qopt_layer),
          layer.name.c_str(),
          layer.node.c_str(),
          layer.group.c_str(),
          layer.scheme.c_str(),
          layer.hasInt8Activations ? "int8" : "float",
          layer.outFeatures,
          layer.inFeatures,
          layer.bitsPerWeight,
          layer.loss.value_or(nan),
          layer.damping.value_or(nan),
          layer.sqnrDb.value_or(nan),
          layer.tokens,
          layer.fallback,
          layer.seconds};
}

template <typename Function>
void Listener::call(Function function) {
  std::lock_guard lock(mutex);
  if (isConnected)
    function();
}

void Listener::connect(CompileOptions &options) {
  void *user = callbacks.user;
  if (auto progress = callbacks.progress)
    options.onProgress = [=, this](int64_t done, int64_t total) { call([&] { progress(user, done, total); }); };
  if (auto warning = callbacks.warning)
    options.onWarning = [=, this](const std::string &text) { call([&] { warning(user, text.c_str()); }); };
  if (auto remark = callbacks.remark)
    options.onRemark = [=, this](const std::string &text) { call([&] { remark(user, text.c_str()); }); };
  if (auto onLayer = callbacks.layer)
    options.onLayer = [=, this](const LayerReport &layer) {
      qopt_layer described = describe(layer);
      call([&] { onLayer(user, &described); });
    };
}

void Listener::disconnect() {
  std::lock_guard lock(mutex);
  isConnected = false;
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

Status qopt::capi::parseArguments(CommandLine &line, const Arguments &arguments) {
  std::vector<const char *> pointers = {"qopt"};
  for (const std::string &argument : arguments) {
    if (argument.starts_with("--mlir-") || argument.starts_with("-mlir-") || argument.starts_with("--debug-only"))
      return usageError("option '" + printable(argument) + "' is of the command qopt: it counts for a whole process");
    pointers.push_back(argument.c_str());
  }
  Options &table = line.table();
  if (Status status = table.parse(static_cast<int>(pointers.size()), pointers.data()); !status)
    return usageError(status.error().message);
  if (table.wantsHelp() || table.wantsVersion() || !table.wantsCompletion().empty())
    return usageError("--help, --version and --completion are of the command qopt");
  if (!table.positional().empty())
    return usageError("unexpected argument '" + printable(table.positional()[0]) +
                      "': the model is not among the options");
  if (table.wasGiven("quiet") || table.wasGiven("remarks"))
    return usageError("--quiet and --remarks are of the command qopt; use callbacks");
  if (line.report() == "-")
    return usageError("--report=- is of the command qopt: the result has the report");
  return {};
}

/// What can be opened is told apart from what cannot be used, before any work.
static Status checkInputs(const CompileOptions &options) {
  for (const std::string &path :
       {options.modelBytes ? std::string() : options.model, options.calibration, options.tokenizer, options.evaluation})
    if (!path.empty())
      if (auto file = MappedFile::open(path); !file)
        return inFile(path, file.error());
  for (const std::string &path : {options.output, options.report, options.log})
    if (!path.empty())
      if (auto file = AtomicFile::create(path); !file)
        return inFile(path, file.error());
  return {};
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

/// The kind of a failure. An error begins with the file that it is about, and one about a
/// file that is written comes from writing it.
static qopt_code codeOf(const Error &error, const CompileOptions &options) {
  if (options.isCancelled())
    return QOPT_ERROR_CANCELLED;
  if (error.isUsage)
    return QOPT_ERROR_USAGE;
  for (const std::string &path : {options.output, options.report, options.log})
    if (!path.empty() && error.message.starts_with(printable(path) + ": "))
      return QOPT_ERROR_IO;
  return error.message.find("out of memory") == std::string::npos ? QOPT_ERROR_INPUT : QOPT_ERROR_MEMORY;
}

Outcome qopt::capi::compile(Job &job, bool isInMemory) {
  CompileOptions &options = job.options;
  options.cancelled = job.cancelled.get();
  job.listener.connect(options);
  bool onlyLists = job.request == Request::ListLayers;
  if (Status status = checkInputs(options); !status)
    return {QOPT_ERROR_IO, status.error().message};
  Result<CompileReport> report = onlyLists ? listModelLayers(options) : compileModel(options);
  if (!report)
    return {codeOf(report.error(), options), report.error().message};
  if (!report->refusal.empty())
    return {QOPT_ERROR_INPUT, report->refusal};
  job.result->report = std::move(*report);
  job.result->json = toJson(job.result->report);
  if (onlyLists)
    return {};
  if (!isInMemory) {
    job.result->path = options.output;
    return {};
  }
  Result<MappedFile> bytes = MappedFile::open(options.output);
  if (!bytes)
    return {QOPT_ERROR_IO, printable(options.output) + ": " + bytes.error().message};
  job.result->bytes = std::move(*bytes);
  return {};
}
