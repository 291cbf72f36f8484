//===- DeviceOps.cpp - Calls of the simulator in place of operations ------===//
//
// All of them go through the table of functions that the thread has a pointer to.
//
//===----------------------------------------------------------------------===//
#include "DeviceOps.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::sim;

DeviceOpBuilder::DeviceOpBuilder(LLVM::LLVMFuncOp function)
    : function(function), self(function.getArgument(0)),
      top(function.getLoc(), OpBuilder::atBlockBegin(&function.getBody().front())) {
  api = readField(top, self, Field::Api);
}

Value DeviceOpBuilder::call(host::LlvmBuilder &b, ApiFunction which, ValueRange operands, Type result) {
  Value callee = b.load(b.pointerType(), b.element(b.pointerType(), api, int64_t(which)));
  callee.getDefiningOp<LLVM::LoadOp>().setInvariant(true);
  setFlag<attrs::SimOwn>(callee.getDefiningOp());
  auto type = LLVM::LLVMFunctionType::get(result ? result : LLVM::LLVMVoidType::get(b.getContext()),
                                          llvm::to_vector(operands.getTypes()));
  SmallVector<Value> all{callee};
  llvm::append_range(all, operands);
  auto call = LLVM::CallOp::create(b, type, all);
  return result ? call.getResult() : Value();
}

Value DeviceOpBuilder::i32(host::LlvmBuilder &b, int64_t value) {
  return LLVM::ConstantOp::create(b, b.getI32Type(), b.getI32IntegerAttr(value));
}

StringRef DeviceOpBuilder::defineBytes(StringRef name, StringRef data) {
  auto module = function->getParentOfType<ModuleOp>();
  OpBuilder at = OpBuilder::atBlockBegin(module.getBody());
  auto type = LLVM::LLVMArrayType::get(at.getI8Type(), data.size());
  std::string symbol = (function.getName() + "." + name + Twine(numConstants++)).str();
  auto global = LLVM::GlobalOp::create(at, function.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                       symbol, at.getStringAttr(data));
  return global.getSymName();
}

Value DeviceOpBuilder::constant(host::LlvmBuilder &b, StringRef name, StringRef data) {
  return LLVM::AddressOfOp::create(b, b.pointerType(), defineBytes(name, data));
}

Value DeviceOpBuilder::site(host::LlvmBuilder &b, Operation *op) {
  auto name = getAttr<attrs::Site>(op);
  StringRef &symbol = sites[name];
  if (symbol.empty()) {
    std::string text = name.str();
    symbol = defineBytes("site", StringRef(text.c_str(), text.size() + 1));
  }
  return LLVM::AddressOfOp::create(b, b.pointerType(), symbol);
}

Value DeviceOpBuilder::toBits(host::LlvmBuilder &b, Value value) {
  return value.getType().isInteger(32) ? value : LLVM::BitcastOp::create(b, b.getI32Type(), value).getResult();
}
Value DeviceOpBuilder::fromBits(host::LlvmBuilder &b, Value bits, Type type) {
  return type.isInteger(32) ? bits : LLVM::BitcastOp::create(b, type, bits).getResult();
}

Value DeviceOpBuilder::slot(Value &cached, int64_t words) {
  if (!cached) {
    top.setInsertionPointAfterValue(self);
    cached = LLVM::AllocaOp::create(top, top.pointerType(), top.getI32Type(), top.i64(words), /*alignment=*/16);
  }
  return cached;
}
Value DeviceOpBuilder::loadWord(host::LlvmBuilder &b, Value slot, int64_t i) {
  return LLVM::LoadOp::create(b, b.getI32Type(), b.element(b.getI32Type(), slot, i), /*alignment=*/4);
}
void DeviceOpBuilder::storeWords(host::LlvmBuilder &b, ValueRange values, Value slot, int64_t first) {
  for (auto [i, value] : llvm::enumerate(values))
    LLVM::StoreOp::create(b, toBits(b, value), b.element(b.getI32Type(), slot, first + i), /*alignment=*/4);
}

Value DeviceOpBuilder::packWords(host::LlvmBuilder &b, Value slot, int64_t first, Type type) {
  auto structure = dyn_cast<LLVM::LLVMStructType>(type);
  if (!structure)
    return fromBits(b, loadWord(b, slot, first), type);
  Value result = LLVM::PoisonOp::create(b, structure);
  for (auto [i, field] : llvm::enumerate(structure.getBody()))
    result = LLVM::InsertValueOp::create(b, result, fromBits(b, loadWord(b, slot, first + i), field), i);
  return result;
}
