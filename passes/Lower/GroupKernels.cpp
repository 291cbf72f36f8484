//===- GroupKernels.cpp - Sequences of kernels to functions ----------------===//
//
// At decode a kernel takes about as long as the gap between two launches, so what can
// be one launch should be. Which sequences can, is a question of the data flow only and
// is answered here, for all targets; how they run as one is up to the target, which has
// their definition as the function's body.
//
// What makes a sequence safe to run as one: its results are computed element by element
// of the products' results, and no memory that a part of it reads as a whole (an input
// row, a weight, a table) is written by it, except what it prepares for itself. Memory
// is compared by the allocation behind views.
//
// A group whose last loop only makes the input that the next one quantizes is one with
// it: what is one launch for one row and what for many differ there (in rows, all
// elements of a row come before its first code).
//
//===----------------------------------------------------------------------===//
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_GROUPKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// What an operation is in a group, in this order.
enum class Role { None, Norm, Quantization, Product, Epilogue };

using Roots = SmallVector<Value, 4>;

struct Step {
  Operation *op = nullptr;
  Role role = Role::None;
  StringRef kernel = "";
  Roots whole = {};    ///< memory of which any element may be read, the input first
  Roots elements = {}; ///< memory read only where it is written
  Roots written = {};
};

Value viewSource(Value value) {
  auto view = value.getDefiningOp<ViewLikeOpInterface>();
  return view ? view.getViewSource() : Value();
}

/// The memory behind views.
Value rootOf(Value value) {
  while (Value source = viewSource(value))
    value = source;
  return value;
}

/// Whether a view is all of its memory in the same order.
bool isReshape(Value value) {
  for (; Value source = viewSource(value); value = source)
    if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(value.getDefiningOp()))
      return false;
  return true;
}

/// Whether an operation has no part in the order of what happens to memory.
bool isTransparent(Operation &op) { return isMemoryEffectFree(&op) || isa<memref::AllocOp, RequireOp>(op); }

/// Whether an operand is accessed at the indices of the loops; along a loop of one
/// iteration 0 is the only one.
bool isIdentity(linalg::GenericOp op, OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
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

/// A loop over all elements of its results that reads others either where it writes, or
/// along the last dimension only, as a bias.
bool isElementwise(linalg::GenericOp op) {
  if (!op.hasPureBufferSemantics() || op.hasIndexSemantics() || op.getNumParallelLoops() != op.getNumLoops())
    return false;
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    bool isLast = map.getNumResults() == 1 && map.isFunctionOfDim(map.getNumDims() - 1) && map.isProjectedPermutation();
    return type && type.getLayout().isIdentity() && isReshape(operand.get()) &&
           (isIdentity(op, operand) || (op.isDpsInput(&operand) && (isLast || map.getNumResults() == 0)));
  });
}

Step describe(linalg::GenericOp op) {
  Step step{op};
  if (!isElementwise(op))
    return step;
  step.role = Role::Epilogue;
  for (OpOperand &operand : op->getOpOperands()) {
    Value root = rootOf(operand.get());
    (isIdentity(op, operand) ? step.elements : step.whole).push_back(root);
    if (op.isDpsInit(&operand))
      step.written.push_back(root);
  }
  return step;
}

Step describe(func::CallOp op, SymbolTable &symbols) {
  Step step{op};
  auto callee = symbols.lookup<func::FuncOp>(op.getCallee());
  auto kernel = callee ? callee->getAttrOfType<StringAttr>(kKernelAttr) : StringAttr();
  if (!kernel)
    return step;
  step.kernel = kernel.getValue();
  auto [role, results] = llvm::StringSwitch<std::pair<Role, unsigned>>(step.kernel)
                             .Case("rms_norm", {Role::Norm, 1})
                             .StartsWith("matmul_", {Role::Product, 1})
                             .Cases({"rotary", "cache_append"}, {Role::Epilogue, 1})
                             .Default({Role::None, 0});
  if (unsigned count = countQuantizationResults(step.kernel))
    role = Role::Quantization, results = count;
  step.role = role;
  unsigned inputs = op.getNumOperands() - results;
  for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
    bool isElement = step.role == Role::Epilogue && i == 0 && isReshape(operand);
    Roots &roots = i >= inputs ? step.written : isElement ? step.elements : step.whole;
    roots.push_back(rootOf(operand));
  }
  return step;
}

class Group {
public:
  /// Whether the step continues the group.
  bool takes(const Step &step) const {
    bool isFirst = steps.empty();
    for (const Step &other : steps)
      if (hasAny(step.written, other.whole))
        return false;
    switch (step.role) {
    case Role::None:
      return false;
    case Role::Norm:
      return isFirst;
    case Role::Quantization:
      return isFirst || (steps.back().role == Role::Norm && step.whole[0] == steps.back().written[0]);
    case Role::Product:
      if (results.empty())
        return isFirst || step.whole[0] == steps.back().written[0];
      return step.kernel == product.kernel && step.whole[0] == product.whole[0] && !hasAny(step.whole, results);
    case Role::Epilogue:
      return hasAny(step.elements, results) &&
             llvm::none_of(steps, [&](const Step &other) { return hasAny(step.whole, other.written); });
    }
    llvm_unreachable("a role");
  }

  void add(const Step &step) {
    if (step.role == Role::Product && results.empty())
      product = step;
    if (step.role >= Role::Product)
      llvm::append_range(results, step.written);
    steps.push_back(step);
  }

  /// Leaves alone what prepares an input for others, too. Whether there is a group then.
  bool finish() {
    size_t firstKept = 0;
    for (auto [i, step] : llvm::enumerate(steps))
      if (step.role < Role::Product && llvm::any_of(step.written, [&](Value root) { return isUsedOutside(root); }))
        firstKept = i + 1;
    steps.erase(steps.begin(), steps.begin() + firstKept);
    return !results.empty() && steps.size() > 1;
  }

  /// Whether all that the last loop writes is quantized by `next`, which has come right
  /// behind, and not seen by anybody else.
  bool feeds(const Group &next) const {
    const Step &last = steps.back(), &first = next.steps.front();
    if (!isa<linalg::GenericOp>(last.op) || last.written.size() != 1 || first.role != Role::Quantization ||
        first.whole[0] != last.written[0])
      return false;
    Group both = *this;
    both.append(next);
    return !both.isUsedOutside(last.written[0]) && llvm::count_if(both.steps, [&](const Step &step) {
                                                     return hasAny(step.whole, last.written) ||
                                                            hasAny(step.elements, last.written);
                                                   }) == 2;
  }
  void append(const Group &next) { llvm::append_range(steps, next.steps); }

  bool writes(Value root) const {
    return llvm::any_of(steps, [&](const Step &step) { return llvm::is_contained(step.written, root); });
  }

  /// Whether anybody else reads or writes the memory.
  bool isUsedOutside(Value root) const {
    if (!root.getDefiningOp<memref::AllocOp>())
      return true;
    SmallVector<Value> aliases{root};
    while (!aliases.empty())
      for (Operation *user : aliases.pop_back_val().getUsers()) {
        if (isa<ViewLikeOpInterface>(user))
          aliases.push_back(user->getResult(0));
        else if (!isa<memref::DimOp>(user) &&
                 llvm::none_of(steps, [&](const Step &step) { return step.op->isAncestor(user); }))
          return true;
      }
    return false;
  }

  SmallVector<Step> steps;
  Step product; ///< the first one

private:
  static bool hasAny(const Roots &roots, const Roots &of) {
    return llvm::any_of(roots, [&](Value root) { return llvm::is_contained(of, root); });
  }

  Roots results; ///< written by products and what follows them
};

/// Makes the function of a group and calls it.
class Outliner {
public:
  explicit Outliner(const Group &group) : group(group), b(group.product.op->getContext()) {}

  void run(SymbolTable &symbols) {
    Operation *last = group.steps.back().op;
    std::string name = (cast<func::CallOp>(group.product.op).getCallee() + "_group").str();
    auto function = func::FuncOp::create(last->getLoc(), name, b.getFunctionType({}, {}));
    function.setPrivate();
    function->setAttr(kGroupAttr, b.getUnitAttr());
    body = function.addEntryBlock();
    b.setInsertionPointToEnd(body);
    for (const Step &step : group.steps) {
      llvm::SetVector<Value> used(step.op->operand_begin(), step.op->operand_end());
      for (Region &region : step.op->getRegions())
        getUsedValuesDefinedAbove(region, used);
      for (Value value : used)
        makeInside(value);
      b.clone(*step.op, mapping);
    }
    func::ReturnOp::create(b, last->getLoc());
    function.setType(b.getFunctionType(body->getArgumentTypes(), {}));
    for (auto [i, argument] : llvm::enumerate(arguments))
      if (group.writes(argument) && !group.isUsedOutside(argument))
        function.setArgAttr(i, kScratchAttr, b.getUnitAttr());
    symbols.insert(function);
    b.setInsertionPointAfter(last);
    func::CallOp::create(b, last->getLoc(), function, arguments);
    for (const Step &step : llvm::reverse(group.steps))
      step.op->erase();
  }

private:
  /// Constants and views of what the group writes are made again, so that the function
  /// shows whose memory they are; the rest is passed.
  void makeInside(Value value) {
    if (mapping.contains(value))
      return;
    Operation *op = value.getDefiningOp();
    if (op && (op->hasTrait<OpTrait::ConstantLike>() || (viewSource(value) && group.writes(rootOf(value))))) {
      for (Value operand : op->getOperands())
        makeInside(operand);
      b.clone(*op, mapping);
      return;
    }
    mapping.map(value, body->addArgument(value.getType(), value.getLoc()));
    arguments.push_back(value);
  }

  const Group &group;
  OpBuilder b;
  Block *body = nullptr;
  IRMapping mapping;
  SmallVector<Value> arguments;
};

struct GroupKernels : impl::GroupKernelsBase<GroupKernels> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal() || function.isPrivate())
        continue;
      for (Group &group : joinGroups(findGroups(function, symbols))) {
        Outliner(group).run(symbols);
        ++numGroups;
      }
    }
  }

  static std::vector<Group> joinGroups(std::vector<Group> found) {
    std::vector<Group> joined;
    bool isBehind = false; // the one before
    for (Group &group : found) {
      bool isGroup = group.finish();
      if (isGroup && isBehind && joined.back().feeds(group))
        joined.back().append(group);
      else if (isGroup)
        joined.push_back(group);
      isBehind = isGroup;
    }
    return joined;
  }

  static std::vector<Group> findGroups(func::FuncOp function, SymbolTable &symbols) {
    std::vector<Group> groups(1);
    for (Operation &op : function.getBody().front()) {
      if (isTransparent(op))
        continue;
      Step step{&op};
      if (auto call = dyn_cast<func::CallOp>(op))
        step = describe(call, symbols);
      else if (auto loop = dyn_cast<linalg::GenericOp>(op))
        step = describe(loop);
      if (!groups.back().takes(step))
        groups.emplace_back();
      if (groups.back().takes(step))
        groups.back().add(step);
    }
    return groups;
  }
};

} // namespace
} // namespace qopt
