//===- Targets.cpp - Host levels, devices, GPU architectures, sections ----===//
//
// Reads and writes the names of Targets.h.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Targets.h"
#include "qopt/Support/Options.h"
#include <algorithm>
#include <utility>

using namespace qopt;

//===----------------------------------------------------------------------===//
// Levels and architectures
//===----------------------------------------------------------------------===//

const HostLevel *qopt::findHostLevel(std::string_view name) {
  for (const HostLevel &level : kHostLevels)
    if (level.name == name)
      return &level;
  return nullptr;
}

std::vector<std::string> qopt::hostLevelNames() {
  std::vector<std::string> names;
  for (const HostLevel &level : kHostLevels)
    names.emplace_back(level.name);
  return names;
}

static constexpr std::string_view archPrefix = "sm_";

std::string GpuArch::name() const {
  std::string text = std::string(archPrefix) + std::to_string(number);
  return suffix ? text + suffix : text;
}

std::optional<GpuArch> qopt::parseGpuArch(std::string_view name) {
  if (!name.starts_with(archPrefix))
    return std::nullopt;
  name.remove_prefix(archPrefix.size());
  GpuArch arch;
  if (name.ends_with('a') || name.ends_with('f')) {
    arch.suffix = name.back();
    name.remove_suffix(1);
  }
  // Digits only: parseInteger() would take a sign.
  bool isNumber = std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!isNumber || !parseInteger(name, arch.number) || arch.number < 10 || arch.number > 999)
    return std::nullopt;
  return arch;
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

static constexpr std::pair<DeviceKind, std::string_view> kinds[] = {
    {DeviceKind::Cpu, "cpu"}, {DeviceKind::Cuda, "cuda"}, {DeviceKind::Sim, "sim"}};

std::string_view qopt::deviceKindName(DeviceKind kind) {
  for (auto [known, name] : kinds)
    if (known == kind)
      return name;
  return "?";
}

std::optional<DeviceKind> qopt::deviceKindByName(std::string_view name) {
  for (auto [kind, known] : kinds)
    if (known == name)
      return kind;
  return std::nullopt;
}

std::optional<DeviceName> qopt::parseDevice(std::string_view name) {
  size_t colon = name.find(':');
  std::optional<DeviceKind> kind = deviceKindByName(name.substr(0, colon));
  if (!kind)
    return std::nullopt;
  DeviceName device{*kind, 0, {}};
  if (colon == std::string_view::npos)
    return device;
  std::string_view rest = name.substr(colon + 1);
  if (*kind == DeviceKind::Sim && rest == kHopperArch) {
    device.arch = rest;
    return device;
  }
  int64_t index = 0;
  if (*kind != DeviceKind::Cuda || !parseInteger(rest, index) || index < 0 || index > kMaxDeviceIndex)
    return std::nullopt;
  device.index = static_cast<int>(index);
  return device;
}

std::string qopt::deviceForms(std::string_view conjunction) {
  return "cpu, cuda, cuda:N, sim " + std::string(conjunction) + " sim:" + std::string(kHopperArch);
}

//===----------------------------------------------------------------------===//
// Sections
//===----------------------------------------------------------------------===//

static constexpr std::string_view hostPrefix = "host:", ptxPrefix = "ptx:", cubinPrefix = "cubin:";

static std::string join(std::string_view prefix, std::string_view rest) {
  return std::string(prefix) + std::string(rest);
}

std::string qopt::hostSection(const HostLevel &level) { return join(hostPrefix, level.name); }

std::string qopt::ptxSection(std::string_view arch) { return join(ptxPrefix, arch); }

std::string qopt::cubinSection(std::string_view arch) { return join(cubinPrefix, arch); }

bool qopt::isPtxSection(std::string_view section) { return section == kPtxSection || section.starts_with(ptxPrefix); }

bool qopt::isCubinSection(std::string_view section) { return section.starts_with(cubinPrefix); }

std::string_view qopt::sectionTarget(std::string_view section) {
  size_t colon = section.find(':');
  return colon == std::string_view::npos ? std::string_view() : section.substr(colon + 1);
}
