//===- Rotary.cpp - Rotary position embedding ------------------------------===//
//
// One token per iteration, all its heads: the rows of the cosine and sine tables
// are looked up once. A position out of range is reported and reads row 0.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

struct Rotary {
  Kernel &k;
  Value x, cos, sin, positions, y;
  bool headsFirst, interleaved;
  int64_t heads, headSize, rotated;

  Values at(Value batch, Value token, Value head, Value i) const {
    return headsFirst ? Values{batch, head, token, i} : Values{batch, token, head, i};
  }
  /// Where the table's row for a token is; the column is appended.
  Values tableRow(Value batch, Value token) const;
  void rotate(ArrayRef<Value> tableRow, Value batch, Value token, Value head, Value i, int64_t valid) const;
  void token(Value batch, Value token) const;
};

Values Rotary::tableRow(Value batch, Value token) const {
  auto clamp = [&](Value i, Value memref, int64_t dim) { return k.minIndex(i, k.sub(k.dim(memref, dim), k.index(1))); };
  if (!positions)
    return {clamp(batch, cos, 0), clamp(token, cos, 1)};
  Value given = arith::IndexCastOp::create(k, k.getIndexType(),
                                           k.load(positions, {clamp(batch, positions, 0), clamp(token, positions, 1)}));
  Value size = k.dim(cos, 0);
  Value valid = arith::CmpIOp::create(k, arith::CmpIPredicate::ult, given, size);
  k.ifThen(valid, [] {}, [&] { k.failIndex(given, size); });
  return {k.select(valid, given, k.index(0))};
}

/// Rotates the pairs i .. i + valid of one head.
void Rotary::rotate(ArrayRef<Value> tableRow, Value batch, Value token, Value head, Value i, int64_t valid) const {
  Values table(tableRow);
  table.push_back(i);
  Value c = k.loadVector(cos, table, valid), s = k.loadVector(sin, table, valid);
  auto turn = [&](Value a, Value b) {
    return std::pair(k.sub(k.mul(a, c), k.mul(b, s)), k.add(k.mul(b, c), k.mul(a, s)));
  };
  if (!interleaved) {
    Values first = at(batch, token, head, i), second = at(batch, token, head, k.add(i, k.index(rotated / 2)));
    auto [a, b] = turn(k.loadVector(x, first, valid), k.loadVector(x, second, valid));
    k.storeVector(a, y, first, valid);
    k.storeVector(b, y, second, valid);
    return;
  }
  Values where = at(batch, token, head, k.mul(i, k.index(2)));
  Value both = k.loadVector(x, where, 2 * valid, 2 * kLanes);
  SmallVector<int64_t> even, odd, weave;
  for (int64_t j = 0; j < kLanes; ++j) {
    even.push_back(2 * j);
    odd.push_back(2 * j + 1);
    weave.append({j, kLanes + j});
  }
  auto [a, b] = turn(k.shuffle(both, both, even), k.shuffle(both, both, odd));
  k.storeVector(k.shuffle(a, b, weave), y, where, 2 * valid);
}

void Rotary::token(Value batch, Value token) const {
  Values row = tableRow(batch, token);
  k.forLoop(k.index(0), k.index(heads), 1, [&](Value head) {
    k.chunks(rotated / 2, [&](Value i, int64_t valid) { rotate(row, batch, token, head, i, valid); });
    for (int64_t i = rotated; i < headSize; i += kLanes) {
      Values where = at(batch, token, head, k.index(i));
      k.storeVector(k.loadVector(x, where, headSize - i), y, where, headSize - i);
    }
  });
}

} // namespace

void emit(Kernel &k, kernel::RotaryOp op) {
  Rotary r{k,           op.getX(),          op.getCos(),         op.getSin(), op.getPositions(),
           op.getY(),   op.getHeadsFirst(), op.getInterleaved(), op.heads(),  op.headSize(),
           op.rotated()};
  Value tokens = k.dim(r.x, op.tokenDim());
  k.parallel(k.mul(k.dim(r.x, 0), tokens), grainOfRows(r.heads * r.headSize * 4),
             [&](Value i) { r.token(k.div(i, tokens), k.rem(i, tokens)); });
}

} // namespace qopt::kernels
