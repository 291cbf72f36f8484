//===- MatmulProduct.h - The frame that all matrix products share ----------===//
//
// Every product y = x w^T runs on the tensor cores (mma m16n8: 16 rows of x, 8 columns
// of w), and every family is the same loop over chunks of 128 bytes of the rows of x.
// A chunk is four steps; a step is one mma deep, 32 bytes of a row: 32 inputs of s8 or
// 8 of tf32. In f16 a chunk of as many inputs as of tf32 is two steps of 16.
//
// Weights go straight from device memory into registers, in the layout that the CPU
// reads too (Packing.h). A warp owns 32 consecutive columns = two packed blocks = four
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
// Tiles of float activations whose weights are exact in f16 multiply f16: HalfRows.cpp
// converts the rows of x first.
//
// Inputs past K and rows past R are zeros of x; whatever weights are then read (an
// address is always clamped into the array) counts for nothing.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULPRODUCT_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULPRODUCT_H

#include "Kernel.h"
#include "llvm/Support/MathExtras.h"
#include <functional>
#include <memory>

namespace qopt::cuda {

/// Most rows that the launch of split inputs takes.
inline constexpr int64_t kFewRows = 8;
/// Columns of a warp, in so many tiles of mma.
inline constexpr int64_t kWarpColumns = 32, kTiles = 4;
/// Steps of a chunk, 32-bit words of a step of a row.
inline constexpr int64_t kChunkSteps = 4, kStepWords = 8, kChunkWords = kChunkSteps * kStepWords;
/// Steps of a chunk and inputs of a step in f16.
inline constexpr int64_t kHalfSteps = 2, kHalfInputs = 16;

/// A column block of 16 and the columns in it that a lane loads weights of.
struct WeightPlace {
  Value block;         ///< clamped to those that there are
  Value quarter;       ///< columns 4 quarter .. 4 quarter + 3 of the block
  Value inGroup;       ///< lane % 4
  Value sums;          ///< first of the columns that the lane has sums of, not clamped
  int64_t numSums = 8; ///< of columns; 4 on sm_90a
};

/// Registers of one operand of mma; `low` is what `high` lacks, or empty.
struct Fragment {
  Values high, low;
};

/// body(input, carried) for every outlier in order of the inputs; the last carried values.
using OutlierBody = llvm::function_ref<Values(Value, ValueRange)>;
using OutlierLoop = std::function<Values(Emitter &, Values, OutlierBody)>;

/// Which of the 32-bit words of a row of x lane t of a group of four takes as operands.
enum class LaneWords {
  Apart, ///< t and t + 4 of each step, as ldmatrix gives them
  Pairs, ///< 2t and 2t + 1 of each step: eight consecutive inputs of s8
  Runs,  ///< 8t .. 8t + 7 of a chunk, two of them for each step
};

/// What the families differ in. Sizes are those of the operation.
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
  LaneWords laneWords = LaneWords::Apart;
  /// At most so many chunks are loaded at a time in the launch for few rows.
  int64_t chunksAhead = 1;
  /// Whether x is split in two parts of tf32 in the launch for few rows and in tiles.
  bool splitFewRows = false, splitTiles = false;
  /// Whether tiles and fused launches multiply f16, with weights of decodeHalf().
  bool halfTiles = false;
  /// Rows of a block of the launch for sm_90a; 0: there is none.
  int64_t wgmmaRows = 0;

  int64_t chunkElements() const { return kChunkWords * 4 / elementBytes; }
  int64_t chunksPerGroup() const { return paddedGroup ? paddedGroup / chunkElements() : chunks(); }
  int64_t chunks() const;
  /// Where sums are folded: the group of a chunk; the last one for chunks past the end.
  Value groupOf(Emitter &t, Value chunk) const;
  bool isInteger() const { return elementBytes == 1; }
  /// Whether sums of groups are integers. They are exact, whoever adds them; what becomes of
  /// them in float is added in the order of the groups, which is the CPU's.
  bool foldsIntegers() const { return isInteger() && paddedGroup; }
  /// Chunks that a lane of the launch for few rows loads at a time, which lie in one group:
  /// sums of whole units can be folded.
  int64_t rowUnit() const;
  int64_t rowUnits() const { return llvm::divideCeil(chunks(), rowUnit()); }
  /// Chunks that tiles load at a time; a group is made of whole stages.
  int64_t stageChunks() const { return halfTiles && (chunksPerGroup() % 2 == 0 || inputs <= groupSize) ? 2 : 1; }
  int64_t stages() const { return llvm::divideCeil(chunks(), stageChunks()); }
  /// Elements of a row of HalfRows.
  int64_t halfWidth() const { return stages() * stageChunks() * kHalfSteps * kHalfInputs; }

  /// Registers (i32) with a chunk of weights as they are in memory; `args` are those of
  /// launchProduct. A chunk past the end may be asked for.
  virtual Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const = 0;
  /// The operands of n-tiles 0..3 for one step of what load() gave.
  virtual llvm::SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const = 0;
  /// The same in f16 for one of kHalfSteps steps: two registers (i32) of two numbers
  /// per n-tile. Element e of register r of lane t is the weight of the chunk's input
  ///   16 step + 8 r + 4 e + t   or, with runs,   8 t + 4 r + 2 e + step
  virtual llvm::SmallVector<Values> decodeHalf(Emitter &t, ValueRange raw, int64_t step) const { return {}; }
  /// Factors of the columns that the lane has sums of in the group of `chunk`; only if sums are folded.
  virtual Values groupScales(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const { return {}; }
  /// Where integer sums are folded: what the unit of the sums is worth, 1 or 1 / 16, a scale of
  /// x, and a factor of a column, in the group of `chunk`. Rows and columns (i32) are clamped.
  virtual float sumUnit() const { return 1; }
  virtual Value activationScale(Emitter &t, ValueRange args, Value row, Value chunk) const { return {}; }
  virtual Value columnScale(Emitter &t, ValueRange args, Value column, Value chunk) const { return {}; }
  /// From sums [rows][columns] to elements of y; rows and columns (i32) are clamped.
  virtual void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const {}
  /// The same for the sums of a lane of a tile, by all lanes of the warp.
  virtual void finishTile(Emitter &t, ValueRange args, const WeightPlace &place, ValueRange rows, ValueRange columns,
                          Values &sums) const {
    finish(t, args, rows, columns, sums);
  }
};

/// Rows of x in f16, as tiles read them: element e of word 8 step + 4 r + t of a chunk
/// (16 words) is the input that decodeHalf() names, so that ldmatrix gives a lane what
/// belongs to its weights. Rows are padded with zeros to whole stages and, like weights,
/// in every group to whole chunks. A row is multiplied by a power of two, which brings
/// its largest magnitude into [2^14, 2^15): every number that is not smaller than that
/// by 2^28 keeps 11 bits.
struct HalfRows {
  Value halves;  ///< memref [R, halfWidth] of f16
  Value factors; ///< memref [R] of f32: what sums must be multiplied by

  /// Memory for `rows` (i64) rows; at the top of the host's body.
  static HalfRows allocate(Kernel &k, const Product &p, Value rows);
  /// Launches the conversion of x, which has at least one row.
  void convert(Kernel &k, const Product &p, const Argument &x, Value rows) const;
  void release(Kernel &k) const;
};

/// The first arguments of every launch; those of the family follow, and in tiles of f16
/// the factors of the rows as the last.
enum ProductArgument { kX, kW, kY, kRows, kFirstOwn };

/// What an operation says of its product: how it is computed, and the operands that only its
/// family has, in the order of the launch's arguments.
struct ProductForm {
  std::unique_ptr<Product> product;
  Values own;
};

/// `outliers`: where a launch has them in another form than the operand that lists them.
/// Without a product for a family that is not known.
ProductForm describeProduct(kernel::ProductOpInterface op, const OutlierLoop &outliers = nullptr);
ProductForm describe(kernel::MatmulW8A8Op op, const OutlierLoop &outliers);
ProductForm describe(kernel::MatmulW4A16Op op);
/// Of one whose weights no f16 holds: numbers in a table, or zero points that are floats.
std::unique_ptr<Product> makeTableProduct(kernel::MatmulW4A16Op op);
ProductForm describe(kernel::MatmulW4A8Op op);
ProductForm describe(kernel::MatmulW8A16Op op);
ProductForm describe(kernel::MatmulFloatOp op);

/// The two kinds of launches that it chooses from; `arguments` are all of them.
void launchProductRows(Kernel &k, const Product &product, Value rows, llvm::ArrayRef<Argument> arguments);
void launchProductTiles(Kernel &k, const Product &product, Value rows, llvm::ArrayRef<Argument> arguments);

/// Whether there is a launch for sm_90a, and it: for rows > 0 in the memory `x`, which
/// takes the place of kX.
bool canUseWgmma(const Product &product);
void launchProductWgmma(Kernel &k, const Product &product, Value x, Value rows, llvm::ArrayRef<Argument> arguments);

/// The factors (f32) of the columns that the lane has sums of, of scales [blocks][groups][16].
Values loadGroupScales(Emitter &t, Value scales, Type element, const WeightPlace &place, int64_t columns,
                       int64_t groups, Value group);
/// Appends a weight (the bits of an f32), cut in two parts of tf32.
void appendSplit(Emitter &t, Value bits, Fragment &tile);

/// 16 bytes as four i32.
Values loadWords(Emitter &t, Value pointer);

/// What a thread of either kind of launch does.
class ProductThread {
protected:
  ProductThread(Emitter &t, const Product &p, ValueRange args) : t(t), p(p), args(args) {
    group = t.shiftRight(t.lane(), 2), inGroup = t.bitAnd(t.lane(), 3);
  }

  Type sumType() { return p.isInteger() ? t.getI32Type() : t.f32Type(); }
  /// What sums are folded into.
  Type totalType() { return p.paddedGroup ? t.f32Type() : sumType(); }
  Values zeroSums(int64_t count) { return Values(count, t.splat(sumType(), int64_t(0))); }
  /// Of the 32 columns from 32 * warpColumns on.
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
  /// For a row of f32 to become one of f16, by a block: the power of two that brings its
  /// largest magnitude into [2^14, 2^15), and the inverse. `scratch` as in blockMax.
  std::pair<Value, Value> halfFactors(Value x, int64_t threads, Value scratch);
  /// The two elements (f32) of a word of such a row, times `factor`.
  Value halfElements(Value x, Value word, Value factor);
  /// sums[first .. first + 3] += a b, small products first.
  void multiply(const Fragment &a, const Fragment &b, Values &sums, int64_t first);
  /// The same with operands of f16.
  void multiplyHalf(ValueRange a, ValueRange b, Values &sums, int64_t first);
  /// The word of a chunk that is the lane's in a half of a step.
  Value laneWord(int64_t step, int64_t half);
  /// totals + sums * scales; `columnOfSum`: which of the lane's columns a sum is of.
  Values fold(ValueRange scales, ValueRange sums, ValueRange totals, llvm::ArrayRef<int64_t> columnOfSum);
  /// What the sums of a group begin with: zero, or the bits of a float to which integers can
  /// be added as to an integer.
  Values groupSums(int64_t count);
  /// What integers added up to since then.
  Value exactFloat(Value sum);

  // Sums of a group that fit the mantissa of a float need no conversion.
  bool fitMantissa() const { return p.foldsIntegers() && 128.0f * 15 * p.groupSize / p.sumUnit() <= (1 << 22); }
  /// 3/2 * 2^23 units, whose last bit is worth one.
  float sumOrigin() const { return 12582912.0f * p.sumUnit(); }

  Emitter &t;
  const Product &p;
  ValueRange args;
  Value group, inGroup; ///< lane / 4, lane % 4
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULPRODUCT_H
