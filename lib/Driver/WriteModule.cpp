//===- WriteModule.cpp - Lowered IR to files ------------------------------===//
//
// Code for every target is made of the same lowered module, in a section of its own.
//
//===----------------------------------------------------------------------===//
#include "WriteModule.h"
#include "CudaSections.h"
#include "Diagnostics.h"

#include "qopt/Codegen/Codegen.h"
#include "qopt/Import/MlirFile.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"

#include <atomic>
#include <filesystem>
#include <system_error>

using namespace mlir;
using namespace qopt;

static ModuleInfo describe(const ModuleContents &contents, const LoweredModule &lowered) {
  ModuleInfo info;
  info.producer = "qopt " QOPT_VERSION;
  info.model = contents.model;
  info.pipeline = contents.pipeline;
  info.contextLength = contents.contextLength;
  info.vocabularySize = contents.vocabularySize;
  info.text = contents.text;
  info.entryPoints = lowered.entryPoints;
  info.parameters = lowered.parameters;
  for (const LayerReport &layer : contents.layers)
    info.layers.push_back({layer.name, layer.scheme, layer.outFeatures, layer.inFeatures, layer.bitsPerWeight,
                           layer.hasInt8Activations ? "int8" : "float", layer.activationGroupSize});
  return info;
}

namespace {

/// Parameters that are made of the same rows, for the writer of modules.
class DeferredParameters : public ParameterSource {
public:
  explicit DeferredParameters(const CompileOptions &options) : options(options) {}

  void add(size_t parameter, const DeferredConstant &constant) { made.emplace_back(parameter, &constant); }

  std::vector<size_t> parameters() const override {
    std::vector<size_t> indices;
    for (auto [index, constant] : made)
      indices.push_back(index);
    return indices;
  }
  int64_t numParts() const override { return llvm::divideCeil(made.front().second->rows, kDeferredRows); }

  Status make(int64_t part, const Put &put) override {
    if (options.isCancelled())
      return Error{"cancelled"};
    const DeferredConstant &first = *made.front().second;
    int64_t begin = part * kDeferredRows, end = std::min(first.rows, begin + kDeferredRows);
    std::vector<std::vector<char>> rows;
    if (first.source) {
      Result<std::vector<std::vector<char>>> result = first.source->make(begin, end);
      if (!result) {
        isBad = true;
        return result.error();
      }
      rows = std::move(*result);
    }
    SmallVector<ArrayRef<char>> arrays(rows.begin(), rows.end());
    std::vector<char> bytes;
    for (auto [parameter, constant] : made) {
      bytes.resize(constant->bytesOf(begin, end));
      constant->form(arrays, begin, end, bytes.data());
      if (Status status = put(parameter, constant->offsetOf(begin), bytes); !status)
        return status;
    }
    return {};
  }

  void finish() override {
    if (RowSource *source = made.front().second->source.get())
      source->finish();
  }

  /// Whether it was the rows that could not be made.
  bool hasFailed() const { return isBad; }

private:
  const CompileOptions &options;
  std::vector<std::pair<size_t, const DeferredConstant *>> made;
  std::atomic<bool> isBad = false;
};

} // namespace

/// The deferred parameters of a module, in the order in which they are written. What comes
/// from one source is made together, so that no layer is quantized twice.
static std::vector<std::unique_ptr<DeferredParameters>> groupBySource(const LoweredModule &lowered,
                                                                      const CompileOptions &options) {
  std::vector<std::unique_ptr<DeferredParameters>> groups;
  llvm::DenseMap<RowSource *, DeferredParameters *> bySource;
  for (auto [index, constant] : llvm::enumerate(lowered.deferred)) {
    if (!constant)
      continue;
    DeferredParameters *group = constant->source ? bySource.lookup(constant->source.get()) : nullptr;
    if (!group)
      group = groups.emplace_back(std::make_unique<DeferredParameters>(options)).get();
    if (constant->source)
      bySource[constant->source.get()] = group;
    group->add(index, *constant);
  }
  return groups;
}

static bool isTarget(const CompileOptions &options, DeviceKind target) {
  return llvm::is_contained(options.targets, deviceKindName(target));
}

Result<WrittenBytes> qopt::writeModule(ModuleOp module, const ModuleContents &contents, const CompileOptions &options,
                                       TimingScope &timing) {
  DiagnosticCollector diagnostics(*module.getContext(), options.model);
  FailureOr<LoweredModule> lowered = describeLoweredModule(module, /*keepDeferred=*/true);
  if (failed(lowered))
    return diagnostics.error("cannot describe the lowered model");

  ModuleInfo info = describe(contents, *lowered);
  std::vector<std::pair<std::string, std::vector<char>>> code;
  for (const HostLevel &level : kHostLevels) {
    if (!isTarget(options, DeviceKind::Cpu) || (!options.cpus.empty() && !llvm::is_contained(options.cpus, level.name)))
      continue;
    std::string section = hostSection(level);
    FailureOr<std::vector<char>> object = compileHost(module, level, signatureOf(info, section), timing.nest(section));
    if (failed(object))
      return diagnostics.error("cannot generate code for " + std::string(level.name));
    code.emplace_back(section, std::move(*object));
  }
  if (CudaTargets targets{isTarget(options, DeviceKind::Cuda), isTarget(options, DeviceKind::Sim), options.cudaArchs};
      targets.cuda || targets.sim) {
    FailureOr<CudaSections> cuda = compileCudaSections(module, info, targets, timing);
    if (failed(cuda))
      return diagnostics.error("cannot generate code for GPUs");
    std::move(cuda->sections.begin(), cuda->sections.end(), std::back_inserter(code));
    info.kernels = std::move(cuda->kernels);
  }
  std::vector<ModuleWriter::Payload> payloads;
  for (const auto &[name, bytes] : code)
    payloads.push_back({name, bytes});
  if (!contents.tokenizer.empty())
    payloads.push_back({std::string(kTokenizerSection), {contents.tokenizer.data(), contents.tokenizer.size()}});

  TimingScope writing = timing.nest("write");
  std::vector<std::unique_ptr<DeferredParameters>> deferred = groupBySource(*lowered, options);
  std::vector<ParameterSource *> sources;
  for (const auto &source : deferred)
    sources.push_back(source.get());
  if (Status status =
          ModuleWriter::write(options.output, std::move(info), payloads, lowered->weights, sources, options.threads);
      !status) {
    bool isOfModel = llvm::any_of(deferred, [](const auto &source) { return source->hasFailed(); });
    return inFile(isOfModel ? options.model : options.output, status.error());
  }
  std::error_code ignored;
  WrittenBytes written{static_cast<int64_t>(std::filesystem::file_size(options.output, ignored))};
  for (const Parameter &parameter : lowered->parameters)
    written.weights += parameter.bytes;
  return written;
}

Status qopt::writeIr(ModuleOp module, const std::string &path) {
  Status status = writeMlir(module, path, OpPrintingFlags().enableDebugInfo(false));
  return status ? status : Status(inFile(path, status.error()));
}
