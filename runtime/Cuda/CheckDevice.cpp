//===- CheckDevice.cpp - Whether a device can run code that is yet to be made -===//
//
// Whoever compiles for the device at hand wants to know before the work is done.
//
//===----------------------------------------------------------------------===//
#include "../Device.h"
#include "ChooseCode.h"
#include "Driver.h"

using namespace qrt;
using namespace qrt::cuda;
using qopt::Error;

/// The device opens, and the baseline's code runs there.
static Status checkCudaDevice(int index) {
  Result<std::unique_ptr<Device>> opened = openCudaDevice(index);
  if (!opened)
    return opened.error();
  Result<const Driver *> driver = Driver::open();
  if (!driver)
    return driver.error();
  const std::string &name = (*opened)->name();
  CUdevice device = 0;
  Capability hardware;
  CUresult code = (*driver)->deviceGet(&device, index);
  for (auto [attribute, value] :
       {std::pair(computeCapabilityMajor, &hardware.major), std::pair(computeCapabilityMinor, &hardware.minor)})
    if (code == 0)
      code = (*driver)->deviceGetAttribute(value, attribute, device);
  if (code != 0)
    return (*driver)->explain(code, "ask for the architecture of " + name);
  if (10 * hardware.major + hardware.minor < qopt::kBaselineCapability)
    return Error{"code is made for " + std::string(qopt::kBaselineArch) + " and later, but " + name + " is " +
                 hardware.text() + "; run with --device=cpu"};
  return {};
}

Status qrt::checkDevice(const std::string &name) {
  std::optional<qopt::DeviceName> device = qopt::parseDevice(name);
  if (!device)
    return noSuchDevice(name);
  return device->kind == qopt::DeviceKind::Cuda ? checkCudaDevice(device->index) : Status();
}
