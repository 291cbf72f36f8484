//===- MatmulTable.cpp - Float activations times numbers of a table --------===//
//
// Four bits of a weight are a place in a table of 16 numbers, or a code whose zero point is
// a float. What they stand for is made in registers as f32 and cut in two parts of tf32,
// which are as exact as f32 (MatmulFloat.cpp); where all numbers of the table are numbers
// of tf32, one part is enough. The layout is that of int4.
//
// A table is looked up by choosing: each bit of a code halves the numbers that are left. Lane t
// of a group of four takes inputs t and t + 4 of each step, which are the two nibbles of
// byte t of a word: words are shifted once, and the rest is the same for all lanes.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

enum { kScales = kFirstOwn, kZeros };

struct TableProduct : Product {
  explicit TableProduct(kernel::MatmulW4A16Op op)
      : Product(op.inputs(), op.columns(), 4), scaleType(op.getScales().getType().getElementType()),
        groups(op.groups()), steps(op.steps()) {
    if (std::optional<ArrayRef<float>> numbers = op.getTable())
      table.assign(numbers->begin(), numbers->end());
    isExact = !table.empty() &&
              llvm::all_of(table, [](float number) { return (llvm::bit_cast<uint32_t>(number) & 0x1FFF) == 0; });
    groupSize = op.groupSize();
    paddedGroup = llvm::alignTo(groupSize, chunkElements());
    stepsOfGroup = llvm::divideCeil(groupSize, kernel::kInt4Step);
    splitFewRows = true, splitTiles = !isExact;
  }

  Type scaleType;
  SmallVector<float> table; ///< empty: codes less zero points of f32
  bool isExact;             ///< whether each number is one of tf32
  int64_t groups, steps, stepsOfGroup;

  /// For each step of the chunk a word for each of the four columns, then their zero points.
  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), 4);
    Value group = groupOf(t, chunk);
    Value first = t.add(t.mul(group, stepsOfGroup), t.mul(t.rem(chunk, t.i32(chunksPerGroup())), kChunkSteps));
    Value column = t.at(t.row(args[kW], piece, place.block, steps * 4), piece, place.quarter);
    Value shift = t.mul(place.inGroup, 8);
    Values raw;
    for (int64_t i = 0; i < kChunkSteps; ++i) {
      Value step = t.min(t.add(first, i), t.i32(steps - 1));
      for (Value word : loadWords(t, t.at(column, piece, t.mul(step, 4))))
        raw.push_back(arith::ShRUIOp::create(t, word, shift));
    }
    if (table.empty()) {
      Value zeros = t.at(t.row(args[kZeros], piece, place.block, groups * 4), piece, place.quarter);
      llvm::append_range(raw, loadWords(t, t.at(zeros, piece, t.mul(group, 4))));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const override {
    SmallVector<Fragment> tiles(4);
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t half = 0; half < 2; ++half) {
        Value code = t.bitAnd(t.shiftRight(raw[4 * step + j], 4 * half), 15);
        Value weight = table.empty()
                           ? t.sub(t.toFloat(code, t.f32Type()), t.bitcast(raw[4 * kChunkSteps + j], t.f32Type()))
                           : lookUp(t, code, table);
        Value bits = t.bitcast(weight, t.getI32Type());
        if (isExact)
          tiles[j].high.push_back(bits);
        else
          appendSplit(t, bits, tiles[j]);
      }
    return tiles;
  }

  Values groupScales(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    return loadGroupScales(t, args[kScales], scaleType, place, columns, groups, groupOf(t, chunk));
  }

private:
  static Value lookUp(Emitter &t, Value code, ArrayRef<float> numbers) {
    if (numbers.size() == 1)
      return t.f32(numbers.front());
    size_t half = numbers.size() / 2;
    Value isLow = t.equal(t.bitAnd(code, static_cast<int64_t>(half)), 0);
    return t.select(isLow, lookUp(t, code, numbers.take_front(half)), lookUp(t, code, numbers.drop_front(half)));
  }
};

} // namespace

std::unique_ptr<Product> makeTableProduct(kernel::MatmulW4A16Op op) { return std::make_unique<TableProduct>(op); }

} // namespace qopt::cuda
