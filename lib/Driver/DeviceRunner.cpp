//===- DeviceRunner.cpp - Stages of calibration on a GPU or its simulator -===//
//
// The code generator of modules and the runtime's sessions, in process: a stage is a
// module whose entry points take its weights as inputs.
//
//===----------------------------------------------------------------------===//
#include "DeviceRunner.h"
#include "CudaSections.h"
#include "qopt/Passes/Lower.h"
#include "qopt/Runtime/CudaBlas.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/TemporaryDirectory.h"

using namespace mlir;
using namespace qopt;

namespace {

/// cuBLAS for lib/Numerics.
class CudaProducts : public DeviceProducts {
public:
  explicit CudaProducts(std::unique_ptr<qrt::CudaBlas> blas) : blas(std::move(blas)) {}

  Status multiply(MatrixRef<const float> a, bool transposeA, MatrixRef<const float> b, bool transposeB,
                  MatrixRef<float> result) override {
    return blas->multiply({a.data, a.rows, a.cols, a.stride, transposeA},
                          {b.data, b.rows, b.cols, b.stride, transposeB}, result.data);
  }

private:
  std::unique_ptr<qrt::CudaBlas> blas;
};

class DeviceRunner : public StageRunner {
public:
  DeviceRunner(std::unique_ptr<qrt::Session> session, const DeviceName &device, Location location)
      : session(std::move(session)), device(device), location(location) {}

  Result<std::vector<qrt::Tensor>> run(StringRef name, ArrayRef<qrt::Tensor> inputs) override {
    return session->run(name.str(), {inputs.data(), inputs.size()});
  }

  DeviceProducts *products() override {
    if (device.kind == DeviceKind::Cuda && !multiplier && !isRefused)
      openProducts();
    return multiplier.get();
  }

private:
  /// Without cuBLAS calibration goes on, more slowly.
  void openProducts() {
    if (Result<std::unique_ptr<qrt::CudaBlas>> blas = qrt::CudaBlas::open(device.index)) {
      multiplier = std::make_unique<CudaProducts>(std::move(*blas));
    } else {
      emitWarning(location) << "Hessians are computed on the CPU: " << blas.error().message;
      isRefused = true;
    }
  }

  std::unique_ptr<qrt::Session> session;
  DeviceName device;
  Location location;
  std::unique_ptr<DeviceProducts> multiplier; ///< null until it is asked for, or where there is none
  bool isRefused = false;
};

} // namespace

/// Writes the module, maps it and opens a session. The file is gone when this returns, the
/// mapping stays.
static Result<std::unique_ptr<qrt::Session>> openSession(ModuleInfo info, const LoweredModule &lowered,
                                                         CudaSections code, const qrt::SessionOptions &options) {
  Result<TemporaryDirectory> directory = TemporaryDirectory::create("qopt-stages");
  if (!directory)
    return directory.error();
  info.kernels = std::move(code.kernels);
  std::vector<ModuleWriter::Payload> payloads;
  for (const auto &[name, bytes] : code.sections)
    payloads.push_back({name, bytes});
  std::string path = directory->path() + "/stages.qmod";
  if (Status status = ModuleWriter::write(path, std::move(info), payloads, lowered.weights); !status)
    return status.error();
  auto module = Module::open(path);
  if (!module)
    return module.error();
  return qrt::Session::create(*module, options);
}

static FailureOr<std::unique_ptr<StageRunner>> makeRunner(const std::string &device, ModuleOp module, int threads) {
  FailureOr<LoweredModule> lowered = lowerModule(module);
  if (failed(lowered))
    return failure();
  DeviceKind kind = parseDevice(device)->kind;
  CudaTargets targets;
  targets.cuda = kind == DeviceKind::Cuda;
  targets.sim = kind == DeviceKind::Sim;
  TimingScope timing;
  ModuleInfo info;
  info.producer = "qopt";
  info.model = "stages";
  info.entryPoints = lowered->entryPoints;
  info.parameters = lowered->parameters;
  FailureOr<CudaSections> code = compileCudaSections(module, info, targets, timing);
  if (failed(code))
    return failure();
  auto session = openSession(std::move(info), *lowered, std::move(*code), {.threads = threads, .device = device});
  if (!session)
    return module.emitError() << "cannot load the code of the stages on " << device << ": " << session.error().message;
  return std::unique_ptr<StageRunner>(
      std::make_unique<DeviceRunner>(std::move(*session), *parseDevice(device), module.getLoc()));
}

StageRunnerFactory qopt::deviceRunners(const std::string &device) {
  if (parseDevice(device)->kind == DeviceKind::Cpu)
    return {};
  return [device](ModuleOp module, qrt::ThreadPool &threads) { return makeRunner(device, module, threads.size()); };
}
