//===- SmallFloats.cpp - Schemes with weights of 4 and 8 bits of a float ---===//
//
// Weights alone: activations stay float.
//
//===----------------------------------------------------------------------===//
#include "Schemes.h"

using namespace qopt;

namespace {

/// 16 numbers, with a scale per block.
constexpr SchemeVariant tableVariant(WeightMethod method, llvm::StringLiteral weightText,
                                     llvm::StringLiteral reproduces) {
  return {
      .product = MatmulW4A16Op::getOperationName(),
      .weights = method,
      .weightBits = 4,
      .weightText = weightText,
      .activationText = "float",
      .reproduces = reproduces,
  };
}

constexpr SchemeVariant kNf4[] = {
    tableVariant(WeightMethod::Nf4Blocks, "NF4, one scale per group", "bitsandbytes NF4 (`--compat=bitsandbytes`)")};
constexpr SchemeVariant kFp4[] = {
    tableVariant(WeightMethod::Fp4Blocks, "FP4, one scale per group", "bitsandbytes FP4 (`--compat=bitsandbytes`)")};
constexpr const OptionInfo *kBitsandbytesOptions[] = {&options::groupSize64, &options::doubleQuant};
constexpr SchemePreset kBitsandbytes[] = {{"bitsandbytes", ""}};

constexpr SchemeVariant kMxfp4[] = {tableVariant(WeightMethod::MxBlocks, "e2m1, one power of two per 32 inputs",
                                                 "OCP MXFP4 by torchao (`--compat=torchao`)")};
constexpr const OptionInfo *kMxOptions[] = {&options::mxScale};
constexpr SchemePreset kMxPresets[] = {{"torchao", "scale-rule=floor"}};

constexpr SchemeVariant kNvfp4[] = {tableVariant(WeightMethod::NvBlocks, "e2m1, one e4m3 scale per 16 inputs",
                                                 "NVFP4 by torchao (`--compat=torchao`)")};

constexpr SchemeVariant kFp8[] = {{
    .product = MatmulW8A16Op::getOperationName(),
    .weights = WeightMethod::Float8Rows,
    .weightBits = 8,
    .weightText = "float8 e4m3, one scale per row, tensor or block",
    .activationText = "float",
    .reproduces = "torchao float8 per row (`--compat=torchao`), quanto qfloat8 (`--compat=quanto`)",
}};
constexpr const OptionInfo *kFp8Options[] = {&options::float8Granularity};
constexpr SchemePreset kTorchao[] = {{"torchao", ""}};
constexpr SchemePreset kFp8Presets[] = {{"torchao", ""}, {"quanto", ""}};

constexpr SchemeInfo kSchemes[] = {
    {
        .name = "nf4",
        .summary = "4-bit weights, quantiles of the normal distribution (bitsandbytes NF4)",
        .options = kBitsandbytesOptions,
        .presets = kBitsandbytes,
        .variants = kNf4,
        .head = schemes::kHead,
    },
    {
        .name = "fp4",
        .summary = "4-bit float weights (bitsandbytes FP4)",
        .options = kBitsandbytesOptions,
        .presets = kBitsandbytes,
        .variants = kFp4,
        .head = schemes::kHead,
    },
    {
        .name = "mxfp4",
        .summary = "4-bit float weights, a power of two per 32 of them (OCP MXFP4)",
        .options = kMxOptions,
        .presets = kMxPresets,
        .variants = kMxfp4,
        .head = schemes::kHead,
    },
    {
        .name = "nvfp4",
        .summary = "4-bit float weights, an 8-bit float per 16 of them (NVFP4)",
        .presets = kTorchao,
        .variants = kNvfp4,
        .head = schemes::kHead,
    },
    {
        .name = "fp8",
        .summary = "float8 e4m3 weights (torchao, quanto qfloat8)",
        .options = kFp8Options,
        .presets = kFp8Presets,
        .variants = kFp8,
        .head = schemes::kHead,
    },
};

} // namespace

llvm::ArrayRef<SchemeInfo> schemes::smallFloats() { return kSchemes; }
