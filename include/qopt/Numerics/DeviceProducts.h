//===- DeviceProducts.h - Products of matrices on another device ----------===//
//
// Hessians are nearly all of what calibration multiplies beside the model itself. A
// device that can multiply takes that over; sums of its products stay double, here.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_DEVICEPRODUCTS_H
#define QOPT_NUMERICS_DEVICEPRODUCTS_H

#include "qopt/Numerics/Matrix.h"
#include "qopt/Support/Result.h"

namespace qopt {

class DeviceProducts {
public:
  virtual ~DeviceProducts() = default;
  /// result = op(a) op(b) in float32, with op(m) = m^T where asked for. All three are in
  /// memory of the host; sizes fit together. Errors: of the device.
  virtual Status multiply(MatrixRef<const float> a, bool transposeA, MatrixRef<const float> b, bool transposeB,
                          MatrixRef<float> result) = 0;
};

} // namespace qopt

#endif // QOPT_NUMERICS_DEVICEPRODUCTS_H
