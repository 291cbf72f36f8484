//===- Kernel.cpp - Host bodies and the functions that they launch ---------===//
//
// A launch makes a gpu.func for its threads and, where the builder stands, a
// gpu.launch_func of it.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;

namespace qopt::cuda {

//===----------------------------------------------------------------------===//
// Host code
//===----------------------------------------------------------------------===//

Value Kernel::dim(Value memref, unsigned dimension) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dimension))
    return i64(type.getDimSize(dimension));
  return arith::IndexCastOp::create(*this, getI64Type(), memref::DimOp::create(*this, memref, dimension));
}

Value Kernel::address(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(*this, memref);
  Value integer = arith::IndexCastOp::create(*this, getI64Type(), base);
  if (!type.getLayout().isIdentity()) {
    auto metadata = memref::ExtractStridedMetadataOp::create(*this, memref);
    Value offset = createOrFold<arith::IndexCastOp>(getI64Type(), metadata.getOffset());
    integer = add(integer, mul(offset, std::max<int64_t>(type.getElementTypeBitWidth() / 8, 1)));
  }
  return LLVM::IntToPtrOp::create(*this, pointer(), integer);
}

/// Calls a function of HostAbi.h.
static Value callRuntime(Kernel &k, StringRef name, ValueRange operands, Type result) {
  auto module = k.function->getParentOfType<ModuleOp>();
  auto declaration = module.lookupSymbol<func::FuncOp>(name);
  if (!declaration) {
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    declaration = func::FuncOp::create(b, module.getLoc(), name, k.getFunctionType(operands.getTypes(), result));
    declaration.setPrivate();
  }
  return func::CallOp::create(k, declaration, operands).getResult(0);
}

Argument Kernel::errors() { return {callRuntime(*this, kErrorsFunction, {}, pointer())}; }
Value Kernel::capability() { return callRuntime(*this, kCapabilityFunction, {}, getI64Type()); }
Argument Kernel::tensorMap(Value memory, Value rows, int64_t rowBytes, int64_t boxRows) {
  Value map = callRuntime(*this, kTensorMapFunction, {memory, rows, i64(rowBytes), i64(boxRows)}, pointer());
  return {.value = map, .isTensorMap = true};
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

static gpu::GPUModuleOp getKernelsModule(ModuleOp module) {
  if (auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernelsModule))
    return kernels;
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), UnitAttr::get(module.getContext()));
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  return gpu::GPUModuleOp::create(b, module.getLoc(), kKernelsModule);
}

/// External, so that its size is what the launch says. Aligned as swizzled copies need it.
static void declareShared(gpu::GPUModuleOp kernels) {
  if (kernels.lookupSymbol(kSharedSymbol))
    return;
  OpBuilder b = OpBuilder::atBlockBegin(kernels.getBody());
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), 0);
  LLVM::GlobalOp::create(b, kernels.getLoc(), type, /*isConstant=*/false, LLVM::Linkage::External, kSharedSymbol,
                         Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
}

/// Letters, digits and underscores: what PTX takes in names.
static std::string ptxName(StringRef name) {
  std::string result;
  for (char c : name)
    result += llvm::isAlnum(c) ? c : '_';
  return llvm::isDigit(result[0]) ? "_" + result : result;
}

void Kernel::launch(const Launch &launch, ArrayRef<Argument> arguments, ThreadBody body) {
  gpu::GPUModuleOp kernels = getKernelsModule(function->getParentOfType<ModuleOp>());
  if (launch.sharedBytes)
    declareShared(kernels);
  Values values;
  for (const Argument &argument : arguments)
    values.push_back(argument.value);
  Emitter device(getLoc(), OpBuilder(getContext()));
  auto type = getFunctionType(ValueRange(values).getTypes(), {});
  std::string name = ptxName((function.getSymName() + launch.suffix).str());
  auto kernel = gpu::GPUFuncOp::create(device, name, type);
  SymbolTable(kernels).insert(kernel);
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), getUnitAttr());
  kernel.setKnownBlockSizeAttr(getDenseI32ArrayAttr({static_cast<int32_t>(launch.threads), 1, 1}));
  kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), getI32IntegerAttr(launch.blocksAtATime));
  setAttr<attrs::SharedBytes>(kernel, getI64IntegerAttr(launch.sharedBytes));
  if (!launch.arch.empty())
    setAttr<attrs::Arch>(kernel, getStringAttr(launch.arch));
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    if (argument.isTensorMap) {
      setArgAttr<attrs::TensorMap>(kernel, i, getUnitAttr());
      continue;
    }
    if (!isa<LLVM::LLVMPointerType>(argument.value.getType()))
      continue;
    if (!argument.mayAlias)
      kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), getUnitAttr());
    if (argument.readOnly)
      kernel.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(), getUnitAttr());
  }
  device.setInsertionPointToEnd(&kernel.getBody().front());
  body(device, kernel.getBody().getArguments());
  gpu::ReturnOp::create(device);

  auto toIndex = [&](Value size) { return createOrFold<arith::IndexCastOp>(getIndexType(), size); };
  Value one = arith::ConstantIndexOp::create(*this, 1);
  Value grid[3] = {one, one, one};
  for (auto [i, size] : llvm::enumerate(launch.grid))
    grid[i] = toIndex(size);
  Value threads = arith::ConstantIndexOp::create(*this, launch.threads);
  gpu::LaunchFuncOp::create(*this, kernel, gpu::KernelDim3{grid[0], grid[1], grid[2]},
                            gpu::KernelDim3{threads, one, one}, i32(launch.sharedBytes), values);
}

void Kernel::launchOver(Value count, ArrayRef<Argument> arguments,
                        function_ref<void(Emitter &, ValueRange, Value)> body, StringRef suffix) {
  SmallVector<Argument> all(arguments);
  all.push_back({count});
  launch({.grid = {ceilDiv(count, kLoopThreads)}, .threads = kLoopThreads, .suffix = suffix}, all,
         [&](Emitter &t, ValueRange args) {
           Type i64 = t.getI64Type();
           Value i = t.add(t.mul(t.toInteger(t.block(), i64), kLoopThreads), t.toInteger(t.thread(), i64));
           t.ifThen(t.less(i, args.back()), [&] { body(t, args.drop_back(), i); });
         });
}

} // namespace qopt::cuda
