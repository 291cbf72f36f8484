//===- HostMemory.h - Memory for tensors and for generated code ------------===//
//
// What the runtime gives to code that it runs, and what owns tensors.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_HOSTMEMORY_H
#define QOPT_LIB_RUNTIME_HOSTMEMORY_H

#include <cstdint>

namespace qrt {

/// At least `bytes` bytes, 64-byte aligned, uninitialised, to be released by std::free; null
/// where there is no memory. Large pieces lie in huge pages where the system gives them.
void *allocateHostMemory(int64_t bytes);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_HOSTMEMORY_H
