//===- LowerKernels.cpp - gpu.func to functions of the simulator ----------===//
//
// Arguments come in an array of pointers, as in a launch; numbers of threads and blocks
// are fields of the thread.
//
//===----------------------------------------------------------------------===//
#include "SimCodegen.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "qopt/Codegen/HostAbi.h"
#include <map>

using namespace mlir;
using namespace qopt;
using namespace qopt::sim;

Value sim::readField(host::LlvmBuilder &b, Value self, Field field, int64_t dimension) {
  static constexpr int64_t offsets[] = {
      offsetof(QrtSimThread, api),      offsetof(QrtSimThread, shared),  offsetof(QrtSimThread, sharedBytes),
      offsetof(QrtSimThread, threadId), offsetof(QrtSimThread, blockId), offsetof(QrtSimThread, blockDim),
      offsetof(QrtSimThread, gridDim),  offsetof(QrtSimThread, lane),    offsetof(QrtSimThread, warp)};
  Type type = field <= Field::Shared        ? Type(b.pointerType())
              : field == Field::SharedBytes ? Type(b.getI64Type())
                                            : Type(b.getI32Type());
  Value address = b.element(b.getI8Type(), self, offsets[int(field)] + 4 * dimension);
  auto load = LLVM::LoadOp::create(b, type, address, /*alignment=*/type.isInteger(32) ? 4 : 8);
  load.setInvariant(true);
  setFlag<attrs::SimOwn>(load);
  return load;
}

namespace {

class KernelLowering {
public:
  KernelLowering(gpu::GPUFuncOp kernel, ModuleOp to)
      : kernel(kernel), to(to), top(kernel.getLoc(), OpBuilder(kernel.getContext())) {}

  LogicalResult run() {
    if (kernel.getNumWorkgroupAttributions() || kernel.getNumPrivateAttributions())
      return kernel.emitOpError("has memory attributions, which the simulator does not know");
    auto pointer = LLVM::LLVMPointerType::get(kernel.getContext());
    top.setInsertionPointToEnd(to.getBody());
    auto function = func::FuncOp::create(top, kernel.getName(), top.getFunctionType({pointer, pointer}, {}));
    function.getBody().takeBody(kernel.getBody());
    if (failed(readArguments(function)))
      return failure();
    SmallVector<Operation *> work;
    function.walk([&](Operation *op) {
      StringRef dialect = op->getDialect() ? op->getDialect()->getNamespace() : "";
      if (dialect == "gpu" || dialect == "nvvm" || isa<LLVM::CallIntrinsicOp, math::FmaOp>(op))
        work.push_back(op);
    });
    for (Operation *op : work)
      if (failed(lower(op)))
        return op->emitOpError("in kernel ") << kernel.getName() << " is not known to the simulator";
    unsigned numSites = 0;
    function.walk([&](Operation *op) {
      std::string name = siteName(op);
      if (!name.empty())
        setAttr<attrs::Site>(op, top.getStringAttr(name + " #" + Twine(++numSites)));
    });
    return success();
  }

private:
  LogicalResult readArguments(func::FuncOp function) {
    Block &entry = function.getBody().front();
    unsigned count = entry.getNumArguments();
    self = entry.addArgument(top.pointerType(), kernel.getLoc());
    Value arguments = entry.addArgument(top.pointerType(), kernel.getLoc());
    top.setInsertionPointToStart(&entry);
    for (unsigned i = 0; i < count; ++i) {
      Value argument = entry.getArgument(i);
      Type type = argument.getType();
      if (!isa<LLVM::LLVMPointerType>(type) && !type.isIntOrFloat())
        return kernel.emitOpError("has an argument of type ") << type << ", which the simulator does not know";
      Value value = ownLoad(top.pointerType(), top.element(top.pointerType(), arguments, i));
      if (!getArgAttr<attrs::TensorMap>(kernel, i))
        value = ownLoad(type, value);
      argument.replaceAllUsesWith(value);
    }
    entry.eraseArguments(0, count);
    return success();
  }

  Value ownLoad(Type type, Value address) {
    auto load = LLVM::LoadOp::create(top, type, address);
    load.setInvariant(true);
    setFlag<attrs::SimOwn>(load);
    return load;
  }

  /// The mnemonic of what others may have to meet; empty for other operations.
  static std::string siteName(Operation *op) {
    if (isa_and_present<NVVM::NVVMDialect>(op->getDialect()))
      return op->getName().stripDialect().str();
    auto assembly = dyn_cast<LLVM::InlineAsmOp>(op);
    if (!assembly)
      return "";
    StringRef text = assembly.getAsmString();
    return text.drop_front(std::min(text.find("wgmma"), text.size())).split(' ').first.str();
  }

  /// A field as i32, read once at the top of the function.
  Value field(Field which, int64_t dimension = 0) {
    Value &value = fields[{int(which), dimension}];
    if (!value) {
      top.setInsertionPointAfterValue(self);
      value = readField(top, self, which, dimension);
    }
    return value;
  }
  Value toIndex(host::LlvmBuilder &b, Value i32) { return arith::IndexCastUIOp::create(b, b.getIndexType(), i32); }

  LogicalResult lower(Operation *op) {
    host::LlvmBuilder b(op->getLoc(), OpBuilder(op));
    if (std::optional<Value> number = threadNumber(b, op)) {
      if (op->getResult(0).getType().isIndex())
        number = toIndex(b, *number);
      op->getResult(0).replaceAllUsesWith(*number);
    } else if (isa<gpu::ReturnOp>(op)) {
      func::ReturnOp::create(b);
    } else if (isa<gpu::BarrierOp>(op)) {
      NVVM::Barrier0Op::create(b);
    } else if (auto shuffle = dyn_cast<gpu::ShuffleOp>(op)) {
      if (failed(lowerShuffle(b, shuffle)))
        return failure();
    } else if (auto call = dyn_cast<LLVM::CallIntrinsicOp>(op)) {
      std::optional<Value> value = expandIntrinsic(call);
      if (!value)
        return success(!call.getIntrin().starts_with("llvm.nvvm.") || isDeviceIntrinsic(call.getIntrin()));
      call.getResult(0).replaceAllUsesWith(*value);
    } else if (auto reciprocal = dyn_cast<NVVM::RcpApproxFtzF32Op>(op)) {
      Value one = arith::ConstantOp::create(b, b.getF32FloatAttr(1));
      reciprocal.getResult().replaceAllUsesWith(arith::DivFOp::create(b, one, reciprocal.getArg()).getResult());
    } else if (auto fma = dyn_cast<math::FmaOp>(op)) {
      if (!getElementTypeOrSelf(fma.getType()).isF16())
        return success();
      // In f32, where the product is exact; the host's own way needs a library.
      Type narrow = fma.getType(), wide = b.getF32Type();
      if (auto vector = dyn_cast<VectorType>(narrow))
        wide = vector.clone(wide);
      auto widen = [&](Value value) -> Value { return arith::ExtFOp::create(b, wide, value); };
      Value sum = math::FmaOp::create(b, widen(fma.getA()), widen(fma.getB()), widen(fma.getC()));
      fma.replaceAllUsesWith(arith::TruncFOp::create(b, narrow, sum).getResult());
    } else {
      // Other nvvm operations: lowerDeviceOps says what it knows.
      return success(!isa_and_present<gpu::GPUDialect>(op->getDialect()));
    }
    op->erase();
    return success();
  }

  static bool isDeviceIntrinsic(StringRef name) { return name == "llvm.nvvm.cp.async.wait.all"; }

  std::optional<Value> threadNumber(host::LlvmBuilder &b, Operation *op) {
    auto constant = [&](int64_t value) -> Value { return arith::ConstantOp::create(b, b.getI32IntegerAttr(value)); };
    if (auto id = dyn_cast<gpu::ThreadIdOp>(op))
      return field(Field::ThreadId, int(id.getDimension()));
    if (auto id = dyn_cast<gpu::BlockIdOp>(op))
      return field(Field::BlockId, int(id.getDimension()));
    if (auto dim = dyn_cast<gpu::BlockDimOp>(op))
      return field(Field::BlockDim, int(dim.getDimension()));
    if (auto dim = dyn_cast<gpu::GridDimOp>(op))
      return field(Field::GridDim, int(dim.getDimension()));
    if (auto id = dyn_cast<gpu::GlobalIdOp>(op)) {
      int d = int(id.getDimension());
      Value start = arith::MulIOp::create(b, field(Field::BlockId, d), field(Field::BlockDim, d));
      return arith::AddIOp::create(b, start, field(Field::ThreadId, d));
    }
    if (isa<gpu::LaneIdOp, NVVM::LaneIdOp>(op))
      return field(Field::Lane);
    if (isa<gpu::SubgroupIdOp, NVVM::WarpIdOp>(op))
      return field(Field::Warp);
    if (isa<gpu::SubgroupSizeOp, NVVM::WarpSizeOp>(op))
      return constant(32);
    if (isa<gpu::NumSubgroupsOp>(op)) {
      Value threads = constant(1);
      for (int d = 0; d < 3; ++d)
        threads = arith::MulIOp::create(b, threads, field(Field::BlockDim, d));
      return arith::CeilDivUIOp::create(b, threads, constant(32));
    }
    // "nvvm.read.ptx.sreg.tid.x" and its like.
    auto [name, dimension] = op->getName().getStringRef().rsplit('.');
    int d = dimension == "x" ? 0 : dimension == "y" ? 1 : dimension == "z" ? 2 : -1;
    if (!name.consume_front("nvvm.read.ptx.sreg.") || d < 0)
      return std::nullopt;
    if (name == "tid")
      return field(Field::ThreadId, d);
    if (name == "ctaid")
      return field(Field::BlockId, d);
    if (name == "ntid")
      return field(Field::BlockDim, d);
    if (name == "nctaid")
      return field(Field::GridDim, d);
    return std::nullopt;
  }

  /// The same operands that convert-gpu-to-nvvm gives it.
  LogicalResult lowerShuffle(host::LlvmBuilder &b, gpu::ShuffleOp shuffle) {
    Type type = shuffle.getValue().getType();
    if (!type.isInteger(32) && !type.isF32())
      return failure();
    auto constant = [&](int64_t value) -> Value { return arith::ConstantOp::create(b, b.getI32IntegerAttr(value)); };
    Value width = shuffle.getWidth(), inactive = arith::SubIOp::create(b, constant(32), width);
    Value members = arith::ShRUIOp::create(b, constant(-1), inactive);
    Value packed = inactive;
    if (shuffle.getMode() != gpu::ShuffleMode::UP)
      packed = arith::SubIOp::create(b, width, constant(1));
    NVVM::ShflKind kind = shuffle.getMode() == gpu::ShuffleMode::XOR    ? NVVM::ShflKind::bfly
                          : shuffle.getMode() == gpu::ShuffleMode::UP   ? NVVM::ShflKind::up
                          : shuffle.getMode() == gpu::ShuffleMode::DOWN ? NVVM::ShflKind::down
                                                                        : NVVM::ShflKind::idx;
    auto pair = LLVM::LLVMStructType::getLiteral(b.getContext(), {type, b.getI1Type()});
    Value result =
        NVVM::ShflOp::create(b, pair, members, shuffle.getValue(), shuffle.getOffset(), packed, kind, b.getUnitAttr());
    shuffle.getShuffleResult().replaceAllUsesWith(LLVM::ExtractValueOp::create(b, result, 0).getResult());
    shuffle.getValid().replaceAllUsesWith(LLVM::ExtractValueOp::create(b, result, 1).getResult());
    return success();
  }

  gpu::GPUFuncOp kernel;
  ModuleOp to;
  host::LlvmBuilder top; // where fields and arguments are read
  Value self;
  std::map<std::pair<int, int64_t>, Value> fields;
};

} // namespace

LogicalResult sim::lowerKernels(ModuleOp module) {
  for (Operation &op : *module.getBody())
    if (!isa<gpu::GPUModuleOp>(op))
      return op.emitOpError("is not for the simulator, which takes gpu.modules alone (see qopt-select-kernels)");
  for (auto kernels : llvm::to_vector(module.getOps<gpu::GPUModuleOp>())) {
    for (Operation &op : llvm::make_early_inc_range(*kernels.getBody())) {
      if (auto kernel = dyn_cast<gpu::GPUFuncOp>(op)) {
        if (failed(KernelLowering(kernel, module).run()))
          return failure();
      } else if (isa<LLVM::GlobalOp>(op)) {
        op.moveBefore(module.getBody(), module.getBody()->begin());
      } else {
        return op.emitOpError("is not known to the simulator");
      }
    }
    kernels.erase();
  }
  return success();
}
