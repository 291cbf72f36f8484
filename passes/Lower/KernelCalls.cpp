//===- KernelCalls.cpp - Calling kernels from a function on tensors --------===//
#include "KernelCalls.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;

namespace qopt::lowering {

KernelCalls::KernelCalls(ModuleOp module) : b(module.getLoc(), module.getContext()), module(module), symbols(module) {
  module.walk([&](onnx::MatMulOp product) {
    if (floatWeight(product.getB()))
      weights.push_back(product.getB());
  });
}

static RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

Value KernelCalls::dim(Value tensor, int64_t i) { return b.createOrFold<tensor::DimOp>(tensor, i); }

void KernelCalls::requireEqual(Value x, Value y) {
  if (x == y || (getConstantIntValue(x) && getConstantIntValue(x) == getConstantIntValue(y)))
    return;
  Value equal = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y);
  emitRequire(b, b.getLoc(), equal, RuntimeError::ShapeMismatch, x, y);
}

Value KernelCalls::withShape(Value tensor, ArrayRef<int64_t> shape, ValueRange sizes) {
  RankedTensorType type = typeOf(tensor);
  if (type.getShape() == shape)
    return tensor;
  for (auto [i, size] : llvm::enumerate(shape))
    if (type.isDynamicDim(i) && !ShapedType::isDynamic(size))
      requireEqual(i < sizes.size() ? sizes[i] : dim(tensor, i), arith::ConstantIndexOp::create(b, size));
  return tensor::CastOp::create(b, RankedTensorType::get(shape, type.getElementType()), tensor);
}

Value KernelCalls::toRows(Value tensor, int64_t width) {
  RankedTensorType type = typeOf(tensor);
  int64_t rank = type.getRank();
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = width;
  tensor = withShape(tensor, shape);
  if (rank == 1)
    tensor = tensor::ExpandShapeOp::create(b, RankedTensorType::get({1, width}, type.getElementType()), tensor,
                                           ArrayRef<ReassociationIndices>{{0, 1}});
  if (rank > 2)
    tensor = tensor::CollapseShapeOp::create(
        b, tensor, ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, rank - 1)), {rank - 1}});
  return withShape(tensor, {ShapedType::kDynamic, width});
}

Value KernelCalls::fromRows(Value rows, Value like, int64_t dropped, Type type) {
  RankedTensorType rowsType = typeOf(rows), likeType = typeOf(like);
  int64_t width = rowsType.getDimSize(1), leading = likeType.getRank() - dropped;
  SmallVector<int64_t> shape(likeType.getShape().take_front(leading));
  SmallVector<OpFoldResult> sizes;
  int64_t product = 1;
  for (int64_t i = 0; i < leading; ++i) {
    // Of the kind that the type says: upstream folds rely on it.
    sizes.push_back(ShapedType::isDynamic(shape[i]) ? OpFoldResult(dim(like, i)) : b.getIndexAttr(shape[i]));
    product =
        ShapedType::isDynamic(shape[i]) || ShapedType::isDynamic(product) ? ShapedType::kDynamic : product * shape[i];
  }
  shape.push_back(width);
  sizes.push_back(b.getIndexAttr(width));
  if (!ShapedType::isDynamic(product)) // so many rows were computed
    rows = tensor::CastOp::create(b, RankedTensorType::get({product, width}, rowsType.getElementType()), rows);
  if (leading == 0)
    rows = tensor::CollapseShapeOp::create(b, rows, ArrayRef<ReassociationIndices>{{0, 1}});
  if (leading > 1)
    rows = tensor::ExpandShapeOp::create(
        b, RankedTensorType::get(shape, rowsType.getElementType()), rows,
        ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, leading)), {leading}}, sizes);
  return withShape(rows, cast<RankedTensorType>(type).getShape());
}

Value KernelCalls::splitHeads(Value tensor, int64_t heads) {
  RankedTensorType type = typeOf(tensor);
  int64_t rank = type.getRank(), size = type.getDimSize(rank - 1) / heads;
  SmallVector<int64_t> shape(type.getShape().drop_back());
  SmallVector<OpFoldResult> sizes;
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i + 1 < rank; ++i) {
    sizes.push_back(ShapedType::isDynamic(shape[i]) ? OpFoldResult(dim(tensor, i)) : b.getIndexAttr(shape[i]));
    groups.push_back({i});
  }
  groups.push_back({rank - 1, rank});
  shape.append({heads, size});
  sizes.append({b.getIndexAttr(heads), b.getIndexAttr(size)});
  return tensor::ExpandShapeOp::create(b, RankedTensorType::get(shape, type.getElementType()), tensor, groups, sizes);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

func::FuncOp KernelCalls::declare(StringRef kernel, const std::string &name, FunctionType type, DictionaryAttr config) {
  std::string unique = name;
  for (int i = 1;; ++i) {
    auto existing = symbols.lookup<func::FuncOp>(unique);
    if (!existing && !symbols.lookup(unique))
      break;
    auto sameKernel = existing ? existing->getAttrOfType<StringAttr>(kKernelAttr) : StringAttr();
    if (sameKernel && sameKernel.getValue() == kernel && existing.getFunctionType() == type &&
        existing->getAttrOfType<DictionaryAttr>(kKernelConfigAttr) == config)
      return existing;
    unique = name + "_" + std::to_string(i);
  }
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(b, unique, type);
  function.setPrivate();
  function->setAttr(kKernelAttr, b.getStringAttr(kernel));
  if (config)
    function->setAttr(kKernelConfigAttr, config);
  symbols.insert(function);
  return function;
}

SmallVector<Value> KernelCalls::call(StringRef kernel, const Twine &suffix, ValueRange operands,
                                     ArrayRef<ResultBuffer> results, ArrayRef<NamedAttribute> config) {
  SmallVector<Value> buffers;
  for (Value operand : operands) {
    if (isa<MemRefType>(operand.getType())) {
      buffers.push_back(operand);
      continue;
    }
    RankedTensorType type = typeOf(operand);
    auto buffer = MemRefType::get(type.getShape(), type.getElementType());
    buffers.push_back(bufferization::ToBufferOp::create(b, buffer, operand, /*read_only=*/true));
  }
  for (const ResultBuffer &result : results)
    buffers.push_back(memref::AllocOp::create(b, MemRefType::get(result.shape, result.element), result.sizes));
  FunctionType type = b.getFunctionType(ValueRange(buffers).getTypes(), {});
  DictionaryAttr dictionary = config.empty() ? DictionaryAttr() : b.getDictionaryAttr(config);
  func::CallOp::create(b, declare(kernel, (kernel + suffix).str(), type, dictionary), buffers);
  SmallVector<Value> tensors;
  for (Value buffer : ArrayRef(buffers).drop_front(operands.size())) {
    auto memref = cast<MemRefType>(buffer.getType());
    tensors.push_back(
        bufferization::ToTensorOp::create(b, RankedTensorType::get(memref.getShape(), memref.getElementType()), buffer,
                                          /*restrict=*/true, /*writable=*/true));
  }
  return tensors;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

std::optional<KernelCalls::Constant> KernelCalls::constant(Value value, Type element, int64_t rank) {
  Constant result;
  if (auto parameter = value.getDefiningOp<ParameterOp>())
    result = {parameter.getValue(), parameter.getName().str(), {}};
  else if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
    result = {constant.getValue(), "constant", {}};
  if (!result.value)
    return std::nullopt;
  ShapedType type = result.value.getShapedType();
  if (type.getElementType() != element || type.getRank() != rank)
    return std::nullopt;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(result.value)) {
    if (!value.getDefiningOp<ParameterOp>())
      result.name = resource.getRawHandle().getKey().str();
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    size_t bytes = type.getNumElements() * llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    if (!blob || blob->getData().size() != bytes)
      return std::nullopt;
  } else if (!isa<DenseElementsAttr>(result.value)) {
    return std::nullopt;
  }
  return result;
}

std::optional<KernelCalls::Constant> KernelCalls::floatWeight(Value value) {
  auto cast = value.getDefiningOp<onnx::CastOp>();
  if (!cast || !cast.getTo().isF32())
    return constant(value, b.getF32Type(), 2);
  std::optional<Constant> half = constant(cast.getInput(), b.getF16Type(), 2);
  return half ? half : constant(cast.getInput(), b.getBF16Type(), 2);
}

std::optional<ArrayRef<char>> KernelCalls::rawBytes(ElementsAttr value) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return resource.getRawHandle().getBlob()->getData();
  auto dense = cast<DenseElementsAttr>(value);
  return dense.isSplat() ? std::nullopt : std::optional(dense.getRawData());
}

std::vector<char> KernelCalls::bytesOf(ElementsAttr value) {
  if (std::optional<ArrayRef<char>> bytes = rawBytes(value))
    return {bytes->begin(), bytes->end()};
  auto dense = cast<DenseElementsAttr>(value);
  ArrayRef<char> data = dense.getRawData();
  std::vector<char> repeated;
  for (int64_t i = 0; i < dense.getNumElements(); ++i)
    repeated.insert(repeated.end(), data.begin(), data.end());
  return repeated;
}

Value KernelCalls::parameterOfBytes(const Constant &source, StringRef form, RankedTensorType type,
                                    function_ref<std::vector<char>()> make) {
  std::string name = source.name + "." + form.str();
  ElementsAttr &value = packed[{source.key ? source.key : source.value, b.getStringAttr(name)}];
  if (!value || value.getShapedType() != type) {
    std::vector<char> bytes = make();
    value = DenseResourceElementsAttr::get(
        type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64, /*dataIsMutable=*/false));
  }
  return ParameterOp::create(b, type, b.getStringAttr(name), value);
}

} // namespace qopt::lowering
