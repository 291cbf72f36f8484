//===- Ptxas.cpp - PTX to machine code, where a CUDA toolkit is ------------===//
//
// ptxas is an optional tool of whoever compiles: without it a module has PTX, which drivers
// assemble. What it says of registers and spilled bytes is read from its text.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/Diagnostics.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Support/TemporaryDirectory.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace mlir;
using namespace qopt;

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

/// All of a file; empty where there is none.
static std::string readFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : "";
}

FailureOr<qopt::Cubin> qopt::compileCubin(Location loc, StringRef ptx, StringRef chip) {
  std::string ptxas = findPtxas();
  if (ptxas.empty())
    return emitError(loc, "cannot find ptxas in PATH, CUDA_HOME or /usr/local/cuda");
  Result<TemporaryDirectory> directory = TemporaryDirectory::create("qopt");
  if (!directory)
    return emitError(loc) << directory.error().message;
  Result<std::string> source = directory->write("kernels.ptx", {ptx.data(), ptx.size()});
  if (!source)
    return emitError(loc) << source.error().message;
  std::string arch = "-arch=" + chip.str(), object = directory->file("cubin"), messages = directory->file("messages");
  std::string failure;
  int status = llvm::sys::ExecuteAndWait(ptxas, {ptxas, "-v", arch, *source, "-o", object}, std::nullopt,
                                         {StringRef(""), StringRef(messages), StringRef(messages)},
                                         /*SecondsToWait=*/600, 0, &failure);
  if (status != 0)
    return emitError(loc, "ptxas failed for ")
           << chip << ": " << StringRef(status < 0 ? failure : readFile(messages)).trim();
  std::string bytes = readFile(object);
  return Cubin{std::vector<char>(bytes.begin(), bytes.end()), parseResources(readFile(messages))};
}
