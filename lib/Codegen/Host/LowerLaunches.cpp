//===- LowerLaunches.cpp - Kernel launches to the runtime's interface -----===//
//
// The host code of a device holds gpu.launch_func. What a launch passes lies on
// the stack: a QrtLaunch, the arguments, and the array of their addresses.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::host;

namespace {

class LaunchLowering {
public:
  LaunchLowering(gpu::LaunchFuncOp launch, gpu::GPUFuncOp callee, int64_t kernel)
      : launch(launch), callee(callee), kernel(kernel), function(launch->getParentOfType<func::FuncOp>()),
        b(launch.getLoc(), OpBuilder(launch)) {}

  LogicalResult run() {
    if (launch->getParentOfType<scf::ParallelOp>())
      return launch.emitOpError("may not be in a parallel loop: launches run in order");
    if (launch.getAsyncToken() || !launch.getAsyncDependencies().empty() || launch.hasClusterSize())
      return launch.emitOpError("expected neither tokens nor clusters");
    auto isArgument = [&](Type type) {
      return type == b.pointerType() || type.isInteger(32) || type.isInteger(64) || type.isF32();
    };
    for (Value argument : launch.getKernelOperands())
      if (!isArgument(argument.getType()))
        return launch.emitOpError("expected arguments of type !llvm.ptr, i32, i64 or f32 but got ")
               << argument.getType();
    Value frame = getFrame(function);
    if (!frame)
      return launch.emitOpError("expected a function with a call frame, as qopt-lower-host-abi leaves it");
    Value description = fillDescription(), addresses = fillArguments();
    b.callApi(frame, ApiFunction::Launch, {description, addresses});
    launch.erase();
    return success();
  }

private:
  /// On the stack of the whole function, so that a loop reuses it.
  Value slot(Type type, int64_t count = 1) {
    LlvmBuilder top(launch.getLoc(), OpBuilder::atBlockBegin(&function.getBody().front()));
    return top.stackSlot(type, count);
  }

  /// As i32; what does not fit becomes -1, which the runtime refuses.
  Value size(Value value) {
    Type i32 = b.getI32Type();
    if (value.getType() == i32)
      return value;
    Value wide = value.getType().isIndex() ? b.toI64(value) : value;
    Value most = b.i64(std::numeric_limits<int32_t>::max());
    Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, wide, most);
    Value narrow = arith::TruncIOp::create(b, i32, wide);
    return arith::SelectOp::create(b, fits, narrow, LLVM::ConstantOp::create(b, i32, -1));
  }

  void storeSizes(Value array, gpu::KernelDim3 sizes) {
    for (auto [i, value] : llvm::enumerate(std::initializer_list<Value>{sizes.x, sizes.y, sizes.z}))
      b.store(size(value), b.element(b.getI32Type(), array, i));
  }

  Value fillDescription() {
    LLVM::LLVMStructType type = getLaunchType(launch.getContext());
    Value description = slot(type);
    b.store(b.i64(kernel), b.field(type, description, LaunchField::Kernel));
    storeSizes(b.field(type, description, LaunchField::Grid), launch.getGridSizeOperandValues());
    storeSizes(b.field(type, description, LaunchField::Block), launch.getBlockSizeOperandValues());
    Value shared = launch.getDynamicSharedMemorySize();
    b.store(shared ? arith::ExtUIOp::create(b, b.getI64Type(), shared) : b.i64(0),
            b.field(type, description, LaunchField::SharedBytes));
    b.store(b.i64(launch.getNumKernelOperands()), b.field(type, description, LaunchField::NumArgs));
    return description;
  }

  Value fillArguments() {
    Value addresses = slot(b.pointerType(), std::max<int64_t>(launch.getNumKernelOperands(), 1));
    for (auto [i, argument] : llvm::enumerate(launch.getKernelOperands())) {
      Value storage = argument;
      if (!getArgAttr<attrs::TensorMap>(callee, i)) {
        storage = slot(argument.getType());
        b.store(argument, storage);
      }
      b.store(storage, b.element(b.pointerType(), addresses, i));
    }
    return addresses;
  }

  gpu::LaunchFuncOp launch;
  gpu::GPUFuncOp callee;
  int64_t kernel;
  func::FuncOp function;
  LlvmBuilder b;
};

} // namespace

FailureOr<int64_t> host::lowerLaunches(ModuleOp module) {
  llvm::DenseMap<Operation *, int64_t> numbers;
  for (gpu::GPUFuncOp kernel : listKernels(module))
    numbers.try_emplace(kernel, numbers.size());
  SmallVector<gpu::LaunchFuncOp> launches;
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    function.walk([&](gpu::LaunchFuncOp launch) { launches.push_back(launch); });
  for (gpu::LaunchFuncOp launch : launches) {
    auto kernel = SymbolTable::lookupNearestSymbolFrom<gpu::GPUFuncOp>(launch, launch.getKernelAttr());
    if (!kernel || !kernel.isKernel())
      return launch.emitOpError("launches ") << launch.getKernelAttr() << ", which is not a kernel";
    if (failed(LaunchLowering(launch, kernel, numbers.lookup(kernel)).run()))
      return failure();
  }
  for (auto gpuModule : llvm::make_early_inc_range(module.getOps<gpu::GPUModuleOp>()))
    gpuModule.erase();
  module->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  return static_cast<int64_t>(launches.size());
}
