//===- Codes.cpp - int8 codes of activations -------------------------------===//
//
// Each operation rounds once, and in the order of the CPU's kernels, so that codes and
// scales are theirs bit by bit.
//
//===----------------------------------------------------------------------===//
#include "Codes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

static int64_t lanesOfType(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.getNumElements() : 1;
}

// The clamped value plus 1.5 * 2^23 is rounded to nearest even by the addition itself,
// and its low byte is the code.
Value toCodes(Emitter &t, Value v) {
  Type type = v.getType();
  int64_t lanes = lanesOfType(type);
  v = t.select(t.equal(v, v), v, t.splat(type, 0.0));
  Value clamped = t.min(t.max(v, t.splat(type, -128.0)), t.splat(type, 127.0));
  Value bits = t.bitcast(t.add(clamped, t.splat(type, 12582912.0)), t.vector(t.getI32Type(), lanes));
  return t.toInteger(bits, t.vector(t.getI8Type(), lanes));
}

Value toRowCodes(Emitter &t, Value v, Value absmax) {
  return toCodes(t, t.div(t.mul(v, t.splat(v.getType(), 127.0)), t.broadcast(absmax, lanesOfType(v.getType()))));
}

//===----------------------------------------------------------------------===//
// Rows in registers
//===----------------------------------------------------------------------===//

/// At most this many pieces per thread, 32 registers.
static constexpr int64_t kKeptPieces = 8;

int64_t RowPieces::threadsFor(int64_t width) {
  int64_t pieces = width / Emitter::lanesOf(width, 4);
  return std::clamp<int64_t>(llvm::alignTo(pieces, kWarp), 2 * kWarp, 512);
}

RowPieces::RowPieces(Emitter &t, Value address, int64_t width, int64_t threads)
    : t(t), address(address), thread(t.thread()), numLanes(Emitter::lanesOf(width, 4)), numPieces(width / numLanes),
      threads(threads), type(t.vector(t.getF32Type(), numLanes)) {
  if (numPieces > kKeptPieces * threads)
    return;
  Value zero = t.splat(type, 0.0);
  for (int64_t first = 0; first < numPieces; first += threads) {
    Value i = t.add(thread, first);
    if (first + threads <= numPieces)
      kept.push_back(read(i));
    else
      kept.push_back(t.ifElse(t.less(i, numPieces), [&] { return Values{read(i)}; }, [&] { return Values{zero}; })[0]);
  }
}

Value RowPieces::read(Value i) { return t.load(type, t.at(address, type, i)); }

Values RowPieces::fold(ValueRange initial, function_ref<Values(Value, Value, ValueRange)> body) {
  if (kept.empty())
    return t.forLoop(thread, t.i32(numPieces), threads, initial,
                     [&](Value i, ValueRange carried) { return body(i, read(i), carried); });
  Values carried = llvm::to_vector(initial);
  for (auto [j, piece] : llvm::enumerate(kept)) {
    Value i = t.add(thread, static_cast<int64_t>(j) * threads), value = piece;
    if (static_cast<int64_t>(j + 1) * threads <= numPieces)
      carried = body(i, value, carried);
    else
      carried = t.ifElse(t.less(i, numPieces), [&] { return body(i, value, carried); }, [&] { return carried; });
  }
  return carried;
}

void RowPieces::forEach(function_ref<void(Value, Value)> body) {
  fold({}, [&](Value i, Value piece, ValueRange) {
    body(i, piece);
    return Values();
  });
}

//===----------------------------------------------------------------------===//
// Codes of a row
//===----------------------------------------------------------------------===//

void quantizeRow(Emitter &t, RowPieces &pieces, Value scale, Value codes) {
  Value scales = t.broadcast(t.load(t.f32Type(), scale), pieces.lanes());
  Type type = pieces.codesType();
  pieces.forEach([&](Value i, Value piece) { t.store(toCodes(t, t.div(piece, scales)), t.at(codes, type, i)); });
}

void DynamicRow::run(Emitter &t, RowPieces &pieces, function_ref<Value(Value, Value)> isFree) const {
  auto withoutOthers = [&](Value i, Value piece) {
    return isFree ? t.select(isFree(i, piece), piece, t.splat(piece.getType(), 0.0)) : piece;
  };
  Values largest = pieces.fold({t.f32(0)}, [&](Value i, Value piece, ValueRange carried) {
    Value result = carried[0], magnitudes = t.abs(onlyFree ? withoutOthers(i, piece) : piece);
    for (int64_t j = 0; j < pieces.lanes(); ++j) {
      Value m = t.extract(magnitudes, j);
      if (threshold)
        m = t.select(t.less(m, t.f32(*threshold)), m, t.f32(0));
      result = t.max(m, result);
    }
    return Values{result};
  });
  Value absmax = t.blockMax(largest[0], threads, scratch);
  t.ifThen(t.equal(t.thread(), 0), [&] { t.store(t.div(absmax, t.f32(127)), scale); });
  Type type = pieces.codesType();
  pieces.forEach(
      [&](Value i, Value piece) { t.store(toRowCodes(t, withoutOthers(i, piece), absmax), t.at(codes, type, i)); });
}

/// A warp has a group, which it reads twice: the second time from where it is close.
void GroupedRow::run(Emitter &t, Value row) const {
  Type f32 = t.f32Type();
  int64_t lanes = std::min(Emitter::lanesOf(width, 4), Emitter::lanesOf(groupSize, 4));
  int64_t groups = llvm::divideCeil(width, groupSize), pieces = groupSize / lanes;
  Type piece = t.vector(f32, lanes), codesOfPiece = t.vector(t.getI8Type(), lanes);
  t.forLoop(t.warp(), t.i32(groups), threads / kWarp, [&](Value group) {
    Value first = t.mul(group, pieces), end = t.min(t.add(first, pieces), t.i32(width / lanes));
    Value begin = t.add(first, t.lane());
    Value largest = t.forLoop(begin, end, kWarp, {t.f32(0)}, [&](Value i, ValueRange carried) {
      Value magnitudes = t.abs(t.load(piece, t.at(row, piece, i))), result = carried[0];
      for (int64_t j = 0; j < lanes; ++j)
        result = t.max(t.extract(magnitudes, j), result);
      return Values{result};
    })[0];
    Value absmax = t.warpMax(largest);
    t.ifThen(t.equal(t.lane(), 0), [&] { t.store(t.div(absmax, t.f32(127)), t.at(scales, f32, group)); });
    t.forLoop(begin, end, kWarp, [&](Value i) {
      t.store(toRowCodes(t, t.load(piece, t.at(row, piece, i)), absmax), t.at(codes, codesOfPiece, i));
    });
  });
}

} // namespace qopt::cuda
