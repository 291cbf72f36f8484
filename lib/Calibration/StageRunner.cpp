//===- StageRunner.cpp - Tensors, threads and the reference runner --------===//
#include "qopt/Calibration/StageRunner.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Calibration/Linear.h"
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

std::optional<int64_t> qopt::getRuntimeType(Type element) {
  if (element.isF32())
    return QRT_F32;
  if (element.isF16())
    return QRT_F16;
  if (element.isBF16())
    return QRT_BF16;
  if (element.isInteger(1))
    return QRT_BOOL;
  if (element.isUnsignedInteger(8))
    return QRT_U8;
  if (element.isSignlessInteger(8))
    return QRT_I8;
  if (element.isSignlessInteger(32))
    return QRT_I32;
  if (element.isSignlessInteger(64))
    return QRT_I64;
  return std::nullopt;
}

Result<qrt::Tensor> qopt::makeTensor(ElementsAttr value, bool isWidened) {
  auto describe = [](Type type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  };
  std::optional<int64_t> type = getRuntimeType(value.getElementType());
  if (!type)
    return Error{"the runtime takes no values of type " + describe(value.getElementType())};
  if (isWidened) {
    std::optional<std::vector<float>> floats = widenElements(value);
    if (!floats)
      return Error{"expected the data of 16-bit floats but got " + describe(value.getShapedType())};
    qrt::Tensor wide(QRT_F32, value.getShapedType().getShape().vec());
    std::copy(floats->begin(), floats->end(), wide.data<float>());
    return wide;
  }
  qrt::Tensor tensor(*type, value.getShapedType().getShape().vec());
  size_t bytes = tensor.bytes();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    const AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    size_t found = blob ? blob->getData().size() : 0;
    if (found != bytes)
      return Error{"expected " + std::to_string(bytes) + " bytes in resource \"" +
                   resource.getRawHandle().getKey().str() + "\" but got " + std::to_string(found)};
    std::memcpy(tensor.data<char>(), blob->getData().data(), bytes);
    return tensor;
  }
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense)
    return Error{"expected dense values but got " + describe(value.getShapedType())};
  if (value.getElementType().isInteger(1)) {
    bool *out = tensor.data<bool>();
    for (bool bit : dense.getValues<bool>())
      *out++ = bit;
  } else if (dense.isSplat()) {
    ArrayRef<char> element = dense.getRawData();
    for (size_t i = 0; i < bytes; i += element.size())
      std::memcpy(tensor.data<char>() + i, element.data(), element.size());
  } else {
    std::memcpy(tensor.data<char>(), dense.getRawData().data(), bytes);
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
  std::optional<int64_t> type = getRuntimeType(tensor.type.getElementType());
  if (!type)
    return Error{"the reference gave a type that the runtime does not take"};
  qrt::Tensor result(*type, tensor.type.getShape().vec());
  switch (*type) {
  case QRT_F32:
    convert<float>(tensor.floats, result);
    break;
  case QRT_I64:
    convert<int64_t>(tensor.ints, result);
    break;
  case QRT_I32:
    convert<int32_t>(tensor.ints, result);
    break;
  case QRT_BOOL:
  case QRT_I8:
    convert<int8_t>(tensor.ints, result);
    break;
  default:
    return Error{"the reference runner takes no tensors of type " + std::to_string(*type)};
  }
  return result;
}

Result<reference::Tensor> toReference(const qrt::Tensor &tensor, Type element) {
  reference::Tensor result{RankedTensorType::get(tensor.dims(), element), {}, {}};
  int64_t count = tensor.numElements();
  switch (tensor.type()) {
  case QRT_F32:
    result.floats.assign(tensor.data<float>(), tensor.data<float>() + count);
    break;
  case QRT_I64:
    result.ints.assign(tensor.data<int64_t>(), tensor.data<int64_t>() + count);
    break;
  case QRT_I32:
    result.ints.assign(tensor.data<int32_t>(), tensor.data<int32_t>() + count);
    break;
  case QRT_BOOL:
  case QRT_I8:
    result.ints.assign(tensor.data<int8_t>(), tensor.data<int8_t>() + count);
    break;
  default:
    return Error{"the reference runner takes no tensors of type " + std::to_string(tensor.type())};
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
