//===- Tiles.cpp - The loops that all matrix products share ----------------===//
//
// One row (decoding) is as important as many (prefill): a tile of one row spans
// four column blocks, so that its sums do not wait for each other, and its task is
// 64 columns, so that one row already occupies many threads. With many rows the
// weights of two blocks (one on v3) stay in the nearest cache while all rows of the
// task pass by. Because every sum runs over k in order, neither the size of a tile
// nor its place changes a result.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::kernels {

int64_t Tiling::blocks(int64_t rows) const {
  if (rows == 1 && rowBlocks)
    return rowBlocks;
  return std::clamp<int64_t>(llvm::bit_floor(static_cast<uint64_t>(std::max<int64_t>(accumulators / rows, 1))), 1,
                             taskBlocks);
}

Tiling defaultTiling(Target target, int64_t rowBytes) {
  constexpr int64_t kRowCache = 256 << 10;
  Tiling tiling{{6, 2, 1}, /*taskRows=*/0, /*taskBlocks=*/4, target.accumulators()};
  if (target.vnni512)
    tiling.rowSizes = {12, 4, 2, 1};
  int64_t largest = tiling.rowSizes[0], rows = std::clamp<int64_t>(kRowCache / std::max<int64_t>(rowBytes, 1), 24, 96);
  tiling.taskRows = rows / largest * largest;
  return tiling;
}

void RowsOfTask::forBlocks(Emitter &e, llvm::function_ref<void(Value, int64_t)> body) const {
  int64_t full = lastColumns == kColumns ? blocks : blocks - 1;
  if (full)
    e.forLoop(e.index(0), e.index(full), 1, [&](Value b) { body(b, kColumns); });
  if (full < blocks)
    body(e.index(full), lastColumns);
}

/// The tiles of one task, whose columns are known.
static void forTask(Emitter &e, Value rowBegin, Value rowEnd, Value block, int64_t blocks, int64_t lastColumns,
                    const Tiling &tiling, llvm::function_ref<void(const Tile &)> body,
                    llvm::function_ref<void(const RowsOfTask &)> panels) {
  if (tiling.panelRows) {
    Value whole = e.mul(e.div(e.sub(rowEnd, rowBegin), tiling.panelRows), e.index(tiling.panelRows));
    Value stop = e.add(rowBegin, whole);
    e.ifThen(e.less(rowBegin, stop), [&] { panels({rowBegin, stop, block, blocks, lastColumns}); });
    rowBegin = stop;
  }
  for (int64_t size : tiling.rowSizes) {
    Value stop = size == 1 ? rowEnd : e.add(rowBegin, e.mul(e.div(e.sub(rowEnd, rowBegin), size), e.index(size)));
    auto rows = [&](Value first, int64_t count, int64_t last) {
      e.forLoop(rowBegin, stop, size, [&](Value row) { body({row, size, first, count, last}); });
    };
    int64_t span = tiling.blocks(size);
    int64_t full = (lastColumns == kColumns ? blocks : blocks - 1) / span * span;
    if (full)
      e.forLoop(e.index(0), e.index(full), span, [&](Value b) { rows(e.add(block, b), span, kColumns); });
    if (full < blocks)
      rows(e.add(block, e.index(full)), blocks - full, lastColumns);
    rowBegin = stop;
  }
}

void forEachTile(Emitter &e, Value rows, int64_t n, const Tiling &tiling, llvm::function_ref<void(const Tile &)> body,
                 llvm::function_ref<void(const RowsOfTask &)> panels) {
  int64_t taskColumns = tiling.taskBlocks * kColumns;
  int64_t fullTasks = n / taskColumns, rest = n % taskColumns;
  Value rowBlocks = e.ceilDiv(rows, tiling.taskRows);
  Value count = e.mul(rowBlocks, e.index(fullTasks + (rest != 0)));
  e.parallel(count, /*grain=*/1, [&](Value i) {
    Value task = e.div(i, rowBlocks);
    Value rowBegin = e.mul(e.rem(i, rowBlocks), e.index(tiling.taskRows));
    Value rowEnd = e.minIndex(e.add(rowBegin, e.index(tiling.taskRows)), rows);
    Value block = e.mul(task, e.index(tiling.taskBlocks));
    auto full = [&] { forTask(e, rowBegin, rowEnd, block, tiling.taskBlocks, kColumns, tiling, body, panels); };
    auto ragged = [&] {
      int64_t blocks = llvm::divideCeil(rest, kColumns);
      forTask(e, rowBegin, rowEnd, block, blocks, rest - (blocks - 1) * kColumns, tiling, body, panels);
    };
    if (!rest)
      full();
    else if (!fullTasks)
      ragged();
    else
      e.ifThen(e.less(task, e.index(fullTasks)), full, ragged);
  });
}

void forEachPanel(Emitter &e, const RowsOfTask &task, const PanelShape &shape, mlir::Type sumType,
                  llvm::function_ref<void(Value, Value, Value)> widen,
                  llvm::function_ref<Values(Value, Value, Value, ValueRange)> multiply,
                  llvm::function_ref<void(const Tile &, ValueRange)> finish) {
  PanelSums sums{e.scratch({task.blocks, shape.taskRows, kColumns}, sumType)};
  Value rows = e.sub(task.end, task.begin), blocks = e.index(task.blocks), steps = e.index(shape.steps);
  Value zero = mlir::arith::ConstantOp::create(e, e.getZeroAttr(e.vector(sumType)));
  e.forLoop(e.index(0), blocks, 1,
            [&](Value b) { e.forLoop(e.index(0), rows, 1, [&](Value row) { sums.store(e, zero, b, row); }); });
  auto load = [&](Value b, Value row) {
    Values found;
    for (int64_t r = 0; r < shape.rows; ++r)
      found.push_back(sums.load(e, b, e.add(row, e.index(r))));
    return found;
  };
  e.forLoop(e.index(0), steps, shape.chunk, [&](Value first) {
    Value count = e.minIndex(e.sub(steps, first), e.index(shape.chunk));
    e.forLoop(e.index(0), blocks, 1, [&](Value b) {
      widen(e.add(task.block, b), first, count);
      e.forLoop(e.index(0), rows, shape.rows, [&](Value row) {
        Values result = multiply(e.add(task.begin, row), first, count, load(b, row));
        for (int64_t r = 0; r < shape.rows; ++r)
          sums.store(e, result[r], b, e.add(row, e.index(r)));
      });
    });
  });
  task.forBlocks(e, [&](Value b, int64_t columns) {
    e.forLoop(e.index(0), rows, shape.rows, [&](Value row) {
      finish({e.add(task.begin, row), shape.rows, e.add(task.block, b), 1, columns}, load(b, row));
    });
  });
}

Values multiplyTile(Emitter &e, int64_t rows, int64_t blocks, Value begin, Value end, ValueRange initial,
                    llvm::function_ref<Value(int64_t, Value)> left, llvm::function_ref<Value(int64_t, Value)> right) {
  return e.forLoop(begin, end, 1, initial, [&](Value i, ValueRange sums) {
    Values b, next;
    for (int64_t j = 0; j < blocks; ++j)
      b.push_back(right(j, i));
    for (int64_t r = 0; r < rows; ++r) {
      Value a = e.broadcast(left(r, i));
      for (int64_t j = 0; j < blocks; ++j)
        next.push_back(e.fma(a, b[j], sums[r * blocks + j]));
    }
    return next;
  });
}

Values addScaled(Emitter &e, const Tile &tile, ValueRange sums, ValueRange totals,
                 llvm::function_ref<Value(int64_t b)> scale) {
  Values next(totals.begin(), totals.end());
  for (int64_t b = 0; b < tile.blocks; ++b) {
    Value factor = scale(b);
    for (int64_t r = 0; r < tile.rows; ++r)
      next[r * tile.blocks + b] = e.fma(sums[r * tile.blocks + b], factor, totals[r * tile.blocks + b]);
  }
  return next;
}

Values addGroups(Emitter &e, const Tile &tile, int64_t inputs, int64_t groupSize,
                 llvm::function_ref<Values(Value index, int64_t size, ValueRange totals)> group) {
  Values totals(tile.rows * tile.blocks, e.splat(0.0f));
  int64_t full = inputs / groupSize, rest = inputs % groupSize;
  if (full)
    totals = e.forLoop(e.index(0), e.index(full), 1, totals,
                       [&](Value index, ValueRange carried) { return group(index, groupSize, carried); });
  if (rest)
    totals = group(e.index(full), rest, totals);
  return totals;
}

void storeTile(Emitter &e, const Tile &tile, ValueRange sums, Value y) {
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t b = 0; b < tile.blocks; ++b) {
      Value column = e.mul(e.add(tile.block, e.index(b)), e.index(kColumns));
      e.storeVector(sums[r * tile.blocks + b], y, {e.add(tile.row, e.index(r)), column}, tile.columns(b));
    }
}

} // namespace qopt::kernels
