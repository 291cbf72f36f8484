//===- Attention.h - One task of attention on a CPU ------------------------===//
//
// What the loops over queries and heads (Attention.cpp) and those over the keys of a block
// (AttentionBlock.cpp) have in common.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_ATTENTION_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_ATTENTION_H

#include "Tiles.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::kernels {

inline constexpr int64_t kRows = 32; ///< rows of a block where heads are few
inline constexpr int64_t kKeys = 32; ///< keys of a block
inline constexpr int64_t kKeyVectors = kKeys / kLanes;
inline constexpr int64_t kFewRows = 4; ///< more rows than these are padded to multiples of it

struct Attention {
  Kernel &k;
  Value q, keys, values, mask, past, y; ///< mask and past may be null; with past, keys and values are caches
  Value slopes, sinks;                  ///< of heads; may be null
  int64_t window;                       ///< keys that a query sees at most; 0: all before it
  bool queryHeadsFirst, keyHeadsFirst, causal, offset;
  int64_t heads, keyHeads, headSize, valueSize;
  float scale, softcap;

  // Of the task: queries, and rows, which are (query, head) with the heads of a query side by side.
  Value batch = {}, keyHead = {}, firstQuery = {}, queries = {}, rows = {}, paddedRows = {};
  Value keyCount = {}, causalOffset = {};
  // Scratch: queries [rows][head size], transposed keys [head size][keys], values
  // [keys][value size], scores [rows][keys], what is reduced to one number of each row
  // [rows][16], mask values [keys], weighted sums [rows][value size], and per row: maximum,
  // sum, rescaling.
  Value rowQueries = {}, transposed = {}, valueBlock = {}, scores = {}, partial = {}, maskRow = {}, sums = {};
  Value maxima = {}, totals = {}, factors = {};

  int64_t groupHeads() const { return heads / keyHeads; }
  int64_t taskQueries() const { return std::max<int64_t>(kRows / groupHeads(), 1); }
  int64_t taskRows() const { return llvm::alignTo(taskQueries() * groupHeads(), kLanes); }
  int64_t paddedValues() const { return llvm::alignTo(valueSize, kLanes); }
  Value queryOf(Value row) const { return k.add(firstQuery, k.div(row, groupHeads())); }
  Value headOf(Value row) const { return k.add(k.mul(keyHead, k.index(groupHeads())), k.rem(row, groupHeads())); }
  Values atRow(Value row, Value i) const {
    Value query = queryOf(row), head = headOf(row);
    return queryHeadsFirst ? Values{batch, head, query, i} : Values{batch, query, head, i};
  }
  Values atKey(Value key, Value i) const {
    return keyHeadsFirst ? Values{batch, keyHead, key, i} : Values{batch, key, keyHead, i};
  }
  Tiling tiling(int64_t blocks) const {
    return k.target.vnni512 ? Tiling{{8, kFewRows, 1}, /*taskRows=*/0, blocks, /*accumulators=*/16}
                            : Tiling{{kFewRows, 1}, /*taskRows=*/0, blocks, /*accumulators=*/4};
  }
  /// A mask that is the same for all rows.
  bool isMaskShared() const {
    auto type = llvm::cast<mlir::MemRefType>(mask.getType());
    return type.getDimSize(1) == 1 && type.getDimSize(2) == 1;
  }

  void emit();
  void task(Value index);
  Value loadPast();
  void allocateScratch();
  void loadQueries();
  Value loadFloats(Value from, Value key, Value column, int64_t valid);
  void keyBlock(Value firstKey);
  void transposeKeys(Value firstKey);
  void loadValues(Value firstKey, Value count);
  void computeScores();
  void loadMaskRow(Value row, Value firstKey);
  Value maskedScores(Value row, Value firstKey, int64_t vector);
  Value reducePartial(Value firstRow, llvm::function_ref<Value(Value, Value)> combine);
  void softmax(Value firstKey);
  void addValues(Value count);
  void finish();
};

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_ATTENTION_H
