//===- Tiles.h - The loops that all matrix products share ------------------===//
//
// A tile's sums stay in vector registers over all of K, so how many there are decides
// the size of a tile.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_TILES_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_TILES_H

#include "Kernel.h"

namespace qopt::kernels {

/// How y [rows, N] is cut up. A task (the unit of parallel work) is a block of rows
/// times a group of column blocks; in it, tiles keep their sums in registers.
struct Tiling {
  llvm::SmallVector<int64_t> rowSizes; ///< rows of a tile, largest first, last is 1
  int64_t taskRows;                    ///< a multiple of rowSizes[0]
  int64_t taskBlocks;                  ///< column blocks (16 columns) of a task
  int64_t accumulators;                ///< 16-lane sums that fit the registers
  int64_t rowBlocks = 0;               ///< column blocks of a tile of one row; 0: as of any other
  int64_t panelRows = 0;               ///< so many rows are done by panels (forEachTile), the rest by tiles

  /// Column blocks of a tile of so many rows: as many as there are registers for.
  int64_t blocks(int64_t rows) const;
};

/// `rowBytes`: of the left operand; the rows of a task should stay in a near cache.
Tiling defaultTiling(Target target, int64_t rowBytes);

/// A tile of y: `rows` rows from `row`, `blocks` column blocks from `block`, the last of
/// which has only `lastColumns` columns.
struct Tile {
  Value row;
  int64_t rows;
  Value block;
  int64_t blocks;
  int64_t lastColumns;

  int64_t columns(int64_t b) const { return b + 1 == blocks ? lastColumns : kColumns; }
};

/// Rows of a task, all of them of whole panels, and its column blocks.
struct RowsOfTask {
  Value begin, end;
  Value block;
  int64_t blocks, lastColumns;

  /// Calls `body` with each block of the task, counted from 0, and its columns.
  void forBlocks(Emitter &e, llvm::function_ref<void(Value, int64_t)> body) const;
};

/// Covers y [rows, n] with tiles, in parallel over tasks. With panelRows in the tiling, what
/// whole panels of a task cover is left to `panels`.
void forEachTile(Emitter &e, Value rows, int64_t n, const Tiling &tiling, llvm::function_ref<void(const Tile &)> body,
                 llvm::function_ref<void(const RowsOfTask &)> panels = nullptr);

/// How a task multiplies by weights that are first made wider: by chunks of steps along K,
/// so that what was widened stays in the nearest cache while all rows pass by.
struct PanelShape {
  int64_t rows;         ///< of a tile of one column block
  int64_t taskRows;     ///< the most of a task
  int64_t steps, chunk; ///< along K; of a panel
};

/// Sums of one type for each row and column of a task, in memory.
struct PanelSums {
  Value memory; ///< [blocks][rows][16]

  Value load(Emitter &e, Value block, Value row) const { return e.loadVector(memory, {block, row, e.index(0)}); }
  void store(Emitter &e, Value sum, Value block, Value row) const {
    e.storeVector(sum, memory, {block, row, e.index(0)});
  }
};

/// Covers the rows of a task. `widen` makes a panel of steps [first, first + count) of a block;
/// `multiply` adds its products of a tile, from a row of x on, to the tile's sums; `finish` takes the sums of
/// a tile when they are complete.
void forEachPanel(Emitter &e, const RowsOfTask &task, const PanelShape &shape, mlir::Type sumType,
                  llvm::function_ref<void(Value block, Value first, Value count)> widen,
                  llvm::function_ref<Values(Value row, Value first, Value count, ValueRange sums)> multiply,
                  llvm::function_ref<void(const Tile &tile, ValueRange sums)> finish);

/// sums[r][b] += sum over i in [begin, end) of a(r, i) * b(b, i): `left` gives a scalar,
/// `right` a vector, and the sums stay in registers. Sums are in row-major order.
Values multiplyTile(Emitter &e, int64_t rows, int64_t blocks, Value begin, Value end, ValueRange initial,
                    llvm::function_ref<Value(int64_t, Value)> left, llvm::function_ref<Value(int64_t, Value)> right);

/// totals[r][b] + scale(b) * sums[r][b]: what the sums of a group add, whose scales are f32.
Values addScaled(Emitter &e, const Tile &tile, ValueRange sums, ValueRange totals,
                 llvm::function_ref<Value(int64_t b)> scale);

/// The totals of a tile over all groups of inputs, in order. `group` adds one, of which it gets the number and the
/// inputs; the last one may be short.
Values addGroups(Emitter &e, const Tile &tile, int64_t inputs, int64_t groupSize,
                 llvm::function_ref<Values(Value index, int64_t size, ValueRange totals)> group);

/// Stores the sums of a tile to y [rows, n].
void storeTile(Emitter &e, const Tile &tile, ValueRange sums, Value y);

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_TILES_H
