//===- Ptxas.cpp - PTX to machine code, where a CUDA toolkit is ------------===//
//
// ptxas is an optional tool of whoever compiles: without it a module has PTX, which drivers
// assemble. What it says of registers and spilled bytes is read from its text.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/Diagnostics.h"
#include "qopt/Codegen/Cuda.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

std::string qopt::findPtxas() {
  if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName("ptxas"))
    return *path;
  SmallVector<std::string> toolkits;
  if (std::optional<std::string> home = llvm::sys::Process::GetEnv("CUDA_HOME"))
    toolkits.push_back(*home);
  toolkits.push_back("/usr/local/cuda");
  for (const std::string &toolkit : toolkits)
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName("ptxas", {toolkit + "/bin"}))
      return *path;
  return "";
}

//===----------------------------------------------------------------------===//
// What ptxas says
//===----------------------------------------------------------------------===//

/// The number before `unit` in a line such as "0 bytes stack frame, 8 bytes spill
/// stores"; 0 if there is none.
static int64_t numberBefore(StringRef line, StringRef unit) {
  size_t end = line.find(unit);
  if (end == StringRef::npos)
    return 0;
  StringRef before = line.take_front(end).rtrim();
  int64_t value = 0;
  if (before.take_back(before.size() - (before.find_last_of(" ,:") + 1)).getAsInteger(10, value))
    return 0;
  return value;
}

// ptxas info    : (C7513) Potential Performance Loss: wgmma.mma_async instructions are serialized due to ... in the
// function 'NAME' ptxas info    : Compiling entry function 'NAME' for 'sm_80' ptxas info    : Function properties for
// NAME
//     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
// ptxas info    : Used 18 registers, used 1 barriers, 944 bytes smem, 384 bytes cmem[0]
llvm::StringMap<qopt::KernelResources> qopt::parseResources(StringRef output) {
  llvm::StringMap<KernelResources> kernels;
  KernelResources *current = nullptr;
  SmallVector<StringRef> lines;
  output.split(lines, '\n');
  for (StringRef line : lines) {
    size_t name = line.find("entry function '");
    if (name != StringRef::npos)
      current = &kernels[line.drop_front(name).split('\'').second.split('\'').first];
    if (line.contains("wgmma.mma_async instructions are serialized"))
      kernels[line.split("in the function '").second.split('\'').first].serializesProducts = true;
    if (!current)
      continue;
    if (line.contains("bytes stack frame")) {
      current->stackBytes = numberBefore(line, "bytes stack frame");
      current->spilledBytes = numberBefore(line, "bytes spill stores") + numberBefore(line, "bytes spill loads");
    }
    if (line.contains("registers")) {
      current->registers = numberBefore(line, "registers");
      current->sharedBytes = numberBefore(line, "bytes smem");
    }
  }
  return kernels;
}

//===----------------------------------------------------------------------===//
// Running it
//===----------------------------------------------------------------------===//

namespace {

/// A file that is gone when this is.
struct TemporaryFile {
  SmallString<64> path;
  ~TemporaryFile() {
    if (!path.empty())
      llvm::sys::fs::remove(path);
  }
  std::error_code create(StringRef suffix) { return llvm::sys::fs::createTemporaryFile("qopt", suffix, path); }
  std::string read() const {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : "";
  }
};

} // namespace

FailureOr<qopt::Cubin> qopt::compileCubin(Location loc, StringRef ptx, StringRef chip) {
  std::string ptxas = findPtxas();
  if (ptxas.empty())
    return emitError(loc, "cannot find ptxas in PATH, CUDA_HOME or /usr/local/cuda");
  TemporaryFile source, object, messages;
  for (auto [file, suffix] : {std::pair(&source, "ptx"), {&object, "cubin"}, {&messages, "txt"}})
    if (std::error_code error = file->create(suffix))
      return emitError(loc, "cannot make a temporary file: ") << error.message();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(source.path, error);
    stream << ptx;
    stream.close();
    if (error || stream.has_error())
      return emitError(loc, "cannot write ") << source.path.str() << ": " << stream.error().message();
  }
  std::string arch = "-arch=" + chip.str();
  StringRef output = messages.path;
  std::string failure;
  int status = llvm::sys::ExecuteAndWait(ptxas, {ptxas, "-v", arch, source.path, "-o", object.path}, std::nullopt,
                                         {StringRef(""), output, output}, /*SecondsToWait=*/600, 0, &failure);
  if (status != 0)
    return emitError(loc, "ptxas failed for ")
           << chip << ": " << StringRef(status < 0 ? failure : messages.read()).trim();
  std::string bytes = object.read();
  return Cubin{std::vector<char>(bytes.begin(), bytes.end()), parseResources(messages.read())};
}
