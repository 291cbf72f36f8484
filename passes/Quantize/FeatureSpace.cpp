//===- FeatureSpace.cpp - Values that must be rotated together ------------===//
//
// What an operator does to a rotated value decides: sums and normalizations with a scale of
// ones keep the rotation, products with constants take it away or bring it.
//
//===----------------------------------------------------------------------===//
#include "FeatureSpace.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transform;

//===----------------------------------------------------------------------===//
// Finding
//===----------------------------------------------------------------------===//

/// -1 for a scalar.
static int64_t lastDim(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() ? type.getShape().back() : -1;
}

static std::string nameOf(Operation *op) { return "'" + op->getName().getStringRef().str() + "'"; }

static bool isUnitScale(Value scale) {
  return isFloatConstant(scale) && llvm::all_of(readConstant(scale), [](float value) { return value == 1; });
}

FeatureSpace::FeatureSpace(Value seed) : features(lastDim(seed)) {
  include(seed, seed.getDefiningOp());
  for (size_t i = 0; i < values.size() && !stoppedAt; ++i) {
    visitDefinition(values[i]);
    for (OpOperand &use : values[i].getUses())
      visitUse(use);
  }
}

void FeatureSpace::stop(Operation *op, const Twine &why) {
  if (stoppedAt)
    return;
  stoppedAt = op;
  stoppedBy = why.str();
}

void FeatureSpace::include(Value value, Operation *user) {
  if (lastDim(value) != features)
    return stop(user, "they go through " + nameOf(user) + ", where they are not the last dimension");
  values.insert(value);
}

void FeatureSpace::visitDefinition(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return stop(value.getParentBlock()->getParentOp(), "an input of the model holds them");
  auto takeOperand = [&](unsigned index) { include(op->getOperand(index), op); };
  if (isa<onnx::AddOp, onnx::SubOp>(op))
    return visitSum(op);
  if (isa<onnx::GatherOp>(op))
    return visitGather(value, op);
  if (isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::IdentityOp>(op))
    return takeOperand(0);
  if (auto cast = dyn_cast<onnx::CastOp>(op); cast && isa<FloatType>(typeOf(cast.getInput()).getElementType()))
    return takeOperand(0);
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op);
      transpose && transpose.getPerm().back() == typeOf(value).getRank() - 1)
    return takeOperand(0);
  if (auto product = dyn_cast<onnx::MulOp>(op)) {
    for (unsigned index : {0u, 1u})
      if (isFloatConstant(op->getOperand(index)) && typeOf(op->getOperand(index)).getNumElements() == 1)
        return takeOperand(1 - index);
  }
  if (auto norm = dyn_cast<onnx::RMSNormalizationOp>(op)) {
    auto axis = static_cast<int64_t>(norm.getAxis());
    bool isLast = axis == -1 || axis == typeOf(value).getRank() - 1;
    if (isLast && isUnitScale(norm.getScale()))
      return takeOperand(0);
    return stop(op, isLast ? "a normalization has a scale that is not folded into weights"
                           : "a normalization is not over the features alone");
  }
  if (auto product = dyn_cast<onnx::MatMulOp>(op); product && hasConstantWeights(product)) {
    written.insert(op);
    return;
  }
  stop(op, "they come from " + nameOf(op));
}

void FeatureSpace::visitSum(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isFloatConstant(operand.get()))
      include(operand.get(), op);
    else if (lastDim(operand.get()) != features)
      stop(op, nameOf(op) + " adds one number to all of them");
    else if (!llvm::is_contained(tables, &operand))
      tables.push_back(&operand);
  }
}

void FeatureSpace::visitGather(Value value, Operation *op) {
  auto gather = cast<onnx::GatherOp>(op);
  int64_t rank = typeOf(gather.getData()).getRank(), axis = gather.getAxis() + (gather.getAxis() < 0 ? rank : 0);
  if (axis == rank - 1)
    return stop(op, "some of them are picked out");
  if (!isFloatConstant(gather.getData()))
    return include(gather.getData(), op);
  bool isFloat = typeOf(value).getElementType().isF32() || llvm::all_of(value.getUsers(), [](Operation *user) {
                   auto cast = dyn_cast<onnx::CastOp>(user);
                   return cast && cast.getTo().isF32();
                 });
  if (!isFloat)
    return stop(op, "rows of a table are used in 16 bits");
  tables.push_back(&gather.getDataMutable());
}

void FeatureSpace::visitUse(OpOperand &use) {
  Operation *user = use.getOwner();
  if (isa<onnx::ShapeOp>(user))
    return;
  if (auto product = dyn_cast<onnx::MatMulOp>(user)) {
    if (use.getOperandNumber() == 0 && hasConstantWeights(product))
      readers.push_back(product);
    else
      stop(user, "they go to a product without constant weights");
    return;
  }
  if (user->hasTrait<OpTrait::IsTerminator>())
    return stop(user, "an output of the model holds them");
  if (!isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::GatherOp, onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp,
           onnx::IdentityOp, onnx::CastOp, onnx::TransposeOp, onnx::RMSNormalizationOp>(user))
    return stop(user, "they go to " + nameOf(user));
  include(user->getResult(0), user);
}

//===----------------------------------------------------------------------===//
// Rotating
//===----------------------------------------------------------------------===//

/// A constant as a matrix with so many columns.
static void rotateRows(OpOperand &operand, int64_t columns, const Rotation &rotation, const ParallelFor &parallelFor) {
  std::vector<float> numbers = readConstant(operand.get());
  rotation.rotateRows({numbers.data(), static_cast<int64_t>(numbers.size()) / columns, columns}, parallelFor);
  setConstant(operand, numbers);
}

/// The weights [K, N] of a product whose input is rotated.
static void rotateInput(onnx::MatMulOp op, const Rotation &rotation, const ParallelFor &parallelFor) {
  std::vector<float> weights = readConstant(op.getB());
  int64_t n = lastDim(op.getB());
  rotation.rotateColumns({weights.data(), static_cast<int64_t>(weights.size()) / n, n}, parallelFor);
  setConstant(op.getBMutable(), weights);
}

void FeatureSpace::rotate(const Rotation &rotation, const ParallelFor &parallelFor) {
  for (OpOperand *table : tables) {
    rotateRows(*table, features, rotation, parallelFor);
    // Rows of 16 bits are read as what the table is now: a cast of them does nothing more.
    if (auto gather = dyn_cast<onnx::GatherOp>(table->getOwner()))
      gather.getOutput().setType(typeOf(gather.getOutput()).clone(typeOf(table->get()).getElementType()));
  }
  for (onnx::MatMulOp reader : readers)
    rotateInput(reader, rotation, parallelFor);
  for (Operation *writer : written)
    rotateRows(cast<onnx::MatMulOp>(writer).getBMutable(), features, rotation, parallelFor);
}

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

std::optional<ValueHeads> ValueHeads::match(onnx::AttentionOp attention, std::string &why) {
  auto fail = [&](const Twine &reason) {
    why = reason.str();
    return std::nullopt;
  };
  int64_t heads = attention.getKvNumHeads(), size = lastDim(attention.getV());
  if (heads < 1 || size < 1 || size % heads)
    return fail("its heads are no part of the last dimension");
  if (attention.getPastValue() || (attention.getPresentValue() && !attention.getPresentValue().use_empty()))
    return fail("its values are kept by the caller");
  ValueHeads result;
  result.headSize = size / heads;
  Value value = attention.getV();
  while (!result.writer) {
    Operation *op = value.getDefiningOp();
    if (!value.hasOneUse())
      return fail("its values are read elsewhere, too");
    if (auto product = dyn_cast_or_null<onnx::MatMulOp>(op); product && hasConstantWeights(product)) {
      result.writer = product;
      break;
    }
    OpOperand *bias = isa_and_present<onnx::AddOp>(op) ? findAddedConstant(op, size) : nullptr;
    if (!bias)
      return fail("its values come from " + (op ? nameOf(op) : std::string("an input of the model")));
    result.biases.push_back(bias);
    value = op->getOperand(1 - bias->getOperandNumber());
  }
  for (OpOperand &use : attention.getY().getUses()) {
    auto reader = dyn_cast<onnx::MatMulOp>(use.getOwner());
    if (!reader || use.getOperandNumber() != 0 || !hasConstantWeights(reader) ||
        typeOf(reader.getB()).getDimSize(0) % result.headSize)
      return fail("its result goes to " + nameOf(use.getOwner()));
    result.readers.push_back(reader);
  }
  return result;
}

void ValueHeads::rotate(const Rotation &rotation, const ParallelFor &parallelFor) const {
  onnx::MatMulOp product = writer;
  rotateRows(product.getBMutable(), lastDim(product.getB()), rotation, parallelFor);
  for (OpOperand *bias : biases)
    rotateRows(*bias, lastDim(bias->get()), rotation, parallelFor);
  for (onnx::MatMulOp reader : readers)
    rotateInput(reader, rotation, parallelFor);
}
