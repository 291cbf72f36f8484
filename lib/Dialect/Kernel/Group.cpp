//===- Group.cpp - What a group of kernels is -----------------------------===//
//
// How operations of a group access memory, and the grammar of groups: the verifiers of
// kernel.group and kernel.stage, which the pass that makes groups and the targets that
// run them as one rely on.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "qopt/Dialect/Kernel/Kernel.h"

using namespace mlir;
using namespace qopt::kernel;

//===----------------------------------------------------------------------===//
// Access to memory
//===----------------------------------------------------------------------===//

static Value viewSource(Value value) {
  auto view = value.getDefiningOp<ViewLikeOpInterface>();
  return view ? view.getViewSource() : Value();
}

Value qopt::kernel::getMemory(Value value) {
  while (Value source = viewSource(value))
    value = source;
  return value;
}

bool qopt::kernel::isReshape(Value value) {
  for (; Value source = viewSource(value); value = source)
    if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(value.getDefiningOp()))
      return false;
  return true;
}

/// Along a loop of one iteration index 0 is the only one.
bool qopt::kernel::isIdentity(linalg::GenericOp loop, OpOperand &operand) {
  AffineMap map = loop.getMatchingIndexingMap(&operand);
  SmallVector<int64_t> ranges = loop.getStaticLoopRanges();
  if (map.getNumResults() != ranges.size())
    return false;
  for (auto [i, index] : llvm::enumerate(map.getResults())) {
    auto constant = dyn_cast<AffineConstantExpr>(index);
    bool isOnlyOne = constant && constant.getValue() == 0 && ranges[i] == 1;
    if (!isOnlyOne && index != getAffineDimExpr(i, map.getContext()))
      return false;
  }
  return true;
}

bool qopt::kernel::isElementwise(linalg::GenericOp loop) {
  if (!loop.hasPureBufferSemantics() || loop.hasIndexSemantics() || loop.getNumParallelLoops() != loop.getNumLoops())
    return false;
  return llvm::all_of(loop->getOpOperands(), [&](OpOperand &operand) {
    AffineMap map = loop.getMatchingIndexingMap(&operand);
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    bool isLast = map.getNumResults() == 1 && map.isFunctionOfDim(map.getNumDims() - 1) && map.isProjectedPermutation();
    return type && type.getLayout().isIdentity() && isReshape(operand.get()) &&
           (isIdentity(loop, operand) || (loop.isDpsInput(&operand) && (isLast || map.getNumResults() == 0)));
  });
}

KernelRole qopt::kernel::getRole(Operation *op) {
  if (auto kernel = dyn_cast<KernelOpInterface>(op))
    return kernel.getRole();
  auto loop = dyn_cast<linalg::GenericOp>(op);
  return loop && isElementwise(loop) ? KernelRole::Epilogue : KernelRole::None;
}

MemoryAccess qopt::kernel::getMemoryAccess(Operation *op) {
  MemoryAccess access;
  auto kernel = dyn_cast<KernelOpInterface>(op);
  auto loop = dyn_cast<linalg::GenericOp>(op);
  for (OpOperand &operand : op->getOpOperands()) {
    Value memory = getMemory(operand.get());
    bool isInit = cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
    bool isElement = kernel ? kernel.isElementwise(operand) && isReshape(operand.get()) : isIdentity(loop, operand);
    if (isInit)
      access.written.push_back(memory);
    // What a loop writes it may read, too; a kernel does not.
    if (!isInit || loop)
      (isElement ? access.elements : access.whole).push_back(memory);
  }
  return access;
}

static bool hasAny(ArrayRef<Value> values, ArrayRef<Value> of) {
  return llvm::any_of(values, [&](Value value) { return llvm::is_contained(of, value); });
}

//===----------------------------------------------------------------------===//
// StageOp
//===----------------------------------------------------------------------===//

/// The operations of a region that may be empty.
static auto operationsOf(Region &region) {
  using Range = llvm::iterator_range<Block::iterator>;
  return region.empty() ? Range(Block::iterator(), Block::iterator())
                        : Range(region.front().begin(), region.front().end());
}

RmsNormOp StageOp::getNorm() {
  for (Operation &op : operationsOf(getPreparation()))
    if (auto norm = dyn_cast<RmsNormOp>(op))
      return norm;
  return nullptr;
}

KernelOpInterface StageOp::getQuantization() {
  for (Operation &op : operationsOf(getPreparation()))
    if (auto kernel = dyn_cast<KernelOpInterface>(op); kernel && kernel.getRole() == KernelRole::Quantization)
      return kernel;
  return nullptr;
}

SmallVector<ProductOpInterface> StageOp::getProductOps() {
  SmallVector<ProductOpInterface> products;
  for (Operation &op : operationsOf(getProducts()))
    if (auto product = dyn_cast<ProductOpInterface>(op))
      products.push_back(product);
  return products;
}

SmallVector<Operation *> StageOp::getSteps() {
  return llvm::map_to_vector(operationsOf(getEpilogue()), [](Operation &op) { return &op; });
}

SmallVector<Operation *> StageOp::getOperationsInOrder() {
  SmallVector<Operation *> all;
  for (Region *region : {&getPreparation(), &getProducts(), &getEpilogue()})
    for (Operation &op : operationsOf(*region))
      all.push_back(&op);
  return all;
}

Value StageOp::getInput() { return getOperationsInOrder().front()->getOperand(0); }

static LogicalResult verifyPreparation(StageOp stage) {
  bool isFirst = true;
  Operation *before = nullptr;
  for (Operation &op : operationsOf(stage.getPreparation())) {
    KernelRole role = getRole(&op);
    bool fits = role == KernelRole::Quantization || (role == KernelRole::Norm && isFirst);
    if (!fits || (before && getRole(before) == KernelRole::Quantization))
      return op.emitOpError("expected a norm, a quantization, or both in this order, as preparation");
    if (before && getMemory(op.getOperand(0)) != getMemoryAccess(before).written[0])
      return op.emitOpError("expected to quantize what the norm before makes");
    before = &op;
    isFirst = false;
  }
  return success();
}

bool qopt::kernel::areOfOneKind(ProductOpInterface a, ProductOpInterface b) {
  auto elementOf = [](ProductOpInterface op) { return cast<ShapedType>(op.getWeights().getType()).getElementType(); };
  return a->getName() == b->getName() && elementOf(a) == elementOf(b);
}

static LogicalResult verifyProducts(StageOp stage) {
  SmallVector<ProductOpInterface> products = stage.getProductOps();
  Value made; // by the preparation
  for (Operation &op : operationsOf(stage.getPreparation()))
    made = getMemoryAccess(&op).written[0];
  for (Operation &op : operationsOf(stage.getProducts())) {
    auto product = dyn_cast<ProductOpInterface>(op);
    if (!product)
      return op.emitOpError("expected a product among the products of a stage");
    if (!areOfOneKind(product, products[0]))
      return op.emitOpError() << "expected products of one kind, but the first one is " << products[0]->getName();
    Value x = getMemory(product.getX());
    if (made && x != made)
      return op.emitOpError("expected a product of what the preparation makes");
    if (x != getMemory(products[0].getX()))
      return op.emitOpError("expected products of one input");
  }
  if (products.empty())
    return stage.emitOpError("expected at least one product");
  return success();
}

static LogicalResult verifyEpilogue(StageOp stage) {
  SmallVector<Value> made;
  for (ProductOpInterface product : stage.getProductOps())
    llvm::append_range(made, getMemoryAccess(product).written);
  for (Operation *op : stage.getSteps()) {
    if (getRole(op) != KernelRole::Epilogue)
      return op->emitOpError("expected an elementwise loop or kernel as epilogue");
    MemoryAccess access = getMemoryAccess(op);
    if (!hasAny(access.elements, made))
      return op->emitOpError("expected to work on what products, or steps before it, have made");
    llvm::append_range(made, access.written);
  }
  return success();
}

/// No operation writes what another one reads as a whole, but for the preparation, which
/// what follows reads.
static LogicalResult verifyMemory(StageOp stage) {
  SmallVector<Operation *> ops = stage.getOperationsInOrder();
  SmallVector<MemoryAccess> accesses = llvm::map_to_vector(ops, getMemoryAccess);
  for (size_t i = 0; i < ops.size(); ++i)
    for (size_t j = 0; j < ops.size(); ++j) {
      bool isPreparation = getRole(ops[i]) < KernelRole::Product && i < j && getRole(ops[j]) <= KernelRole::Product;
      if (i != j && !isPreparation && hasAny(accesses[i].written, accesses[j].whole))
        return ops[i]->emitOpError() << "expected no operation of a stage to write what another one reads as a whole, "
                                        "but "
                                     << ops[j]->getName() << " reads what this one writes";
    }
  return success();
}

LogicalResult StageOp::verifyRegions() {
  if (failed(verifyPreparation(*this)) || failed(verifyProducts(*this)) || failed(verifyEpilogue(*this)))
    return failure();
  return verifyMemory(*this);
}

//===----------------------------------------------------------------------===//
// GroupOp
//===----------------------------------------------------------------------===//

void GroupOp::build(OpBuilder &b, OperationState &state, ValueRange inputs, ArrayRef<int64_t> scratch) {
  state.addOperands(inputs);
  state.getOrAddProperties<Properties>().scratch = b.getDenseI64ArrayAttr(scratch);
  Block &body = state.addRegion()->emplaceBlock();
  for (Value input : inputs)
    body.addArgument(input.getType(), input.getLoc());
}

SmallVector<StageOp, 4> GroupOp::getStages() { return llvm::to_vector<4>(getBody().getOps<StageOp>()); }

bool GroupOp::isScratch(Value value) {
  auto argument = dyn_cast<BlockArgument>(getMemory(value));
  return argument && argument.getOwner() == &getBody().front() &&
         llvm::is_contained(getScratch(), static_cast<int64_t>(argument.getArgNumber()));
}

std::string GroupOp::getFunctionName() {
  return cast<KernelOpInterface>(getStages().front().getProductOps().front().getOperation()).getFunctionName() +
         "_group";
}

static LogicalResult verifyArguments(GroupOp group) {
  if (group.getBody().getArgumentTypes() != group.getInputs().getTypes())
    return group.emitOpError() << "expected a body with an argument for each of " << group.getInputs().size()
                               << " inputs, of its type, but got " << group.getArguments().size();
  for (int64_t i : group.getScratch())
    if (i < 0 || i >= static_cast<int64_t>(group.getInputs().size()) ||
        !isa<MemRefType>(group.getInputs()[i].getType()))
      return group.emitOpError() << "expected memory among the inputs as scratch, but got number " << i;
  return success();
}

/// A stage behind another one quantizes what a loop has made at the end of that.
static LogicalResult verifyChain(StageOp before, StageOp stage) {
  SmallVector<Operation *> steps = before.getSteps();
  bool follows = !stage.getNorm() && stage.getQuantization() && !steps.empty() &&
                 isa<linalg::GenericOp>(steps.back()) &&
                 getMemoryAccess(steps.back()).written[0] == getMemory(stage.getInput());
  if (!follows)
    return stage.emitOpError("expected to begin with the quantization of what the last loop of the stage before makes");
  return success();
}

LogicalResult GroupOp::verifyRegions() {
  if (failed(verifyArguments(*this)))
    return failure();
  StageOp before;
  for (Operation &op : getBody().front()) {
    if (auto stage = dyn_cast<StageOp>(op)) {
      if (before && failed(verifyChain(before, stage)))
        return failure();
      before = stage;
      continue;
    }
    bool isView = op.getNumResults() == 1 && isa<ViewLikeOpInterface>(op) && isReshape(op.getResult(0));
    if (before || !(isView || op.hasTrait<OpTrait::ConstantLike>()))
      return op.emitOpError("expected a group to hold constants and reshapes, then stages");
  }
  return before ? success() : emitOpError("expected at least one stage");
}
