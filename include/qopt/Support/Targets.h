//===- Targets.h - Host levels, devices, GPU architectures, sections ------===//
//
// The names of everything that code is made for and runs on, once for the command
// lines, the code generators, the modules and the runtime.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_TARGETS_H
#define QOPT_SUPPORT_TARGETS_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

//===----------------------------------------------------------------------===//
// Levels of host code
//===----------------------------------------------------------------------===//

/// A level of x86-64 that host code is made for.
struct HostLevel {
  std::string_view name;     ///< as in clang's -march
  std::string_view features; ///< what LLVM is given beside the name
  bool hasVnni512;           ///< products of bytes in 512-bit vectors

  bool operator==(const HostLevel &other) const { return name == other.name; }
};

/// AVX2, FMA and F16C.
inline constexpr HostLevel kHostV3 = {"x86-64-v3", "", /*hasVnni512=*/false};
/// AVX-512 F/BW/CD/DQ/VL and, beyond clang's level of that name, VNNI. LLVM leaves out
/// 512-bit vectors by default for the sake of the oldest machines that have them.
inline constexpr HostLevel kHostV4 = {"x86-64-v4", "+avx512vnni,-prefer-256-bit", /*hasVnni512=*/true};

/// All levels; what runs on one runs on the later ones too.
inline constexpr HostLevel kHostLevels[] = {kHostV3, kHostV4};

/// The level of that name; null when there is none.
const HostLevel *findHostLevel(std::string_view name);
/// The names of kHostLevels, as the choices of an option.
std::vector<std::string> hostLevelNames();

//===----------------------------------------------------------------------===//
// Architectures of GPUs
//===----------------------------------------------------------------------===//

/// A GPU architecture: sm_90a is {90, 'a'}.
struct GpuArch {
  int64_t number = 0; ///< ten times the major compute capability plus the minor one
  char suffix = 0;    ///< 'a': this GPU only; 'f': its family; 0: it and all later ones

  std::string name() const;
  bool operator==(const GpuArch &) const = default;
};

/// What kernels are compiled for unless something else is asked: they run on this GPU
/// and on every later one.
inline constexpr std::string_view kBaselineArch = "sm_80";
/// Has wgmma and the tensor memory accelerator.
inline constexpr std::string_view kHopperArch = "sm_90a";

/// QrtApi::capability where the kernels of kBaselineArch, or those of kHopperArch, are loaded.
inline constexpr int64_t kBaselineCapability = 80, kHopperCapability = 90;

/// The architecture that is called so; nothing for other text.
std::optional<GpuArch> parseGpuArch(std::string_view name);

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

/// Kinds of devices: what --target compiles for and where a module runs.
enum class DeviceKind {
  Cpu,
  Cuda,
  Sim, ///< the simulator of a GPU
};

/// "cpu", "cuda" or "sim".
std::string_view deviceKindName(DeviceKind kind);
std::optional<DeviceKind> deviceKindByName(std::string_view name);

/// A device to run on.
struct DeviceName {
  DeviceKind kind = DeviceKind::Cpu;
  int index = 0;    ///< of a CUDA device
  std::string arch; ///< that the simulator models: kHopperArch, or empty for what all GPUs have
};

/// Highest number of a CUDA device.
inline constexpr int64_t kMaxDeviceIndex = 1023;

/// The device that is called so: "cpu", "cuda" (which is "cuda:0"), "cuda:N", "sim" or
/// "sim:sm_90a"; nothing for other text.
std::optional<DeviceName> parseDevice(std::string_view name);
/// The names that parseDevice() knows, for messages; `conjunction` is "and" or "or".
std::string deviceForms(std::string_view conjunction);

//===----------------------------------------------------------------------===//
// Sections of a module
//===----------------------------------------------------------------------===//

inline constexpr std::string_view kWeightsSection = "weights";
inline constexpr std::string_view kTokenizerSection = "tokenizer";
/// Host code that launches kernels.
inline constexpr std::string_view kCudaHostSection = "host:cuda";
/// Kernels for kBaselineArch as text.
inline constexpr std::string_view kPtxSection = "ptx";
/// Kernels for the simulator.
inline constexpr std::string_view kSimSection = "sim";

/// "host:x86-64-v3": host code that computes everything itself.
std::string hostSection(const HostLevel &level);
/// "ptx:sm_90a": kernels that only `arch` has, as text; "cubin:sm_90a": kernels assembled.
std::string ptxSection(std::string_view arch);
std::string cubinSection(std::string_view arch);
/// Whether a section holds kernels as text, for whatever architecture, or assembled.
bool isPtxSection(std::string_view section);
bool isCubinSection(std::string_view section);
/// What a section is for: "sm_90a" of "cubin:sm_90a", "cuda" of "host:cuda"; empty for "ptx".
std::string_view sectionTarget(std::string_view section);

} // namespace qopt

#endif // QOPT_SUPPORT_TARGETS_H
