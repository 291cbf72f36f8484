//===- SimProgram.h - Kernels compiled and called, for tests ---------------===//
//
// What a test writes as IR becomes code as that of a module does, and its functions
// are called through the runtime's interface: SimProgram launches the CUDA kernels in
// the simulator, CpuProgram has the CPU's kernels.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_CUDA_SIMPROGRAM_H
#define QOPT_TEST_UNIT_CUDA_SIMPROGRAM_H

#include "CudaProgram.h"
#include "GuardedArray.h"
#include "qopt/Runtime/Sim.h"

namespace qopt::test {

class Program {
public:
  /// Calls a kernel or a function of the text; results are operands, too. What the
  /// simulator complains about, or "".
  std::string run(const std::string &function, const std::vector<DeviceArray> &operands);

  /// What the code may launch: 80, or 90 with the kernels for sm_90a.
  int64_t capability = 80;
  /// The kernels that the last run() launched.
  std::vector<std::string> launched;
  /// The first error of the last run(); code 0: none.
  QrtErrorRecord error{};

protected:
  Program();
  /// Compiles the host code of `module`. Exits on any error.
  void compile(mlir::ModuleOp module);

  struct Kernel {
    std::string name;
    QrtSimKernel code;
  };
  std::vector<Kernel> kernels;

private:
  struct Call;
  std::shared_ptr<const qrt::HostCode> host;
  qrt::ThreadPool threads;
};

/// `text` as for CudaProgram. Exits on any error.
class SimProgram : public Program {
public:
  explicit SimProgram(const std::string &text);

private:
  std::shared_ptr<const qrt::HostCode> sim;
};

class CpuProgram : public Program {
public:
  explicit CpuProgram(const std::string &text);
};

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CUDA_SIMPROGRAM_H
