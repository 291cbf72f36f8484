//===- LowerAbi.cpp - Functions on memrefs to the runtime's interface -----===//
//
// What a function gets from the outside and gives back goes through Abi.h. The
// memory that a function holds is in slots on its stack, so that its one exit
// releases whatever there is at that moment.
//
//===----------------------------------------------------------------------===//
#include "HostForm.h"
#include "Layers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Constants.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::host;

// What IR calls an error is what the runtime calls it.
static_assert(static_cast<int64_t>(RuntimeError::IndexOutOfRange) == QRT_INDEX_OUT_OF_RANGE);
static_assert(static_cast<int64_t>(RuntimeError::ShapeMismatch) == QRT_SHAPE_MISMATCH);

namespace {

/// Number of each parameter in the table, by symbol.
using ParameterTable = llvm::StringMap<int64_t>;

bool isInternal(func::FuncOp function) { return function.isPrivate() && !function.isExternal(); }

class FunctionLowering {
public:
  FunctionLowering(func::FuncOp function, const ParameterTable &parameters)
      : function(function), parameters(parameters), isEntry(!function.isPrivate()),
        b(function.getLoc(), OpBuilder::atBlockBegin(&function.getBody().front())) {}

  LogicalResult run() {
    if (!function.getBody().hasOneBlock())
      return function.emitOpError("expected one block but got ") << function.getBody().getBlocks().size();
    if (failed(checkForm(function, [&](StringRef name) { return parameters.contains(name); })))
      return failure();
    FailureOr<LayerChoices> taken = takeChoices(function, parameters);
    if (failed(taken))
      return failure();
    choices = *taken;
    branchRepeats(function);
    b.setInsertionPointToStart(&function.getBody().front());
    for (Block &block : function.getBody())
      for (Operation &op : block)
        work.push_back(&op);
    if (isEntry)
      startEntry();
    else
      frame = function.getArgument(0);
    LlvmBuilder end(function.getLoc(), OpBuilder::atBlockEnd(&function.getBody().emplaceBlock()));
    exit = end.getInsertionBlock();
    for (Operation *op : work)
      if (failed(lower(op)))
        return failure();
    finishExit(end);
    function.walk([&](FailOp fail) { lowerFail(fail); });
    WalkResult result = function.walk([&](func::CallOp call) { return lowerNestedCall(call); });
    return failure(result.wasInterrupted());
  }

private:
  void startEntry() {
    MLIRContext *context = function.getContext();
    Block &block = function.getBody().front();
    SmallVector<Value> old(block.getArguments());
    outputTypes.assign(function.getResultTypes().begin(), function.getResultTypes().end());
    Type pointer = b.pointerType();
    SmallVector<Value> incoming;
    for (int i = 0; i < 5; ++i)
      incoming.push_back(block.addArgument(pointer, function.getLoc()));
    table = incoming[2], inputs = incoming[3], outputs = incoming[4];
    LLVM::LLVMStructType frameType = getFrameType(context), tensorType = getTensorType(context);
    frame = b.stackSlot(frameType);
    setFlag<attrs::Frame>(frame.getDefiningOp());
    b.store(incoming[0], b.field(frameType, frame, FrameField::Api));
    b.store(incoming[1], b.field(frameType, frame, FrameField::Context));
    b.storeStatus(frame, b.i64(QRT_OK));
    for (auto [i, argument] : llvm::enumerate(old))
      if (!argument.use_empty())
        argument.replaceAllUsesWith(
            b.readTensor(cast<MemRefType>(argument.getType()), b.element(tensorType, inputs, i)));
    block.eraseArguments(0, old.size());
    SmallVector<Type> types(5, pointer);
    function.setArgAttrsAttr(ArrayAttr());
    function.setResAttrsAttr(ArrayAttr());
    function.setType(b.getFunctionType(types, b.getI64Type()));
  }

  /// Releases what is held, and returns.
  void finishExit(LlvmBuilder &end) {
    for (Value slot : slots) {
      Value memory = end.load(end.pointerType(), slot);
      Value isHeld = LLVM::ICmpOp::create(end, LLVM::ICmpPredicate::ne, memory, end.null());
      auto guard = scf::IfOp::create(end, TypeRange(), isHeld, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard restore(end);
      end.setInsertionPointToStart(guard.thenBlock());
      end.callApi(frame, ApiFunction::Release, memory);
    }
    if (isEntry)
      func::ReturnOp::create(end, end.loadStatus(frame));
    else
      func::ReturnOp::create(end);
  }

  /// Goes on behind `op` only if `condition` (i1) holds.
  void leaveUnless(Value condition, Operation *op) {
    Block *next = op->getBlock()->splitBlock(op);
    b.setInsertionPointToEnd(next->getPrevNode());
    cf::CondBranchOp::create(b, condition, next, ValueRange(), exit, ValueRange());
    b.setInsertionPoint(op);
  }

  Value isOk(Value status) { return LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::eq, status, b.i64(QRT_OK)); }

  LogicalResult lower(Operation *op) {
    b.setInsertionPoint(op);
    b.setLoc(op->getLoc());
    if (auto alloc = dyn_cast<memref::AllocOp>(op))
      return lowerAlloc(alloc);
    if (auto dealloc = dyn_cast<memref::DeallocOp>(op))
      return lowerDealloc(dealloc);
    if (auto global = dyn_cast<memref::GetGlobalOp>(op))
      return lowerGlobal(global);
    if (auto ret = dyn_cast<func::ReturnOp>(op))
      return lowerReturn(ret);
    if (auto require = dyn_cast<RequireOp>(op)) {
      lowerRequire(require);
      return success();
    }
    if (auto select = dyn_cast<SelectOp>(op)) {
      select.replaceAllUsesWith(chooseOfLayer(b, select, choices[op], table, inputs));
      select.erase();
      return success();
    }
    auto call = dyn_cast<func::CallOp>(op);
    if (!call)
      return success();
    if (isInternal(calleeOf(call))) {
      Operation *after = call->getNextNode();
      b.setInsertionPoint(after);
      leaveUnless(isOk(b.loadStatus(frame)), after);
    }
    return success();
  }

  func::FuncOp calleeOf(func::CallOp call) {
    return cast<func::FuncOp>(SymbolTable::lookupNearestSymbolFrom(call, call.getCalleeAttr()));
  }

  /// Calls anywhere, also inside loops.
  WalkResult lowerNestedCall(func::CallOp call) {
    LlvmBuilder at(call.getLoc(), OpBuilder(call));
    if (call.getCallee() == kErrorsFunction || call.getCallee() == kCapabilityFunction) {
      ApiFunction function = call.getCallee() == kErrorsFunction ? ApiFunction::Errors : ApiFunction::Capability;
      call.replaceAllUsesWith(ValueRange(at.callApi(frame, function, {})));
      call.erase();
      return WalkResult::advance();
    }
    if (call.getCallee() == kTensorMapFunction) {
      LlvmBuilder top(call.getLoc(), OpBuilder::atBlockBegin(&function.getBody().front()));
      Value map = LLVM::AllocaOp::create(top, top.pointerType(), top.getI8Type(), top.i64(QRT_TENSOR_MAP_BYTES),
                                         /*alignment=*/QRT_TENSOR_MAP_BYTES / 2);
      SmallVector<Value> operands{map};
      llvm::append_range(operands, call.getOperands());
      at.callApi(frame, ApiFunction::TensorMap, operands);
      call.replaceAllUsesWith(ValueRange(map));
      call.erase();
      return WalkResult::advance();
    }
    func::FuncOp callee = calleeOf(call);
    if (!isInternal(callee))
      return call.emitOpError("calls a function without a body"), WalkResult::interrupt();
    if (call.getNumOperands() < callee.getNumArguments())
      call.getOperandsMutable().assign([&] {
        SmallVector<Value> operands{frame};
        llvm::append_range(operands, call.getOperands());
        return operands;
      }());
    return WalkResult::advance();
  }

  /// Tells the runtime, and the caller by the status.
  void recordError(LlvmBuilder &at, RuntimeError error, Value first, Value second) {
    Value code = at.i64(static_cast<int64_t>(error));
    at.callApi(frame, ApiFunction::Fail, {code, first, second});
    at.storeStatus(frame, code);
  }

  void lowerFail(FailOp fail) {
    LlvmBuilder at(fail.getLoc(), OpBuilder(fail));
    recordError(at, fail.getError(), fail.getA(), fail.getB());
    fail.erase();
  }

  void lowerRequire(RequireOp require) {
    if (isOneInteger(require.getCondition()))
      return require.erase();
    Block *failed = b.createBlock(exit);
    b.setInsertionPointToEnd(failed);
    recordError(b, require.getError(), require.getA(), require.getB());
    cf::BranchOp::create(b, exit);
    Block *next = require->getBlock()->splitBlock(require->getNextNode());
    b.setInsertionPointToEnd(require->getBlock());
    cf::CondBranchOp::create(b, require.getCondition(), next, ValueRange(), failed, ValueRange());
    require.erase();
  }

  /// A slot for a pointer, null at first.
  Value makeSlot() {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    Value slot = b.stackSlot(b.pointerType());
    b.store(b.null(), slot);
    slots.push_back(slot);
    return slot;
  }

  LogicalResult lowerAlloc(memref::AllocOp alloc) {
    MemRefType type = alloc.getType();
    Type element = type.getElementType();
    if (!type.getLayout().isIdentity() || !element.isIntOrIndexOrFloat())
      return alloc.emitOpError("expected a dense layout of numbers but got ") << type;
    // The byte count saturates, so that an absurd size is out of memory and not a
    // small number.
    int64_t fixed = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    bool isTooMuch = false;
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        isTooMuch |= __builtin_mul_overflow(fixed, size, &fixed);
    Value most = b.i64(std::numeric_limits<int64_t>::max());
    Value bytes = isTooMuch ? most : b.i64(fixed);
    SmallVector<Value> sizes;
    for (Value size : alloc.getDynamicSizes()) {
      sizes.push_back(b.toI64(size));
      auto product = arith::MulUIExtendedOp::create(b, bytes, sizes.back());
      Value isNegative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, product.getLow(), b.i64(0));
      Value isWide = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, product.getHigh(), b.i64(0));
      Value overflows = arith::OrIOp::create(b, isNegative, isWide);
      bytes = arith::SelectOp::create(b, overflows, most, product.getLow());
    }
    Value slot = makeSlot();
    Value memory = b.callApi(frame, ApiFunction::Allocate, bytes);
    b.store(memory, slot);
    Value isNull = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::eq, memory, b.null());
    Value status = arith::SelectOp::create(b, isNull, b.i64(QRT_OUT_OF_MEMORY), b.loadStatus(frame));
    b.storeStatus(frame, status);
    leaveUnless(LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, memory, b.null()), alloc);
    Value buffer = b.memref(type, memory, sizes);
    slotOf[buffer] = slot;
    if (hasAttr<attrs::Output>(alloc))
      outputSlots.push_back(slot);
    alloc.replaceAllUsesWith(buffer);
    alloc.erase();
    return success();
  }

  LogicalResult lowerDealloc(memref::DeallocOp dealloc) {
    Value slot = slotOf.lookup(dealloc.getMemref());
    if (!slot)
      return dealloc.emitOpError("expected memory that the function allocates");
    b.callApi(frame, ApiFunction::Release, b.load(b.pointerType(), slot));
    b.store(b.null(), slot);
    dealloc.erase();
    return success();
  }

  LogicalResult lowerGlobal(memref::GetGlobalOp get) {
    auto found = parameters.find(get.getName());
    if (found == parameters.end())
      return success();
    if (!isEntry)
      return get.emitOpError("reads a parameter outside of an entry point");
    Value data = b.load(b.pointerType(), b.element(b.pointerType(), table, found->second));
    get.replaceAllUsesWith(b.memref(get.getType(), data, {}));
    get.erase();
    return success();
  }

  LogicalResult lowerReturn(func::ReturnOp ret) {
    if (isEntry) {
      leaveUnless(isOk(b.loadStatus(frame)), ret);
      LLVM::LLVMStructType tensorType = getTensorType(function.getContext());
      for (auto [i, value] : llvm::enumerate(ret.getOperands())) {
        auto type = cast<MemRefType>(value.getType());
        std::optional<ElementType> element = toElementType(type.getElementType());
        if (!element || type.getRank() > QRT_MAX_RANK)
          return ret.emitOpError("returns ") << type << ", which cannot be an output";
        b.writeTensor(value, static_cast<int64_t>(*element), b.element(tensorType, outputs, i));
      }
      for (Value slot : outputSlots)
        b.store(b.null(), slot);
    }
    cf::BranchOp::create(b, exit);
    ret.erase();
    return success();
  }

  func::FuncOp function;
  const ParameterTable &parameters;
  bool isEntry;
  LlvmBuilder b;
  SmallVector<Operation *> work;
  Block *exit = nullptr;
  Value frame, table, inputs, outputs;
  LayerChoices choices;
  SmallVector<Type> outputTypes;
  SmallVector<Value> slots, outputSlots;
  llvm::DenseMap<Value, Value> slotOf;
};

} // namespace

FailureOr<int64_t> host::lowerAbi(ModuleOp module) {
  ParameterTable parameters;
  for (auto global : llvm::make_early_inc_range(module.getOps<memref::GlobalOp>()))
    if (hasAttr<attrs::Value>(global))
      parameters.try_emplace(global.getSymName(), parameters.size());
  MLIRContext *context = module.getContext();
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (isInternal(function)) {
      if (function.getNumResults() != 0)
        return function.emitOpError("expected no results but got ") << function.getNumResults();
      (void)function.insertArgument(0, LLVM::LLVMPointerType::get(context), DictionaryAttr(), function.getLoc());
    }
  int64_t numEntries = 0;
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (!function.isExternal() && failed(FunctionLowering(function, parameters).run()))
      return failure();
    numEntries += !function.isPrivate();
  }
  for (StringRef name : {kErrorsFunction, kCapabilityFunction, kTensorMapFunction})
    if (Operation *declaration = module.lookupSymbol(name))
      declaration->erase();
  for (auto global : llvm::make_early_inc_range(module.getOps<memref::GlobalOp>()))
    if (hasAttr<attrs::Value>(global))
      global.erase();
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  LLVM::GlobalOp::create(b, module.getLoc(), b.getI32Type(), /*isConstant=*/true, LLVM::Linkage::External,
                         "qrt_abi_version", b.getI32IntegerAttr(QRT_ABI_VERSION));
  return numEntries;
}
