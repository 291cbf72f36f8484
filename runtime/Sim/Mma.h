//===- Mma.h - Matrix products of a warp ----------------------------------===//
#ifndef QOPT_RUNTIME_SIM_MMA_H
#define QOPT_RUNTIME_SIM_MMA_H

#include "qopt/Runtime/SimAbi.h"

namespace qrt::sim {

/// mma.sync.m16n8kK of 32 lanes; results replace registers[lane]->c. Products of
/// integers are exact. Floats are summed in f32 in the order of k, then added to c;
/// hardware sums in an order that it does not tell.
void multiplyWarp(const QrtSimMmaKind &kind, QrtSimMma *const *registers);

} // namespace qrt::sim

#endif // QOPT_RUNTIME_SIM_MMA_H
