//===- MatmulInt8.cpp - int8 activations times int8 weights, exactly -------===//
//
// s8 mma m16n8k32: four consecutive inputs of a column are one word in memory and one
// word of a B register, so packed weights are operands as they are. Sums are exact, and
// scales are applied in the order of the CPU's kernel, (sum * token) * column, so every
// bit of the result is the CPU's. (The correction for x + 128 is not needed: both
// operands are signed here.)
//
// LLM.int8's outlier columns have zeros for codes; the epilogue adds their products in
// f16 (Outliers.h).
//
//===----------------------------------------------------------------------===//
#include "Outliers.h"
#include "llvm/Support/MathExtras.h"
#include <memory>

using namespace mlir;

namespace qopt::cuda {

namespace {

/// Own arguments, counted from kFirstOwn. kWhich: a list of columns, or kept weights;
/// of these kCount says how many columns they are.
enum { kTokenScale = kFirstOwn, kColumnScale, kOutliers, kWhich, kCount };

struct Int8Product : Product {
  Int8Product(kernel::MatmulW8A8Op op, const OutlierLoop &outlierLoop)
      : Product(op.inputs(), op.columns(), 1), perToken(op.isPerToken()), form(op.outlierForm()),
        outlierLoop(outlierLoop), words(llvm::divideCeil(inputs, int64_t(4))) {
    wgmmaRows = 128;
    if (form == kernel::OutlierForm::Kept)
      keptElement = op.getOutlierWeights().getType().getElementType();
  }

  bool perToken;            ///< every row has a scale of its own
  kernel::OutlierForm form; ///< where the weights of outlier columns are
  Type keptElement;         ///< f16 or f32, of kept weights
  OutlierLoop outlierLoop;
  int64_t words; ///< of a column

  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), 4);
    Value column = t.at(args[kW], piece, t.add(t.mul(place.block, words * 4), place.quarter));
    Values raw;
    for (int64_t i = 0; i < 2 * kChunkSteps; ++i) {
      Value word = t.add(t.add(t.mul(chunk, kChunkWords), place.inGroup), 4 * i);
      llvm::append_range(raw, loadWords(t, t.at(column, piece, t.mul(t.min(word, t.i32(words - 1)), 4))));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &, ValueRange raw, int64_t step) const override {
    SmallVector<Fragment> tiles;
    for (int64_t j = 0; j < 4; ++j)
      tiles.push_back({{raw[8 * step + j], raw[8 * step + 4 + j]}, {}});
    return tiles;
  }

  void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const override {
    applyScales(t, args, rows, columns, sums,
                [&](const Outliers &outliers) { addOutliers(outliers, rows, columns, sums, outlierLoop); });
  }

  void finishTile(Emitter &t, ValueRange args, const WeightPlace &place, ValueRange rows, ValueRange columns,
                  Values &sums) const override {
    applyScales(t, args, rows, columns, sums, [&](const Outliers &outliers) {
      if (outliers.fitsHalf)
        addOutlierTiles(outliers, place, rows, sums);
      else
        addOutliers(outliers, rows, columns, sums);
    });
  }

private:
  void applyScales(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums,
                   function_ref<void(const Outliers &)> add) const {
    std::unique_ptr<Outliers> outliers = outliersOf(t, args);
    bool isScaledLast = outliers && outliers->unscaled;
    Values scales = columnScales(t, args, columns);
    applyTokens(t, args, rows, sums);
    if (!isScaledLast)
      applyColumns(t, scales, sums);
    if (outliers)
      add(*outliers);
    if (isScaledLast)
      applyColumns(t, scales, sums);
  }

  std::unique_ptr<Outliers> outliersOf(Emitter &t, ValueRange args) const {
    if (form == kernel::OutlierForm::Listed)
      return std::make_unique<ListedOutliers>(t, args[kOutliers], args[kWhich], args[kW], inputs, words);
    if (form == kernel::OutlierForm::Kept)
      return std::make_unique<KeptOutliers>(t, args[kOutliers], args[kWhich], t.load(t.i32Type(), args[kCount]),
                                            keptElement);
    return nullptr;
  }

  static Values columnScales(Emitter &t, ValueRange args, ValueRange columns) {
    Values scales;
    for (Value column : columns)
      scales.push_back(t.load(t.f32Type(), t.at(args[kColumnScale], t.f32Type(), column)));
    return scales;
  }

  /// Integers to floats, times the scales of x.
  void applyTokens(Emitter &t, ValueRange args, ValueRange rows, Values &sums) const {
    size_t perRow = sums.size() / rows.size();
    for (auto [r, row] : llvm::enumerate(rows)) {
      Value token = t.load(t.f32Type(), perToken ? t.at(args[kTokenScale], t.f32Type(), row) : args[kTokenScale]);
      for (Value &sum : MutableArrayRef(sums).slice(r * perRow, perRow))
        sum = t.mul(t.toFloat(sum, t.f32Type()), token);
    }
  }

  static void applyColumns(Emitter &t, ArrayRef<Value> scales, Values &sums) {
    for (auto [i, sum] : llvm::enumerate(sums))
      sum = t.mul(sum, scales[i % scales.size()]);
  }
};

} // namespace

ProductForm describe(kernel::MatmulW8A8Op op, const OutlierLoop &outliers) {
  Values own{op.getXScale(), op.getScales()};
  if (op.outlierForm() == kernel::OutlierForm::Listed)
    own.append({op.getOutliers(), op.getOutlierColumns()});
  if (op.outlierForm() == kernel::OutlierForm::Kept)
    own.append({op.getOutliers(), op.getOutlierWeights(), op.getOutlierCount()});
  return {std::make_unique<Int8Product>(op, outliers), own};
}

} // namespace qopt::cuda
