//===- Driver.cpp - The CUDA driver, opened when it is asked for ----------===//
//
// No library of CUDA is linked, so the same program runs where there is none.
//
//===----------------------------------------------------------------------===//
#include "Driver.h"
#include "../Device.h"
#include "qopt/Support/Utf8.h"
#include <cstdlib>
#include <dlfcn.h>
#include <optional>

using namespace qrt;
using namespace qrt::cuda;
using qopt::Error;

/// What CUDA_VISIBLE_DEVICES does to the devices that the driver shows.
static std::string visibilityHint() {
  const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible ? "; CUDA_VISIBLE_DEVICES is '" + qopt::printable(visible) + "'" : "";
}

static Result<Driver> openDriver() {
  void *library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = ::dlerror();
    std::string text = reason ? qopt::printable(reason) : "unknown reason";
    if (text.find("libcuda.so.1: cannot open shared object file: No such file") != std::string::npos)
      return Error{"no CUDA driver (libcuda.so.1) on this machine; run with --device=cpu"};
    return Error{"cannot load the CUDA driver: " + text + "; run with --device=cpu"};
  }
  Driver driver;
  const char *missing = nullptr;
#define QRT_CUDA_LOOKUP(symbol, member, parameters)                                                                    \
  if (!(driver.member = reinterpret_cast<decltype(driver.member)>(::dlsym(library, #symbol))) && !missing)             \
    missing = #symbol;
  QRT_CUDA_FUNCTIONS(QRT_CUDA_LOOKUP)
#undef QRT_CUDA_LOOKUP
#define QRT_CUDA_LOOKUP(symbol, member, parameters)                                                                    \
  driver.member = reinterpret_cast<decltype(driver.member)>(::dlsym(library, #symbol));
  QRT_CUDA_LATER_FUNCTIONS(QRT_CUDA_LOOKUP)
#undef QRT_CUDA_LOOKUP
  if (driver.driverGetVersion && driver.driverGetVersion(&driver.version) != 0)
    driver.version = 0;
  if (missing)
    return Error{"the CUDA driver (libcuda.so.1, CUDA " + versionText(driver.version) + ") lacks " + missing +
                 "; install driver 450.80 (CUDA 11.0) or later"};
  if (CUresult code = driver.init(0); code != 0)
    return driver.explain(code, "start the CUDA driver");
  if (CUresult code = driver.deviceGetCount(&driver.numDevices); code != 0)
    return driver.explain(code, "count the CUDA devices");
  if (driver.numDevices == 0)
    return driver.explain(/*CUDA_ERROR_NO_DEVICE=*/100, "count the CUDA devices");
  return driver;
}

Result<const Driver *> Driver::open() {
  static const Result<Driver> driver = openDriver();
  if (!driver)
    return driver.error();
  return &*driver;
}

bool qrt::hasCudaDevice() { return static_cast<bool>(Driver::open()); }

std::string cuda::versionText(int version) {
  return version > 0 ? std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10) : "unknown";
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

namespace {
struct KnownError {
  CUresult code;
  const char *name, *text;
};
} // namespace

/// Whatever a user can do something about, or has to know.
static constexpr KnownError knownErrors[] = {
    {1, "INVALID_VALUE", "the driver was given a wrong value"},
    {2, "OUT_OF_MEMORY", "the device has not enough free memory"},
    {3, "NOT_INITIALIZED", "the driver is not started"},
    {4, "DEINITIALIZED", "the driver is shutting down"},
    {34, "STUB_LIBRARY",
     "the libcuda.so.1 that was found is the stub of a CUDA toolkit, not a driver; take its folder out of "
     "LD_LIBRARY_PATH"},
    {35, "INSUFFICIENT_DRIVER", "the CUDA driver is too old; install a newer one"},
    {36, "CALL_REQUIRES_NEWER_DRIVER", "the CUDA driver is too old; install a newer one"},
    {46, "DEVICE_UNAVAILABLE",
     "the device is in use by another process (exclusive mode) or was lost; nvidia-smi shows its state"},
    {100, "NO_DEVICE", "the CUDA driver finds no device"},
    {101, "INVALID_DEVICE", "there is no such device"},
    {102, "DEVICE_NOT_LICENSED", "the virtual GPU has no licence"},
    {200, "INVALID_IMAGE", "the driver does not know this kind of code"},
    {201, "INVALID_CONTEXT", "the context of the device is gone"},
    {205, "MAP_FAILED", "memory could not be mapped"},
    {209, "NO_BINARY_FOR_GPU", "the code is not for this kind of device"},
    {214, "ECC_UNCORRECTABLE", "the memory of the device has an uncorrectable fault (ECC); the device needs a reset"},
    {218, "INVALID_PTX", "the driver's compiler refuses the PTX"},
    {220, "NVLINK_UNCORRECTABLE", "an NVLink has an uncorrectable fault; the device needs a reset"},
    {221, "JIT_COMPILER_NOT_FOUND",
     "the driver's compiler (libnvidia-ptxjitcompiler.so.1) is missing; install it, or compile with --cuda-arch"},
    {222, "UNSUPPORTED_PTX_VERSION", "the CUDA driver is too old for the PTX; install a newer one"},
    {223, "JIT_COMPILATION_DISABLED",
     "the environment (CUDA_DISABLE_PTX_JIT) forbids to compile PTX; compile with --cuda-arch"},
    {226, "CONTAINED", "the memory of the device has a fault that was contained; start the program again"},
    {304, "OPERATING_SYSTEM", "the operating system refused something that the driver asked for"},
    {500, "NOT_FOUND", "there is no such symbol in the code"},
    {700, "ILLEGAL_ADDRESS", "illegal memory access"},
    {701, "LAUNCH_OUT_OF_RESOURCES", "too many threads, registers or too much shared memory for the device"},
    {702, "LAUNCH_TIMEOUT", "it ran longer than the device allows (a display is attached)"},
    {709, "CONTEXT_IS_DESTROYED", "the context of the device is gone"},
    {710, "ASSERT", "an assertion of the kernel failed"},
    {714, "HARDWARE_STACK_ERROR", "the stack of the kernel is damaged or too small"},
    {715, "ILLEGAL_INSTRUCTION", "illegal instruction"},
    {716, "MISALIGNED_ADDRESS", "misaligned memory access"},
    {717, "INVALID_ADDRESS_SPACE", "memory access in the wrong address space"},
    {718, "INVALID_PC", "jump to an address that is no code"},
    {719, "LAUNCH_FAILED", "the kernel failed for an unknown reason"},
    {720, "COOPERATIVE_LAUNCH_TOO_LARGE", "too many blocks for a cooperative launch"},
    {800, "NOT_PERMITTED", "the operation is not permitted"},
    {801, "NOT_SUPPORTED", "the device or the driver cannot do this"},
    {802, "SYSTEM_NOT_READY", "the system is not ready; is the fabric manager (nvidia-fabricmanager) running?"},
    {803, "SYSTEM_DRIVER_MISMATCH",
     "libcuda.so.1 and the kernel's driver have different versions; reboot, or reinstall the driver"},
    {804, "COMPAT_NOT_SUPPORTED_ON_DEVICE",
     "the compatibility libcuda.so.1 that was found does not support this device; take its folder out of "
     "LD_LIBRARY_PATH"},
    {805, "MPS_CONNECTION_FAILED", "cannot connect to the MPS server"},
    {807, "MPS_SERVER_NOT_READY", "the MPS server is not ready"},
    {808, "MPS_MAX_CLIENTS_REACHED", "the MPS server has its most clients already"},
    {999, "UNKNOWN", "the driver does not know why; its kernel log (dmesg) may"},
};

bool cuda::isSticky(CUresult code) {
  switch (code) {
  case 46:
  case 201:
  case 214:
  case 220:
  case 226:
  case 700:
  case 702:
  case 709:
  case 710:
  case 714:
  case 715:
  case 716:
  case 717:
  case 718:
  case 719:
  case 999:
    return true;
  default:
    return false;
  }
}

Error Driver::explain(CUresult code, const std::string &doing) const {
  std::string number = std::to_string(code), start = "cannot " + doing + ": ";
  for (const KnownError &known : knownErrors) {
    if (known.code != code)
      continue;
    std::string text = start + known.text;
    if (code == 35 || code == 36 || code == 222 || code == 803 || code == 804)
      text += " (it supports CUDA " + versionText(version) + ")";
    if (code == 100)
      text += visibilityHint();
    return {text + " (CUDA_ERROR_" + known.name + ", " + number + ")"};
  }
  const char *name = nullptr;
  if (getErrorName && getErrorName(code, &name) == 0 && name)
    return {start + "error " + number + " of the CUDA driver (" + qopt::printable(name) + ")"};
  return {start + "error " + number + " of the CUDA driver, which does not name it"};
}
