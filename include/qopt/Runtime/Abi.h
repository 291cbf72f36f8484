/*===- Abi.h - Between generated code and the runtime -----------------------===
 *
 * The host code of a module is one ELF shared object without imports: whatever
 * it needs from the outside it gets through QrtApi. It exports one function per
 * entry point of the module, of type QrtEntry, and the constant
 * `qrt_abi_version` (int32_t, QRT_ABI_VERSION). There is one such object for each
 * level of x86-64, and one ("host:cuda") that computes sizes only and launches
 * kernels for the rest.
 *
 * Generated code never throws, never exits, and touches no global state.
 *
 *===------------------------------------------------------------------------===*/
#ifndef QOPT_RUNTIME_ABI_H
#define QOPT_RUNTIME_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever a struct or the meaning of a function below changes. */
#define QRT_ABI_VERSION 3
#define QRT_MAX_RANK 8
/* Of a tensor map, which is aligned to half of that. */
#define QRT_TENSOR_MAP_BYTES 128

/* Opaque to generated code: which model runs, its thread pool, its error. */
typedef struct QrtContext QrtContext;

/* Element types, numbered as in ONNX's TensorProto.DataType. */
typedef enum QrtType {
  QRT_F32 = 1,
  QRT_U8 = 2,
  QRT_I8 = 3,
  QRT_I32 = 6,
  QRT_I64 = 7,
  QRT_BOOL = 9,
  QRT_F16 = 10,
  QRT_BF16 = 16,
} QrtType;

/* A dense row-major tensor. `dims[i]` for i >= rank is unspecified. */
typedef struct QrtTensor {
  void *data;
  int64_t type; /* QrtType */
  int64_t rank; /* 0..QRT_MAX_RANK */
  int64_t dims[QRT_MAX_RANK];
} QrtTensor;

/* Work on the indices [begin, end). Which thread runs which range is not
 * specified; results must not depend on it. */
typedef void (*QrtTask)(void *args, int64_t begin, int64_t end);

/* One launch of a kernel of the device code. */
typedef struct QrtLaunch {
  int64_t kernel;   /* index in the module's table of kernels */
  int32_t grid[3];  /* blocks; 0 in one of them: nothing is done; -1: more than 2^31 - 1 */
  int32_t block[3]; /* threads of a block */
  int64_t sharedBytes;
  int64_t numArgs;
} QrtLaunch;

/* What a kernel found wrong; code 0 while it is nothing. The first one wins. */
typedef struct QrtErrorRecord {
  int64_t code, a, b; /* as fail() gets them */
} QrtErrorRecord;

typedef struct QrtApi {
  /* 64-byte aligned, uninitialised memory; NULL when there is none (the context
   * then holds the error). `bytes` may be 0. In the code for a device it is
   * memory of the device, as are the data of parameters, inputs and outputs. */
  void *(*allocate)(QrtContext *context, int64_t bytes);
  void (*release)(QrtContext *context, void *memory);
  /* Runs task over [0, count), cut into ranges of multiples of `grain` indices
   * (the last may be shorter); returns when all are done. */
  void (*parallelFor)(QrtContext *context, QrtTask task, void *args, int64_t count, int64_t grain);
  /* Records an error; the first one wins. `code` is a QrtError, a and b are its
   * numbers. The entry point goes on and returns nonzero at its end. */
  void (*fail)(QrtContext *context, int64_t code, int64_t a, int64_t b);
  /* Starts a kernel. Launches run in order; the caller does not wait. args[i]
   * points to the i-th argument (a pointer, int32_t, int64_t, float or tensor map),
   * which is read before this returns. Not within parallelFor. Does nothing once the
   * context holds an error. */
  void (*launch)(QrtContext *context, const QrtLaunch *launch, void *const *args);
  /* The QrtErrorRecord of this call in the memory of the device; the runtime reads
   * it when the entry point has returned. NULL when there is no memory. */
  void *(*errors)(QrtContext *context);
  /* What the loaded kernels may use: 80, or 90 where those for sm_90a are among them. */
  int64_t (*capability)(QrtContext *context);
  /* Describes a matrix of the device for the tensor memory accelerator (capability 90):
   * `rows` rows of `rowBytes` bytes, a multiple of 16, copied in boxes of `boxRows` (at
   * most 256) rows of 128 bytes with the 128-byte swizzle; what is outside reads as
   * zeros. `data` is 16-byte aligned. For a launch the argument is `map` itself. */
  void (*tensorMap)(QrtContext *context, void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows);
} QrtApi;

typedef enum QrtError {
  QRT_OK = 0,
  QRT_OUT_OF_MEMORY = 1,      /* a = bytes asked */
  QRT_INDEX_OUT_OF_RANGE = 2, /* a = index, b = size */
  QRT_SHAPE_MISMATCH = 3,     /* a, b = the two sizes that should be equal */
  QRT_LAUNCH_FAILED = 4,      /* a = kernel; set by the runtime only */
} QrtError;

/* One entry point. `parameters[i]` points to the data of the module's i-th
 * parameter, 64-byte aligned. `inputs` are filled by the caller; ranks and types
 * are as declared, and those that are declared with the same symbol have the same
 * size. Caches (key_cache and value_cache of Roles.h) are written in place, other inputs
 * are only read; what else "prefill" and "decode" take is said in Module.h. The entry fills `outputs`; the data of each
 * was obtained with api->allocate and belongs to the caller. Returns a QrtError; on error no output is set. */
typedef int64_t (*QrtEntry)(const QrtApi *api, QrtContext *context, const void *const *parameters,
                            const QrtTensor *inputs, QrtTensor *outputs);

#ifdef __cplusplus
}
#endif

#endif /* QOPT_RUNTIME_ABI_H */
