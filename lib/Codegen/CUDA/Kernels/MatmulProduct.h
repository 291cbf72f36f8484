//===- MatmulProduct.h - The frame that all matrix products share ----------===//
//
// Every product y = x w^T runs on the tensor cores (mma m16n8: 16 rows of x, 8 columns
// of w), and every family is the same loop over chunks of 128 bytes of the rows of x.
// A chunk is four steps; a step is one mma deep, 32 bytes of a row: 32 inputs of s8 or
// 8 of tf32.
//
// Weights go straight from device memory into registers, in the layout that the CPU
// reads too (Kernels.h). A warp owns 32 consecutive columns = two packed blocks = four
// n-tiles. Lane (group = lane / 4, inGroup = lane % 4) reads 16 consecutive bytes, which
// belong to the columns 4 group .. 4 group + 3, and takes the j-th of them for column
// `group` of n-tile j: one load is one B register of four n-tiles. What a lane then has
// as sums are eight consecutive columns, 8 inGroup .. 8 inGroup + 7, in order of
//   n-tile 0..3 with the first, n-tile 0..3 with the second sum of a row.
//
// Two kinds of launches:
//   tiles  Blocks of several warps side by side. The rows of x come through shared
//          memory in three stages of cp.async (rows of 128 bytes, the i-th piece of 16
//          bytes of row r at place i ^ (r % 8): neither ldmatrix nor the reads of lanes
//          meet on a bank). Weights of the next chunk are loaded while this one is
//          multiplied.
//   rows   For up to kFewRows rows, where all that counts is how fast weights are read:
//          the warps of a block share 32 columns and take turns with the inputs (split
//          K), x is read by the lanes themselves, and the sums of the warps are added
//          in shared memory in a fixed order.
// The number of rows, known at run time, chooses in the host's code.
//
// Inputs past K and rows past R are zeros of x; whatever weights are then read (an
// address is always clamped into the array) counts for nothing.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULPRODUCT_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULPRODUCT_H

#include "../Kernel.h"

namespace qopt::cuda {

/// Most rows that the launch of split inputs takes.
inline constexpr int64_t kFewRows = 8;
/// Columns of a warp, in so many tiles of mma.
inline constexpr int64_t kWarpColumns = 32, kTiles = 4;
/// Steps of a chunk, 32-bit words of a step of a row.
inline constexpr int64_t kChunkSteps = 4, kStepWords = 8, kChunkWords = kChunkSteps * kStepWords;

/// A column block of 16 and the columns in it that a lane loads weights of.
struct WeightPlace {
  Value block;   ///< clamped to those that there are
  Value quarter; ///< columns 4 quarter .. 4 quarter + 3 of the block
  Value inGroup; ///< lane % 4
  Value sums;    ///< first of the eight columns that the lane has sums of, not clamped
};

/// Registers of one operand of mma; `low` is what `high` lacks, or empty.
struct Fragment {
  Values high, low;
};

/// What the families differ in. Sizes are those of the declaration.
class Product {
public:
  Product(int64_t inputs, int64_t columns, int64_t elementBytes)
      : inputs(inputs), columns(columns), elementBytes(elementBytes), groupSize(inputs), paddedGroup(0) {}
  virtual ~Product() = default;

  int64_t inputs, columns;
  int64_t elementBytes; ///< of x: 1 (s8) or 4 (f32)
  /// Sums of so many inputs are folded into totals by themselves; `paddedGroup`: the
  /// elements of whole chunks that they take, 0 if there is nothing to fold.
  int64_t groupSize, paddedGroup;
  /// Lane t of a group of four takes the words 8t .. 8t + 7 of a chunk instead of
  /// words t and t + 4 of each step.
  bool lanesTakeRuns = false;
  /// Chunks whose weights a lane of the launch for few rows reads at a time.
  int64_t chunksAhead = 1;
  /// Whether x is split in two parts of tf32 in the launch for few rows and in tiles.
  bool splitFewRows = false, splitTiles = false;

  int64_t chunkElements() const { return kChunkWords * 4 / elementBytes; }
  int64_t chunksPerGroup() const { return paddedGroup ? paddedGroup / chunkElements() : chunks(); }
  int64_t chunks() const;
  bool isInteger() const { return elementBytes == 1; }

  /// Registers (i32) with a chunk of weights as they are in memory; `args` are those of
  /// launchProduct. A chunk past the end may be asked for.
  virtual Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const = 0;
  /// The operands of n-tiles 0..3 for one step of what load() gave.
  virtual llvm::SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const = 0;
  /// Factors of the lane's eight columns in the group of `chunk`; only if sums are folded.
  virtual Values groupScales(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const { return {}; }
  /// From sums [rows][columns] to elements of y; rows and columns (i32) are clamped.
  virtual void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const {}
  /// The same for the sums of a lane of a tile, by all lanes of the warp.
  virtual void finishTile(Emitter &t, ValueRange args, const WeightPlace &place, ValueRange rows, ValueRange columns,
                          Values &sums) const {
    finish(t, args, rows, columns, sums);
  }
};

/// The first arguments of every launch; those of the family follow.
enum ProductArgument { kX, kW, kY, kRows, kFirstOwn };

/// Writes the host body and the kernels: x [R,K], w, y [R,N] are operands of `k`.
void launchProduct(Kernel &k, const Product &product, unsigned x, unsigned w, unsigned y,
                   llvm::ArrayRef<Argument> own);
/// The two kinds of launches that it chooses from; `arguments` are all of them.
void launchProductRows(Kernel &k, const Product &product, Value rows, llvm::ArrayRef<Argument> arguments);
void launchProductTiles(Kernel &k, const Product &product, Value rows, llvm::ArrayRef<Argument> arguments);

/// 16 bytes as four i32.
Values loadWords(Emitter &t, Value pointer);

/// What a thread of either kind of launch does.
class ProductThread {
protected:
  ProductThread(Emitter &t, const Product &p, ValueRange args) : t(t), p(p), args(args) {
    group = t.shiftRight(t.lane(), 2), inGroup = t.bitAnd(t.lane(), 3);
  }

  Type sumType() { return p.isInteger() ? t.getI32Type() : t.f32Type(); }
  Values zeroSums(int64_t count) { return Values(count, t.splat(sumType(), int64_t(0))); }
  WeightPlace placeOf(Value warpColumns);
  /// The input at an element of the padded rows; past the end where there is none.
  Value inputAt(Value element);
  bool isPadded() { return p.paddedGroup && p.paddedGroup != p.groupSize && p.inputs > p.groupSize; }
  /// Bytes of the largest aligned piece of x that lies in one row and group.
  int64_t pieceBytes();
  /// Four bytes of a row of x, zeros where there is nothing. `word` counts in the padded row.
  Value loadWord(Value rowOfX, Value word, Value isValid);
  /// Words of x as operands of the product.
  Fragment activations(ValueRange words, bool isSplit);
  /// sums[first .. first + 3] += a b, small products first.
  void multiply(const Fragment &a, const Fragment &b, Values &sums, int64_t first);
  /// totals + sums * scales; `columnOfSum`: which of the lane's columns a sum is of.
  Values fold(const WeightPlace &place, Value chunk, ValueRange sums, ValueRange totals,
              llvm::ArrayRef<int64_t> columnOfSum);

  Emitter &t;
  const Product &p;
  ValueRange args;
  Value group, inGroup; ///< lane / 4, lane % 4
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULPRODUCT_H
