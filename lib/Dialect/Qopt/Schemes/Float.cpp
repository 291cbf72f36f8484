//===- Float.cpp - No quantization ----------------------------------------===//
//
// A scheme as others are, so that a layer can be left alone by name.
//
//===----------------------------------------------------------------------===//
#include "Schemes.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace qopt;

static constexpr SchemeVariant kFloat[] = {{
    .product = onnx::MatMulOp::getOperationName(),
    .weightText = "float",
    .activationText = "float",
    .reproduces = "the model as it is",
}};

static constexpr SchemeInfo kSchemes[] = {{
    .name = "float",
    .summary = "The float model: no quantization",
    .variants = kFloat,
}};

llvm::ArrayRef<SchemeInfo> schemes::floats() { return kSchemes; }
