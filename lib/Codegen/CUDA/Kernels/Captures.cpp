//===- Captures.cpp - What a launch of a loop takes with it ----------------===//
//
// Constants are made again, numbers pass as i64, i32 or f32, and of a memref what its type
// leaves open.
//
//===----------------------------------------------------------------------===//
#include "Captures.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace qopt::cuda {

LogicalResult Captures::add(Value value) {
  if (Operation *op = value.getDefiningOp(); op && op->hasTrait<OpTrait::ConstantLike>()) {
    makers.push_back({value, [op](Emitter &t, ValueRange) { return t.clone(*op)->getResult(0); }});
    return success();
  }
  if (isa<MemRefType>(value.getType())) {
    addMemRef(value);
    return success();
  }
  return addScalar(value);
}

Value Captures::toIndex(Emitter &t, Value value) { return t.createOrFold<arith::IndexCastOp>(t.getIndexType(), value); }

void Captures::makeAll(Emitter &t, ValueRange args, IRMapping &mapping) {
  for (auto &[value, make] : makers)
    mapping.map(value, make(t, args));
}

size_t Captures::addArgument(Value value, bool mayAlias) {
  arguments.push_back({value, /*readOnly=*/false, mayAlias});
  return arguments.size() - 1;
}

LogicalResult Captures::addScalar(Value value) {
  Type type = value.getType();
  if (type.isIndex()) {
    size_t at = addArgument(arith::IndexCastOp::create(k, k.getI64Type(), value));
    makers.push_back({value, [at](Emitter &t, ValueRange args) { return toIndex(t, args[at]); }});
  } else if (type.isInteger(64) || type.isInteger(32) || type.isF32()) {
    size_t at = addArgument(value);
    makers.push_back({value, [at](Emitter &, ValueRange args) { return args[at]; }});
  } else if (type.isInteger() && type.getIntOrFloatBitWidth() < 32) {
    size_t at = addArgument(arith::ExtUIOp::create(k, k.getI32Type(), value));
    makers.push_back({value, [at, type](Emitter &t, ValueRange args) -> Value {
                        return arith::TruncIOp::create(t, type, args[at]);
                      }});
  } else if (type.isF16() || type.isBF16()) {
    size_t at = addArgument(k.toFloat(value, k.getF32Type()));
    makers.push_back({value, [at, type](Emitter &t, ValueRange args) { return t.toFloat(args[at], type); }});
  } else if (type.isF64()) {
    size_t at = addArgument(arith::BitcastOp::create(k, k.getI64Type(), value));
    makers.push_back({value, [at, type](Emitter &t, ValueRange args) -> Value {
                        return arith::BitcastOp::create(t, type, args[at]);
                      }});
  } else {
    return k.function.emitOpError("cannot pass a value of type ") << type << " to a kernel";
  }
  return success();
}

void Captures::addMemRef(Value value) {
  auto type = cast<MemRefType>(value.getType());
  int64_t rank = type.getRank(), offset;
  SmallVector<int64_t> strides;
  (void)type.getStridesAndOffset(strides, offset);
  bool isIdentity = type.getLayout().isIdentity();
  // A dynamic offset becomes part of the address; a static one belongs to the type.
  size_t base = addArgument(k.address(value), /*mayAlias=*/true);
  SmallVector<size_t> sizeAt(rank), strideAt(rank);
  memref::ExtractStridedMetadataOp metadata;
  for (int64_t i = 0; i < rank; ++i) {
    if (type.isDynamicDim(i))
      sizeAt[i] = addArgument(k.dim(value, i));
    if (isIdentity || !ShapedType::isDynamic(strides[i]))
      continue;
    if (!metadata)
      metadata = memref::ExtractStridedMetadataOp::create(k, value);
    strideAt[i] = addArgument(arith::IndexCastOp::create(k, k.getI64Type(), metadata.getStrides()[i]));
  }
  int64_t staticOffset = ShapedType::isDynamic(offset) ? 0 : offset;
  makers.push_back({value, [=, this](Emitter &t, ValueRange args) -> Value {
                      Location loc = t.getLoc();
                      auto descriptor = MemRefDescriptor::poison(t, loc, types.convertType(type));
                      Type element = t.getIntegerType(std::max<int64_t>(type.getElementTypeBitWidth(), 8));
                      Value pointer = t.at(args[base], element, t.i64(-staticOffset));
                      descriptor.setAllocatedPtr(t, loc, pointer);
                      descriptor.setAlignedPtr(t, loc, pointer);
                      descriptor.setConstantOffset(t, loc, staticOffset);
                      Value dense = t.i64(1);
                      for (int64_t i = rank; i-- > 0;) {
                        Value size = type.isDynamicDim(i) ? args[sizeAt[i]] : t.i64(type.getDimSize(i));
                        Value stride = isIdentity                          ? dense
                                       : ShapedType::isDynamic(strides[i]) ? args[strideAt[i]]
                                                                           : t.i64(strides[i]);
                        descriptor.setSize(t, loc, i, size);
                        descriptor.setStride(t, loc, i, stride);
                        dense = t.mul(dense, size);
                      }
                      return UnrealizedConversionCastOp::create(t, type, ValueRange{descriptor}).getResult(0);
                    }});
}

} // namespace qopt::cuda
