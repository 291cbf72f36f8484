//===- DescribeModule.cpp - Entry points and parameters of lowered IR -----===//
//
// Names, symbols and roles of inputs and outputs come from the attributes of the
// function; the order of the marked globals is that of the parameter table.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Name, type and dimensions of an input or output. `unnamed` starts the symbols
/// of dimensions that have none.
FailureOr<TensorInfo> describe(func::FuncOp function, Type type, StringAttr name, ArrayAttr symbols,
                               std::string unnamed) {
  TensorInfo info;
  auto shaped = dyn_cast<ShapedType>(type);
  std::optional<ElementType> element = shaped ? toElementType(shaped.getElementType()) : std::nullopt;
  if (!element || !shaped.hasRank() || shaped.getRank() > QRT_MAX_RANK)
    return function.emitOpError("has an input or output of type ") << type << ", which the runtime does not take";
  info.type = *element;
  info.name = name ? name.str() : unnamed;
  for (auto [i, size] : llvm::enumerate(shaped.getShape())) {
    Dimension dimension;
    if (!ShapedType::isDynamic(size))
      dimension.size = size;
    else if (symbols && i < symbols.size())
      dimension.symbol = cast<StringAttr>(symbols[i]).str();
    if (dimension.size < 0 && dimension.symbol.empty())
      dimension.symbol = unnamed + "_" + std::to_string(i);
    info.dims.push_back(dimension);
  }
  return info;
}

FailureOr<EntryPoint> describeEntry(func::FuncOp function) {
  EntryPoint entry;
  entry.name = function.getName().str();
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    FailureOr<TensorInfo> info = describe(function, type, getArgAttr<onnx::attrs::Name>(function, i),
                                          getArgAttr<onnx::attrs::Dims>(function, i), "input_" + std::to_string(i));
    if (failed(info))
      return failure();
    info->role = getArgRole(function, i);
    entry.inputs.push_back(*info);
  }
  for (auto [i, type] : llvm::enumerate(function.getResultTypes())) {
    FailureOr<TensorInfo> info = describe(function, type, getResultAttr<onnx::attrs::Name>(function, i),
                                          getResultAttr<onnx::attrs::Dims>(function, i), "output_" + std::to_string(i));
    if (failed(info))
      return failure();
    info->role = getResultRole(function, i);
    entry.outputs.push_back(*info);
  }
  return entry;
}

LogicalResult addParameter(memref::GlobalOp global, bool keepDeferred, LoweredModule &lowered) {
  auto value = getAttr<attrs::Value>(global);
  Parameter parameter;
  parameter.name = getAttr<attrs::Name>(global).str();
  ConstantView view = viewConstant(value);
  std::optional<ElementType> type = toElementType(view.type.getElementType());
  if (!type)
    return global.emitOpError("has elements of type ")
           << view.type.getElementType() << ", which the runtime does not take";
  parameter.type = *type;
  parameter.dims.assign(view.type.getShape().begin(), view.type.getShape().end());
  parameter.bytes = view.expandedBytes();

  lowered.deferred.push_back(keepDeferred ? view.deferred : nullptr);
  if (lowered.deferred.back()) {
    lowered.parameters.push_back(parameter);
    lowered.weights.emplace_back();
    return success();
  }
  ArrayRef<char> data = view.bytes;
  if (data.empty() && !view.deferred && parameter.bytes != 0)
    return global.emitOpError("has no data for resource \"") << view.name << '"';
  if (view.isComplete() && (view.isSplat || view.isPacked || view.deferred))
    data = *lowered.expanded.emplace_back(std::make_unique<std::vector<char>>(view.expanded()));
  if (int64_t(data.size()) != parameter.bytes)
    return global.emitOpError("expected ") << parameter.bytes << " bytes of data but got " << data.size();
  lowered.parameters.push_back(parameter);
  lowered.weights.push_back({data.data(), data.size()});
  return success();
}

} // namespace

FailureOr<LoweredModule> qopt::describeLoweredModule(ModuleOp module, bool keepDeferred) {
  LoweredModule lowered;
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (function.isPrivate())
      continue;
    FailureOr<EntryPoint> entry = describeEntry(function);
    if (failed(entry))
      return failure();
    lowered.entryPoints.push_back(*entry);
  }
  for (memref::GlobalOp global : module.getOps<memref::GlobalOp>())
    if (hasAttr<attrs::Value>(global) && failed(addParameter(global, keepDeferred, lowered)))
      return failure();
  return lowered;
}
