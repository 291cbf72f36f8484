//===- DeferredData.cpp - Constants that are made when they are written ---===//
//
// The table, and all bytes of a constant for who cannot do with some.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/DeferredData.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include <cstring>

using namespace mlir;
using namespace qopt;

Result<std::vector<char>> DeferredConstant::make() const {
  std::vector<char> bytes(bytesOf(0, rows));
  for (int64_t begin = 0; begin < rows; begin += kDeferredRows) {
    int64_t end = std::min(rows, begin + kDeferredRows);
    std::vector<std::vector<char>> made;
    if (source) {
      Result<std::vector<std::vector<char>>> result = source->make(begin, end);
      if (!result)
        return result.error();
      made = std::move(*result);
    }
    SmallVector<ArrayRef<char>> arrays(made.begin(), made.end());
    form(arrays, begin, end, bytes.data() + offsetOf(begin));
  }
  return bytes;
}

DeferredConstant DeferredConstant::ofArray(std::shared_ptr<RowSource> source, int64_t index, int64_t rows,
                                           int64_t rowBytes) {
  DeferredConstant constant;
  constant.source = std::move(source);
  constant.rows = rows;
  constant.blockBytes = rowBytes;
  constant.array = index;
  constant.form = [index](ArrayRef<ArrayRef<char>> arrays, int64_t, int64_t, char *to) {
    std::memcpy(to, arrays[index].data(), arrays[index].size());
  };
  return constant;
}

DeferredConstant DeferredConstant::ofTranspose(ElementsAttr matrix) {
  ConstantView view = viewConstant(matrix);
  int64_t rows = view.type.getDimSize(0), cols = view.type.getDimSize(1), bytes = view.elementBytes();
  DeferredConstant constant;
  constant.transposeOf = matrix;
  constant.rows = cols;
  constant.blockBytes = rows * bytes;
  constant.form = [from = view.bytes.data(), rows, cols, bytes](ArrayRef<ArrayRef<char>>, int64_t begin, int64_t end,
                                                                char *to) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = begin; c < end; ++c)
        std::memcpy(to + ((c - begin) * rows + r) * bytes, from + (r * cols + c) * bytes, bytes);
  };
  return constant;
}

DeferredData &DeferredData::attach(MLIRContext &context) {
  Dialect *dialect = context.getOrLoadDialect<QoptDialect>();
  if (DeferredData *existing = get(context))
    return *existing;
  return dialect->addInterface<DeferredData>();
}

DeferredData *DeferredData::get(MLIRContext &context) {
  Dialect *dialect = context.getLoadedDialect<QoptDialect>();
  return dialect ? dialect->getRegisteredInterface<DeferredData>() : nullptr;
}

const DeferredConstant *DeferredData::find(DenseResourceElementsAttr value) {
  DeferredData *table = get(*value.getContext());
  return table ? table->find(value.getRawHandle().getKey()) : nullptr;
}

const DeferredConstant *DeferredData::find(StringRef key) {
  std::lock_guard lock(mutex);
  auto found = constants.find(key);
  return found == constants.end() ? nullptr : found->second.get();
}

DenseResourceElementsAttr DeferredData::add(RankedTensorType type, StringRef name, DeferredConstant constant) {
  auto value = DenseResourceElementsAttr::get(type, name, AsmResourceBlob());
  std::lock_guard lock(mutex);
  constants[value.getRawHandle().getKey()] = std::make_unique<DeferredConstant>(std::move(constant));
  return value;
}
