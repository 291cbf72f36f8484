//===- LowerDeviceOps.cpp - nvvm operations to calls of the simulator -----===//
//
// What all lanes of a warp do together is a call that waits for them; what one thread
// does alone becomes plain code.
//
//===----------------------------------------------------------------------===//
#include "DeviceMemory.h"
#include "DeviceOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::sim;

namespace {

class FunctionLowering : DeviceOpBuilder {
public:
  using DeviceOpBuilder::DeviceOpBuilder;

  LogicalResult run() {
    SmallVector<Operation *> work;
    function.walk([&](Operation *op) {
      if (isa_and_present<NVVM::NVVMDialect>(op->getDialect()) ||
          isa<LLVM::CallIntrinsicOp, LLVM::CallOp, LLVM::InlineAsmOp, LLVM::Trap>(op))
        work.push_back(op);
    });
    for (Operation *op : work)
      if (failed(lower(op)))
        return op->emitOpError("in kernel ") << function.getName() << " is not known to the simulator";
    return checkMemory(function, [this](host::LlvmBuilder &b, ValueRange operands) {
      SmallVector<Value> all{self};
      llvm::append_range(all, operands);
      call(b, ApiFunction::Trap, all);
    });
  }

private:
  LogicalResult lower(Operation *op) {
    host::LlvmBuilder b(op->getLoc(), OpBuilder(op));
    Value result;
    LogicalResult known = success();
    if (isa<NVVM::Barrier0Op>(op)) {
      call(b, ApiFunction::Barrier, {self, site(b, op)});
    } else if (auto barrier = dyn_cast<NVVM::BarrierOp>(op)) {
      known = success(op->getNumOperands() == 0);
      call(b, ApiFunction::Barrier, {self, site(b, op)});
    } else if (auto sync = dyn_cast<NVVM::SyncWarpOp>(op)) {
      call(b, ApiFunction::SyncWarp, {self, site(b, op), sync.getMask()});
    } else if (auto shuffle = dyn_cast<NVVM::ShflOp>(op)) {
      result = lowerShuffle(b, shuffle);
    } else if (auto vote = dyn_cast<NVVM::VoteSyncOp>(op)) {
      Value predicate = LLVM::ZExtOp::create(b, b.getI32Type(), vote.getPred());
      Value kind = i32(b, int64_t(vote.getKind()));
      result = call(b, ApiFunction::Vote, {self, site(b, op), vote.getMask(), predicate, kind}, b.getI32Type());
      if (vote.getType().isInteger(1))
        result = LLVM::TruncOp::create(b, b.getI1Type(), result);
    } else if (auto reduce = dyn_cast<NVVM::ReduxOp>(op)) {
      known = success(reduce.getType().isInteger(32));
      Value kind = i32(b, int64_t(reduce.getKind()));
      result = call(b, ApiFunction::Reduce, {self, site(b, op), reduce.getMaskAndClamp(), reduce.getVal(), kind},
                    b.getI32Type());
    } else if (auto load = dyn_cast<NVVM::LdMatrixOp>(op)) {
      known = success(load.getEltType() == NVVM::LdStMatrixEltType::B16);
      Value words = slot(matrixSlot, 4), isTransposed = i32(b, load.getLayout() == NVVM::MMALayout::col);
      call(b, ApiFunction::LoadMatrix, {self, site(b, op), load.getPtr(), i32(b, load.getNum()), isTransposed, words},
           Type());
      result = packWords(b, words, 0, load.getType());
    } else if (auto mma = dyn_cast<NVVM::MmaOp>(op)) {
      known = lowerMma(b, mma, result);
    } else if (auto copy = dyn_cast<NVVM::CpAsyncOp>(op)) {
      Value size = i32(b, copy.getSize()), sourceSize = copy.getCpSize() ? copy.getCpSize() : size;
      call(b, ApiFunction::CopyAsync, {self, copy.getDst(), copy.getSrc(), size, sourceSize});
    } else if (isa<NVVM::CpAsyncCommitGroupOp>(op)) {
      call(b, ApiFunction::Commit, {self});
    } else if (auto wait = dyn_cast<NVVM::CpAsyncWaitGroupOp>(op)) {
      call(b, ApiFunction::Wait, {self, i32(b, wait.getN())});
    } else if (auto intrinsic = dyn_cast<LLVM::CallIntrinsicOp>(op)) {
      if (!intrinsic.getIntrin().starts_with("llvm.nvvm."))
        return success();
      known = success(intrinsic.getIntrin() == "llvm.nvvm.cp.async.wait.all");
      call(b, ApiFunction::Commit, {self});
      call(b, ApiFunction::Wait, {self, i32(b, 0)});
    } else if (isa<LLVM::Trap>(op)) {
      Value zero = b.i64(0);
      call(b, ApiFunction::Trap, {self, b.i64(QRT_SIM_EXPLICIT), b.null(), zero, zero});
    } else {
      return lowerAsyncOp(*this, op);
    }
    if (failed(known))
      return failure();
    if (result)
      op->getResult(0).replaceAllUsesWith(result);
    op->erase();
    return success();
  }

  Value lowerShuffle(host::LlvmBuilder &b, NVVM::ShflOp shuffle) {
    Value packed = call(b, ApiFunction::Shuffle,
                        {self, site(b, shuffle), shuffle.getThreadMask(), toBits(b, shuffle.getVal()),
                         shuffle.getOffset(), shuffle.getMaskAndClamp(), i32(b, int64_t(shuffle.getKind()))},
                        b.getI64Type());
    Value bits = LLVM::TruncOp::create(b, b.getI32Type(), packed);
    Value value = fromBits(b, bits, shuffle.getVal().getType());
    auto pair = dyn_cast<LLVM::LLVMStructType>(shuffle.getType());
    if (!pair)
      return value;
    Value isValid = LLVM::TruncOp::create(b, b.getI1Type(), LLVM::LShrOp::create(b, packed, b.i64(32)));
    Value result = LLVM::InsertValueOp::create(b, LLVM::PoisonOp::create(b, pair), value, ArrayRef<int64_t>{0});
    return LLVM::InsertValueOp::create(b, result, isValid, 1);
  }

  static std::optional<QrtSimElement> element(std::optional<NVVM::MMATypes> type) {
    if (!type)
      return std::nullopt;
    switch (*type) {
    case NVVM::MMATypes::f16:
      return QRT_SIM_F16;
    case NVVM::MMATypes::bf16:
      return QRT_SIM_BF16;
    case NVVM::MMATypes::tf32:
      return QRT_SIM_TF32;
    case NVVM::MMATypes::s8:
      return QRT_SIM_S8;
    case NVVM::MMATypes::u8:
      return QRT_SIM_U8;
    case NVVM::MMATypes::s4:
      return QRT_SIM_S4;
    case NVVM::MMATypes::u4:
      return QRT_SIM_U4;
    default:
      return std::nullopt;
    }
  }

  LogicalResult lowerMma(host::LlvmBuilder &b, NVVM::MmaOp mma, Value &result) {
    auto typeOf = [](std::optional<NVVM::MMATypes> given, Value operand) {
      return given ? given : NVVM::MmaOp::inferOperandMMAType(operand.getType(), /*isAccumulator=*/false);
    };
    auto a = element(typeOf(mma.getMultiplicandAPtxType(), mma.getOperandA()[0]));
    auto bType = element(typeOf(mma.getMultiplicandBPtxType(), mma.getOperandB()[0]));
    size_t numA = mma.getOperandA().size(), numB = mma.getOperandB().size(), numC = mma.getOperandC().size();
    auto shape = mma.getShape();
    if (!a || !bType || shape.getM() != 16 || shape.getN() != 8 || numA != 2 * numB || numB > 2 ||
        mma.accumPtxType() != mma.resultPtxType() || mma.getLayoutA() != NVVM::MMALayout::row ||
        mma.getLayoutB() != NVVM::MMALayout::col)
      return failure();
    QrtSimMmaKind kind{};
    kind.a = *a;
    kind.b = *bType;
    kind.isHalf = numB == 1;
    kind.isSaturating = mma.getIntOverflowBehavior() == NVVM::MMAIntOverflow::satfinite;
    kind.isF16 = numC == 2;
    Value name = site(b, mma), words = slot(mmaSlot, sizeof(QrtSimMma) / 4);
    StringRef kindBytes(reinterpret_cast<const char *>(&kind), sizeof kind);
    Value kindAddress = constant(b, "mma", kindBytes);
    storeWords(b, mma.getOperandA(), words);
    storeWords(b, mma.getOperandB(), words, offsetof(QrtSimMma, b) / 4);
    storeWords(b, mma.getOperandC(), words, offsetof(QrtSimMma, c) / 4);
    call(b, ApiFunction::Mma, {self, name, kindAddress, words});
    result = packWords(b, words, offsetof(QrtSimMma, c) / 4, mma.getType());
    return success();
  }
};

} // namespace

static constexpr unsigned kSharedSpace = 3;

LogicalResult sim::lowerDeviceOps(ModuleOp module) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal() && failed(FunctionLowering(function).run()))
      return failure();
  // Shared memory is what the thread says it is; constants of the device are ordinary ones.
  for (auto global : llvm::make_early_inc_range(module.getOps<LLVM::GlobalOp>())) {
    if (global.getAddrSpace() == kSharedSpace)
      global.erase();
    else
      global.setAddrSpace(0);
  }
  return success();
}
