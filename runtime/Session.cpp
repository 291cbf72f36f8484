//===- Session.cpp - Where a module runs ----------------------------------===//
//
// Chooses between the CPU and a device by what the caller names, what the machine has and
// what the module has code for.
//
//===----------------------------------------------------------------------===//
#include "Device.h"
#include "Sessions.h"
#include "qopt/Support/Utf8.h"

using namespace qrt;
using qopt::DeviceKind;
using qopt::DeviceName;
using qopt::Error;
using qopt::Module;

/// The CUDA device if there is one, it works, and the module has code for it.
static Result<std::unique_ptr<Session>> createOnBest(std::shared_ptr<const Module> module,
                                                     const SessionOptions &options) {
  if (options.hostLevel.empty() && hasCodeFor(*module, DeviceKind::Cuda) && hasCudaDevice()) {
    Result<std::unique_ptr<Session>> session = createOnDevice(module, {DeviceKind::Cuda, 0, {}}, options);
    if (session)
      return session;
    if (options.onWarning)
      options.onWarning(session.error().message + "; running on the CPU");
  }
  return createOnHost(std::move(module), options);
}

static Result<std::unique_ptr<Session>> createOn(const DeviceName &device, std::shared_ptr<const Module> module,
                                                 const SessionOptions &options) {
  if (device.kind == DeviceKind::Cpu)
    return createOnHost(std::move(module), options);
  return createOnDevice(std::move(module), device, options);
}

Error qrt::noSuchDevice(const std::string &name) {
  return {"there is no device '" + qopt::printable(name) + "'; there are " + qopt::deviceForms("and")};
}

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Module> module, const SessionOptions &options) {
  std::optional<DeviceName> device = qopt::parseDevice(options.device);
  if (!device && options.device != "auto")
    return noSuchDevice(options.device);
  // What a session returns is computed beside this, and held back until it ends.
  module->startVerifying();
  return device ? createOn(*device, std::move(module), options) : createOnBest(std::move(module), options);
}
