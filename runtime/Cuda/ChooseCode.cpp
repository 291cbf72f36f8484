#include "ChooseCode.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <charconv>
#include <optional>

using namespace qrt::cuda;
using qopt::Error;

namespace {
struct Arch {
  Capability capability;
  char suffix = 0; // 'a': this GPU only; 'f': its family
};
} // namespace

/// "sm_90a", also where something follows it.
static std::optional<Arch> parseArch(std::string_view text) {
  if (!text.starts_with("sm_"))
    return std::nullopt;
  int number = 0;
  auto [end, error] = std::from_chars(text.data() + 3, text.data() + text.size(), number);
  if (error != std::errc() || number < 10)
    return std::nullopt;
  Arch arch{{number / 10, number % 10}};
  if (end != text.data() + text.size() && (*end == 'a' || *end == 'f'))
    arch.suffix = *end;
  return arch;
}

static bool suits(const Arch &arch, Capability device) {
  if (arch.suffix == 'a')
    return arch.capability == device;
  return arch.capability.major == device.major && arch.capability.minor <= device.minor;
}

/// The architecture that a PTX text is for.
static std::optional<Arch> targetOf(std::string_view ptx) {
  size_t at = ptx.find(".target");
  if (at == std::string_view::npos)
    return std::nullopt;
  at = ptx.find_first_not_of(" \t", at + 7);
  return at == std::string_view::npos ? std::nullopt : parseArch(ptx.substr(at));
}

bool qrt::cuda::cubinRunsOn(std::string_view name, Capability device) {
  std::optional<Arch> arch = parseArch(name);
  return arch && suits(*arch, device);
}

bool qrt::cuda::ptxRunsOn(std::string_view ptx, Capability device) {
  std::optional<Arch> arch = targetOf(ptx);
  if (!arch || arch->suffix)
    return arch && suits(*arch, device);
  return arch->capability.major < device.major ||
         (arch->capability.major == device.major && arch->capability.minor <= device.minor);
}

qopt::Result<std::vector<std::string>> qrt::cuda::chooseCode(const qopt::Module &module, Capability device,
                                                             const std::string &deviceName) {
  std::vector<std::pair<Arch, std::string>> cubins;
  std::string others;
  for (const qopt::Section &section : module.sections()) {
    if (!section.name.starts_with("cubin:"))
      continue;
    std::string name = section.name.substr(6);
    std::optional<Arch> arch = parseArch(name);
    if (arch && suits(*arch, device))
      cubins.emplace_back(*arch, section.name);
    else
      others += (others.empty() ? "" : ", ") + qopt::printable(name);
  }
  // The device's own before its family's; then what was made for a later one.
  std::sort(cubins.begin(), cubins.end(), [](const auto &a, const auto &b) {
    return std::pair(a.first.capability.minor, a.first.suffix) > std::pair(b.first.capability.minor, b.first.suffix);
  });
  std::vector<std::string> chosen;
  for (auto &[arch, name] : cubins)
    chosen.push_back(std::move(name));

  std::span<const char> ptx = module.section("ptx");
  std::string_view text(ptx.data(), ptx.size());
  if (ptxRunsOn(text, device))
    chosen.push_back("ptx");
  else if (std::optional<Arch> target = targetOf(text))
    others += (others.empty() ? "" : ", ") + target->capability.text() + (target->suffix ? "" : " and later");
  if (!chosen.empty())
    return chosen;
  return Error{"the module has code for " + (others.empty() ? "no GPU" : others) + ", but " + deviceName + " is " +
               device.text()};
}
