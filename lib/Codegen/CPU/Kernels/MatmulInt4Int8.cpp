//===- MatmulInt4Int8.cpp - int8 activations times int4 weights ------------===//
//
// The codes of a step, four bits each in a byte with another one, become bytes by one
// mask, or one shift and one mask, and are never more than that: they are the unsigned
// operand of the multiply, as they are, and their zero points are taken off in whole
// groups. With d the sum of x * code, s the sum of x in the group,
//
//   sum of x * (code - zero) = d - zero * s,
//
// so sums begin with - zero * s, which is computed once for all columns where zeros are 8.
//
//   v4: vpdpbusd adds four products to an int32 lane.
//   v3: vpmaddubsw adds two products in 16 bits. Both are at most 15 * 128, so eight of
//       its results fit before vpmaddwd widens them: four steps of eight inputs.
//
// Both are exact. Only products of whole groups are float: one multiply and one
// multiply-add each, in the order of the groups on all levels.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

constexpr int64_t kStep = kernel::kInt4Step; ///< inputs of a 64-byte load, and of two words of x
constexpr int64_t kWide = 4;                 ///< v3: steps whose products fit 16 bits together

struct Int4Int8 {
  Kernel &k;
  kernel::MatmulW4A8Op op;
  Value words{}; ///< x by steps, [panels][steps][2][rows of a panel] of four codes each, as i32
  Value panelRows{};
  Value starts{}; ///< [R][x groups]: - 8 * s, or - s where there are zeros

  bool vnni() { return k.target.vnni512; }
  /// Vectors of sums per block of 16 columns, and their lanes.
  int64_t parts() { return vnni() ? 1 : 2; }
  int64_t lanes() { return kLanes / parts(); }
  int64_t stepsOf(int64_t inputs) { return llvm::divideCeil(inputs, kStep); }
  Tiling tiling();

  void forGroups(function_ref<void(Value, Value, Value, int64_t)> body);
  Values forGroups(ValueRange initial, function_ref<Values(Value, Value, Value, int64_t, ValueRange)> body);
  void packRow(Value row);
  void packActivations();

  Value part(Value vector, int64_t i);
  Value word(const Tile &tile, int64_t r, Value step, int64_t half, int64_t count);
  std::array<Value, 2> codes(Value block, Value step, int64_t part);
  Values start(const Tile &tile, Value group, Value xGroup);
  Values dot(const Tile &tile, Value step, ValueRange sums);
  Values dotWide(const Tile &tile, Value firstStep, int64_t steps, ValueRange sums);
  Values dots(const Tile &tile, Value firstStep, int64_t steps, ValueRange sums);
  Value rowDots(const Tile &tile, Value firstStep, int64_t steps, Value sum);
  Values group(const Tile &tile, Value group, Value xGroup, Value firstStep, int64_t size, ValueRange totals);
  void tile(const Tile &tile);
};

Tiling Int4Int8::tiling() {
  Tiling t = defaultTiling(k.target, op.inputs());
  // One column block for many rows: sums and totals fit the registers, and x is an operand
  // in memory. On v3 each sum is two vectors, beside two more of 16 bits.
  t.accumulators = vnni() ? 12 : 2;
  if (!vnni())
    t.rowSizes = {2, 1};
  t.rowBlocks = 1; // one stream of weights
  return t;
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// Calls `body` for each group of x with its group of the weights, its number, its first
/// step and its inputs.
Values Int4Int8::forGroups(ValueRange initial, function_ref<Values(Value, Value, Value, int64_t, ValueRange)> body) {
  int64_t size = op.groupSize(), xSize = op.xGroupSize(), inputs = op.inputs(), perGroup = size / xSize;
  auto ofGroup = [&](Value group, int64_t inputsOfGroup, ValueRange carried) {
    Value firstStep = k.mul(group, k.index(stepsOf(size))), firstX = k.mul(group, k.index(perGroup));
    int64_t full = inputsOfGroup / xSize, rest = inputsOfGroup % xSize;
    Values values = llvm::to_vector(carried);
    auto ofX = [&](Value i, int64_t count, ValueRange now) {
      return body(group, k.add(firstX, i), k.add(firstStep, k.mul(i, k.index(xSize / kStep))), count, now);
    };
    if (full == 1)
      values = body(group, firstX, firstStep, xSize, values);
    else if (full)
      values =
          k.forLoop(k.index(0), k.index(full), 1, values, [&](Value i, ValueRange now) { return ofX(i, xSize, now); });
    return rest ? ofX(k.index(full), rest, values) : values;
  };
  Values values = llvm::to_vector(initial);
  int64_t full = inputs / size, rest = inputs % size;
  if (full)
    values = k.forLoop(k.index(0), k.index(full), 1, values,
                       [&](Value group, ValueRange now) { return ofGroup(group, size, now); });
  return rest ? ofGroup(k.index(full), rest, values) : values;
}

void Int4Int8::forGroups(function_ref<void(Value, Value, Value, int64_t)> body) {
  forGroups(ValueRange(), [&](Value group, Value xGroup, Value firstStep, int64_t size, ValueRange) {
    return body(group, xGroup, firstStep, size), Values();
  });
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// Steps begin where those of the weights do; what fills a step up is zero. The rows of a
/// panel, which are those of a tile, lie side by side: the multiply takes them from memory
/// by one address.
void Int4Int8::packRow(Value row) {
  Type i32 = k.getI32Type();
  forGroups([&](Value group, Value xGroup, Value firstStep, int64_t size) {
    Value first = k.mul(xGroup, k.index(op.xGroupSize()));
    auto step = [&](Value i, int64_t valid, Value sums) {
      Value codes = k.loadVector(op.getX(), {row, k.add(first, k.mul(i, k.index(kStep)))}, valid, kStep);
      Value both = k.bitcast(codes, k.vector(i32, 2));
      for (int64_t half : {0, 1})
        k.store(vector::ExtractOp::create(k, both, half), words,
                {k.div(row, panelRows), k.add(firstStep, i), k.index(half), k.rem(row, panelRows)});
      return k.add(sums, arith::ExtSIOp::create(k, k.vector(i32, kStep), codes));
    };
    int64_t full = size / kStep, rest = size % kStep;
    Value sums = k.splatI32(0, kStep);
    if (full)
      sums = k.forLoop(k.index(0), k.index(full), 1, {sums},
                       [&](Value i, ValueRange carried) { return Values{step(i, kStep, carried[0])}; })[0];
    if (rest)
      sums = step(k.index(full), rest, sums);
    Value sum = vector::ReductionOp::create(k, vector::CombiningKind::ADD, sums);
    k.store(k.mul(sum, k.i32(op.getZeros() ? -1 : -8)), starts, {row, xGroup});
  });
}

void Int4Int8::packActivations() {
  Value rows = k.dim(op.getX(), 0);
  auto allocate = [&](ArrayRef<int64_t> shape, ValueRange sizes) -> Value {
    return memref::AllocOp::create(k, MemRefType::get(shape, k.getI32Type()), sizes, k.getI64IntegerAttr(64));
  };
  panelRows = k.minIndex(rows, k.index(tiling().rowSizes[0]));
  Value panels = k.div(k.sub(k.add(rows, panelRows), k.index(1)), panelRows);
  words = allocate({ShapedType::kDynamic, op.steps(), 2, ShapedType::kDynamic}, {panels, panelRows});
  starts = allocate({ShapedType::kDynamic, op.xGroups()}, rows);
  k.parallel(rows, grainOfRows(op.inputs()), [&](Value row) { packRow(row); });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The lanes of part i of a vector of 16 columns.
Value Int4Int8::part(Value vector, int64_t i) {
  if (parts() == 1)
    return vector;
  SmallVector<int64_t> places;
  for (int64_t lane = 0; lane < lanes(); ++lane)
    places.push_back(i * lanes() + lane);
  return k.shuffle(vector, vector, places);
}

/// Four codes of row r of a tile in each of `count` lanes, as bytes.
Value Int4Int8::word(const Tile &tile, int64_t r, Value step, int64_t half, int64_t count) {
  Value lane = k.add(k.rem(tile.row, panelRows), k.index(r));
  Value four = k.load(words, {k.div(tile.row, panelRows), step, k.index(half), lane});
  return k.bitcast(k.broadcast(four, count), k.vector(k.getI8Type(), 4 * count));
}

/// Of inputs 0 to 3 and 4 to 7 of a step, as bytes of the columns of a part.
std::array<Value, 2> Int4Int8::codes(Value block, Value step, int64_t part) {
  int64_t bytes = 4 * lanes();
  Value both = k.loadVector(op.getWeights(), {block, step, k.index(part * bytes)}, bytes, bytes);
  both = k.bitcast(both, k.vector(k.getI32Type(), lanes()));
  Value mask = k.splatI32(0x0f0f0f0f, lanes()), shift = k.splatI32(4, lanes());
  auto asBytes = [&](Value v) { return k.bitcast(arith::AndIOp::create(k, v, mask), k.vector(k.getI8Type(), bytes)); };
  return {asBytes(both), asBytes(arith::ShRUIOp::create(k, both, shift))};
}

/// What sums begin with, [rows][blocks][parts].
Values Int4Int8::start(const Tile &tile, Value group, Value xGroup) {
  Values zeros, result;
  for (int64_t b = 0; op.getZeros() && b < tile.blocks; ++b) {
    Value zero = k.loadVector(op.getZeros(), {k.add(tile.block, k.index(b)), group, k.index(0)});
    zeros.push_back(arith::ExtSIOp::create(k, k.vector(k.getI32Type()), zero));
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value sum = k.load(starts, {k.add(tile.row, k.index(r)), xGroup});
    for (int64_t b = 0; b < tile.blocks; ++b)
      for (int64_t p = 0; p < parts(); ++p) {
        Value all = k.broadcast(sum, lanes());
        result.push_back(zeros.empty() ? all : k.mul(all, part(zeros[b], p)));
      }
  }
  return result;
}

/// v4: adds the products of one step.
Values Int4Int8::dot(const Tile &tile, Value step, ValueRange sums) {
  Values next = llvm::to_vector(sums);
  SmallVector<std::array<Value, 2>> weights;
  for (int64_t b = 0; b < tile.blocks; ++b)
    weights.push_back(codes(k.add(tile.block, k.index(b)), step, 0));
  for (int64_t half : {0, 1})
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value x = word(tile, r, step, half, kLanes);
      for (int64_t b = 0; b < tile.blocks; ++b) {
        Value &sum = next[r * tile.blocks + b];
        sum = k.intrinsic("llvm.x86.avx512.vpdpbusd.512", sum.getType(), {sum, weights[b][half], x});
      }
    }
  return next;
}

/// v3: adds the products of up to `kWide` steps.
Values Int4Int8::dotWide(const Tile &tile, Value firstStep, int64_t steps, ValueRange sums) {
  VectorType pairs = k.vector(k.getIntegerType(16), 2 * lanes());
  Values narrow(sums.size());
  for (int64_t s = 0; s < steps; ++s) {
    Value step = k.add(firstStep, k.index(s));
    for (int64_t b = 0; b < tile.blocks; ++b) {
      if (tile.rows == 1)
        k.prefetchWeights(op.getWeights(), k.add(tile.block, k.index(b)), step, tile.blocks);
      SmallVector<std::array<Value, 2>> weights;
      for (int64_t p = 0; p < parts(); ++p)
        weights.push_back(codes(k.add(tile.block, k.index(b)), step, p));
      for (int64_t half : {0, 1})
        for (int64_t r = 0; r < tile.rows; ++r) {
          Value x = word(tile, r, step, half, lanes());
          for (int64_t p = 0; p < parts(); ++p) {
            Value products = k.intrinsic("llvm.x86.avx2.pmadd.ub.sw", pairs, {weights[p][half], x});
            Value &sum = narrow[(r * tile.blocks + b) * parts() + p];
            sum = sum ? k.add(sum, products) : products;
          }
        }
    }
  }
  Value ones = arith::ConstantOp::create(k, DenseElementsAttr::get(pairs, k.getI16IntegerAttr(1).getValue()));
  Values next;
  for (auto [sum, products] : llvm::zip(sums, narrow))
    next.push_back(k.add(sum, k.intrinsic("llvm.x86.avx2.pmadd.wd", sum.getType(), {products, ones})));
  return next;
}

/// v4: the same for `steps` steps of one row and one block. Sums of the halves of two steps
/// do not wait for each other.
Value Int4Int8::rowDots(const Tile &tile, Value firstStep, int64_t steps, Value sum) {
  constexpr int64_t kUnroll = 2;
  auto addSteps = [&](Value step, int64_t count, ValueRange carried) {
    Values next = llvm::to_vector(carried);
    for (int64_t s = 0; s < count; ++s) {
      Value at = k.add(step, k.index(s));
      k.prefetchWeights(op.getWeights(), tile.block, at, 1);
      std::array<Value, 2> weights = codes(tile.block, at, 0);
      for (int64_t half : {0, 1}) {
        Value &part = next[2 * s + half];
        part = k.intrinsic("llvm.x86.avx512.vpdpbusd.512", part.getType(),
                           {part, weights[half], word(tile, 0, at, half, kLanes)});
      }
    }
    return next;
  };
  int64_t full = steps / kUnroll * kUnroll;
  Values sums(2 * kUnroll, k.splatI32(0));
  sums[0] = sum;
  if (full)
    sums = k.forLoop(k.index(0), k.index(full), kUnroll, sums,
                     [&](Value i, ValueRange carried) { return addSteps(k.add(firstStep, i), kUnroll, carried); });
  sums = addSteps(k.add(firstStep, k.index(full)), steps - full, sums);
  return k.add(k.add(sums[0], sums[1]), k.add(sums[2], sums[3]));
}

/// Adds the products of `steps` steps.
Values Int4Int8::dots(const Tile &tile, Value firstStep, int64_t steps, ValueRange sums) {
  if (vnni() && tile.rows == 1 && tile.blocks == 1)
    return {rowDots(tile, firstStep, steps, sums[0])};
  int64_t unroll = vnni() ? 1 : kWide, full = steps / unroll, rest = steps % unroll;
  auto add = [&](Value step, int64_t count, ValueRange carried) {
    return vnni() ? dot(tile, step, carried) : dotWide(tile, step, count, carried);
  };
  Values result = llvm::to_vector(sums);
  if (full)
    result = k.forLoop(k.index(0), k.index(full * unroll), unroll, result,
                       [&](Value i, ValueRange carried) { return add(k.add(firstStep, i), unroll, carried); });
  return rest ? add(k.add(firstStep, k.index(full * unroll)), rest, result) : result;
}

/// totals += x_scale * scale * (exact sum of the group).
Values Int4Int8::group(const Tile &tile, Value group, Value xGroup, Value firstStep, int64_t size, ValueRange totals) {
  Type f32 = k.vector(k.getF32Type());
  Values sums = dots(tile, firstStep, stepsOf(size), start(tile, group, xGroup)), scales, next;
  for (int64_t b = 0; b < tile.blocks; ++b) {
    Value scale = k.loadVector(op.getScales(), {k.add(tile.block, k.index(b)), group, k.index(0)});
    scales.push_back(scale.getType() == f32 ? scale : Value(arith::ExtFOp::create(k, f32, scale)));
  }
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, kLanes));
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value xScale = k.broadcast(k.load(op.getXScale(), {k.add(tile.row, k.index(r)), xGroup}));
    for (int64_t b = 0; b < tile.blocks; ++b) {
      int64_t at = r * tile.blocks + b;
      Value sum = vnni() ? sums[at] : k.shuffle(sums[2 * at], sums[2 * at + 1], all);
      Value scaled = k.mul(arith::SIToFPOp::create(k, f32, sum), xScale);
      next.push_back(k.fma(scaled, scales[b], totals[at]));
    }
  }
  return next;
}

void Int4Int8::tile(const Tile &tile) {
  Values totals(tile.rows * tile.blocks, k.splat(0.0f));
  totals = forGroups(totals, [&](Value group, Value xGroup, Value firstStep, int64_t size, ValueRange carried) {
    return this->group(tile, group, xGroup, firstStep, size, carried);
  });
  storeTile(k, tile, totals, op.getY());
}

} // namespace

void emit(Kernel &k, kernel::MatmulW4A8Op op) {
  Int4Int8 matmul{k, op, {}, {}, {}};
  matmul.packActivations();
  forEachTile(k, k.dim(op.getX(), 0), op.columns(), matmul.tiling(), [&](const Tile &tile) { matmul.tile(tile); });
  memref::DeallocOp::create(k, matmul.starts);
  memref::DeallocOp::create(k, matmul.words);
}

} // namespace qopt::kernels
