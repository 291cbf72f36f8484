//===- ChooseCode.cpp - Which code of a module suits a GPU ----------------===//
//
// A cubin made for the very device is better than one of its family, and that is better
// than PTX, which the driver still has to compile.
//
//===----------------------------------------------------------------------===//
#include "ChooseCode.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <optional>

using namespace qrt::cuda;
using qopt::Error;
using qopt::GpuArch;

/// Whether code for `arch` runs on `device`; `arch` was parsed.
static bool suits(const GpuArch &arch, Capability device) {
  Capability least = Capability::of(arch);
  if (arch.suffix == 'a')
    return least == device;
  return least.major == device.major && least.minor <= device.minor;
}

/// The architecture that a PTX text is for.
static std::optional<GpuArch> targetOf(std::string_view ptx) {
  size_t at = ptx.find(".target");
  if (at == std::string_view::npos)
    return std::nullopt;
  at = ptx.find_first_not_of(" \t", at + 7);
  if (at == std::string_view::npos)
    return std::nullopt;
  std::string_view name = ptx.substr(at);
  return qopt::parseGpuArch(name.substr(0, name.find_first_of(", \t\r\n")));
}

bool qrt::cuda::cubinRunsOn(std::string_view name, Capability device) {
  std::optional<GpuArch> arch = qopt::parseGpuArch(name);
  return arch && suits(*arch, device);
}

bool qrt::cuda::ptxRunsOn(std::string_view ptx, Capability device) {
  std::optional<GpuArch> arch = targetOf(ptx);
  if (!arch || arch->suffix)
    return arch && suits(*arch, device);
  Capability least = Capability::of(*arch);
  return least.major < device.major || (least.major == device.major && least.minor <= device.minor);
}

/// What a section of PTX is for, in words; empty where it is no PTX.
static std::string describePtx(std::string_view text) {
  std::optional<GpuArch> target = targetOf(text);
  if (!target)
    return {};
  return target->suffix ? target->name() : target->name() + " and later";
}

qopt::Result<std::vector<std::string>> qrt::cuda::chooseCode(const qopt::Module &module, Capability device,
                                                             const std::string &deviceName) {
  std::vector<std::pair<GpuArch, std::string>> cubins;
  std::vector<std::string> texts, others;
  auto addOther = [&](const std::string &name) {
    if (!name.empty() && std::find(others.begin(), others.end(), name) == others.end())
      others.push_back(name);
  };
  for (const qopt::Section &section : module.sections()) {
    if (qopt::isPtxSection(section.name)) {
      std::span<const char> ptx = module.section(section.name);
      std::string_view text(ptx.data(), ptx.size());
      if (ptxRunsOn(text, device))
        texts.push_back(section.name);
      else
        addOther(describePtx(text));
    }
    if (!qopt::isCubinSection(section.name))
      continue;
    std::string name(qopt::sectionTarget(section.name));
    std::optional<GpuArch> arch = qopt::parseGpuArch(name);
    if (arch && suits(*arch, device))
      cubins.emplace_back(*arch, section.name);
    else
      addOther(qopt::printable(name));
  }
  // The device's own before its family's; then what was made for a later one.
  std::sort(cubins.begin(), cubins.end(), [](const auto &a, const auto &b) {
    return std::pair(a.first.number, a.first.suffix) > std::pair(b.first.number, b.first.suffix);
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
