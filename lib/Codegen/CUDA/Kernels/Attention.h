//===- Attention.h - What all kernels of attention have in common ----------===//
//
// Scores are kept in units of log2 (but for AttentionOrdered.cpp): exponentials are then
// single instructions. A masked score is the most negative finite number, a key beyond the last is minus
// infinity: a query that sees no key thus gets the mean of all values.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_ATTENTION_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_ATTENTION_H

#include "Kernel.h"
#include <cfloat>

namespace qopt::cuda {

inline constexpr float kLog2E = 1.4426950408889634f;

/// What an operation of attention, of either kind, says.
struct AttentionForm {
  explicit AttentionForm(kernel::AttentionOp op);
  explicit AttentionForm(kernel::CachedAttentionOp op);

  // Operands, for the host's code.
  Value q, keys, values, y;
  Value mask;          ///< null: there is none
  Value past;          ///< null: keys and values are not in caches; else only the kernel knows how many
  Value slopes, sinks; ///< of heads; may be null

  bool queryHeadsFirst, keyHeadsFirst, causal, offset;
  bool inOrder; ///< sums should be in the order of the CPU's kernel
  int64_t heads, keyHeads, headSize, valueSize;
  float scale, softcap;
  int64_t window = 0;                ///< keys that a query sees at most; 0: all before it
  Type maskElement;                  ///< null: no mask
  llvm::ArrayRef<int64_t> maskShape; ///< of the type

  int64_t group() const { return heads / keyHeads; }
  bool isCached() const { return static_cast<bool>(past); }
  /// The dimensions that count queries and keys.
  unsigned queryDim() const { return queryHeadsFirst ? 2 : 1; }
  unsigned keyDim() const { return keyHeadsFirst ? 2 : 1; }

private:
  /// What both kinds have.
  template <typename Op>
  void read(Op op);
};

/// Operands of a kernel in the order of the launch's arguments.
struct AttentionThread {
  AttentionThread(Emitter &t, const AttentionForm &form, ValueRange args);

  Emitter &t;
  const AttentionForm &form;
  Value q, keys, values, y, queryCount, keyCount, mask;
  Value keyRoom; ///< keys that there is memory for
  Value maskSizes[4];
  Value slopes, sinks; ///< of heads; null: there are none
  /// Query i sees keys up to i + causalOffset.
  Value causalOffset;

  Type f32() { return t.f32Type(); }
  Value lowest() { return t.f32(-FLT_MAX); }
  /// Rows of q and y, or of keys and values, counted in i64: the address of one of
  /// `size` floats.
  Value queryRow(Value base, int64_t size, Value batch, Value head, Value query);
  Value keyRows(Value base, int64_t size, Value batch, Value keyHead);
  /// Floats from one key to the next.
  int64_t keyStride(int64_t size) const { return form.keyHeadsFirst ? size : form.keyHeads * size; }
  /// The address of the mask of one query, or of the slope of its head; null without.
  Value maskRow(Value batch, Value head, Value query);

  /// What a slope adds to the score of a key.
  Value sloped(Value maskRow, Value key);
  /// The score of the key that is in no cache, in units of 1 / `unit`.
  Value sink(Value head, float unit = kLog2E);
  /// One element of the mask, f32 or i8.
  Value loadMask(Value maskRow, Value key);

  /// What a query is multiplied with before the products.
  float queryFactor() const;
  /// From the product of a scaled query and a key to a score, without causality.
  Value score(Value product, Value maskRow, Value key);
  /// `limit`: the first key that the query does not see; unused without causality.
  Value hide(Value score, Value key, Value limit);
  Value limit(Value query) { return t.add(t.add(query, causalOffset), 1); }
  /// Keys that a query with this limit may see: 0 to all.
  Value visible(Value limit) { return t.min(t.max(limit, t.i32(0)), keyCount); }
  /// The first key that a query with this limit sees.
  Value firstSeen(Value limit) { return form.window ? t.max(t.sub(limit, form.window), t.i32(0)) : t.i32(0); }
  /// The larger one, of which neither is NaN.
  Value larger(Value a, Value b);

  /// With `causal`: visits the keys [0, end) that someone sees, then the others if for
  /// some row there was none.
  Values visitInRounds(Value end, Values state, llvm::function_ref<Values(Value, Value, ValueRange)> visit,
                       llvm::function_ref<Value(Value, ValueRange)> someoneIsBlind);
  /// Whether one of these queries of some thread has met only hidden keys; the same in all
  /// threads of the block, of `warps` warps. Shared memory begins with kFlagBytes for it.
  Value someoneIsBlind(Value round, ValueRange queries, ValueRange maxima, int64_t warps);
  static constexpr int64_t kFlagBytes = 128; ///< [round][warp] i32
};

/// The arguments of all kernels.
llvm::SmallVector<Argument> attentionArguments(Kernel &k, const AttentionForm &form);

/// Tiles of queries on the tensor cores; head sizes up to kTiledHeadSize.
void launchAttentionTiles(Kernel &k, const AttentionForm &form);
/// In the order of the CPU's kernel, without tensor cores; head sizes up to kTiledHeadSize.
void launchAttentionOrdered(Kernel &k, const AttentionForm &form);
/// Few queries: warps share the keys.
void launchAttentionRows(Kernel &k, const AttentionForm &form);

/// The keys in a cache are cut into parts, each for blocks of its own, that leave what
/// they found in memory. Host values.
struct AttentionParts {
  Value count; ///< i64; does not depend on how many keys there are
  /// Addresses of floats, where a row is a query of a head: weighted values
  /// [rows][parts][value size], and maxima and sums [rows][parts][2].
  Value values, states;
};
/// Memory for parts, unless `areUsed` (i1) says that there will be none.
AttentionParts allocateAttentionParts(Kernel &k, const AttentionForm &form, Value areUsed);
/// The same kernel for each part of a cache.
void launchAttentionParts(Kernel &k, const AttentionForm &form, const AttentionParts &parts);
/// Puts the parts together.
void launchAttentionCombine(Kernel &k, const AttentionForm &form, const AttentionParts &parts);
/// Blocks of AttentionRows, without parts.
Value countAttentionBlocks(Kernel &k, const AttentionForm &form);

inline constexpr int64_t kTiledHeadSize = 128;

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_ATTENTION_H
