//===- Fused.cpp - A group of kernels as one launch for one row ------------===//
//
// The launch for few rows (MatmulRows.cpp) of all products of a group at once. Blocks
// are dealt out to the branches of the group, 32 columns each; if a branch has two
// products (gate and up), half of a block's warps compute the same columns of each.
//
// Before the loop over the inputs every block prepares the row for itself, in shared
// memory and in the order of the kernels of their own, so that codes and scales are
// theirs bit by bit: reading a row again from the L2 cache costs less than a launch.
// The weights with which a warp begins are on their way by then.
//
// After it, one warp adds up what the others have and has a column per lane; what
// follows happens in registers (FusedEpilogue.cpp), and only what others read is
// written.
//
//===----------------------------------------------------------------------===//
#include "Codes.h"
#include "FusedEpilogue.h"
#include "RmsNorm.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kThreads = kRowWarps * kWarp;

struct FusedThread : RowsThread {
  FusedThread(Emitter &t, const FusedGroup &fused, const FusedArguments &arguments, ValueRange passed)
      : RowsThread(t, fused.product(), {}), fused(fused), arguments(arguments), passed(passed), layout(fused) {}

  void run();

private:
  /// What is computed by this warp of this block, of values for each product.
  using OfProduct = function_ref<Value(const FusedBranch &, const FusedProduct &)>;
  Value choose(OfProduct value);
  void chooseWork();
  WeightPlace choosePlace();
  void multiply(const WeightPlace &place, const Source &source, Values firstWeights);
  void multiplyInOrder(const WeightPlace &place, const Source &source, Values firstWeights);

  void prepareRow();
  void quantizeRow(Value row);
  void quantize(kernel::QuantizeOp op, Value row, RowPieces &pieces);
  void quantize(kernel::DynamicQuantizeOp op, Value row, RowPieces &pieces);
  void quantize(kernel::SplitColumnsOp op, Value row, RowPieces &pieces);
  void quantize(kernel::SplitColumnsAtOp op, Value row, RowPieces &pieces);
  DynamicRow dynamicRow();
  void splitRow(Value row);
  void listOutliers(Value row, float threshold);
  Values forEachOutlier(Values initial, OutlierBody body);

  Value columnOf(const FusedBranch &branch);
  Value address(Value value);
  Values productArguments(const FusedProduct &product);
  void finish(const FusedBranch &branch);

  const FusedGroup &fused;
  const FusedArguments &arguments;
  ValueRange passed;
  FusedLayout layout;

  Values isBranch;  ///< of this block
  Values isProduct; ///< of this warp, by number in the branch
  Value unit;       ///< of the branch
  Turn turn;
  Values chosen;   ///< arguments of the warp's product
  Value scaleBack; ///< what sums are multiplied by; null: nothing
};

Value FusedThread::choose(OfProduct value) {
  Value result;
  for (auto [branch, isThis] : llvm::zip(fused.branches, isBranch))
    for (auto [product, isOwn] : llvm::zip(branch.products, isProduct)) {
      Value own = value(branch, product);
      result = result && result != own ? t.select(t.both(isThis, isOwn), own, result) : own;
    }
  return result;
}

void FusedThread::chooseWork() {
  int64_t products = fused.productsPerBranch(), splits = kRowWarps / products, begin = 0;
  for (const FusedBranch &branch : fused.branches) {
    Value inBranch = t.sub(t.block(), begin);
    isBranch.push_back(t.below(inBranch, t.i32(branch.units())));
    unit = unit ? t.select(isBranch.back(), inBranch, unit) : inBranch;
    begin += branch.units();
  }
  turn = {t.rem(t.warp(), t.i32(splits)), splits};
  Value own = t.div(t.warp(), t.i32(splits));
  for (int64_t i = 0; i < products; ++i)
    isProduct.push_back(t.equal(own, i));
  llvm::DenseMap<const FusedProduct *, Values> all;
  for (const FusedBranch &branch : fused.branches)
    for (const FusedProduct &product : branch.products)
      all[&product] = productArguments(product);
  for (size_t i = 0, n = all.begin()->second.size(); i < n; ++i)
    chosen.push_back(choose([&](const FusedBranch &, const FusedProduct &product) { return all[&product][i]; }));
  args = chosen;
}

WeightPlace FusedThread::choosePlace() {
  auto ofBranch = [&](function_ref<Value(const FusedBranch &)> value) {
    return choose([&](const FusedBranch &branch, const FusedProduct &) { return value(branch); });
  };
  Value first = ofBranch([&](const FusedBranch &branch) { return branch.blocksOf(t, unit).first; });
  Value second = ofBranch([&](const FusedBranch &branch) {
    return t.min(branch.blocksOf(t, unit).second, t.i32(llvm::divideCeil(branch.columns(), int64_t(16)) - 1));
  });
  Value sums = t.add(t.mul(t.select(t.less(inGroup, 2), first, t.sub(second, 1)), 16), t.mul(inGroup, 8));
  return {t.select(t.less(group, 4), first, second), t.bitAnd(group, 3), inGroup, sums};
}

/// The column of a branch that a lane has, which may be past the end.
Value FusedThread::columnOf(const FusedBranch &branch) {
  auto [first, second] = branch.blocksOf(t, unit);
  return t.add(t.mul(t.select(t.less(t.lane(), 16), first, second), 16), t.bitAnd(t.lane(), 15));
}

/// Where memory is for this block: what it prepares, in shared memory.
Value FusedThread::address(Value value) {
  Value memory = kernel::getMemory(value);
  if (fused.norm && writes(fused.norm, memory))
    return t.shared(layout.row);
  if (fused.quantization) {
    auto inits = cast<DestinationStyleOpInterface>(fused.quantization).getDpsInits();
    const int64_t offsets[] = {layout.codes, layout.scale, layout.outliers};
    for (auto [init, offset] : llvm::zip(inits, offsets))
      if (kernel::getMemory(init) == memory)
        return t.shared(offset);
  }
  return arguments.address(passed, memory);
}

/// As launchProductRows passes them; null for what only the launch itself uses.
Values FusedThread::productArguments(const FusedProduct &product) {
  kernel::ProductOpInterface op = product.op;
  Values result(kFirstOwn);
  result[kX] = address(op.getX());
  result[kW] = address(op.getWeights());
  for (Value operand : product.form.own)
    result.push_back(address(operand));
  return result;
}

void FusedThread::prepareRow() {
  Value row = address(fused.x);
  if (fused.norm) {
    auto op = cast<kernel::RmsNormOp>(fused.norm);
    RowNorm norm(op, kThreads);
    Value staged = t.shared(layout.row);
    norm.copy(t, row, staged);
    t.barrier();
    norm.run(t, staged, address(op.getWeight()), staged, t.shared(layout.sums));
    t.barrier();
    row = staged;
  }
  if (fused.quantization) {
    quantizeRow(row);
    t.barrier();
  } else if (fused.halfWords()) {
    splitRow(row);
    t.barrier();
  }
}

/// The row as a sum of two rows of f16, for twice the bits.
void FusedThread::splitRow(Value row) {
  auto [factor, inverse] = halfFactors(row, kThreads, t.shared(layout.sums));
  scaleBack = inverse;
  Type halves = t.vector(t.getF16Type(), 2), floats = t.vector(t.f32Type(), 2);
  t.forLoop(t.thread(), t.i32(fused.halfWords()), kThreads, [&, factor = factor](Value word) {
    Value elements = halfElements(row, word, factor), high = t.toFloat(elements, halves);
    t.store(high, t.at(t.shared(layout.high), halves, word));
    t.store(t.toFloat(t.sub(elements, t.toFloat(high, floats)), halves), t.at(t.shared(layout.low), halves, word));
  });
}

DynamicRow FusedThread::dynamicRow() {
  return {t.shared(layout.codes), t.shared(layout.scale), kThreads, t.shared(layout.sums)};
}

void FusedThread::quantize(kernel::QuantizeOp op, Value, RowPieces &pieces) {
  cuda::quantizeRow(t, pieces, address(op.getScale()), t.shared(layout.codes));
}

void FusedThread::quantize(kernel::DynamicQuantizeOp, Value, RowPieces &pieces) { dynamicRow().run(t, pieces); }

void FusedThread::quantize(kernel::SplitColumnsOp op, Value row, RowPieces &pieces) {
  DynamicRow quantization = dynamicRow();
  float threshold = outlierThreshold(op);
  listOutliers(row, threshold);
  quantization.threshold = threshold;
  quantization.run(t, pieces, [&](Value, Value piece) {
    return t.negate(t.lessEqual(t.splat(piece.getType(), threshold), t.abs(piece)));
  });
}

void FusedThread::quantize(kernel::SplitColumnsAtOp op, Value row, RowPieces &pieces) {
  DynamicRow quantization = dynamicRow();
  Value count = t.toInteger(arguments.limit(passed, op), t.i32Type());
  GivenOutliers given{address(op.getColumns()), count, t.shared(layout.outliers), t.shared(layout.marks)};
  given.run(t, row, pieces, quantization);
}

void FusedThread::quantizeRow(Value row) {
  if (auto op = dyn_cast<kernel::DynamicQuantizeOp>(fused.quantization); op && op.isByGroups())
    return GroupedRow{t.shared(layout.codes), t.shared(layout.scale), op.width(), op.groupSize(), kThreads}.run(t, row);
  RowPieces pieces(t, row, p.inputs, kThreads);
  llvm::TypeSwitch<Operation *>(fused.quantization)
      .Case<kernel::QuantizeOp, kernel::DynamicQuantizeOp, kernel::SplitColumnsOp, kernel::SplitColumnsAtOp>(
          [&](auto op) { quantize(op, row, pieces); });
}

/// A bit per input.
void FusedThread::listOutliers(Value row, float threshold) {
  Type f32 = t.f32Type(), i32 = t.i32Type();
  t.forLoop(t.warp(), t.i32(llvm::divideCeil(p.inputs, kWarp)), kRowWarps, [&](Value word) {
    Value input = t.add(t.mul(word, kWarp), t.lane()), isIn = t.less(input, p.inputs);
    Value v = t.load(f32, t.at(row, f32, t.select(isIn, input, t.i32(0))));
    Value bits = t.ballot(t.both(isIn, t.lessEqual(t.f32(threshold), t.abs(v))));
    t.ifThen(t.equal(t.lane(), 0), [&] { t.store(bits, t.at(t.shared(layout.outliers), i32, word)); });
  });
}

/// Called by a whole warp: its lanes look for words with bits, 32 at a time.
Values FusedThread::forEachOutlier(Values initial, OutlierBody body) {
  Type i32 = t.i32Type();
  auto forEachBit = [&](Value bits, ValueRange carried, OutlierBody ofBit) {
    Values state{bits};
    llvm::append_range(state, carried);
    state = t.whileLoop(
        state, [&](ValueRange now) { return t.negate(t.equal(now[0], 0)); },
        [&](ValueRange now) {
          Values next{t.bitAnd(now[0], t.sub(now[0], 1))};
          Value bit = t.intrinsic("llvm.cttz", i32, {now[0], t.boolean(true)});
          llvm::append_range(next, ofBit(bit, now.drop_front()));
          return next;
        });
    return Values(llvm::drop_begin(state));
  };
  Value words = t.i32(llvm::divideCeil(p.inputs, kWarp));
  return t.forLoop(t.i32(0), words, kWarp, initial, [&](Value first, ValueRange carried) {
    Value at = t.add(first, t.lane()), isIn = t.less(at, words);
    Value mine = t.load(i32, t.at(t.shared(layout.outliers), i32, t.select(isIn, at, t.i32(0))));
    mine = t.select(isIn, mine, t.i32(0));
    return forEachBit(t.ballot(t.negate(t.equal(mine, 0))), carried, [&](Value word, ValueRange ofWords) {
      return forEachBit(t.shuffleFrom(mine, word), ofWords, [&](Value bit, ValueRange ofBits) {
        return body(t.add(t.mul(t.add(first, word), kWarp), bit), ofBits);
      });
    });
  });
}

/// The sums of the warps to results; called by one warp.
void FusedThread::finish(const FusedBranch &branch) {
  Value column = columnOf(branch), clamped = t.min(column, t.i32(branch.columns() - 1));
  // Outliers that the block itself has found are bits in shared memory, not a list.
  OutlierLoop outliers;
  if (isa_and_present<kernel::SplitColumnsOp>(fused.quantization))
    outliers = [&](Emitter &, Values initial, OutlierBody body) { return forEachOutlier(initial, body); };
  Values results;
  for (auto [i, product] : llvm::enumerate(branch.products)) {
    Values sum(1);
    // What was added up in order is complete in the first of its warps.
    for (int64_t j = 0, n = p.foldsIntegers() ? 1 : turn.splits; j < n; ++j) {
      Value place = t.add(t.lane(), (i * turn.splits + j) * kWarpColumns);
      Value part = t.load(totalType(), t.at(t.shared(layout.sums), totalType(), place));
      sum[0] = j ? t.add(sum[0], part) : part;
    }
    if (scaleBack)
      sum[0] = t.mul(sum[0], scaleBack);
    describeProduct(product.op, outliers).product->finish(t, productArguments(product), t.i32(0), clamped, sum);
    results.push_back(sum[0]);
  }
  FusedEpilogue(t, arguments, passed, branch, column).run(results);
}

/// Leaves the sums of each warp in shared memory.
void FusedThread::multiply(const WeightPlace &place, const Source &source, Values firstWeights) {
  Values sums = multiplyRows(place, turn, source, firstWeights);
  Value mine = t.add(t.mul(t.warp(), kWarpColumns), t.mul(inGroup, 8));
  t.ifThen(source.isRow, [&] {
    for (auto [i, vector] : llvm::enumerate(sums))
      t.store(vector, t.at(t.at(t.shared(layout.sums), totalType(), mine), vector.getType(), i));
  });
}

/// Leaves the totals of the first warp of each turn in shared memory.
void FusedThread::multiplyInOrder(const WeightPlace &place, const Source &source, Values firstWeights) {
  Value column = choose([&](const FusedBranch &branch, const FusedProduct &) {
    return t.min(columnOf(branch), t.i32(branch.columns() - 1));
  });
  Value isFirst = t.equal(turn.split, 0);
  OrderedSum sum{t.i32(0), column, t.sub(t.warp(), turn.split), isFirst};
  Value total = RowsThread::multiplyInOrder(place, turn, source, firstWeights, sum, 1, t.shared(layout.sums));
  t.barrier();
  t.ifThen(isFirst, [&] { t.store(total, t.at(t.shared(layout.sums), t.f32Type(), t.thread())); });
}

void FusedThread::run() {
  chooseWork();
  WeightPlace place = choosePlace();
  Values firstWeights = loadFirst(place, turn);
  prepareRow();
  Value isRow = t.equal(group, 0);
  Source source{args[kX], isRow};
  if (fused.halfWords())
    source = {t.shared(layout.high), isRow, t.shared(layout.low)};
  if (p.foldsIntegers())
    multiplyInOrder(place, source, firstWeights);
  else
    multiply(place, source, firstWeights);
  t.barrier();
  t.ifThen(t.equal(t.warp(), 0), [&] {
    for (auto [branch, isThis] : llvm::zip(fused.branches, isBranch))
      t.ifThen(isThis, [&] { finish(branch); });
  });
}

} // namespace

void launchFused(Kernel &k, const FusedGroup &group, const IRMapping &outside, StringRef suffix) {
  int64_t units = 0;
  for (const FusedBranch &branch : group.branches)
    units += branch.units();
  FusedArguments arguments(k, group, outside);
  k.launch({.grid = {k.i64(units)},
            .threads = kThreads,
            .sharedBytes = FusedLayout(group).bytes,
            .blocksAtATime = 2,
            .suffix = suffix},
           arguments.list, [&](Emitter &t, ValueRange args) { FusedThread(t, group, arguments, args).run(); });
}

} // namespace qopt::cuda
