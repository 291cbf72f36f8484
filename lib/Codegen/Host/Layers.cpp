//===- Layers.cpp - Loops of layers in host code ----------------------------===//
//
// Parameters are numbered in the order of their first use, so those of layers are evenly
// spaced but for what layers share with others.
//
//===----------------------------------------------------------------------===//
#include "Layers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::host;

FailureOr<LayerChoices> host::takeChoices(func::FuncOp function, const llvm::StringMap<int64_t> &parameters) {
  LayerChoices choices;
  SmallVector<memref::GetGlobalOp> reads;
  WalkResult walk = function.walk([&](SelectOp select) -> WalkResult {
    LayerChoice &choice = choices[select];
    for (Value value : select.getValues()) {
      auto argument = dyn_cast<BlockArgument>(value);
      auto read = value.getDefiningOp<memref::GetGlobalOp>();
      auto found = read ? parameters.find(read.getName()) : parameters.end();
      bool isInput = argument && argument.getOwner() == &function.front() && !function.isPrivate();
      if (!isInput && found == parameters.end())
        return select.emitOpError("expected parameters or arguments of an entry point");
      if (!choice.numbers.empty() && choice.areParameters == isInput)
        return select.emitOpError("expected either parameters or arguments");
      choice.areParameters = !isInput;
      choice.numbers.push_back(isInput ? argument.getArgNumber() : found->second);
      if (read)
        reads.push_back(read);
    }
    select->setOperands(select.getLayer());
    return success();
  });
  llvm::SmallPtrSet<Operation *, 16> erased;
  for (memref::GetGlobalOp read : reads)
    if (!erased.contains(read) && read->use_empty()) {
      erased.insert(read);
      read.erase();
    }
  if (walk.wasInterrupted())
    return failure();
  return choices;
}

void host::branchRepeats(func::FuncOp function) {
  for (RepeatOp repeat : llvm::to_vector(function.front().getOps<RepeatOp>())) {
    Location loc = repeat.getLoc();
    Block *before = repeat->getBlock(), *after = before->splitBlock(repeat), *body = &repeat.getBody().front();
    body->moveBefore(after);
    ImplicitLocOpBuilder b(loc, OpBuilder::atBlockEnd(before));
    cf::BranchOp::create(b, body, ValueRange(arith::ConstantIndexOp::create(b, 0)));
    b.setInsertionPointToEnd(body);
    Value next = arith::AddIOp::create(b, body->getArgument(0), arith::ConstantIndexOp::create(b, 1));
    Value isMore =
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, next, arith::ConstantIndexOp::create(b, repeat.getCount()));
    cf::CondBranchOp::create(b, isMore, body, ValueRange(next), after, ValueRange());
    repeat.erase();
  }
}

/// numbers[layer], as i64: computed where they are evenly spaced, else read from a constant of
/// 4 bytes for each.
static Value numberOfLayer(LlvmBuilder &b, ArrayRef<int64_t> numbers, Value layer) {
  int64_t base = numbers[0], stride = numbers.size() > 1 ? numbers[1] - numbers[0] : 0;
  bool isEven = true;
  for (auto [i, number] : llvm::enumerate(numbers))
    isEven &= number == base + static_cast<int64_t>(i) * stride;
  Value index = b.toI64(layer);
  if (isEven)
    return LLVM::AddOp::create(b, LLVM::MulOp::create(b, index, b.i64(stride)), b.i64(base));
  Type i32 = b.getI32Type();
  auto module = b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  SmallVector<int32_t> entries(numbers);
  OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
  std::string name = "layer_numbers_";
  size_t count = llvm::range_size(module.getOps<LLVM::GlobalOp>());
  auto table = LLVM::GlobalOp::create(
      top, b.getLoc(), LLVM::LLVMArrayType::get(i32, entries.size()), /*isConstant=*/true, LLVM::Linkage::Internal,
      name + std::to_string(count),
      DenseElementsAttr::get(RankedTensorType::get({static_cast<int64_t>(entries.size())}, i32), ArrayRef(entries)));
  Value place = b.element(i32, LLVM::AddressOfOp::create(b, table), index);
  return LLVM::SExtOp::create(b, b.getI64Type(), b.load(i32, place));
}

Value host::chooseOfLayer(LlvmBuilder &b, SelectOp select, const LayerChoice &choice, Value parameters, Value inputs) {
  Value number = numberOfLayer(b, choice.numbers, select.getLayer());
  auto type = cast<MemRefType>(select.getType());
  if (choice.areParameters)
    return b.memref(type, b.load(b.pointerType(), b.element(b.pointerType(), parameters, number)), {});
  return b.readTensor(type, b.element(getTensorType(b.getContext()), inputs, number));
}
