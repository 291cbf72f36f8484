//===- DeviceMemory.cpp - Checked accesses in one address space -----------===//
//
// Bounds and alignment are looked at in front of each access, by compares that a right
// program never takes.
//
//===----------------------------------------------------------------------===//
#include "DeviceMemory.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::sim;

namespace {

constexpr unsigned sharedSpace = 3;

bool isShared(Type type) {
  auto pointer = dyn_cast<LLVM::LLVMPointerType>(type);
  return pointer && pointer.getAddressSpace() == sharedSpace;
}

/// Memory of the thread itself, which may live in registers.
bool isOnStack(Value address) {
  while (auto gep = address.getDefiningOp<LLVM::GEPOp>())
    address = gep.getBase();
  return address.getDefiningOp<LLVM::AllocaOp>();
}

struct Access {
  Operation *op;
  Value address;
  Type type;
  std::optional<uint64_t> alignment;
};

std::optional<Access> accessOf(Operation *op) {
  if (auto load = dyn_cast<LLVM::LoadOp>(op))
    return Access{op, load.getAddr(), load.getType(), load.getAlignment()};
  if (auto store = dyn_cast<LLVM::StoreOp>(op))
    return Access{op, store.getAddr(), store.getValue().getType(), store.getAlignment()};
  if (auto atomic = dyn_cast<LLVM::AtomicRMWOp>(op))
    return Access{op, atomic.getPtr(), atomic.getVal().getType(), atomic.getAlignment()};
  if (auto atomic = dyn_cast<LLVM::AtomicCmpXchgOp>(op))
    return Access{op, atomic.getPtr(), atomic.getVal().getType(), atomic.getAlignment()};
  return std::nullopt;
}

class MemoryChecks {
public:
  MemoryChecks(LLVM::LLVMFuncOp function, EmitTrap emitTrap)
      : function(function), emitTrap(emitTrap), layout(function->getParentOfType<ModuleOp>()),
        top(function.getLoc(), OpBuilder::atBlockBegin(&function.getBody().front())) {
    Value self = function.getArgument(0);
    shared = readField(top, self, Field::Shared);
    sharedBytes = readField(top, self, Field::SharedBytes);
    flattener.addReplacement([](LLVM::LLVMPointerType pointer) -> std::optional<Type> {
      return LLVM::LLVMPointerType::get(pointer.getContext());
    });
  }

  LogicalResult run() {
    SmallVector<Operation *> work;
    function.walk([&](Operation *op) {
      if (!hasAttr<attrs::SimOwn>(op))
        work.push_back(op);
    });
    // Address spaces tell what must be checked, so they stay until all that is done.
    SmallVector<Operation *> casts, origins;
    for (Operation *op : work) {
      if (std::optional<Access> access = accessOf(op))
        check(*access);
      else if (isa<LLVM::AddressOfOp>(op))
        origins.push_back(op);
      else if (isa<LLVM::PtrToIntOp, LLVM::IntToPtrOp, LLVM::AddrSpaceCastOp>(op))
        casts.push_back(op);
      else if (!isHarmless(op))
        return refuse(op);
    }
    // Casts first: the type of what they cast says what they mean.
    for (SmallVector<Operation *> *some : {&casts, &origins})
      for (Operation *op : *some)
        if (failed(lower(op)))
          return refuse(op);
    // What is left only passes pointers on.
    function.walk([&](Operation *op) {
      for (Value result : op->getResults())
        result.setType(flatten(result.getType()));
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            argument.setType(flatten(argument.getType()));
    });
    return success();
  }

private:
  void check(const Access &access) {
    host::LlvmBuilder b(access.op->getLoc(), OpBuilder(access.op));
    int64_t bytes = layout.getTypeSize(access.type);
    // What a device needs: a vector as one access, unless less is declared.
    int64_t natural =
        isa<VectorType>(access.type) ? llvm::PowerOf2Ceil(bytes) : layout.getTypeABIAlignment(access.type);
    int64_t alignment = access.alignment.value_or(natural);
    bool inShared = isShared(access.address.getType());
    if (!inShared && (alignment <= 1 || isOnStack(access.address)))
      return;
    Value address = LLVM::PtrToIntOp::create(b, b.getI64Type(), access.address), wrong;
    if (inShared) {
      Value base = LLVM::PtrToIntOp::create(b, b.getI64Type(), shared);
      Value offset = LLVM::SubOp::create(b, address, base);
      Value room = LLVM::SubOp::create(b, LLVM::SubOp::create(b, sharedBytes, b.i64(bytes)), offset);
      // One of them is negative if it is out of bounds.
      Value both = LLVM::OrOp::create(b, room, offset);
      wrong = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::slt, both, b.i64(0));
      address = offset;
    }
    if (alignment > 1) {
      Value low = LLVM::AndOp::create(b, address, b.i64(alignment - 1));
      Value misaligned = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, low, b.i64(0));
      wrong = wrong ? LLVM::OrOp::create(b, wrong, misaligned).getResult() : misaligned;
    }
    Value kind = b.i64(inShared ? QRT_SIM_SHARED_ACCESS : QRT_SIM_GLOBAL_ACCESS);
    Value size = b.i64(bytes), needed = b.i64(alignment);
    Block *before = access.op->getBlock(), *after = before->splitBlock(access.op);
    b.setInsertionPointToEnd(before);
    LLVM::CondBrOp::create(b, wrong, trapBlock(), ValueRange{kind, access.address, size, needed}, after, ValueRange(),
                           std::pair<int32_t, int32_t>(1, 1 << 20));
  }

  Block *trapBlock() {
    if (trap)
      return trap;
    host::LlvmBuilder b(function.getLoc(), OpBuilder(function.getContext()));
    Type i64 = b.getI64Type();
    Location loc = function.getLoc();
    trap = &function.getBody().emplaceBlock();
    trap->addArguments({i64, b.pointerType(), i64, i64}, {loc, loc, loc, loc});
    b.setInsertionPointToEnd(trap);
    emitTrap(b, trap->getArguments());
    LLVM::UnreachableOp::create(b);
    return trap;
  }

  LogicalResult lower(Operation *op) {
    host::LlvmBuilder b(op->getLoc(), OpBuilder(op));
    if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
      if (!isShared(address.getType()))
        return success();
      auto global = SymbolTable::lookupNearestSymbolFrom<LLVM::GlobalOp>(op, address.getGlobalNameAttr());
      if (!global || layout.getTypeSize(global.getType()) != 0)
        return failure();
      op->getResult(0).replaceAllUsesWith(shared);
      op->erase();
      return success();
    }
    if (auto cast = dyn_cast<LLVM::PtrToIntOp>(op); cast && isShared(cast.getArg().getType())) {
      // A device has offsets there.
      Value address = LLVM::PtrToIntOp::create(b, b.getI64Type(), cast.getArg());
      Value offset = LLVM::SubOp::create(b, address, LLVM::PtrToIntOp::create(b, b.getI64Type(), shared));
      if (!cast.getType().isInteger(64))
        offset = LLVM::TruncOp::create(b, cast.getType(), offset);
      cast.replaceAllUsesWith(offset);
      op->erase();
      return success();
    }
    if (auto cast = dyn_cast<LLVM::IntToPtrOp>(op); cast && isShared(cast.getType())) {
      Value offset = cast.getArg();
      if (!offset.getType().isInteger(64))
        offset = LLVM::ZExtOp::create(b, b.getI64Type(), offset);
      cast.replaceAllUsesWith(
          LLVM::GEPOp::create(b, b.pointerType(), b.getI8Type(), shared, ValueRange{offset}).getResult());
      op->erase();
      return success();
    }
    if (auto cast = dyn_cast<LLVM::AddrSpaceCastOp>(op)) {
      cast.replaceAllUsesWith(cast.getArg());
      op->erase();
      return success();
    }
    return success();
  }

  /// Whether it only passes pointers on; calls are those of the simulator.
  static bool isHarmless(Operation *op) {
    return llvm::none_of(op->getOperandTypes(), isShared) ||
           isa<LLVM::GEPOp, LLVM::SelectOp, LLVM::ICmpOp, LLVM::BrOp, LLVM::CondBrOp, LLVM::SwitchOp,
               LLVM::InsertValueOp, LLVM::FreezeOp, LLVM::CallOp>(op);
  }

  LogicalResult refuse(Operation *op) {
    return op->emitOpError("in kernel ") << function.getName()
                                         << " uses shared memory in a way that the simulator does not know";
  }

  /// The same type with pointers of address space 0; there are few types and many values.
  Type flatten(Type type) {
    Type &flat = flatTypes[type];
    if (!flat)
      flat = flattener.replace(type);
    return flat;
  }

  LLVM::LLVMFuncOp function;
  EmitTrap emitTrap;
  DataLayout layout;
  host::LlvmBuilder top;
  Value shared, sharedBytes;
  Block *trap = nullptr;
  AttrTypeReplacer flattener;
  llvm::DenseMap<Type, Type> flatTypes;
};

} // namespace

LogicalResult sim::checkMemory(LLVM::LLVMFuncOp function, EmitTrap emitTrap) {
  return MemoryChecks(function, emitTrap).run();
}
