//===- FusedGroup.cpp - Reading groups of kernels --------------------------===//
#include "FusedGroup.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

StringRef FusedCall::kernel() const {
  auto name = func::FuncOp(callee)->getAttrOfType<StringAttr>(kKernelAttr);
  return name ? name.getValue() : "";
}

Value memoryOf(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return value;
}

bool FusedCall::uses(Value memory, unsigned from) const {
  for (unsigned i = from; i < op->getNumOperands(); ++i)
    if (this->memory(i) == memory)
      return true;
  return false;
}

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

const Product &FusedGroup::product() const {
  return llvm::max_element(branches,
                           [](const FusedBranch &a, const FusedBranch &b) { return a.columns() < b.columns(); })
      ->products[0]
      .product();
}

bool FusedGroup::isWritten(Value memory) const {
  auto writes = [&](const auto &part) { return part.call.writes(memory); };
  return llvm::any_of(branches, [&](const FusedBranch &branch) {
    return llvm::any_of(branch.products, writes) || llvm::any_of(branch.steps, writes);
  });
}

int64_t FusedGroup::halfWords() const {
  const Product &p = product();
  int64_t words = p.rowUnits() * p.rowUnit() * kHalfSteps * kHalfInputs / 2;
  bool fits = 8 * words + (norm ? p.inputs * 4 : 0) + 2048 <= kMostSharedBytes;
  return p.halfTiles && fits ? words : 0;
}

FusedGroup::Layout FusedGroup::layout() const {
  int64_t inputs = product().inputs;
  Layout l{};
  // Outliers are found as a bit per input, or given by their columns.
  StringRef kind = quantization ? quantization.kernel() : "";
  bool areFound = kind == "split_columns", areGiven = kind == "split_columns_at";
  int64_t outlierBytes = areFound ? llvm::divideCeil(inputs, kWarp) * 4 : areGiven ? inputs * 4 : 0;
  int64_t *const places[] = {&l.sums, &l.scale, &l.outliers, &l.marks, &l.row, &l.codes, &l.high, &l.low, &l.bytes};
  const int64_t bytes[] = {
      kRowWarps * kWarpColumns * 4, quantization ? 4 : 0,      outlierBytes,    areGiven ? inputs : 0,
      norm ? inputs * 4 : 0,        quantization ? inputs : 0, halfWords() * 4, halfWords() * 4};
  for (auto [i, size] : llvm::enumerate(bytes))
    *places[i + 1] = *places[i] + llvm::alignTo(size, 16);
  return l;
}

namespace {

/// Reads a group call by call; false where one launch cannot do it.
class Reader {
public:
  explicit Reader(FusedGroup &group) : group(group) {}

  FailureOr<bool> read(const Calls &calls) {
    for (const FusedCall &call : calls) {
      FailureOr<bool> isKnown = add(call);
      if (failed(isKnown) || !*isKnown)
        return isKnown;
    }
    return !products.empty() && isa<BlockArgument>(memoryOf(group.x)) && formBranches() && areAlike();
  }

private:
  /// Whether the call is of a kind that can be part of a launch.
  FailureOr<bool> add(FusedCall call) {
    StringRef kernel = call.kernel();
    bool isFirst = !group.x;
    if (isFirst)
      group.x = call.op->getOperand(0);
    if (kernel.starts_with("matmul_")) {
      KernelDeclaration declaration(call.callee);
      FailureOr<ProductDeclaration> product = describeProduct(declaration);
      if (failed(product))
        return failure();
      products.push_back({call, std::move(*product)});
      return true;
    }
    if (kernel == "rms_norm") {
      group.norm = call;
      return isFirst;
    }
    if (countQuantizationResults(kernel)) {
      group.quantization = call;
      return products.empty();
    }
    if (kernel == "rotary" || kernel == "cache_append") {
      steps.push_back({call, nullptr});
      return true;
    }
    linalg::GenericOp loop = loopOf(call.callee);
    if (loop)
      steps.push_back({call, loop});
    return static_cast<bool>(loop);
  }

  /// Steps join the products whose results, or whose memory, they have in common.
  bool formBranches() {
    llvm::IntEqClasses classes(products.size() + steps.size());
    llvm::DenseMap<Value, SmallVector<std::pair<unsigned, bool>>> uses; // (who, writes)
    auto touch = [&](Value memory, unsigned who, bool writes) {
      for (auto [other, wrote] : uses[memory])
        if (writes || wrote)
          classes.join(other, who);
      uses[memory].push_back({who, writes});
    };
    for (auto [i, product] : llvm::enumerate(products))
      touch(product.call.memory(product.declaration.y), i, /*writes=*/true);
    for (auto [i, step] : llvm::enumerate(steps)) {
      for (unsigned j = 0; j < step.call.op->getNumOperands(); ++j)
        touch(step.call.memory(j), products.size() + i, /*writes=*/j >= step.call.firstResult);
    }
    classes.compress();
    group.branches.resize(classes.getNumClasses());
    for (auto [i, product] : llvm::enumerate(products))
      group.branches[classes[i]].products.push_back(std::move(product));
    for (auto [i, step] : llvm::enumerate(steps)) {
      FusedBranch &branch = group.branches[classes[products.size() + i]];
      branch.steps.push_back(step);
      if (!step.loop &&
          !(hasHeads(branch, step.call) && (step.call.kernel() != "rotary" || setPairing(branch, step.call))))
        return false;
    }
    return true;
  }

  /// The result of the one product of the branch, seen as known heads.
  static bool hasHeads(const FusedBranch &branch, const FusedCall &step) {
    KernelDeclaration declaration(step.callee);
    int64_t size = declaration.size(0, 3), heads = declaration.size(0, declaration.flag("heads_first") ? 1 : 2);
    return branch.products.size() == 1 && !ShapedType::isDynamic(size) && heads * size == branch.columns();
  }

  static bool setPairing(FusedBranch &branch, const FusedCall &rotary) {
    KernelDeclaration declaration(rotary.callee);
    int64_t size = declaration.size(0, 3);
    Pairing pairing{size, declaration.integer("rotary_dim", size), declaration.flag("interleaved")};
    bool isSame = !branch.pairing || *branch.pairing == pairing;
    branch.pairing = pairing;
    return isSame && pairing.isPossible();
  }

  /// Whether all blocks of a launch can run the same loop over the inputs.
  bool areAlike() const {
    const FusedProduct &model = group.branches[0].products[0];
    size_t perBranch = group.branches[0].products.size();
    for (const FusedBranch &branch : group.branches)
      if (branch.products.size() != perBranch || !llvm::all_of(branch.products, [&](const FusedProduct &p) {
            return p.product().columns == branch.columns() && isAlike(p.call, model.call);
          }))
        return false;
    return kRowWarps % perBranch == 0 && group.layout().bytes <= kMostSharedBytes;
  }

  /// Products that differ only in their columns.
  static bool isAlike(const FusedCall &a, const FusedCall &b) {
    func::FuncOp left = a.callee, right = b.callee;
    if (a.kernel() != b.kernel() || left.getNumArguments() != right.getNumArguments() ||
        left->getAttr(kKernelConfigAttr) != right->getAttr(kKernelConfigAttr))
      return false;
    return llvm::all_of(llvm::zip(left.getArgumentTypes(), right.getArgumentTypes()),
                        [](auto types) {
                          auto x = cast<MemRefType>(std::get<0>(types)), y = cast<MemRefType>(std::get<1>(types));
                          return x.getElementType() == y.getElementType() && x.getRank() == y.getRank();
                        }) &&
           left.getArgumentTypes()[0] == right.getArgumentTypes()[0];
  }

  FusedGroup &group;
  SmallVector<FusedProduct> products;
  SmallVector<FusedStep> steps;
};

} // namespace

linalg::GenericOp loopOf(func::FuncOp callee) {
  if (callee.isDeclaration())
    return nullptr;
  linalg::GenericOp loop;
  for (Operation &op : callee.getBody().front().without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      continue;
    if (loop || !isa<linalg::GenericOp>(op))
      return nullptr;
    loop = cast<linalg::GenericOp>(op);
  }
  if (!loop || !llvm::equal(loop->getOperands(), callee.getArguments()))
    return nullptr;
  // It is elementwise, since it is in a group.
  bool areFloats = llvm::all_of(loop->getOperandTypes(), [](Type type) {
    return isa<MemRefType>(type) && cast<MemRefType>(type).getElementType().isF32();
  });
  return areFloats ? loop : nullptr;
}

static FusedCall describeCall(func::CallOp call) {
  auto callee = call->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(call.getCallee());
  FusedCall result{call, callee};
  unsigned written = std::max(countQuantizationResults(result.kernel()), 1u);
  if (linalg::GenericOp loop = loopOf(callee))
    written = loop.getNumDpsInits();
  result.firstResult = call.getNumOperands() - written;
  return result;
}

SmallVector<Calls> cutGroup(func::FuncOp function) {
  SmallVector<Calls> parts(1);
  bool hasProduct = false;
  for (auto op : function.getBody().front().getOps<func::CallOp>()) {
    FusedCall call = describeCall(op);
    StringRef kernel = call.kernel();
    if (hasProduct && countQuantizationResults(kernel)) {
      parts.emplace_back();
      hasProduct = false;
    }
    hasProduct |= kernel.starts_with("matmul_");
    parts.back().push_back(call);
  }
  return parts;
}

/// The arguments of `function` that the part reads or writes in memory: all but scratch of
/// its own.
static SmallVector<BlockArgument> argumentsInMemory(func::FuncOp function, ArrayRef<Calls> parts, const Calls &part) {
  SmallVector<BlockArgument> result;
  for (BlockArgument argument : function.getArguments()) {
    auto isUsedBy = [&](const Calls &calls) {
      return llvm::any_of(calls, [&](const FusedCall &call) { return call.uses(argument); });
    };
    auto isUsedByOther = [&](const Calls &other) { return &other != &part && isUsedBy(other); };
    bool isScratch = function.getArgAttr(argument.getArgNumber(), kScratchAttr) && llvm::none_of(parts, isUsedByOther);
    if (isa<MemRefType>(argument.getType()) && !isScratch && isUsedBy(part))
      result.push_back(argument);
  }
  return result;
}

FailureOr<std::optional<FusedGroup>> FusedGroup::read(func::FuncOp function, ArrayRef<Calls> parts, const Calls &part) {
  FusedGroup group;
  group.memory = argumentsInMemory(function, parts, part);
  FailureOr<bool> isFusable = Reader(group).read(part);
  if (failed(isFusable))
    return failure();
  return *isFusable ? std::optional<FusedGroup>(std::move(group)) : std::nullopt;
}

} // namespace qopt::cuda
