//===- Module.h - The .qmod file ------------------------------------------===//
//
// One file holds a compiled model. All integers are little-endian.
//
//   offset 0   magic "QMOD\r\n\x1a\n" (8 bytes: survives no text-mode transfer)
//          8   u32 version major, u32 version minor (reader: major equal, minor <= its own)
//         16   u64 bytes of the JSON header, u64 bytes of the file
//         32   SHA-256 of all up to the first section, with these 32 bytes taken as zero
//         64   JSON header, zero-padded to 64
//         ..   sections, each at a multiple of 64 (weights: 4096), zero-padded
//
// The header names every section with offset and size, the entry points with
// their inputs and outputs, the parameters with their place in the section
// "weights", the kernels that the code of a GPU launches by number, and a hash for each
// chunk of the sections. Nothing in a file is used before every offset has been checked
// and it is what was hashed; weights that are only numbers may be used before, but
// nothing that was computed with them is shown. The same content gives the same bytes.
//
// Sections:
//   host:x86-64-v3, host:x86-64-v4   code for a CPU (ELF; Runtime/Abi.h)
//   host:cuda                        code that launches the kernels (the same)
//   ptx, ptx:sm_90a                  the kernels for GPUs, as text: of the baseline, and
//                                    those for one architecture too
//   cubin:sm_90a, ...                the same assembled
//   sim                              the kernels for the simulator (Runtime/SimAbi.h)
//   tokenizer                        tokenizer.json
//   weights                          the parameters, last
//
// Version 1.1 added the kernels, 1.2 their architecture; older files have none. Version
// 1.3 added the roles of inputs and outputs; in older files names and types tell them.
// Version 1.4 added the hashes of chunks; in older files the one hash is that of all.
// Version 1.5 added what activations of layers are; older files do not say it.
// Version 1.6 added what the files beside the model say of texts; older files do not.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_MODULE_MODULE_H
#define QOPT_MODULE_MODULE_H

#include "qopt/Support/ElementType.h"
#include "qopt/Support/Result.h"
#include "qopt/Support/Roles.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qopt {

/// One dimension of an input or output: a constant, or a symbol that stands for
/// the same number wherever its name occurs in the entry point.
struct Dimension {
  int64_t size = -1;  ///< -1: symbolic
  std::string symbol; ///< empty when constant

  Dimension() = default;
  Dimension(int64_t size, std::string symbol = {}) : size(size), symbol(std::move(symbol)) {}
};

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::None;
  std::vector<Dimension> dims;
  Role role = Role::Other;
};

/// Beside "forward" there may be "prefill" and "decode", which keep the keys and values
/// of attention. Their inputs are the token ids, [batch, sequence] or [batch, 1]; the past
/// length; then caches, f32 [batch, heads, capacity, head size], the same for both. They
/// append to the caches and return the last logits, [batch, 1, vocabulary].
struct EntryPoint {
  std::string name; ///< "forward"; also the symbol in the host code
  std::vector<TensorInfo> inputs, outputs;
};

/// A constant array that the code reads: weights, codes, scales.
struct Parameter {
  std::string name;
  ElementType type = ElementType::None;
  std::vector<int64_t> dims;
  int64_t offset = 0; ///< bytes from the start of section "weights", multiple of 64
  int64_t bytes = 0;  ///< product of `dims` times the bytes of an element
};

/// What was decided for one linear layer; shown by `qrun --info`.
struct LayerInfo {
  std::string name;
  std::string scheme; ///< its name
  int64_t outFeatures = 0, inFeatures = 0;
  double bitsPerWeight = 0;        ///< codes, scales and zero points
  std::string activations = {};    ///< "int8" or "float"; empty: not said
  int64_t activationGroupSize = 0; ///< inputs that share a scale of them; 0: those of a token, or all
};

/// What a kernel uses on one GPU architecture.
struct KernelUse {
  std::string arch;       ///< "sm_90a"
  int64_t registers = 0;  ///< of a thread, 1 to 255
  int64_t spillBytes = 0; ///< of a thread
};

/// A kernel of the sections "ptx", "cubin:..." and "sim", where its name is the
/// symbol. Launches name it by its place in the list.
struct KernelInfo {
  std::string name;
  int64_t sharedBytes = 0;          ///< dynamic shared memory of a block, at most
  std::vector<KernelUse> resources; ///< one for each cubin that has it
  std::string arch = {};            ///< "sm_90a": only in "sim" and sections for this one; empty: in all
};

struct Section {
  std::string name;
  int64_t offset = 0, bytes = 0;
};

/// What the files beside the model say of its texts, each with the file that says it, as
/// "config.json" or "../config.json" from the model's folder.
struct TextFacts {
  std::string contextOrigin;          ///< of ModuleInfo::contextLength
  std::optional<int32_t> beginOfText; ///< the token that texts begin with
  std::string beginOrigin;
  std::vector<int32_t> endOfText; ///< the tokens that end a text, any of them; empty: not said
  std::string endOrigin;
  std::string rope, ropeOrigin; ///< parameters of the rotary embedding, a JSON object
};

/// Everything of the header but the sections.
struct ModuleInfo {
  std::string producer;      ///< "qopt 0.1.0"
  std::string model;         ///< file name of the ONNX model, without directory
  std::string pipeline;      ///< as given to qopt; empty for the float model
  int64_t contextLength = 0; ///< 0: unknown
  int64_t vocabularySize = 0;
  TextFacts text;
  std::vector<EntryPoint> entryPoints;
  std::vector<Parameter> parameters;
  std::vector<LayerInfo> layers;
  std::vector<KernelInfo> kernels;
};

/// What the host code in `section` relies on, a line for each: types and dimensions of the
/// parameters, of inputs and outputs with their roles, and the kernels that it launches. The
/// code exports this text, NUL-terminated, as `qrt_signature`, and the runtime compares it with
/// the header before the first call.
std::string signatureOf(const ModuleInfo &info, std::string_view section);

/// Whether code with this `signature` was compiled for `info`; an error names the first
/// difference.
Status checkSignature(const ModuleInfo &info, std::string_view section, std::string_view signature);

/// Parameters that are made while they are written, together and in parts, so that they
/// are never in memory as a whole.
class ParameterSource {
public:
  virtual ~ParameterSource() = default;
  /// `offset`: from the start of the parameter with this index in `info.parameters`.
  using Put = std::function<Status(size_t parameter, int64_t offset, std::span<const char> bytes)>;

  /// Which parameters; each must be made completely, every byte once.
  virtual std::vector<size_t> parameters() const = 0;
  virtual int64_t numParts() const = 0;
  /// Makes one part. Several threads make parts at once, in any order.
  virtual Status make(int64_t part, const Put &put) = 0;
  /// Called when all parts were made; one call at a time, in the order of the sources.
  virtual void finish() {}
};

/// Writes a .qmod. Parameter offsets are assigned here, in the order of
/// `info.parameters`; then every part is written where it belongs.
class ModuleWriter {
public:
  struct Payload {
    std::string name;
    std::span<const char> bytes;
  };
  /// `weights[i]` is the data of `info.parameters[i]` and must have its `bytes`, or is empty
  /// where one of `sources` makes it. `sections` are written in the order given, before the
  /// weights. Written to a temporary file in the same directory, synced and renamed; on
  /// error `path` is untouched. The bytes do not depend on the number of threads.
  static Status write(const std::string &path, ModuleInfo info, std::span<const Payload> sections,
                      std::span<const std::span<const char>> weights, std::span<ParameterSource *const> sources = {},
                      int threads = 1);
};

/// A mapped .qmod. Thread-safe after opening.
class Module {
public:
  /// Maps `path` read-only and checks magic, version, header, all offsets, and the hashes
  /// of everything but weights that are only numbers: see verify(). `path` may be any
  /// regular file; never executed by name.
  static Result<std::shared_ptr<const Module>> open(const std::string &path);
  virtual ~Module() = default;

  virtual const ModuleInfo &info() const = 0;
  virtual const std::vector<Section> &sections() const = 0;
  virtual int64_t fileBytes() const = 0;
  /// The bytes of section `name`; empty when there is none.
  virtual std::span<const char> section(std::string_view name) const = 0;
  virtual std::span<const char> parameter(size_t index) const = 0;

  /// Begins to compare the weights with their hashes, in a thread beside the caller's work.
  virtual void startVerifying() const = 0;
  /// Returns when all of the file has been compared with its hashes; the caller's thread
  /// helps. To be called before anything is shown that was computed with the weights;
  /// after the first call it costs nothing. Error: the file is damaged.
  virtual Status verify() const = 0;
};

} // namespace qopt

#endif // QOPT_MODULE_MODULE_H
