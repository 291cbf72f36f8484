//===- WriteModule.cpp - Lowered IR to files ------------------------------===//
//
// Code for every target is made of the same lowered module, in a section of its own.
//
//===----------------------------------------------------------------------===//
#include "WriteModule.h"
#include "CudaSections.h"
#include "Diagnostics.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include "llvm/Support/raw_ostream.h"

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
  info.entryPoints = lowered.entryPoints;
  info.parameters = lowered.parameters;
  for (const LayerReport &layer : contents.layers)
    info.layers.push_back({layer.name, layer.scheme, layer.outFeatures, layer.inFeatures, layer.bitsPerWeight,
                           layer.hasInt8Activations ? "int8" : "float", layer.activationGroupSize});
  return info;
}

static bool isTarget(const CompileOptions &options, DeviceKind target) {
  return llvm::is_contained(options.targets, deviceKindName(target));
}

Result<WrittenBytes> qopt::writeModule(ModuleOp module, const ModuleContents &contents, const CompileOptions &options,
                                       TimingScope &timing) {
  DiagnosticCollector diagnostics(*module.getContext(), options.model);
  FailureOr<LoweredModule> lowered = describeLoweredModule(module);
  if (failed(lowered))
    return diagnostics.error("cannot describe the lowered model");

  std::vector<std::pair<std::string, std::vector<char>>> code;
  for (const HostLevel &level : kHostLevels) {
    if (!isTarget(options, DeviceKind::Cpu) || (!options.cpus.empty() && !llvm::is_contained(options.cpus, level.name)))
      continue;
    FailureOr<std::vector<char>> object = compileHost(module, level, timing.nest(hostSection(level)));
    if (failed(object))
      return diagnostics.error("cannot generate code for " + std::string(level.name));
    code.emplace_back(hostSection(level), std::move(*object));
  }
  ModuleInfo info = describe(contents, *lowered);
  if (CudaTargets targets{isTarget(options, DeviceKind::Cuda), isTarget(options, DeviceKind::Sim), options.cudaArchs};
      targets.cuda || targets.sim) {
    FailureOr<CudaSections> cuda = compileCudaSections(module, targets, timing);
    if (failed(cuda))
      return diagnostics.error("cannot generate code for GPUs");
    std::move(cuda->sections.begin(), cuda->sections.end(), std::back_inserter(code));
    info.kernels = std::move(cuda->kernels);
  }
  std::vector<ModuleWriter::Payload> sections;
  for (const auto &[name, bytes] : code)
    sections.push_back({name, bytes});
  if (!contents.tokenizer.empty())
    sections.push_back({std::string(kTokenizerSection), {contents.tokenizer.data(), contents.tokenizer.size()}});

  TimingScope writing = timing.nest("write");
  if (Status status = ModuleWriter::write(options.output, std::move(info), sections, lowered->weights); !status)
    return inFile(options.output, status.error());
  std::error_code ignored;
  WrittenBytes written{static_cast<int64_t>(std::filesystem::file_size(options.output, ignored))};
  for (const auto &weights : lowered->weights)
    written.weights += weights.size();
  return written;
}

namespace {

/// Streams to an AtomicFile and remembers the first error.
class AtomicStream : public llvm::raw_ostream {
public:
  explicit AtomicStream(AtomicFile &file) : file(file) {}
  ~AtomicStream() override { flush(); }
  Status status;

private:
  void write_impl(const char *data, size_t size) override {
    if (status)
      status = file.write(std::string_view(data, size));
  }
  uint64_t current_pos() const override { return file.position(); }

  AtomicFile &file;
};

} // namespace

Status qopt::writeIr(ModuleOp module, const std::string &path) {
  auto failure = [&](const Error &error) { return inFile(path, error); };
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return failure(file.error());
  {
    AtomicStream stream(*file);
    if (StringRef(path).ends_with(".mlirbc"))
      (void)writeBytecodeToFile(module, stream);
    else
      module.print(stream, OpPrintingFlags().enableDebugInfo(false));
    stream.flush();
    if (!stream.status)
      return failure(stream.status.error());
  }
  if (Status status = file->commit(); !status)
    return failure(status.error());
  return {};
}
