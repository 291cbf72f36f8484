//===- Mma.h - Matrix products of a warp ----------------------------------===//
//
// Registers of the lanes are put together as PTX describes it, multiplied, and spread
// out again.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_MMA_H
#define QOPT_RUNTIME_SIM_MMA_H

#include "qopt/Runtime/SimAbi.h"
#include <array>

namespace qrt::sim {

/// mma.sync.m16n8kK of 32 lanes; results replace registers[lane]->c. Products of
/// integers are exact. Floats are summed in f32 in the order of k, then added to c;
/// hardware sums in an order that it does not tell.
void multiplyWarp(const QrtSimMmaKind &kind, QrtSimMma *const *registers);

/// A warp's part of wgmma: 16 rows (`a`: the registers of the lanes) times the columns
/// of B, eight words of k each, to the sums [lane][columns / 2].
void multiplyColumns(const QrtSimWgmmaKind &kind, const std::array<std::array<uint32_t, 4>, 32> &a,
                     const uint32_t (*columns)[8], uint32_t *sums);

} // namespace qrt::sim

#endif // QOPT_RUNTIME_SIM_MMA_H
