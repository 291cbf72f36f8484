//===- qopt.cpp - The C interface of the compiler -------------------------===//
//
// Arguments are checked here; a compilation runs guarded.
//
//===----------------------------------------------------------------------===//
#include "Compile.h"
#include "qopt/Driver/PipelineList.h"
#include "qopt/Support/TemporaryDirectory.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include <algorithm>
#include <filesystem>

using namespace qopt;
using namespace qopt::capi;

struct qopt_context {
  qopt_callbacks callbacks = {sizeof(qopt_callbacks), nullptr, nullptr, nullptr, nullptr, nullptr};
  std::string memoryFormat; ///< ".mlir"; empty: as the options say
  std::string described;    ///< by qopt_describe()
  std::atomic<bool> isBusy = false;
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

static std::string &lastError() {
  static thread_local std::string message;
  return message;
}

static qopt_code finish(Outcome outcome) {
  lastError() = std::move(outcome.message);
  return outcome.code;
}

static Outcome wrongCall(std::string message) { return {QOPT_ERROR_USAGE, std::move(message)}; }

/// Runs what may throw, in the caller's thread.
template <typename Function>
static qopt_code guarded(Function function) noexcept {
  try {
    return finish(function());
  } catch (const std::bad_alloc &) {
    return finish({QOPT_ERROR_MEMORY, "out of memory"});
  } catch (const std::exception &error) {
    return finish({QOPT_ERROR_INTERNAL, printable(error.what())});
  }
}

static Result<Arguments> readArguments(const char *const *options, size_t count) {
  if (!options && count > 0)
    return usageError("the options are NULL");
  Arguments arguments;
  for (size_t i = 0; i < count; ++i) {
    if (!options[i])
      return usageError("option " + std::to_string(i) + " is NULL");
    arguments.emplace_back(options[i]);
  }
  return arguments;
}

static Outcome wrongSize(const char *name, size_t given, size_t known) {
  return wrongCall(std::string("expected ") + name + "::size " + std::to_string(known) + ", but got " +
                   std::to_string(given) + ": it was not set, or the program is for another version of libqopt");
}

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

int qopt_abi_version(void) { return QOPT_ABI_VERSION; }

const char *qopt_version(void) { return QOPT_VERSION; }

const char *qopt_last_error(void) { return lastError().c_str(); }

qopt_code qopt_create(int abi_version, qopt_context **context) {
  return guarded([&]() -> Outcome {
    if (!context)
      return wrongCall("a place for the context is needed");
    *context = nullptr;
    if (abi_version != QOPT_ABI_VERSION)
      return wrongCall("this program is for version " + std::to_string(abi_version) +
                       " of the interface, but libqopt has version " + std::to_string(QOPT_ABI_VERSION));
    *context = new qopt_context;
    return {};
  });
}

void qopt_destroy(qopt_context *context) { delete context; }

qopt_code qopt_set_callbacks(qopt_context *context, const qopt_callbacks *callbacks) {
  return guarded([&]() -> Outcome {
    if (!context)
      return wrongCall("a context is needed");
    if (callbacks && callbacks->size != sizeof *callbacks)
      return wrongSize("qopt_callbacks", callbacks->size, sizeof *callbacks);
    if (context->isBusy)
      return wrongCall("a compilation of this context is under way");
    context->callbacks = callbacks ? *callbacks : qopt_context().callbacks;
    return {};
  });
}

void qopt_cancel(qopt_context *context) {
  if (context)
    context->cancelled->store(true);
}

qopt_code qopt_set_memory_format(qopt_context *context, const char *format) {
  return guarded([&]() -> Outcome {
    if (!context)
      return wrongCall("a context is needed");
    std::string name = format ? format : "";
    if (const char *all[] = {"", ".qmod", ".mlir", ".mlirbc"}; std::find(all, std::end(all), name) == std::end(all))
      return wrongCall("expected the format .qmod, .mlir or .mlirbc, but got \"" + printable(name) + "\"");
    context->memoryFormat = name;
    return {};
  });
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

namespace {
/// A model by its path, or in memory under the path that it would have.
struct Model {
  std::string path;
  std::optional<std::span<const std::byte>> bytes = {};
  bool hasFolder = true;
};
} // namespace

/// The options of a compilation. `folder` is where output for memory is written first; it
/// is made where there is any.
static Status makeOptions(const qopt_context &context, const Model &model, Arguments arguments, Job &job,
                          std::optional<TemporaryDirectory> &folder) {
  auto parse = [&](CommandLine &line) -> Status {
    if (Status status = parseArguments(line, arguments); !status)
      return status;
    Result<Request> request = line.request();
    if (!request)
      return request.error();
    job.request = *request;
    if (*request != Request::Compile && *request != Request::ListLayers)
      return usageError("lists are what qopt_describe() is for");
    return {};
  };
  auto given = std::make_unique<CommandLine>();
  if (Status status = parse(*given); !status)
    return status;
  bool isInMemory = job.request == Request::Compile && !given->table().wasGiven("output");
  if (isInMemory) {
    Result<TemporaryDirectory> made = TemporaryDirectory::create("qopt-memory");
    if (!made)
      return made.error();
    folder.emplace(std::move(*made));
    if (!context.memoryFormat.empty()) {
      arguments.push_back("--output=" + folder->path() + "/output" + context.memoryFormat);
      given = std::make_unique<CommandLine>();
      if (Status status = parse(*given); !status)
        return status;
    }
  }
  Result<CompileOptions> options = given->compileOptions(model.path);
  if (!options)
    return options.error();
  job.options = std::move(*options);
  job.options.modelBytes = model.bytes;
  job.options.hasFolder = model.hasFolder;
  if (job.options.calibration == "-" || job.options.evaluation == "-")
    return usageError("standard input is the process's and not the library's: expected a file instead of -");
  if (isInMemory && context.memoryFormat.empty())
    job.options.output = folder->path() + "/output" + std::filesystem::path(job.options.output).extension().string();
  return {};
}

static Outcome run(qopt_context *context, const Model &model, const char *const *options, size_t num_options,
                   qopt_result **result) {
  Result<Arguments> arguments = readArguments(options, num_options);
  if (!arguments)
    return wrongCall(arguments.error().message);
  auto job = std::make_shared<Job>(context->cancelled, context->callbacks);
  std::optional<TemporaryDirectory> folder;
  if (Status status = makeOptions(*context, model, std::move(*arguments), *job, folder); !status)
    return {status.error().isUsage ? QOPT_ERROR_USAGE : QOPT_ERROR_IO, status.error().message};
  bool isInMemory = folder.has_value();
  if (isInMemory && !result)
    return wrongCall("output in memory needs a place for the result; give -o for a file");
  Outcome outcome = runGuarded([job, isInMemory] { return compile(*job, isInMemory); });
  job->listener.disconnect();
  if (outcome.code == QOPT_OK && result)
    *result = job->result.release();
  return outcome;
}

/// One compilation at a time, after which nothing is cancelled any more.
static Outcome runAlone(qopt_context *context, const Model &model, const char *const *options, size_t num_options,
                        qopt_result **result) {
  if (context->isBusy.exchange(true))
    return wrongCall("a compilation of this context is under way");
  struct Release {
    qopt_context *context;
    ~Release() {
      context->cancelled->store(false);
      context->isBusy = false;
    }
  } release{context};
  return run(context, model, options, num_options, result);
}

qopt_code qopt_compile_file(qopt_context *context, const char *model, const char *const *options, size_t num_options,
                            qopt_result **result) {
  return guarded([&]() -> Outcome {
    if (result)
      *result = nullptr;
    if (!context || !model)
      return wrongCall("a context and the path of a model are needed");
    return runAlone(context, {model}, options, num_options, result);
  });
}

qopt_code qopt_compile_memory(qopt_context *context, const void *model, size_t num_bytes, const char *name,
                              const char *directory, const char *const *options, size_t num_options,
                              qopt_result **result) {
  return guarded([&]() -> Outcome {
    if (result)
      *result = nullptr;
    if (!context || (!model && num_bytes > 0) || !name)
      return wrongCall("a context, a model and its name are needed");
    if (std::string_view(name).find('/') != std::string_view::npos)
      return wrongCall("expected the name of a model without its directory, but got \"" + printable(name) + "\"");
    Model given{name, std::span(static_cast<const std::byte *>(model), num_bytes), directory != nullptr};
    if (directory)
      given.path = std::string(directory) + "/" + name;
    return runAlone(context, given, options, num_options, result);
  });
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

const void *qopt_result_bytes(const qopt_result *result, size_t *num_bytes) {
  bool hasBytes = result && result->bytes;
  if (num_bytes)
    *num_bytes = hasBytes ? result->bytes->size() : 0;
  return hasBytes ? result->bytes->bytes().data() : nullptr;
}

const char *qopt_result_path(const qopt_result *result) {
  return result && !result->path.empty() ? result->path.c_str() : nullptr;
}

const char *qopt_result_report(const qopt_result *result) { return result ? result->json.c_str() : nullptr; }

size_t qopt_result_num_layers(const qopt_result *result) { return result ? result->report.layers.size() : 0; }

qopt_code qopt_result_layer(const qopt_result *result, size_t index, qopt_layer *layer) {
  return guarded([&]() -> Outcome {
    if (!result || !layer)
      return wrongCall("a result and a struct to fill are needed");
    if (layer->size != sizeof *layer)
      return wrongSize("qopt_layer", layer->size, sizeof *layer);
    size_t count = result->report.layers.size();
    if (index >= count)
      return wrongCall("there are " + std::to_string(count) + " layers, and number " + std::to_string(index) +
                       " was asked for");
    *layer = describe(result->report.layers[index]);
    return {};
  });
}

void qopt_result_free(qopt_result *result) { delete result; }

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

static Outcome describeWhat(const Arguments &arguments, std::string &text) {
  CommandLine line;
  if (Status status = parseArguments(line, arguments); !status)
    return wrongCall(status.error().message);
  Result<Request> request = line.request();
  if (!request)
    return wrongCall(request.error().message);
  if (line.table().wasGiven("report"))
    return wrongCall("qopt_describe() gives text and writes no file: expected no --report");
  if (*request == Request::DumpPassPipeline) {
    Result<std::string> pipeline = line.passPipeline();
    if (!pipeline)
      return {pipeline.error().isUsage ? QOPT_ERROR_USAGE : QOPT_ERROR_INPUT, pipeline.error().message};
    text = std::move(*pipeline);
  } else if (*request == Request::ListSchemes || *request == Request::PrintPipelines) {
    text = *request == Request::ListSchemes ? schemesAsJson() : pipelinesAsJson();
  } else {
    return wrongCall("expected --list-schemes, --print-pipelines or --dump-pass-pipeline among the options");
  }
  return {};
}

qopt_code qopt_describe(qopt_context *context, const char *const *options, size_t num_options, const char **text) {
  return guarded([&]() -> Outcome {
    if (!context || !text)
      return wrongCall("a context and a place for the text are needed");
    *text = nullptr;
    Result<Arguments> arguments = readArguments(options, num_options);
    if (!arguments)
      return wrongCall(arguments.error().message);
    auto described = std::make_shared<std::string>();
    Outcome outcome =
        runGuarded([described, arguments = std::move(*arguments)] { return describeWhat(arguments, *described); });
    if (outcome.code == QOPT_OK) {
      context->described = std::move(*described);
      *text = context->described.c_str();
    }
    return outcome;
  });
}
