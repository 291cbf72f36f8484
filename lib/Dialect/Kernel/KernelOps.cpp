//===- KernelOps.cpp - The kernel dialect ---------------------------------===//
//
// Names of functions, memory effects and derived numbers of kernels. What a kernel
// requires is in Verify.cpp.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/BytecodeVersion.h"
#include "qopt/Dialect/Kernel/Kernel.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace qopt::kernel;

#include "qopt/Dialect/Kernel/KernelInterfaces.cpp.inc"
#include "qopt/Dialect/Kernel/KernelOpsDialect.cpp.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Kernel/KernelOps.cpp.inc"

void KernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "qopt/Dialect/Kernel/KernelOps.cpp.inc"
      >();
  addInterfaces<BytecodeVersion>();
}

//===----------------------------------------------------------------------===//
// Memory effects
//===----------------------------------------------------------------------===//

/// Operands that are memory are read or, as destinations, written; of a cache only a
/// part, so that what was there before still counts.
void qopt::kernel::detail::getKernelEffects(
    DestinationStyleOpInterface op, SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  auto kernel = cast<KernelOpInterface>(op.getOperation());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    bool isInit = op.isDpsInit(&operand);
    if (!isInit || kernel.isCache(operand))
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (isInit)
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}

//===----------------------------------------------------------------------===//
// Names of functions
//===----------------------------------------------------------------------===//

/// NAME_a1_b2 for the sizes {"a", 1}, {"b", 2}.
static std::string nameOf(StringRef name, ArrayRef<std::pair<StringRef, int64_t>> sizes) {
  std::string result = name.str();
  for (auto [letter, size] : sizes)
    result += ("_" + letter + Twine(size)).str();
  return result;
}

/// An operation's name without the dialect, and its sizes.
static std::string nameOf(Operation *op, ArrayRef<std::pair<StringRef, int64_t>> sizes) {
  return nameOf(op->getName().stripDialect(), sizes);
}

std::string MatmulFloatOp::getFunctionName() {
  Type element = getWeights().getType().getElementType();
  // With the width of the weights for "float".
  StringRef family = (*this)->getName().stripDialect().rsplit('_').first;
  std::string name =
      nameOf((family + "_f" + Twine(element.getIntOrFloatBitWidth())).str(), {{"n", columns()}, {"k", inputs()}});
  return element.isBF16() ? name + "_bf16" : name;
}

std::string MatmulW8A16Op::getFunctionName() {
  std::string name = isByGroups() ? nameOf(*this, {{"n", columns()}, {"k", inputs()}, {"g", groupSize()}})
                                  : nameOf(*this, {{"n", columns()}, {"k", inputs()}});
  return getFloat8() ? name + "_f8" : name;
}

std::string MatmulW4A16Op::getFunctionName() {
  std::string name = nameOf(*this, {{"n", columns()}, {"k", inputs()}, {"g", static_cast<int64_t>(getGroupSize())}});
  return getTable() ? name + "_table" : name;
}

std::string MatmulW4A8Op::getFunctionName() {
  return nameOf(*this, {{"n", columns()}, {"k", inputs()}, {"g", groupSize()}, {"x", xGroupSize()}});
}

std::string MatmulW8A8Op::getFunctionName() {
  std::string name = nameOf(*this, {{"n", columns()}, {"k", inputs()}});
  switch (outlierForm()) {
  case OutlierForm::Kept:
    return name + "_kept";
  case OutlierForm::Listed:
    return name + "_outliers";
  case OutlierForm::None:
    return isPerToken() ? name + "_per_token" : name;
  }
  llvm_unreachable("a form");
}

std::string QuantizeOp::getFunctionName() { return nameOf(*this, {{"k", width()}}); }
std::string DynamicQuantizeOp::getFunctionName() {
  return isByGroups() ? nameOf(*this, {{"k", width()}, {"g", groupSize()}}) : nameOf(*this, {{"k", width()}});
}
std::string SplitColumnsOp::getFunctionName() { return nameOf(*this, {{"k", width()}}); }
std::string SplitColumnsAtOp::getFunctionName() { return nameOf(*this, {{"k", width()}}); }
std::string LayerNormOp::getFunctionName() {
  std::string name = nameOf(*this, {{"k", width()}});
  return getBias() ? name + "_bias" : name;
}
std::string RmsNormOp::getFunctionName() { return nameOf(*this, {{"k", width()}}); }

std::string RotaryOp::getFunctionName() { return nameOf(*this, {{"h", heads()}, {"d", headSize()}}); }
/// Behind the name of a function, where a cache is not f32.
static const char *suffixOf(TypedValue<MemRefType> cache) {
  return cache.getType().getElementType().isF16() ? "_f16" : "";
}
std::string CacheAppendOp::getFunctionName() {
  return nameOf(*this, {{"h", heads()}, {"d", headSize()}}) + suffixOf(getCache());
}

std::string GatherOp::getFunctionName() {
  std::string name = nameOf(*this, {{"k", width()}});
  return name + (getScales() ? "_scaled" : "") + (isPacked() ? "_packed" : "");
}

std::string AttentionOp::getFunctionName() {
  return nameOf(*this, {{"h", heads()}, {"kv", keyHeads()}, {"d", headSize()}});
}
std::string CachedAttentionOp::getFunctionName() {
  return nameOf(*this, {{"h", heads()}, {"kv", keyHeads()}, {"d", headSize()}}) + suffixOf(getKeys());
}

//===----------------------------------------------------------------------===//
// Derived numbers
//===----------------------------------------------------------------------===//

/// The size of the groups of `inputs` inputs, where `size` is what was asked for.
static int64_t effectiveGroupSize(int64_t size, int64_t inputs) { return size <= 0 || size > inputs ? inputs : size; }

static int64_t numGroups(int64_t inputs, int64_t groupSize) {
  return static_cast<int64_t>(llvm::divideCeil(inputs, groupSize));
}

/// Steps of int4 codes: each group begins a new one.
static int64_t numInt4Steps(int64_t inputs, int64_t groupSize) {
  int64_t full = numGroups(inputs, groupSize) - 1;
  return full * static_cast<int64_t>(llvm::divideCeil(groupSize, kInt4Step)) +
         static_cast<int64_t>(llvm::divideCeil(inputs - full * groupSize, kInt4Step));
}

int64_t MatmulW8A16Op::groupSize() {
  return effectiveGroupSize(static_cast<int64_t>(getGroupSize().value_or(0)), inputs());
}
int64_t MatmulW8A16Op::groups() { return numGroups(inputs(), groupSize()); }

int64_t MatmulW4A16Op::groupSize() { return effectiveGroupSize(static_cast<int64_t>(getGroupSize()), inputs()); }
int64_t MatmulW4A16Op::groups() { return numGroups(inputs(), groupSize()); }
int64_t MatmulW4A16Op::steps() { return numInt4Steps(inputs(), groupSize()); }

int64_t MatmulW4A8Op::groupSize() { return effectiveGroupSize(static_cast<int64_t>(getGroupSize()), inputs()); }
int64_t MatmulW4A8Op::groups() { return numGroups(inputs(), groupSize()); }
int64_t MatmulW4A8Op::steps() { return numInt4Steps(inputs(), groupSize()); }
int64_t MatmulW4A8Op::xGroupSize() { return effectiveGroupSize(static_cast<int64_t>(getXGroupSize()), inputs()); }
int64_t MatmulW4A8Op::xGroups() { return numGroups(inputs(), xGroupSize()); }

int64_t DynamicQuantizeOp::groupSize() {
  return effectiveGroupSize(static_cast<int64_t>(getGroupSize().value_or(0)), width());
}
int64_t DynamicQuantizeOp::groups() { return numGroups(width(), groupSize()); }

static float scaleOrDefault(std::optional<APFloat> scale, int64_t headSize) {
  return scale ? scale->convertToFloat() : 1.0f / std::sqrt(static_cast<float>(headSize));
}

float AttentionOp::scaleFactor() { return scaleOrDefault(getScale(), headSize()); }
float CachedAttentionOp::scaleFactor() { return scaleOrDefault(getScale(), headSize()); }
