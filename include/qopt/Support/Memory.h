//===- Memory.h - How much memory there is --------------------------------===//
//
// What a large computation can count on is asked before it starts, and what it no longer
// needs is given back.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_MEMORY_H
#define QOPT_SUPPORT_MEMORY_H

#include <cstdint>

namespace qopt {

/// Bytes that this process can still allocate without the system running out of memory:
/// what the kernel calls available, or less where the process's control group allows
/// less. The largest number where the system does not say.
int64_t availableMemory();

/// Gives what was freed back to the system: an allocator keeps arrays of a few megabytes
/// that lie between smaller ones, and their number grows with the time of a run.
void releaseFreedMemory();

} // namespace qopt

#endif // QOPT_SUPPORT_MEMORY_H
