//===- Driver.h - libcuda.so.1, opened when it is needed ------------------===//
//
// The few functions and constants of the CUDA driver that the runtime uses, so
// that it builds without a toolkit and runs without a driver. Names and numbers
// are those of cuda.h; functions are looked up under the names that cuda.h maps
// them to (_v2).
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_CUDA_DRIVER_H
#define QOPT_LIB_RUNTIME_CUDA_DRIVER_H

#include "qopt/Support/Result.h"
#include <cstddef>
#include <cstdint>

namespace qrt::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

// CUresult
inline constexpr CUresult errorOutOfMemory = 2, errorNotFound = 500;
// CUdevice_attribute
inline constexpr int computeCapabilityMajor = 75, computeCapabilityMinor = 76, maxSharedBytesOptIn = 97;
// CUfunction_attribute
inline constexpr int maxDynamicSharedBytes = 8;
// CUjit_option
inline constexpr int jitErrorLogBuffer = 5, jitErrorLogBufferBytes = 6;
// CUtensorMap: its size, and what cuTensorMapEncodeTiled is given of enumerations.
inline constexpr int tensorMapUint8 = 0, tensorMapInterleaveNone = 0, tensorMapSwizzle128B = 3,
                     tensorMapL2Promotion256B = 3, tensorMapFillZeros = 0;
// CUstream_flags
inline constexpr unsigned streamNonBlocking = 1;
// CUstreamCaptureMode: calls of other threads are not watched, memory may be allocated
inline constexpr int captureRelaxed = 2;

/// X(name in the library, member, parameters)
#define QRT_CUDA_FUNCTIONS(X)                                                                                          \
  X(cuInit, init, (unsigned flags))                                                                                    \
  X(cuDriverGetVersion, driverGetVersion, (int *version))                                                              \
  X(cuGetErrorName, getErrorName, (CUresult error, const char **name))                                                 \
  X(cuDeviceGetCount, deviceGetCount, (int *count))                                                                    \
  X(cuDeviceGet, deviceGet, (CUdevice * device, int index))                                                            \
  X(cuDeviceGetName, deviceGetName, (char *name, int bytes, CUdevice device))                                          \
  X(cuDeviceGetAttribute, deviceGetAttribute, (int *value, int attribute, CUdevice device))                            \
  X(cuDevicePrimaryCtxRetain, devicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                          \
  X(cuDevicePrimaryCtxRelease_v2, devicePrimaryCtxRelease, (CUdevice device))                                          \
  X(cuCtxSetCurrent, ctxSetCurrent, (CUcontext context))                                                               \
  X(cuModuleLoadDataEx, moduleLoadDataEx,                                                                              \
    (CUmodule * module, const void *image, unsigned numOptions, int *options, void **values))                          \
  X(cuModuleUnload, moduleUnload, (CUmodule module))                                                                   \
  X(cuModuleGetFunction, moduleGetFunction, (CUfunction * function, CUmodule module, const char *name))                \
  X(cuFuncSetAttribute, funcSetAttribute, (CUfunction function, int attribute, int value))                             \
  X(cuLaunchKernel, launchKernel,                                                                                      \
    (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,            \
     unsigned blockZ, unsigned sharedBytes, CUstream stream, void **args, void **extra))                               \
  X(cuStreamCreate, streamCreate, (CUstream * stream, unsigned flags))                                                 \
  X(cuStreamSynchronize, streamSynchronize, (CUstream stream))                                                         \
  X(cuStreamDestroy_v2, streamDestroy, (CUstream stream))                                                              \
  X(cuMemAlloc_v2, memAlloc, (CUdeviceptr * memory, size_t bytes))                                                     \
  X(cuMemFree_v2, memFree, (CUdeviceptr memory))                                                                       \
  X(cuMemGetInfo_v2, memGetInfo, (size_t *free, size_t *total))                                                        \
  X(cuMemcpyHtoDAsync_v2, memcpyHtoDAsync, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))          \
  X(cuMemcpyDtoHAsync_v2, memcpyDtoHAsync, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))

/// Functions that only later drivers have; null in older ones.
#define QRT_CUDA_LATER_FUNCTIONS(X)                                                                                    \
  X(cuStreamBeginCapture_v2, streamBeginCapture, (CUstream stream, int mode))                                          \
  X(cuStreamEndCapture, streamEndCapture, (CUstream stream, CUgraph * graph))                                          \
  X(cuGraphInstantiateWithFlags, graphInstantiate, (CUgraphExec * exec, CUgraph graph, unsigned long long flags))      \
  X(cuGraphLaunch, graphLaunch, (CUgraphExec exec, CUstream stream))                                                   \
  X(cuGraphDestroy, graphDestroy, (CUgraph graph))                                                                     \
  X(cuGraphExecDestroy, graphExecDestroy, (CUgraphExec exec))                                                          \
  X(cuTensorMapEncodeTiled, tensorMapEncodeTiled,                                                                      \
    (void *map, int elementType, uint32_t rank, void *address, const uint64_t *sizes, const uint64_t *strides,         \
     const uint32_t *box, const uint32_t *elementStrides, int interleave, int swizzle, int l2Promotion, int fill))

/// The opened and initialised driver. Never closed: drivers do not bear it.
struct Driver {
#define QRT_CUDA_MEMBER(symbol, member, parameters) CUresult(*member) parameters = nullptr;
  QRT_CUDA_FUNCTIONS(QRT_CUDA_MEMBER)
  QRT_CUDA_LATER_FUNCTIONS(QRT_CUDA_MEMBER)
#undef QRT_CUDA_MEMBER
  /// CUDA 11.4 and later.
  bool hasGraphs() const {
    return streamBeginCapture && streamEndCapture && graphInstantiate && graphLaunch && graphDestroy &&
           graphExecDestroy;
  }
  int version = 0; ///< newest CUDA that it supports: 12040 is 12.4; 0 when unknown
  int numDevices = 0;

  /// The same for all callers. Errors: no driver, one that is too old or broken, no
  /// device. Thread-safe.
  static qopt::Result<const Driver *> open();

  /// `code` as a sentence that says what to do about it; `doing` is what was asked of
  /// the driver: "start the driver".
  qopt::Error explain(CUresult code, const std::string &doing) const;
};

/// Errors after which the context is of no use any more.
bool isSticky(CUresult code);

/// 12040 as "12.4".
std::string versionText(int version);

} // namespace qrt::cuda

#endif // QOPT_LIB_RUNTIME_CUDA_DRIVER_H
