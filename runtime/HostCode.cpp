//===- HostCode.cpp - Shared objects loaded from memory -------------------===//
//
// The dynamic loader wants a file, so the bytes go to an anonymous file in memory
// (memfd_create) and are loaded through /proc/self/fd. The descriptor stays open
// as long as the code: the loader knows objects by name, and a second object that
// got the same number would be taken for the first.
//
//===----------------------------------------------------------------------===//
#include "Context.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Utf8.h"
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace qrt;
using qopt::Error;

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // Linux 6.3
#endif

namespace {
class LoadedCode final : public HostCode {
public:
  LoadedCode(int file) : file(file) {}
  LoadedCode(const LoadedCode &) = delete;
  ~LoadedCode() override {
    if (library)
      ::dlclose(library);
    ::close(file);
  }
  void *symbol(const std::string &name) const override { return ::dlsym(library, name.c_str()); }

  int file;
  void *library = nullptr;
};
} // namespace

/// The loader trusts what it loads; this catches what is not for this machine.
static Status checkElf(std::span<const char> elf) {
  Elf64_Ehdr header;
  if (elf.size() < sizeof header)
    return Error{"host code of " + std::to_string(elf.size()) + " bytes is not an ELF shared object"};
  std::memcpy(&header, elf.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_DYN)
    return Error{"host code is not a 64-bit little-endian ELF shared object"};
  if (header.e_machine != EM_X86_64)
    return Error{"host code is for ELF machine " + std::to_string(header.e_machine) + ", but this one is x86-64 (" +
                 std::to_string(EM_X86_64) + ")"};
  // The loader maps what the segments say, and a page that is not in the file ends the process.
  size_t bytesEach = sizeof(Elf64_Phdr), tableBytes = header.e_phnum * bytesEach;
  if (header.e_phentsize != bytesEach || header.e_phoff > elf.size() || tableBytes > elf.size() - header.e_phoff)
    return Error{"host code of " + std::to_string(elf.size()) + " bytes is cut: its segments are not in it"};
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, elf.data() + header.e_phoff + i * bytesEach, bytesEach);
    if (segment.p_offset > elf.size() || segment.p_filesz > elf.size() - segment.p_offset)
      return Error{"host code of " + std::to_string(elf.size()) + " bytes is cut: segment " + std::to_string(i) +
                   " ends after " + std::to_string(segment.p_offset + segment.p_filesz) + " bytes"};
  }
  return {};
}

Result<std::shared_ptr<const HostCode>> HostCode::load(std::span<const char> elf) {
  if (Status status = checkElf(elf); !status)
    return status.error();
  int file = ::memfd_create("qrt-host-code", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (file < 0 && errno == EINVAL) // before Linux 6.3
    file = ::memfd_create("qrt-host-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0)
    return Error{"cannot make an executable file in memory: " + std::string(std::strerror(errno))};
  auto code = std::make_shared<LoadedCode>(file);
  for (std::span<const char> rest = elf; !rest.empty();) {
    ssize_t count = ::write(file, rest.data(), rest.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return Error{"cannot write " + std::to_string(elf.size()) +
                   " bytes of host code to memory: " + std::strerror(errno)};
    rest = rest.subspan(static_cast<size_t>(count));
  }
  // From here on nobody can change it, not even this process.
  if (::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return Error{"cannot seal host code in memory: " + std::string(std::strerror(errno))};
  std::string path = "/proc/self/fd/" + std::to_string(file);
  code->library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!code->library) {
    const char *reason = ::dlerror();
    return Error{"cannot load host code: " + std::string(reason ? reason : "unknown reason")};
  }
  auto *version = static_cast<const int32_t *>(::dlsym(code->library, "qrt_abi_version"));
  if (!version)
    return Error{"host code has no symbol qrt_abi_version"};
  if (*version != QRT_ABI_VERSION)
    return Error{"host code was made for version " + std::to_string(*version) + " of the runtime's interface, but " +
                 "this is version " + std::to_string(QRT_ABI_VERSION)};
  return std::shared_ptr<const HostCode>(std::move(code));
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

Status EntryTable::load(const qopt::Module &module, std::string_view section) {
  Result<std::shared_ptr<const HostCode>> loaded = HostCode::load(module.section(section));
  if (!loaded)
    return loaded.error();
  code = std::move(*loaded);
  // Modules of older versions have none.
  if (auto *signature = static_cast<const char *>(code->symbol("qrt_signature")))
    if (Status status = qopt::checkSignature(module.info(), section, signature); !status)
      return status;
  for (const qopt::EntryPoint &entry : module.info().entryPoints) {
    QrtEntry function = code->entry(entry.name);
    if (!function)
      return Error{"the code for " + std::string(qopt::sectionTarget(section)) + " lacks the entry point '" +
                   qopt::printable(entry.name) + "'"};
    entries[entry.name] = function;
  }
  return {};
}
