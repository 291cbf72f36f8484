//===- CpuClones.h - Loops compiled for several CPUs ----------------------===//
//
// A function that is marked is there for each level of x86-64, and the best that the
// machine can run is chosen when the program starts. Only loops over independent elements
// may be marked: their results do not depend on the width of the vectors.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_CPUCLONES_H
#define QOPT_SUPPORT_CPUCLONES_H

// Sanitizers run before the choice is made and would not survive it.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define QOPT_NO_CLONES
#endif
#endif

#if defined(__x86_64__) && defined(__ELF__) && !defined(QOPT_NO_CLONES)
#define QOPT_CPU_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QOPT_CPU_CLONES
#endif

#endif // QOPT_SUPPORT_CPUCLONES_H
