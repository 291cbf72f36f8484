//===- FusedGroup.cpp - Stages of groups as single launches ----------------===//
//
// The verifiers of kernel.group and kernel.stage say what there is; here is what of it one
// launch can do.
//
//===----------------------------------------------------------------------===//
#include "FusedGroup.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

bool uses(Operation *op, Value memory) {
  return llvm::any_of(op->getOperands(), [&](Value operand) { return kernel::getMemory(operand) == memory; });
}

bool writes(Operation *op, Value memory) {
  return llvm::any_of(cast<DestinationStyleOpInterface>(op).getDpsInits(),
                      [&](Value init) { return kernel::getMemory(init) == memory; });
}

bool isFloatLoop(linalg::GenericOp loop) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(loop.getRegion(), captured);
  auto isConstant = [](Value value) {
    Operation *maker = value.getDefiningOp();
    return maker && maker->hasTrait<OpTrait::ConstantLike>();
  };
  auto isFloats = [](Type type) { return isa<MemRefType>(type) && cast<MemRefType>(type).getElementType().isF32(); };
  return llvm::all_of(captured, isConstant) && llvm::all_of(loop->getOperandTypes(), isFloats);
}

//===----------------------------------------------------------------------===//
// Which columns go together
//===----------------------------------------------------------------------===//

bool Pairing::isPossible() const {
  if (interleaved)
    return headSize % 2 == 0;
  if (isFar())
    return headSize % 16 == 0 && (headSize - rotated) % 32 == 0;
  return 16 % headSize == 0 && llvm::isPowerOf2_64(half());
}

std::pair<Value, Value> FusedBranch::blocksOf(Emitter &t, Value unit) const {
  if (!pairing || !pairing->isFar()) {
    Value first = t.mul(unit, 2);
    return {first, t.add(first, 1)};
  }
  // A head: pairs of blocks of its halves, then those that are not turned.
  int64_t perHead = pairing->headSize / 32, turned = pairing->half() / 16;
  Value inHead = t.rem(unit, t.i32(perHead)), head = t.mul(t.div(unit, t.i32(perHead)), 2 * perHead);
  Value isTurned = t.less(inHead, turned);
  Value first = t.select(isTurned, inHead, t.mul(inHead, 2));
  Value second = t.add(first, t.select(isTurned, t.i32(turned), t.i32(1)));
  return {t.add(head, first), t.add(head, second)};
}

//===----------------------------------------------------------------------===//
// The group as a whole
//===----------------------------------------------------------------------===//

const Product &FusedGroup::product() const {
  return llvm::max_element(branches,
                           [](const FusedBranch &a, const FusedBranch &b) { return a.columns() < b.columns(); })
      ->products[0]
      .product();
}

bool FusedGroup::isWritten(Value memory) const {
  return llvm::any_of(branches, [&](const FusedBranch &branch) {
    return llvm::any_of(branch.products, [&](const FusedProduct &product) { return writes(product.op, memory); }) ||
           llvm::any_of(branch.steps, [&](Operation *step) { return writes(step, memory); });
  });
}

int64_t FusedGroup::halfWords() const {
  const Product &p = product();
  int64_t words = p.rowUnits() * p.rowUnit() * kHalfSteps * kHalfInputs / 2;
  bool fits = 8 * words + (norm ? p.inputs * 4 : 0) + 2048 <= kMostSharedBytes;
  return p.halfTiles && fits ? words : 0;
}

int64_t FusedLayout::take(int64_t size) {
  int64_t at = bytes;
  bytes += llvm::alignTo(size, 16);
  return at;
}

FusedLayout::FusedLayout(const FusedGroup &group) {
  int64_t inputs = group.product().inputs, halfBytes = group.halfWords() * 4;
  // Outliers are found as a bit per input, or given by their columns.
  Operation *quantization = group.quantization;
  bool areFound = isa_and_present<kernel::SplitColumnsOp>(quantization);
  bool areGiven = isa_and_present<kernel::SplitColumnsAtOp>(quantization);
  auto dynamic = dyn_cast_or_null<kernel::DynamicQuantizeOp>(quantization);
  sums = take(group.product().foldsIntegers() ? orderedBytes(/*rows=*/1) : kRowWarps * kWarpColumns * 4);
  scale = take(dynamic ? 4 * dynamic.groups() : quantization ? 4 : 0);
  outliers = take(areFound ? llvm::divideCeil(inputs, kWarp) * 4 : areGiven ? inputs * 4 : 0);
  marks = take(areGiven ? inputs : 0);
  row = take(group.norm ? inputs * 4 : 0);
  codes = take(quantization ? inputs : 0);
  high = take(halfBytes);
  low = take(halfBytes);
}

//===----------------------------------------------------------------------===//
// From a stage
//===----------------------------------------------------------------------===//

namespace {

/// Fills a group from its stage.
class Reader {
public:
  Reader(FusedGroup &group, kernel::StageOp stage) : group(group), steps(stage.getSteps()) {
    for (kernel::ProductOpInterface product : stage.getProductOps())
      products.push_back({product, describeProduct(product)});
  }

  /// False where one launch cannot do it.
  bool read() {
    auto isKnown = [](const FusedProduct &product) { return product.form.product != nullptr; };
    auto isPossible = [](Operation *step) {
      auto loop = dyn_cast<linalg::GenericOp>(step);
      return isa<kernel::RotaryOp, kernel::CacheAppendOp>(step) || (loop && isFloatLoop(loop));
    };
    return llvm::all_of(products, isKnown) && llvm::all_of(steps, isPossible) && formBranches() && areAlike();
  }

private:
  /// Steps join the products whose results, or whose memory, they have in common.
  bool formBranches() {
    llvm::IntEqClasses classes(products.size() + steps.size());
    llvm::DenseMap<Value, SmallVector<std::pair<unsigned, bool>>> uses; // (who, writes)
    auto touch = [&](Value operand, unsigned who, bool writes) {
      Value memory = kernel::getMemory(operand);
      for (auto [other, wrote] : uses[memory])
        if (writes || wrote)
          classes.join(other, who);
      uses[memory].push_back({who, writes});
    };
    for (auto [i, product] : llvm::enumerate(products))
      touch(product.op.getY(), i, /*writes=*/true);
    for (auto [i, step] : llvm::enumerate(steps))
      for (OpOperand &operand : step->getOpOperands())
        touch(operand.get(), products.size() + i, cast<DestinationStyleOpInterface>(step).isDpsInit(&operand));
    classes.compress();
    group.branches.resize(classes.getNumClasses());
    for (auto [i, product] : llvm::enumerate(products))
      group.branches[classes[i]].products.push_back(std::move(product));
    for (auto [i, step] : llvm::enumerate(steps)) {
      FusedBranch &branch = group.branches[classes[products.size() + i]];
      branch.steps.push_back(step);
      bool fits = llvm::TypeSwitch<Operation *, bool>(step)
                      .Case([&](kernel::RotaryOp rotary) { return hasHeads(branch, rotary) && pair(branch, rotary); })
                      .Case([&](kernel::CacheAppendOp append) { return hasHeads(branch, append); })
                      .Default(true);
      if (!fits)
        return false;
    }
    return true;
  }

  /// The result of the one product of the branch, seen as heads.
  template <typename Op>
  static bool hasHeads(const FusedBranch &branch, Op step) {
    return branch.products.size() == 1 && step.heads() * step.headSize() == branch.columns();
  }

  static bool pair(FusedBranch &branch, kernel::RotaryOp rotary) {
    Pairing pairing{rotary.headSize(), rotary.rotated(), rotary.getInterleaved()};
    bool isSame = !branch.pairing || *branch.pairing == pairing;
    branch.pairing = pairing;
    return isSame && pairing.isPossible();
  }

  /// Whether all blocks of a launch can run the same loop over the inputs.
  bool areAlike() const {
    kernel::ProductOpInterface model = group.branches[0].products[0].op;
    size_t perBranch = group.branches[0].products.size();
    for (const FusedBranch &branch : group.branches)
      if (branch.products.size() != perBranch || !llvm::all_of(branch.products, [&](const FusedProduct &p) {
            return p.product().columns == branch.columns() && isAlike(p.op, model);
          }))
        return false;
    return kRowWarps % perBranch == 0 && FusedLayout(group).bytes <= kMostSharedBytes;
  }

  /// Products, of one kind, that differ only in their columns.
  static bool isAlike(kernel::ProductOpInterface a, kernel::ProductOpInterface b) {
    auto isOfOneForm = [](auto types) {
      auto x = cast<MemRefType>(std::get<0>(types)), y = cast<MemRefType>(std::get<1>(types));
      return x.getElementType() == y.getElementType() && x.getRank() == y.getRank();
    };
    return a->getNumOperands() == b->getNumOperands() && a->getAttrDictionary() == b->getAttrDictionary() &&
           a.inputs() == b.inputs() && llvm::all_of(llvm::zip(a->getOperandTypes(), b->getOperandTypes()), isOfOneForm);
  }

  FusedGroup &group;
  SmallVector<FusedProduct> products;
  SmallVector<Operation *> steps;
};

} // namespace

/// The arguments of the group that the stage reads or writes in memory: all but scratch of
/// its own.
static SmallVector<BlockArgument> argumentsInMemory(kernel::StageOp stage) {
  auto group = cast<kernel::GroupOp>(stage->getParentOp());
  SmallVector<BlockArgument> result;
  for (BlockArgument argument : group.getArguments()) {
    auto isUsedBy = [&](kernel::StageOp other) {
      return llvm::any_of(other.getOperationsInOrder(), [&](Operation *op) { return uses(op, argument); });
    };
    auto isUsedByOther = [&](kernel::StageOp other) { return other != stage && isUsedBy(other); };
    bool isOwnScratch = group.isScratch(argument) && llvm::none_of(group.getStages(), isUsedByOther);
    if (isa<MemRefType>(argument.getType()) && !isOwnScratch && isUsedBy(stage))
      result.push_back(argument);
  }
  return result;
}

std::optional<FusedGroup> FusedGroup::read(kernel::StageOp stage) {
  FusedGroup group;
  group.memory = argumentsInMemory(stage);
  group.norm = stage.getNorm();
  group.quantization = stage.getQuantization();
  group.x = stage.getInput();
  return Reader(group, stage).read() ? std::optional<FusedGroup>(std::move(group)) : std::nullopt;
}

} // namespace qopt::cuda
