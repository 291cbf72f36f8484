//===- SimProgram.cpp - Kernels compiled and called, for tests -------------===//
#include "SimProgram.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Passes/Codegen.h"

using namespace mlir;

namespace qopt::test {

// The same file makes programs in which ThreadSanitizer sees the kernels; it does not see
// the synchronization of the pool.
#ifdef QRT_SIM_TSAN
static constexpr bool detectRaces = true;
#else
static constexpr bool detectRaces = false;
#endif

[[noreturn]] static void stop(const Twine &what) { llvm::report_fatal_error(what, /*gen_crash_diag=*/false); }

static std::shared_ptr<const qrt::HostCode> load(FailureOr<std::vector<char>> elf) {
  if (failed(elf))
    stop("the test's program does not compile");
  auto code = qrt::HostCode::load(*elf);
  if (!code)
    stop(code.error().message);
  return *code;
}

/// The entry point of a private function.
static std::string entryOf(StringRef function) { return "entry_" + function.str(); }

static void addEntries(ModuleOp module) {
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  auto canEnter = [](Type type) {
    auto memref = dyn_cast<MemRefType>(type);
    return memref && memref.getLayout().isIdentity();
  };
  for (auto function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    if (function.isPublic() || function.getNumResults() != 0 || !llvm::all_of(function.getArgumentTypes(), canEnter))
      continue;
    Location loc = function.getLoc();
    auto entry = func::FuncOp::create(b, loc, entryOf(function.getSymName()), function.getFunctionType());
    Block *body = entry.addEntryBlock();
    OpBuilder inside = OpBuilder::atBlockEnd(body);
    func::CallOp::create(inside, loc, function, body->getArguments());
    func::ReturnOp::create(inside, loc);
  }
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// The runtime, as far as code needs it. Memory stays until the end.
struct Program::Call {
  Program &program;
  std::vector<GuardedArray<char>> memory;
  std::string problem;

  static Call &of(QrtContext *context) { return *reinterpret_cast<Call *>(context); }
  static void *allocate(QrtContext *context, int64_t bytes) {
    return of(context).memory.emplace_back(static_cast<size_t>(bytes), char(0xff)).data();
  }
  static void release(QrtContext *, void *) {}
  static void parallelFor(QrtContext *, QrtTask task, void *args, int64_t count, int64_t) { task(args, 0, count); }
  static void fail(QrtContext *context, int64_t code, int64_t a, int64_t b) {
    QrtErrorRecord &error = of(context).program.error;
    if (!error.code)
      error = {code, a, b};
  }
  static void launch(QrtContext *context, const QrtLaunch *launch, void *const *args) {
    Call &call = of(context);
    if (!call.problem.empty())
      return;
    const Kernel &kernel = call.program.kernels.at(static_cast<size_t>(launch->kernel));
    call.program.launched.push_back(kernel.name);
    qrt::SimLaunch sim{kernel.code,         kernel.name, std::to_array(launch->grid), std::to_array(launch->block),
                       launch->sharedBytes, args};
    call.note(qrt::simLaunch(sim, call.program.threads));
  }
  void note(const qrt::Status &status) {
    if (!status && problem.empty())
      problem = status.error().message;
  }
  static void *errors(QrtContext *context) { return &of(context).program.error; }
  static int64_t capability(QrtContext *context) { return of(context).program.capability; }
  static void tensorMap(QrtContext *context, void *map, const void *data, int64_t rows, int64_t rowBytes,
                        int64_t boxRows) {
    of(context).note(qrt::simTensorMap(map, data, rows, rowBytes, boxRows));
  }
};

std::string Program::run(const std::string &function, const std::vector<DeviceArray> &operands) {
  launched.clear();
  error = {};
  QrtEntry entry = host->entry(entryOf(function));
  if (!entry)
    entry = host->entry(function);
  if (!entry)
    stop("the test has no function " + function);
  std::vector<QrtTensor> inputs;
  for (const DeviceArray &operand : operands) {
    // Nobody reads the type.
    inputs.push_back({operand.data, /*type=*/0, static_cast<int64_t>(operand.shape.size()), {}});
    std::copy(operand.shape.begin(), operand.shape.end(), inputs.back().dims);
  }
  Call call{*this, {}, {}};
  QrtApi api{};
  api.allocate = Call::allocate;
  api.release = Call::release;
  api.parallelFor = Call::parallelFor;
  api.fail = Call::fail;
  api.launch = Call::launch;
  api.errors = Call::errors;
  api.capability = Call::capability;
  api.tensorMap = Call::tensorMap;
  entry(&api, reinterpret_cast<QrtContext *>(&call), nullptr, inputs.data(), nullptr);
  for (const GuardedArray<char> &memory : call.memory)
    if (!memory.marginsAreUntouched() && call.problem.empty())
      call.problem = "written beside memory that the code allocated";
  return call.problem;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

Program::Program() : threads(detectRaces ? 1 : 2) {}

void Program::compile(ModuleOp module) {
  addEntries(module);
  host = load(compileHost(module, kHostV3));
}

SimProgram::SimProgram(const std::string &text) {
  CudaProgram program(text);
  sim = load(compileSim(*program.module, detectRaces));
  for (gpu::GPUFuncOp kernel : listKernels(*program.module)) {
    std::string name = kernel.getName().str();
    kernels.push_back({name, reinterpret_cast<QrtSimKernel>(sim->symbol(name))});
    if (!kernels.back().code)
      stop("the simulator's code lacks " + name);
  }
  compile(*program.module);
}

CpuProgram::CpuProgram(const std::string &text) {
  MLIRContext context;
  loadDialects(context);
  OwningOpRef<ModuleOp> module = parse(context, text);
  compile(*module);
}

} // namespace qopt::test
