//===- SimProgram.h - CUDA kernels run in the simulator, for tests ---------===//
//
// The host body of a kernel (size arithmetic and launches) is interpreted, each
// launch simulated.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_CUDA_SIMPROGRAM_H
#define QOPT_TEST_UNIT_CUDA_SIMPROGRAM_H

#include "CudaProgram.h"
#include "qopt/Runtime/Sim.h"
#include <array>

namespace qopt::test {

/// An operand: dense and 64-byte aligned.
struct DeviceArray {
  void *data;
  std::vector<int64_t> shape;
};

class SimProgram {
public:
  /// `text` as for CudaProgram. Exits on any error.
  explicit SimProgram(const std::string &text);

  /// Calls the host body of `function`. What the simulator complains about, or "".
  std::string run(const std::string &function, const std::vector<DeviceArray> &operands);

  /// The kernels that the last run() launched.
  std::vector<std::string> launched;
  /// {code, a, b} of the first error of the last run(); 0: none.
  std::array<int64_t, 3> error{};

private:
  CudaProgram program;
  std::shared_ptr<const qrt::HostCode> code;
  qrt::ThreadPool threads{2};
};

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CUDA_SIMPROGRAM_H
