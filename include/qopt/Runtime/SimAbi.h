/*===- SimAbi.h - Between simulated GPU kernels and the simulator -------------===
 *
 * The "sim" code of a module is one ELF shared object without imports. It exports
 * one function of type QrtSimKernel per kernel, called once for each GPU thread,
 * and `qrt_abi_version` (Abi.h), which also covers this header.
 *
 * Shared memory is ordinary memory at `shared`; generated code checks each of its
 * accesses against `sharedBytes` and the alignment that the instruction needs, and
 * calls `trap` when it is wrong. Everything that more than one thread takes part
 * in, and every cp.async, goes through QrtSimApi.
 *
 * A site is a text naming an instruction, such as "shfl.sync #3"; two threads are
 * at the same instruction if the pointers are equal.
 *
 *===------------------------------------------------------------------------===*/
#ifndef QOPT_RUNTIME_SIMABI_H
#define QOPT_RUNTIME_SIMABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct QrtSimApi QrtSimApi;

/* One GPU thread. Generated code reads these fields and writes none. */
typedef struct QrtSimThread {
  const QrtSimApi *api;
  char *shared; /* 1024-byte aligned */
  int64_t sharedBytes;
  uint32_t threadId[3], blockId[3], blockDim[3], gridDim[3];
  uint32_t lane; /* in its warp: linear thread number % 32 */
  uint32_t warp; /* in its block */
} QrtSimThread;

/* `args[i]` points to the i-th argument, as in cuLaunchKernel. */
typedef void (*QrtSimKernel)(QrtSimThread *self, void *const *args);

typedef enum QrtSimTrap {
  QRT_SIM_GLOBAL_ACCESS = 0, /* of memory that is not shared: misaligned */
  QRT_SIM_SHARED_ACCESS = 1, /* misaligned or out of bounds */
  QRT_SIM_EXPLICIT = 2,      /* llvm.intr.trap in the kernel */
} QrtSimTrap;

/* As in the attributes of nvvm.shfl.sync and nvvm.vote.sync. */
typedef enum QrtSimShuffle { QRT_SIM_BFLY = 0, QRT_SIM_UP = 1, QRT_SIM_DOWN = 2, QRT_SIM_IDX = 3 } QrtSimShuffle;
typedef enum QrtSimVote { QRT_SIM_ANY = 0, QRT_SIM_ALL = 1, QRT_SIM_BALLOT = 2, QRT_SIM_UNI = 3 } QrtSimVote;
/* As in nvvm.redux.sync, for 32-bit integers. */
typedef enum QrtSimReduce {
  QRT_SIM_ADD = 1,
  QRT_SIM_AND = 2,
  QRT_SIM_MAX = 3,
  QRT_SIM_MIN = 4,
  QRT_SIM_OR = 5,
  QRT_SIM_UMAX = 6,
  QRT_SIM_UMIN = 7,
  QRT_SIM_XOR = 8,
} QrtSimReduce;

/* mma.sync.m16n8kK.row.col: element types of A and B. K is 256 bits / element width,
 * or half of it (`isHalf`: A has two registers and B one); tf32: 8 or 4. */
typedef enum QrtSimElement {
  QRT_SIM_F16 = 0,
  QRT_SIM_BF16 = 1,
  QRT_SIM_TF32 = 2,
  QRT_SIM_S8 = 3,
  QRT_SIM_U8 = 4,
  QRT_SIM_S4 = 5,
  QRT_SIM_U4 = 6,
} QrtSimElement;

typedef struct QrtSimMmaKind {
  uint8_t a, b; /* QrtSimElement */
  uint8_t isHalf;
  uint8_t isSaturating; /* integers: clamp instead of wrapping around */
  uint8_t isF16;        /* the accumulators are two registers of f16 */
  uint8_t unused[3];
} QrtSimMmaKind;

/* The registers of one lane, as PTX lays them out. The result replaces `c`. */
typedef struct QrtSimMma {
  uint32_t a[4], b[2], c[4];
} QrtSimMma;

/* wgmma.mma_async m64nNkK, A in registers: what a warp does of it. K is 256 bits /
 * element width, the accumulators are s32 or f32. */
typedef struct QrtSimWgmmaKind {
  uint8_t element; /* QrtSimElement of A and B */
  uint8_t addsToSums;
  uint16_t columns; /* N, a multiple of 8 up to 256 */
} QrtSimWgmmaKind;

/* None of these returns once the launch has trapped. */
struct QrtSimApi {
  /* `bytes` of an access and the alignment that it needs; does not return. */
  void (*trap)(QrtSimThread *self, int64_t kind, const void *address, int64_t bytes, int64_t alignment);
  /* All threads of the block. */
  void (*barrier)(QrtSimThread *self, const char *site);
  /* The lanes of `members` (bit = lane), which must name the caller. */
  void (*syncWarp)(QrtSimThread *self, const char *site, uint32_t members);
  /* Low half: the value; bit 32: whether the source lane was in range. `packed` is
   * the operand c of PTX's shfl.sync (clamp, and segment mask << 8). */
  uint64_t (*shuffle)(QrtSimThread *self, const char *site, uint32_t members, uint32_t value, uint32_t lane,
                      uint32_t packed, uint32_t kind);
  uint32_t (*vote)(QrtSimThread *self, const char *site, uint32_t members, uint32_t predicate, uint32_t kind);
  uint32_t (*reduce)(QrtSimThread *self, const char *site, uint32_t members, uint32_t value, uint32_t kind);
  /* `count` 8x8 matrices of 16-bit elements; lane 8j+i gives row i of matrix j. */
  void (*loadMatrix)(QrtSimThread *self, const char *site, const void *row, uint32_t count, uint32_t isTransposed,
                     uint32_t *result);
  void (*mma)(QrtSimThread *self, const char *site, const QrtSimMmaKind *kind, QrtSimMma *registers);
  /* cp.async: `bytes` (4, 8 or 16), of which the first `sourceBytes` are read and the
   * others become zero. The data arrives when the thread waits for it. */
  void (*copyAsync)(QrtSimThread *self, void *to, const void *from, uint32_t bytes, uint32_t sourceBytes);
  void (*commitCopies)(QrtSimThread *self);
  /* Until at most `pending` groups are not complete. */
  void (*waitCopies)(QrtSimThread *self, uint32_t pending);

  /* mbarrier: 8 bytes of shared memory. A phase ends when `count` arrivals and all
   * expected bytes have come. */
  void (*initBarrier)(QrtSimThread *self, const char *site, void *barrier, uint32_t count);
  void (*fenceBarriers)(QrtSimThread *self);
  /* Expects `bytes` more bytes in this phase, then arrives. */
  void (*arrive)(QrtSimThread *self, const char *site, void *barrier, uint32_t bytes);
  /* Until the phase of this parity has ended. */
  void (*waitPhase)(QrtSimThread *self, const char *site, void *barrier, uint32_t parity);
  /* cp.async.bulk.tensor.2d of the box at byte x of row y. The data arrives when
   * somebody waits for the barrier. */
  void (*copyTensor)(QrtSimThread *self, const char *site, void *to, const void *map, int32_t x, int32_t y,
                     void *barrier);

  /* wgmma. Registers as PTX lays them out; `sums` (columns / 2 words) hold no numbers
   * but names of the accumulators until waitProducts has replaced them. */
  void (*fenceProducts)(QrtSimThread *self);
  void (*multiplyAsync)(QrtSimThread *self, const char *site, const QrtSimWgmmaKind *kind, const uint32_t *a,
                        uint64_t descriptor, uint32_t *sums);
  void (*commitProducts)(QrtSimThread *self);
  void (*waitProducts)(QrtSimThread *self, const char *site, uint32_t pending, uint32_t *sums, uint32_t count);
};

#ifdef __cplusplus
}
#endif

#endif /* QOPT_RUNTIME_SIMABI_H */
