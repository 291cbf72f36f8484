//===- HostTest.cpp - Compiled code against the reference -----------------===//
#include "HostTest.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/InitAll.h"
#include "qopt/Passes/Codegen.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::test;
using reference::Tensor;

HostTest::HostTest() {
  DialectRegistry registry;
  registerAllDialects(registry);
  ir = std::make_unique<MLIRContext>(registry);
  ir->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) { diagnostics += diagnostic.str() + "\n"; });
}

HostTest::~HostTest() = default;

Tensor HostTest::floats(ArrayRef<int64_t> shape, std::vector<double> values) {
  return {RankedTensorType::get(shape, Float32Type::get(ir.get())), std::move(values), {}};
}

Tensor HostTest::ints(ArrayRef<int64_t> shape, std::vector<int64_t> values, unsigned width) {
  return {RankedTensorType::get(shape, IntegerType::get(ir.get(), width)), {}, std::move(values)};
}

Tensor HostTest::randomFloats(ArrayRef<int64_t> shape, double scale) {
  std::vector<double> values(ShapedType::getNumElements(shape));
  for (double &value : values) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(scale * (static_cast<double>(seed >> 32) / 2147483648.0 - 1));
  }
  return floats(shape, std::move(values));
}

static APFloat rounded(double value, FloatType type) {
  APFloat result(value);
  bool loses;
  result.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &loses);
  return result;
}

Tensor HostTest::convert(Tensor tensor, Type element) {
  tensor.type = tensor.type.clone(element);
  if (auto type = dyn_cast<FloatType>(element))
    for (double &value : tensor.floats) {
      APFloat narrow = rounded(value, type);
      bool loses;
      narrow.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
      value = narrow.convertToDouble();
    }
  return tensor;
}

qrt::Tensor qopt::test::toRuntime(const Tensor &tensor) {
  Type element = tensor.type.getElementType();
  qrt::Tensor result(*toElementType(element), std::vector<int64_t>(tensor.type.getShape()));
  int64_t bytes = elementBytes(result.type());
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    uint64_t bits = tensor.isFloat()
                        ? rounded(tensor.floats[i], cast<FloatType>(element)).bitcastToAPInt().getZExtValue()
                        : static_cast<uint64_t>(tensor.ints[i]);
    std::memcpy(result.data<char>() + i * bytes, &bits, bytes);
  }
  return result;
}

Tensor qopt::test::fromRuntime(const qrt::Tensor &tensor, Type element) {
  Tensor result{RankedTensorType::get(tensor.dims(), element), {}, {}};
  int64_t bytes = elementBytes(tensor.type());
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, tensor.data<char>() + i * bytes, bytes);
    if (auto type = dyn_cast<FloatType>(element)) {
      APFloat value(type.getFloatSemantics(), APInt(type.getWidth(), bits));
      bool loses;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
      result.floats.push_back(value.convertToDouble());
    } else {
      unsigned width = bytes * 8;
      result.ints.push_back(element.isInteger(1) ? int64_t(bits) : APInt(width, bits).getSExtValue());
    }
  }
  return result;
}

std::unique_ptr<HostTest::Compiled> HostTest::compile(StringRef source) {
  diagnostics.clear();
  auto module = parseSourceString<ModuleOp>(source, ir.get());
  return module ? compile(std::move(module)) : nullptr;
}

std::unique_ptr<HostTest::Compiled> HostTest::compile(OwningOpRef<ModuleOp> module) {
  auto compiled = std::make_unique<Compiled>();
  compiled->module = std::move(module);
  FailureOr<LoweredModule> lowered = lowerModule(*compiled->module);
  if (failed(lowered))
    return nullptr;
  compiled->lowered = std::move(*lowered);
  for (std::span<const char> weight : compiled->lowered.weights) {
    // With room to align to 64 bytes.
    std::vector<char> &storage = compiled->parameterStorage.emplace_back(weight.size() + 64);
    char *aligned = storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64) % 64;
    std::copy(weight.begin(), weight.end(), aligned);
    compiled->parameters.push_back(aligned);
  }
  for (const HostLevel &hostLevel : kHostLevels) {
    StringRef level = hostLevel.name;
    if (hostLevel == kHostV4 && qrt::hostLevel() != level)
      continue;
    FailureOr<std::vector<char>> code = compileHost(*compiled->module, hostLevel);
    if (failed(code))
      return nullptr;
    compiled->levels.push_back(level.str());
    compiled->code.push_back(std::move(*code));
  }
  return compiled;
}

qopt::Result<std::vector<qrt::Tensor>> HostTest::run(const Compiled &compiled, size_t level, const std::string &entry,
                                                     ArrayRef<Tensor> inputs, int threads) {
  auto code = qrt::HostCode::load(compiled.code[level]);
  if (!code)
    return code.error();
  std::vector<qrt::Tensor> raw;
  for (const Tensor &input : inputs)
    raw.push_back(toRuntime(input));
  QrtEntry function = (*code)->entry(entry);
  if (!function)
    return qopt::Error{"no entry point " + entry};
  size_t numOutputs = 0;
  for (const EntryPoint &point : compiled.lowered.entryPoints)
    if (point.name == entry)
      numOutputs = point.outputs.size();
  qrt::ThreadPool pool(threads);
  return qrt::call(function, pool, compiled.parameters, raw, numOutputs);
}

static bool isClose(double got, double want, double tolerance) {
  if (std::isnan(want) || std::isinf(want))
    return std::isnan(want) ? std::isnan(got) : got == want;
  return std::abs(got - want) <= tolerance * std::max(1.0, std::abs(want));
}

static void compare(const Tensor &got, const Tensor &want, double tolerance) {
  ASSERT_EQ(got.type.getShape(), want.type.getShape());
  if (!want.isFloat()) {
    EXPECT_EQ(got.ints, want.ints);
    return;
  }
  int64_t wrong = 0;
  for (size_t i = 0; i < want.floats.size(); ++i)
    if (!isClose(got.floats[i], want.floats[i], tolerance) && ++wrong < 5)
      ADD_FAILURE() << "element " << i << ": got " << got.floats[i] << ", expected " << want.floats[i];
  EXPECT_EQ(wrong, 0);
}

void HostTest::check(StringRef source, std::vector<Tensor> inputs, double tolerance) {
  diagnostics.clear();
  auto graph = parseSourceString<ModuleOp>(source, ir.get());
  ASSERT_TRUE(graph) << diagnostics;
  auto function = graph->lookupSymbol<func::FuncOp>("f");
  FailureOr<std::vector<Tensor>> expected = reference::evaluate(function, inputs);
  ASSERT_TRUE(succeeded(expected)) << diagnostics;
  addCase(function, source.str(), std::move(inputs), std::move(*expected), tolerance);
}

void HostTest::addCase(func::FuncOp function, std::string trace, std::vector<Tensor> inputs,
                       std::vector<Tensor> expected, double tolerance) {
  if (!together)
    together = ModuleOp::create(UnknownLoc::get(ir.get()));
  std::string entry = "f" + std::to_string(cases.size());
  function.setName(entry);
  function->remove();
  together->push_back(function);
  cases.push_back({std::move(trace), entry, std::move(inputs), std::move(expected), tolerance});
}

bool HostTest::checkAgainstAttributes(func::FuncOp function) {
  auto crosses = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && toElementType(tensor.getElementType()) && !tensor.getElementType().isUnsignedInteger();
  };
  if (!llvm::all_of(function.getArgumentTypes(), crosses) || !llvm::all_of(function.getResultTypes(), crosses))
    return false;
  std::vector<Tensor> inputs, expected;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    inputs.push_back(*reference::fromAttribute(function.getArgAttrOfType<ElementsAttr>(i, "test.value")));
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    expected.push_back(*reference::fromAttribute(function.getResultAttrOfType<ElementsAttr>(i, "test.value")));
  function.setArgAttrsAttr(ArrayAttr());
  function.setResAttrsAttr(ArrayAttr());
  addCase(function, function.getName().str(), std::move(inputs), std::move(expected), 1e-3);
  return true;
}

void HostTest::TearDown() {
  if (!together)
    return;
  diagnostics.clear();
  std::unique_ptr<Compiled> compiled = compile(std::move(together));
  ASSERT_TRUE(compiled) << diagnostics;
  for (size_t level = 0; level < compiled->levels.size(); ++level)
    for (const Case &test : cases) {
      SCOPED_TRACE(compiled->levels[level]);
      SCOPED_TRACE(test.trace);
      checkCase(*compiled, level, test);
    }
}

void HostTest::checkCase(const Compiled &compiled, size_t level, const Case &test) {
  auto one = run(compiled, level, test.entry, test.inputs, 1), three = run(compiled, level, test.entry, test.inputs, 3);
  ASSERT_TRUE(bool(one)) << one.error().message;
  ASSERT_TRUE(bool(three)) << three.error().message;
  ASSERT_EQ(one->size(), test.expected.size());
  for (size_t i = 0; i < one->size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    const Tensor &expected = test.expected[i];
    compare(fromRuntime((*one)[i], expected.type.getElementType()), expected, test.tolerance);
    ASSERT_EQ((*one)[i].bytes(), (*three)[i].bytes());
    EXPECT_EQ(std::memcmp((*one)[i].data<char>(), (*three)[i].data<char>(), (*one)[i].bytes()), 0)
        << "differs between one and three threads";
  }
}

std::string HostTest::runAndFail(StringRef source, std::vector<Tensor> inputs) {
  std::unique_ptr<Compiled> compiled = compile(source);
  if (!compiled)
    return "does not compile: " + diagnostics;
  auto result = run(*compiled, 0, "f", inputs, 1);
  return result ? "succeeded" : result.error().message;
}

std::string HostTest::lowerAndFail(StringRef source) { return compile(source) ? "succeeded" : diagnostics; }
