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

std::string qrt::cuda::archOf(const std::string &section) {
  size_t colon = section.find(':');
  return colon == std::string::npos ? "" : section.substr(colon + 1);
}

/// What a section of PTX is for, in words; empty where it is no PTX.
static std::string describePtx(std::string_view text) {
  std::optional<Arch> target = targetOf(text);
  if (!target)
    return {};
  std::string number = target->capability.text();
  return target->suffix ? number + target->suffix : number + " and later";
}

qopt::Result<std::vector<std::string>> qrt::cuda::chooseCode(const qopt::Module &module, Capability device,
                                                             const std::string &deviceName) {
  std::vector<std::pair<Arch, std::string>> cubins;
  std::vector<std::string> texts, others;
  auto addOther = [&](const std::string &name) {
    if (!name.empty() && std::find(others.begin(), others.end(), name) == others.end())
      others.push_back(name);
  };
  for (const qopt::Section &section : module.sections()) {
    if (section.name == "ptx" || section.name.starts_with("ptx:")) {
      std::span<const char> ptx = module.section(section.name);
      std::string_view text(ptx.data(), ptx.size());
      if (ptxRunsOn(text, device))
        texts.push_back(section.name);
      else
        addOther(describePtx(text));
    }
    if (!section.name.starts_with("cubin:"))
      continue;
    std::string name = archOf(section.name);
    std::optional<Arch> arch = parseArch(name);
    if (arch && suits(*arch, device))
      cubins.emplace_back(*arch, section.name);
    else
      addOther(qopt::printable(name));
  }
  // The device's own before its family's; then what was made for a later one.
  std::sort(cubins.begin(), cubins.end(), [](const auto &a, const auto &b) {
    return std::pair(a.first.capability.minor, a.first.suffix) > std::pair(b.first.capability.minor, b.first.suffix);
  });
  std::vector<std::string> chosen;
  for (auto &[arch, name] : cubins)
    chosen.push_back(std::move(name));
  // "ptx" is shorter than what is for one architecture only.
  std::sort(texts.begin(), texts.end(), [](const std::string &a, const std::string &b) { return a.size() > b.size(); });
  chosen.insert(chosen.end(), texts.begin(), texts.end());
  if (!chosen.empty())
    return chosen;
  std::string list;
  for (const std::string &other : others)
    list += (list.empty() ? "" : ", ") + other;
  return Error{"the module has code for " + (list.empty() ? "no GPU" : list) + ", but " + deviceName + " is " +
               device.text()};
}
