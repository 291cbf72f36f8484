//===- StageRunner.cpp - Tensors, threads and the reference runner --------===//
//
// What both kinds of runners need: tensors from constants, and the threads of the
// runtime's pool.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/StageRunner.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Reference/Evaluator.h"
#include <cstring>

using namespace mlir;
using namespace qopt;

ParallelFor qopt::makeParallelFor(qrt::ThreadPool &pool) {
  using Body = std::function<void(int64_t, int64_t)>;
  return [&pool](int64_t count, const Body &body) {
    QrtTask task = [](void *args, int64_t begin, int64_t end) { (*static_cast<const Body *>(args))(begin, end); };
    pool.parallelFor(task, const_cast<Body *>(&body), count, /*grain=*/1);
  };
}

Result<qrt::Tensor> qopt::makeTensor(ElementsAttr value, bool isWidened) {
  auto describe = [](Type type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  };
  std::optional<ElementType> type = toElementType(value.getElementType());
  if (!type)
    return Error{"the runtime takes no values of type " + describe(value.getElementType())};
  ConstantView view = viewConstant(value);
  if (isWidened) {
    std::optional<std::vector<float>> floats = view.readAs<float>();
    if (!floats)
      return Error{"expected the data of 16-bit floats but got " + describe(view.type)};
    qrt::Tensor wide(ElementType::F32, view.type.getShape().vec());
    std::copy(floats->begin(), floats->end(), wide.data<float>());
    return wide;
  }
  if (isa<DenseResourceElementsAttr>(value) && !view.isComplete())
    return Error{"expected " + std::to_string(view.expandedBytes()) + " bytes in resource \"" + view.name.str() +
                 "\" but got " + std::to_string(view.bytes.size())};
  if (!view.isComplete())
    return Error{"expected dense values but got " + describe(view.type)};
  qrt::Tensor tensor(*type, view.type.getShape().vec());
  if (view.isSplat || view.isPacked || view.deferred) {
    std::vector<char> bytes = view.expanded();
    std::memcpy(tensor.data<char>(), bytes.data(), bytes.size());
  } else {
    std::memcpy(tensor.data<char>(), view.bytes.data(), view.bytes.size());
  }
  return tensor;
}

//===----------------------------------------------------------------------===//
// The reference runner
//===----------------------------------------------------------------------===//

namespace {

template <typename To, typename From>
void convert(const std::vector<From> &from, qrt::Tensor &to) {
  std::copy(from.begin(), from.end(), to.data<To>());
}

Result<qrt::Tensor> fromReference(const reference::Tensor &tensor) {
  std::optional<ElementType> type = toElementType(tensor.type.getElementType());
  if (!type)
    return Error{"the reference gave a type that the runtime does not take"};
  qrt::Tensor result(*type, tensor.type.getShape().vec());
  switch (*type) {
  case ElementType::F32:
    convert<float>(tensor.floats, result);
    break;
  case ElementType::I64:
    convert<int64_t>(tensor.ints, result);
    break;
  case ElementType::I32:
    convert<int32_t>(tensor.ints, result);
    break;
  case ElementType::Bool:
  case ElementType::I8:
    convert<int8_t>(tensor.ints, result);
    break;
  default:
    return Error{std::string("the reference runner takes no tensors of type ") + elementTypeName(*type)};
  }
  return result;
}

Result<reference::Tensor> toReference(const qrt::Tensor &tensor, Type element) {
  reference::Tensor result{RankedTensorType::get(tensor.dims(), element), {}, {}};
  int64_t count = tensor.numElements();
  switch (tensor.type()) {
  case ElementType::F32:
    result.floats.assign(tensor.data<float>(), tensor.data<float>() + count);
    break;
  case ElementType::I64:
    result.ints.assign(tensor.data<int64_t>(), tensor.data<int64_t>() + count);
    break;
  case ElementType::I32:
    result.ints.assign(tensor.data<int32_t>(), tensor.data<int32_t>() + count);
    break;
  case ElementType::Bool:
  case ElementType::I8:
    result.ints.assign(tensor.data<int8_t>(), tensor.data<int8_t>() + count);
    break;
  default:
    return Error{std::string("the reference runner takes no tensors of type ") + elementTypeName(tensor.type())};
  }
  return result;
}

class ReferenceRunner final : public StageRunner {
public:
  explicit ReferenceRunner(ModuleOp module) : module(module.clone()) {}

  Result<std::vector<qrt::Tensor>> run(StringRef name, ArrayRef<qrt::Tensor> inputs) override {
    auto function = module->lookupSymbol<func::FuncOp>(name);
    if (!function || function.getNumArguments() != inputs.size())
      return Error{"no stage \"" + name.str() + "\" with " + std::to_string(inputs.size()) + " inputs"};
    std::vector<reference::Tensor> arguments;
    for (auto [input, type] : llvm::zip(inputs, function.getArgumentTypes())) {
      Result<reference::Tensor> argument = toReference(input, cast<RankedTensorType>(type).getElementType());
      if (!argument)
        return argument.error();
      arguments.push_back(std::move(*argument));
    }
    FailureOr<std::vector<reference::Tensor>> results = reference::evaluate(function, arguments);
    if (failed(results))
      return Error{"the reference could not run stage \"" + name.str() + "\""};
    std::vector<qrt::Tensor> outputs;
    for (const reference::Tensor &result : *results) {
      Result<qrt::Tensor> output = fromReference(result);
      if (!output)
        return output.error();
      outputs.push_back(std::move(*output));
    }
    return outputs;
  }

private:
  OwningOpRef<ModuleOp> module;
};

} // namespace

FailureOr<std::unique_ptr<StageRunner>> qopt::createReferenceRunner(ModuleOp module, qrt::ThreadPool &threads) {
  return std::unique_ptr<StageRunner>(std::make_unique<ReferenceRunner>(module));
}
