//===- SimProgram.cpp - CUDA kernels run in the simulator, for tests -------===//
#include "SimProgram.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Sim.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::test {

namespace {

[[noreturn]] void stop(const llvm::Twine &what) { llvm::report_fatal_error(what, /*gen_crash_diag=*/false); }

/// Runs one host body. Every value is an int64_t: integers, addresses.
struct HostBody {
  const std::vector<DeviceArray> &operands;
  const qrt::HostCode &code;
  qrt::ThreadPool &threads;
  SimProgram &result;
  llvm::DenseMap<Value, int64_t> values;
  std::vector<std::vector<int64_t>> scratch; ///< what the body allocates, of one dimension
  std::string message;

  const DeviceArray &array(Value memref) { return operands[cast<BlockArgument>(memref).getArgNumber()]; }
  int64_t &of(Operation *op) { return values[op->getResult(0)]; }
  int64_t in(Operation *op, unsigned i) { return values.lookup(op->getOperand(i)); }

  void run(Block &block) {
    for (Operation &op : block)
      if (message.empty())
        run(&op);
  }
  void run(Operation *op);
  void compare(arith::CmpIOp op);
  void launch(gpu::LaunchFuncOp op);
};

void HostBody::compare(arith::CmpIOp op) {
  int64_t a = in(op, 0), b = in(op, 1);
  switch (op.getPredicate()) {
  case arith::CmpIPredicate::eq: of(op) = a == b; return;
  case arith::CmpIPredicate::ne: of(op) = a != b; return;
  case arith::CmpIPredicate::slt: of(op) = a < b; return;
  case arith::CmpIPredicate::sle: of(op) = a <= b; return;
  default: stop("the test's interpreter does not know a comparison");
  }
}

void HostBody::launch(gpu::LaunchFuncOp op) {
  std::string name = op.getKernelName().str();
  result.launched.push_back(name);
  auto size = [&](Value v) { return static_cast<int32_t>(values.lookup(v)); };
  std::vector<int64_t> numbers;
  for (Value operand : op.getKernelOperands())
    numbers.push_back(values.lookup(operand)); // little-endian: i32 and f32 are the first bytes
  std::vector<void *> addresses;
  for (int64_t &number : numbers)
    addresses.push_back(&number);
  gpu::KernelDim3 grid = op.getGridSizeOperandValues(), block = op.getBlockSizeOperandValues();
  qrt::SimLaunch launch{reinterpret_cast<QrtSimKernel>(code.symbol(name)), name,
                        {size(grid.x), size(grid.y), size(grid.z)}, {size(block.x), size(block.y), size(block.z)},
                        values.lookup(op.getDynamicSharedMemorySize()), addresses.data()};
  if (!launch.kernel)
    stop("no kernel " + name);
  qrt::Status status = qrt::simLaunch(launch, threads);
  if (!status)
    message = status.error().message;
}

void HostBody::run(Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](arith::ConstantOp c) {
        if (auto integer = dyn_cast<IntegerAttr>(c.getValue()))
          of(op) = integer.getType().isInteger(1) ? integer.getValue().getZExtValue() : integer.getInt();
        else if (auto real = dyn_cast<FloatAttr>(c.getValue()))
          of(op) = static_cast<int64_t>(real.getValue().bitcastToAPInt().getZExtValue());
      })
      .Case([&](arith::AddIOp) { of(op) = in(op, 0) + in(op, 1); })
      .Case([&](arith::SubIOp) { of(op) = in(op, 0) - in(op, 1); })
      .Case([&](arith::MulIOp) { of(op) = in(op, 0) * in(op, 1); })
      .Case([&](arith::DivUIOp) { of(op) = in(op, 0) / in(op, 1); })
      .Case([&](arith::RemUIOp) { of(op) = in(op, 0) % in(op, 1); })
      .Case([&](arith::CmpIOp c) { compare(c); })
      .Case([&](arith::SelectOp) { of(op) = in(op, 0) ? in(op, 1) : in(op, 2); })
      .Case<arith::IndexCastOp, arith::TruncIOp, arith::ExtSIOp, LLVM::IntToPtrOp>([&](Operation *) { of(op) = in(op, 0); })
      .Case([&](memref::DimOp dim) { of(op) = array(dim.getSource()).shape[in(op, 1)]; })
      .Case([&](memref::AllocOp alloc) {
        auto &memory = scratch.emplace_back(in(op, 0) * alloc.getType().getElementTypeBitWidth() / 64 + 9);
        of(op) = (reinterpret_cast<int64_t>(memory.data()) + 63) / 64 * 64;
      })
      .Case([&](memref::ExtractAlignedPointerAsIndexOp e) {
        bool isOperand = isa<BlockArgument>(e.getSource());
        of(op) = isOperand ? reinterpret_cast<int64_t>(array(e.getSource()).data) : in(op, 0);
      })
      .Case([&](scf::IfOp branch) {
        if (in(op, 0))
          run(*branch.thenBlock());
        else if (branch.elseBlock())
          run(*branch.elseBlock());
      })
      .Case([&](func::CallOp call) {
        if (call.getCallee() != kErrorsFunction)
          stop("the test's interpreter does not know " + call.getCallee());
        of(op) = reinterpret_cast<int64_t>(result.error.data());
      })
      .Case([&](gpu::LaunchFuncOp l) { launch(l); })
      .Case<scf::YieldOp, func::ReturnOp>([](Operation *) {})
      .Default([](Operation *op) { stop("the test's interpreter does not know " + op->getName().getStringRef()); });
}

} // namespace

SimProgram::SimProgram(const std::string &text) : program(text) {
  FailureOr<std::vector<char>> elf = compileSim(*program.module);
  if (failed(elf))
    stop("no code for the simulator");
  auto loaded = qrt::HostCode::load(*elf);
  if (!loaded)
    stop(loaded.error().message);
  code = *loaded;
}

std::string SimProgram::run(const std::string &function, const std::vector<DeviceArray> &operands) {
  auto body = program.module->lookupSymbol<func::FuncOp>(function);
  if (!body || body.isDeclaration() || body.getNumArguments() != operands.size())
    stop("no function " + function + " with so many operands");
  launched.clear();
  error = {};
  HostBody host{operands, *code, threads, *this, llvm::DenseMap<Value, int64_t>(), ""};
  host.run(body.getBody().front());
  return host.message;
}

} // namespace qopt::test
