//===- Kernels.h - Hand-shaped code for the heavy operators ----------------===//
//
// A kernel is a function on memrefs that the generator writes for one operator,
// one shape and one code level. IR that calls kernels holds only declarations:
//
//   func.func private @matmul_f32_n768_k256(memref<?x256xf32>, memref<48x256x16xf32>, memref<?x768xf32>)
//       attributes {qopt.kernel = "matmul_f32"}
//
// What the types do not say is in the dictionary `qopt.config`. All memrefs have
// the identity layout; operands come first, results last, and results do not
// overlap operands. A result is written as a whole, but for a cache, of which the
// rest stays. The table at the end lists operands and configuration.
//
// Weights reach the kernels packed: cut into blocks of kColumns output columns,
// so that one vector holds the same input k of all columns of a block. The layout
// is the same for every code level.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_KERNELS_H
#define QOPT_CODEGEN_KERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace qopt {

/// StringAttr on a declaration: which kernel it is.
inline constexpr llvm::StringLiteral kKernelAttr = "qopt.kernel";
/// DictionaryAttr on a declaration: what its types do not say.
inline constexpr llvm::StringLiteral kKernelConfigAttr = "qopt.config";

/// UnitAttr on a private function with a body: a sequence of kernels that a target may
/// compute in one go instead (`qopt-group-kernels` makes them). Whatever a target does,
/// what the caller sees must be what the body computes.
inline constexpr llvm::StringLiteral kGroupAttr = "qopt.group";
/// UnitAttr on an argument of such a function: memory that nobody reads afterwards, so
/// it need not be written.
inline constexpr llvm::StringLiteral kScratchAttr = "qopt.scratch";

/// How many of the last operands a kernel that makes codes writes; 0 for other kernels.
unsigned countQuantizationResults(llvm::StringRef kernel);

/// Output columns per block of packed weights.
inline constexpr int64_t kColumns = 16;

/// Gives every kernel declaration in `module` a body for `level` ("x86-64-v3" or
/// "x86-64-v4") of func, scf, memref, vector, arith and math ops plus
/// `llvm.call_intrinsic`. Independent work is in one-dimensional `scf.parallel` at
/// the top of the function. Every element has one owner and one order of
/// summation, so results depend neither on the number of threads nor on how many
/// rows are computed together; float results are the same on both levels.
/// Emits a diagnostic on a malformed declaration or an unknown kernel or level.
mlir::LogicalResult emitKernels(mlir::ModuleOp module, llvm::StringRef level);

//===----------------------------------------------------------------------===//
// Packing (N outputs, K inputs; blocks = ceil(N / 16), padding is zero)
//===----------------------------------------------------------------------===//

/// [K, N] floats to [blocks][K][16].
std::vector<float> packFloatWeights(llvm::ArrayRef<float> weights, int64_t k, int64_t n);
/// The same for 16-bit floats, given as their bits.
std::vector<uint16_t> packHalfWeights(llvm::ArrayRef<uint16_t> weights, int64_t k, int64_t n);

/// [N, K] codes to [blocks][K][16].
std::vector<int8_t> packInt8Columns(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k);

/// [N, K] codes to [blocks][ceil(K / 4)][16][4]: four consecutive inputs of a column
/// share an int32 lane, as vpdpbusd wants them.
std::vector<int8_t> packInt8Dot(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k);

/// [N, M] floats (`bytes` bytes each: 2 or 4) of outlier columns to [blocks][M][16].
std::vector<int8_t> packOutlierWeights(llvm::ArrayRef<char> weights, int64_t bytes, int64_t n, int64_t m);

/// 128 * (sum over k of a column's codes), [blocks * 16]: what x + 128 instead of x
/// adds to a dot product.
std::vector<int32_t> packDotCorrection(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k);

/// 4-bit weights of `matmul_w4a16`. Groups are padded to multiples of eight inputs;
/// `codes` is [blocks][steps][16][4 bytes], where the byte b of a step holds inputs
/// b (low nibble) and b + 4 (high). Scales and zeros are [blocks][groups][16].
struct Int4Weights {
  std::vector<int8_t> codes;
  std::vector<int8_t> scales; ///< bytes of f16 or f32, as given
  std::vector<int8_t> zeros;  ///< empty: 8 everywhere
  int64_t steps = 0, groups = 0;
};

/// `codes` [N, ceil(K / 2)], `scales` [N, groups] of `scaleBytes` bytes each (2: f16, 4:
/// f32), `zeros` [N, groups] or empty. Zeros that are all 7 or 8 disappear: since
/// s (q - 7) = -s ((15 - q) - 8), a 7 becomes a negative scale. `groupSize` <= 0: K.
Int4Weights packInt4(llvm::ArrayRef<int8_t> codes, llvm::ArrayRef<char> scales, int64_t scaleBytes,
                     llvm::ArrayRef<int8_t> zeros, int64_t n, int64_t k, int64_t groupSize);

//===----------------------------------------------------------------------===//
// Kernels: operands -> results {configuration}
//===----------------------------------------------------------------------===//
//
// B, S, R, M are unknown sizes (rows = tokens of all sequences; M: outlier columns, so that
// layers share a kernel however many they have).
//
// matmul_f32       x [R,K] f32, w [N/16,K,16] f32 -> y [R,N] f32
// matmul_f16       x [R,K] f32, w [N/16,K,16] f16|bf16 -> y [R,N] f32
// matmul_w8a16     x [R,K] f32, w [N/16,K,16] i8, scale [N] f32 -> y [R,N] f32
// matmul_w4a16     x [R,K] f32, w [N/16,steps,64] i8, scale [N/16,groups,16] f16|f32,
//                  (zeros [N/16,groups,16] i8) -> y [R,N] f32 {group_size}
// matmul_w8a8      x [R,K] i8, x_scale [R] or [] f32, w [N/16,K/4,64] i8, correction
//                  [N/16*16] i32, w_scale [N] f32 (, outliers [R,K] f32, columns [K] i32 | ,
//                  outliers [R,M] f32, weights [N/16,M,16] f16|f32, count [1] i32 = M)
//                  -> y [R,N] f32
// quantize         x [R,K] f32, scale [] f32 -> codes [R,K] i8
// dynamic_quantize x [R,K] f32 -> codes [R,K] i8, scale [R] f32
// split_columns    x [R,K] f32 -> codes [R,K] i8, scale [R] f32, columns [K] i32 {threshold}
// split_columns_at x [R,K] f32, columns [M] i32 -> codes [R,K] i8, scale [R] f32, outliers
//                  [R,M] f32
// rms_norm         x [R,K] f32, weight [K] f32 -> y [R,K] f32 {epsilon}
// rotary           x, cos, sin (, positions i64) -> y {interleaved, rotary_dim}; x is
//                  [B,S,heads,head size] or, with {heads_first}, [B,heads,S,head size];
//                  cos [max,rotary_dim/2] with positions [B or 1,S], else [B or 1,S,rotary_dim/2]
// gather           data [V,K], indices [R] i32|i64 -> y [R,K], any element type; with {rows}
//                  = V: data [V/16,K,16], the weight of a product with the transposed table
// attention        q, k, v (, mask) -> y {causal, offset, scale, softcap, in_order}; q and y
//                  [B,S,heads,head size] or, with {q_heads_first}, [B,heads,S,head size]; k
//                  and v alike with {kv_heads_first}; mask [B|1,heads|1,S|1,T|1] i1 or f32;
//                  `offset`: query i sees keys up to i + T - S instead of i; `in_order`: sums
//                  should have the CPU's order where that costs little, as the result becomes codes
// cache_append     x [B,S,heads,head size] f32, past [1] i64 -> cache [B,heads,capacity,head
//                  size] f32, of which the tokens past..past + S are written; fails with
//                  QRT_INDEX_OUT_OF_RANGE (past + S - 1, capacity), and writes nothing, where
//                  they do not fit
// cached_attention q, key cache, value cache, past [1] i64 -> y {scale, softcap, in_order}; q and y
//                  [B,S,heads,head size], caches as above and with the S new tokens in them;
//                  query i sees keys up to past + i. No launch depends on `past`: recorded
//                  ones can be repeated when only its memory has changed

} // namespace qopt

#endif // QOPT_CODEGEN_KERNELS_H
