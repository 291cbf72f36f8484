//===- MatmulInt8.h - What int8 products have in common --------------------===//
//
// Rows by themselves and tiles of v4 (MatmulInt8.cpp), and panels of rows on v3
// (MatmulInt8Panels.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_MATMULINT8_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_MATMULINT8_H

#include "Tiles.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::kernels {

struct Int8 {
  static constexpr int64_t kStep = 4;           ///< inputs of four bytes of a column
  static constexpr int64_t kHalves = 2;         ///< v3: vectors of sums per block
  static constexpr int64_t kPairs = 2;          ///< v3: of 16-bit inputs per step
  static constexpr int64_t kPanelRows = 4;      ///< v3: rows of a tile of panels
  static constexpr int64_t kPanelTaskRows = 96; ///< v3: rows of a task

  Kernel &k;
  Value x, xScale, w, correction, wScale, y;
  int64_t inputs;
  Value outliers{};        ///< [R,K] with `columns`, [R,M] with `kept`, or null
  Value columns{}, kept{}; ///< one of them if there are outliers
  Value outlierCount{};
  Value words{};    ///< activations by steps, of the rows that no panel has
  Value firstRow{}; ///< the first of them

  // v3: of each panel and chunk of steps, x as the multiply takes it: how many steps, in
  // memory [panels][chunks]; of each its words [rows of a panel] and its place among those
  // of the weights. Of each row what the offset of the weights adds.
  Value panelSteps{}, panelWords{}, panelPlaces{}, panelOffsets{};

  bool vnni() const { return k.target.vnni512; }
  int64_t steps() const { return llvm::divideCeil(inputs, kStep); }
  int64_t wordsPerStep() const { return vnni() ? 1 : kPairs; }
  int64_t chunkSteps() const;
  int64_t chunks() const;
  Tiling tiling() const;

  void packActivations();
  void packRow(Value row) const;
  void allocatePanels(Value count);
  Value packChunk(Value panel, Value chunk, Value count, int64_t lastInputs, Value sums) const;
  void packPanel(Value panel) const;
  void countOutliers();
  Value xWord(Value row, Value word, int64_t lanes) const;
  Values weightPairs(Value block, Value step, int64_t half) const;
  Values rowDot(const Tile &tile) const;
  Values dotProducts(const Tile &tile) const;
  Values multiplyPanel(Value row, Value chunk, Value weights, ValueRange sums) const;
  void panels(const RowsOfTask &task) const;
  Value weightColumn(Value block, Value input) const;
  Value outlierWeights(Value block, Value i, Value input) const;
  void addOutliers(const Tile &tile, Values &sums) const;
  Value panelOffset(Value row) const;
  void finish(const Tile &tile, ValueRange dots) const;
};

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_MATMULINT8_H
