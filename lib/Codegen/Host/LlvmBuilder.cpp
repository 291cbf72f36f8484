//===- LlvmBuilder.cpp - Pointers, structs and the runtime's functions ----===//
//
// Types of structs are literal, so that each module needs no declarations; that they
// lie in memory as Abi.h has them is asserted.
//
//===----------------------------------------------------------------------===//
#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "qopt/Runtime/Abi.h"
#include <cstddef>

using namespace mlir;
using namespace qopt;
using namespace qopt::host;

/// Whether a field of 8 bytes, and those before it, is where LLVM puts number `field`.
#define IS_WORD(Struct, member, field) (offsetof(Struct, member) == 8 * static_cast<size_t>(field))
static_assert(IS_WORD(QrtTensor, data, TensorField::Data) && IS_WORD(QrtTensor, type, TensorField::Type) &&
              IS_WORD(QrtTensor, rank, TensorField::Rank) && IS_WORD(QrtTensor, dims, TensorField::Dims));
#undef IS_WORD
// The two triples of 32-bit sizes are three words together.
static_assert(offsetof(QrtLaunch, kernel) == 0 && offsetof(QrtLaunch, grid) == 8 && offsetof(QrtLaunch, block) == 20 &&
              offsetof(QrtLaunch, sharedBytes) == 32 && offsetof(QrtLaunch, numArgs) == 40);

LLVM::LLVMStructType host::getFrameType(MLIRContext *context) {
  auto pointer = LLVM::LLVMPointerType::get(context);
  return LLVM::LLVMStructType::getLiteral(context, {pointer, pointer, IntegerType::get(context, 64)});
}

LLVM::LLVMStructType host::getTensorType(MLIRContext *context) {
  auto pointer = LLVM::LLVMPointerType::get(context);
  auto i64 = IntegerType::get(context, 64);
  return LLVM::LLVMStructType::getLiteral(context, {pointer, i64, i64, LLVM::LLVMArrayType::get(i64, QRT_MAX_RANK)});
}

LLVM::LLVMStructType host::getLaunchType(MLIRContext *context) {
  auto i64 = IntegerType::get(context, 64);
  auto threeSizes = LLVM::LLVMArrayType::get(IntegerType::get(context, 32), 3);
  return LLVM::LLVMStructType::getLiteral(context, {i64, threeSizes, threeSizes, i64, i64});
}

Value host::getFrame(func::FuncOp function) {
  for (Operation &op : function.getBody().front())
    if (hasAttr<attrs::Frame>(&op))
      return op.getResult(0);
  bool isPassed = function.getNumArguments() > 0 && isa<LLVM::LLVMPointerType>(function.getArgument(0).getType());
  return isPassed ? Value(function.getArgument(0)) : Value();
}

Value LlvmBuilder::i64(int64_t value) { return LLVM::ConstantOp::create(*this, getI64Type(), value); }
Value LlvmBuilder::null() { return LLVM::ZeroOp::create(*this, pointer); }
Value LlvmBuilder::load(Type type, Value address) { return LLVM::LoadOp::create(*this, type, address); }
void LlvmBuilder::store(Value value, Value address) { LLVM::StoreOp::create(*this, value, address); }
Value LlvmBuilder::stackSlot(Type type, int64_t count) {
  return LLVM::AllocaOp::create(*this, pointer, type, i64(count), /*alignment=*/8);
}
Value LlvmBuilder::field(Type structType, Value address, int64_t i) {
  return LLVM::GEPOp::create(*this, pointer, structType, address, ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
}
Value LlvmBuilder::element(Type elementType, Value address, int64_t i) {
  return LLVM::GEPOp::create(*this, pointer, elementType, address, ArrayRef<LLVM::GEPArg>{int32_t(i)});
}
Value LlvmBuilder::element(Type elementType, Value address, Value i) {
  return LLVM::GEPOp::create(*this, pointer, elementType, address, ArrayRef<LLVM::GEPArg>{i});
}
Value LlvmBuilder::toIndex(Value value) { return arith::IndexCastOp::create(*this, getIndexType(), value); }
Value LlvmBuilder::toI64(Value value) { return arith::IndexCastOp::create(*this, getI64Type(), value); }
Value LlvmBuilder::castTo(Value value, Type type) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(*this, type, value).getResult(0);
}

Value LlvmBuilder::memref(MemRefType type, Value data, ValueRange sizes) {
  LLVMTypeConverter types(getContext());
  auto descriptor = MemRefDescriptor::poison(*this, getLoc(), types.convertType(type));
  descriptor.setAllocatedPtr(*this, getLoc(), data);
  descriptor.setAlignedPtr(*this, getLoc(), data);
  descriptor.setConstantOffset(*this, getLoc(), 0);
  Value stride = i64(1);
  size_t next = sizes.size();
  for (int64_t i = type.getRank(); i-- > 0;) {
    Value size = type.isDynamicDim(i) ? sizes[--next] : i64(type.getDimSize(i));
    descriptor.setSize(*this, getLoc(), i, size);
    descriptor.setStride(*this, getLoc(), i, stride);
    stride = LLVM::MulOp::create(*this, stride, size);
  }
  return castTo(descriptor, type);
}

Value LlvmBuilder::addressOf(Value memref) {
  Value index = memref::ExtractAlignedPointerAsIndexOp::create(*this, memref);
  return LLVM::IntToPtrOp::create(*this, pointer, toI64(index));
}

Value LlvmBuilder::readTensor(MemRefType type, Value tensor) {
  LLVM::LLVMStructType tensorType = getTensorType(getContext());
  Value data = load(pointer, field(tensorType, tensor, TensorField::Data));
  Value dims = field(tensorType, tensor, TensorField::Dims);
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (type.isDynamicDim(d))
      sizes.push_back(load(getI64Type(), element(getI64Type(), dims, d)));
  return memref(type, data, sizes);
}

void LlvmBuilder::writeTensor(Value memref, int64_t elementType, Value tensor) {
  LLVM::LLVMStructType tensorType = getTensorType(getContext());
  int64_t rank = cast<MemRefType>(memref.getType()).getRank();
  store(addressOf(memref), field(tensorType, tensor, TensorField::Data));
  store(i64(elementType), field(tensorType, tensor, TensorField::Type));
  store(i64(rank), field(tensorType, tensor, TensorField::Rank));
  Value dims = field(tensorType, tensor, TensorField::Dims);
  for (int64_t d = 0; d < rank; ++d)
    store(toI64(memref::DimOp::create(*this, memref, d)), element(getI64Type(), dims, d));
}

Value LlvmBuilder::callApi(Value frame, ApiFunction function, ValueRange operands) {
  LLVM::LLVMStructType frameType = getFrameType(getContext());
  Value api = load(pointer, field(frameType, frame, FrameField::Api)),
        context = load(pointer, field(frameType, frame, FrameField::Context));
  Value callee = load(pointer, element(pointer, api, int64_t(function)));
  SmallVector<Type> types{pointer};
  llvm::append_range(types, operands.getTypes());
  bool returnsPointer = function == ApiFunction::Allocate || function == ApiFunction::Errors;
  Type result = returnsPointer                        ? Type(pointer)
                : function == ApiFunction::Capability ? Type(getI64Type())
                                                      : LLVM::LLVMVoidType::get(getContext());
  SmallVector<Value> all{callee, context};
  llvm::append_range(all, operands);
  auto call = LLVM::CallOp::create(*this, LLVM::LLVMFunctionType::get(result, types), all);
  return call.getNumResults() ? call.getResult() : Value();
}

Value LlvmBuilder::loadStatus(Value frame) {
  auto load = LLVM::LoadOp::create(*this, getI64Type(), field(getFrameType(getContext()), frame, FrameField::Status),
                                   /*alignment=*/8);
  load.setOrdering(LLVM::AtomicOrdering::monotonic);
  return load;
}

void LlvmBuilder::storeStatus(Value frame, Value status) {
  auto store = LLVM::StoreOp::create(*this, status, field(getFrameType(getContext()), frame, FrameField::Status),
                                     /*alignment=*/8);
  store.setOrdering(LLVM::AtomicOrdering::monotonic);
}
