//===- PackedParameters.cpp - Weights in the form of kernels ----------------===//
//
// Looks at constants, packs them once and remembers what was packed.
//
//===----------------------------------------------------------------------===//
#include "PackedParameters.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Codegen/Packing.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;

namespace qopt::lowering {

/// Whether all bytes are there, with this element type and rank.
static bool hasData(const std::optional<ConstantView> &constant, Type element, int64_t rank) {
  return constant && constant->type.getElementType() == element && constant->type.getRank() == rank &&
         constant->isComplete();
}

std::optional<ConstantView> matchData(Value value, Type element, int64_t rank) {
  std::optional<ConstantView> constant = matchConstant(value);
  return hasData(constant, element, rank) ? constant : std::nullopt;
}

std::optional<ConstantView> matchFloatWeight(Value value) {
  std::optional<ConstantView> weight = matchWeight(value);
  Type element = weight ? weight->type.getElementType() : Type();
  bool isFloat = element && (element.isF32() || element.isF16() || element.isBF16());
  return isFloat && hasData(weight, element, 2) ? weight : std::nullopt;
}

PackedParameters::PackedParameters(ModuleOp module) {
  module.walk([&](onnx::MatMulOp product) {
    if (std::optional<ConstantView> weight = matchFloatWeight(product.getB()))
      weights.push_back(*weight);
  });
  auto remember = [](llvm::DenseSet<Attribute> &codes, Value w) {
    if (std::optional<ConstantView> constant = matchConstant(w))
      codes.insert(constant->value);
  };
  module.walk([&](MatmulW8A16Op product) { remember(columnCodes, product.getW()); });
  module.walk([&](MatmulW8A8Op product) { remember(dotCodes, product.getW()); });
}

Value PackedParameters::createPlanned(ImplicitLocOpBuilder &b, const ConstantView &source, StringRef form,
                                      RankedTensorType type, Attribute key, function_ref<DeferredConstant()> plan) {
  std::string name = ((source.name.empty() ? "constant" : source.name) + "." + form).str();
  ElementsAttr &value = packed[{key, b.getStringAttr(name)}];
  if (!value || value.getShapedType() != type) {
    DeferredConstant constant = plan();
    if (DeferredData *deferred = DeferredData::get(*b.getContext())) {
      value = deferred->add(type, name, std::move(constant));
    } else {
      // Only rows of a source can fail, and without deferred data there is none.
      std::vector<char> bytes = *constant.make();
      value = DenseResourceElementsAttr::get(
          type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64, /*dataIsMutable=*/false));
    }
  }
  return ParameterOp::create(b, type, b.getStringAttr(name), value);
}

/// A plan for `type`, [blocks][...], of the outputs [0, rows).
static DeferredConstant planBlocks(RankedTensorType type, int64_t rows) {
  DeferredConstant constant;
  constant.rows = rows;
  constant.blockRows = kernel::kColumns;
  constant.blockBytes = type.getNumElements() / type.getDimSize(0) * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  if (type.getRank() == 1) // one element for each output
    constant.blockBytes *= kernel::kColumns;
  return constant;
}

namespace {

/// Where the rows of one input of a packed constant are: in what its source makes, or all
/// of them in memory.
struct PackInput {
  int64_t array = -1;
  const char *bytes = nullptr;
  int64_t rowBytes = 0;
  std::shared_ptr<const std::vector<char>> owned; ///< of `bytes`, where the constant does not own them
};

} // namespace

/// Inputs that are deferred must be arrays of one source as they are; others are made here.
static SmallVector<PackInput> planInputs(ArrayRef<ConstantView> views, std::shared_ptr<RowSource> &source) {
  SmallVector<PackInput> inputs;
  for (const ConstantView &view : views) {
    PackInput &input = inputs.emplace_back();
    input.rowBytes = view.expandedBytes() / view.type.getDimSize(0);
    if (view.deferred && view.deferred->array >= 0 && (!source || source == view.deferred->source)) {
      source = view.deferred->source;
      input.array = view.deferred->array;
      continue;
    }
    input.bytes = view.bytes.data();
    if (view.isSplat || view.isPacked || view.deferred) {
      input.owned = std::make_shared<std::vector<char>>(view.expanded());
      input.bytes = input.owned->data();
    }
  }
  return inputs;
}

Value PackedParameters::createPacked(ImplicitLocOpBuilder &b, const ConstantView &source, StringRef form,
                                     RankedTensorType type, ArrayRef<ConstantView> views, PackRows pack) {
  SmallVector<Attribute> key;
  for (const ConstantView &view : views)
    key.push_back(view.value);
  return createPlanned(b, source, form, type, b.getArrayAttr(key), [&] {
    DeferredConstant constant = planBlocks(type, views.front().type.getDimSize(0));
    SmallVector<PackInput> inputs = planInputs(views, constant.source);
    constant.form = [inputs, pack](ArrayRef<ArrayRef<char>> arrays, int64_t begin, int64_t end, char *to) {
      SmallVector<const char *> rows;
      for (const PackInput &input : inputs)
        rows.push_back(input.array >= 0 ? arrays[input.array].data() : input.bytes + begin * input.rowBytes);
      pack(rows, end - begin, to);
    };
    return constant;
  });
}

Value PackedParameters::createFloatWeight(ImplicitLocOpBuilder &b, const ConstantView &weight) {
  int64_t k = weight.type.getDimSize(0), n = weight.type.getDimSize(1), bytes = weight.elementBytes();
  auto type = RankedTensorType::get({static_cast<int64_t>(llvm::divideCeil(n, kernel::kColumns)), k, kernel::kColumns},
                                    weight.type.getElementType());
  return createPlanned(b, weight, "packed", type, weight.value, [&] {
    DeferredConstant constant = planBlocks(type, n);
    if (ElementsAttr rows = weight.deferred ? weight.deferred->transposeOf : ElementsAttr()) {
      const char *from = viewConstant(rows).bytes.data();
      constant.form = [=](ArrayRef<ArrayRef<char>>, int64_t begin, int64_t end, char *to) {
        packRows(from + begin * k * bytes, bytes, end - begin, k, to);
      };
      return constant;
    }
    std::shared_ptr<std::vector<char>> owned;
    if (weight.isSplat || weight.deferred)
      owned = std::make_shared<std::vector<char>>(weight.expanded());
    const char *from = owned ? owned->data() : weight.bytes.data();
    constant.form = [=](ArrayRef<ArrayRef<char>>, int64_t begin, int64_t end, char *to) {
      packColumns(from, bytes, k, n, begin, end - begin, to);
      (void)owned; // holds what `from` points to
    };
    return constant;
  });
}

Value PackedParameters::createInt8Columns(ImplicitLocOpBuilder &b, const ConstantView &codes) {
  int64_t n = codes.type.getDimSize(0), k = codes.type.getDimSize(1);
  auto type = RankedTensorType::get({blocksOf(n), k, kernel::kColumns}, b.getI8Type());
  return createPacked(b, codes, "columns", type, codes, [k](ArrayRef<const char *> rows, int64_t n, char *to) {
    packInt8Columns(bytesAt(rows[0]), n, k, bytesAt(to));
  });
}

Value PackedParameters::createInt8Dot(ImplicitLocOpBuilder &b, const ConstantView &codes) {
  int64_t n = codes.type.getDimSize(0), k = codes.type.getDimSize(1), steps = llvm::divideCeil(k, 4);
  auto type = RankedTensorType::get({blocksOf(n), steps, 4 * kernel::kColumns}, b.getI8Type());
  return createPacked(b, codes, "dot", type, codes, [k](ArrayRef<const char *> rows, int64_t n, char *to) {
    packInt8Dot(bytesAt(rows[0]), n, k, bytesAt(to));
  });
}

Value PackedParameters::createAsProduct(ImplicitLocOpBuilder &b, const ConstantView &codes) {
  if (columnCodes.contains(codes.value))
    return createInt8Columns(b, codes);
  return dotCodes.contains(codes.value) ? createInt8Dot(b, codes) : Value();
}

std::optional<ConstantView> PackedParameters::findTiedWeight(Value table) const {
  auto type = cast<RankedTensorType>(table.getType());
  Type element = type.getElementType();
  std::optional<ConstantView> rows = matchData(table, element, 2);
  if (!rows || !(element.isF32() || element.isF16() || element.isBF16()))
    return std::nullopt;
  for (const ConstantView &columns : weights)
    if (isTransposed(*rows, columns))
      return columns;
  return std::nullopt;
}

} // namespace qopt::lowering
