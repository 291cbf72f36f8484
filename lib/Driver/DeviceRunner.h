//===- DeviceRunner.h - Stages of calibration on a GPU or its simulator ---===//
//
// It stands with the driver because a stage becomes a module, as a model does.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_DEVICERUNNER_H
#define QOPT_LIB_DRIVER_DEVICERUNNER_H

#include "qopt/Calibration/StageRunner.h"

namespace qopt {

/// What makes runners for `device` ("cuda:1"; it has passed qrt::checkDevice()): they
/// compile stages into a module that is gone from the disk once it is loaded. Empty for
/// the CPU, whose code needs no module.
StageRunnerFactory deviceRunners(const std::string &device);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_DEVICERUNNER_H
