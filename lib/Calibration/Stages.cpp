//===- Stages.cpp - A function cut at its observed values -----------------===//
//
// What observer i needs and no earlier one needed becomes stage i; equal stages share
// one function.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Stages.h"
#include "StageReaders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
#include "qopt/Dialect/Constants.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Constants up to this many elements stay in the code of a stage: axes, shapes
/// and factors, which operators are lowered by.
constexpr int64_t kMaxInlineElements = 16;

class Outliner {
public:
  explicit Outliner(func::FuncOp function) : function(function) {}

  FailureOr<StagePlan> run() {
    if (failed(assignOperations()))
      return failure();
    for (Stage &stage : plan.stages)
      stage.residual = findResidual(stage);
    findLiveValues();
    plan.module = ModuleOp::create(UnknownLoc::get(function.getContext()));
    for (auto [index, stage] : llvm::enumerate(plan.stages))
      if (!operations[index].empty())
        outline(stage, operations[index]);
    return std::move(plan);
  }

private:
  static bool isInlined(ElementsAttr value) { return value.getNumElements() <= kMaxInlineElements; }

  /// What observer i needs and no earlier one needed becomes stage i.
  LogicalResult assignOperations() {
    if (!function.getBody().hasOneBlock())
      return function.emitOpError() << "expected one block but got " << function.getBody().getBlocks().size();
    for (ObserveOp observe : function.getOps<ObserveOp>()) {
      int64_t index = plan.stages.size();
      plan.stages.emplace_back().observe = observe;
      operations.emplace_back();
      SmallVector<Value> pending{observe.getInput()};
      while (!pending.empty()) {
        Operation *op = pending.pop_back_val().getDefiningOp();
        if (!op || isa<ObserveOp>(op) || matchWeight(op->getResult(0)) || stageOf.contains(op))
          continue;
        if (op->getNumRegions() != 0)
          return op->emitOpError("has a region: calibration cannot cut through it");
        stageOf[op] = index;
        pending.append(op->operand_begin(), op->operand_end());
      }
    }
    for (Operation &op : function.getBody().front())
      if (auto found = stageOf.find(&op); found != stageOf.end())
        operations[found->second].push_back(&op);
    return success();
  }

  /// What the output of the stage's reader is added to, if that is there by then.
  Value findResidual(const Stage &stage) const {
    Value value = StageReaders(stage).findResidual();
    Operation *op = value ? value.getDefiningOp() : nullptr;
    auto maker = stageOf.find(op);
    bool isKnown = op ? maker != stageOf.end() && maker->second <= &stage - plan.stages.data() : bool(value);
    return isKnown ? value : Value();
  }

  /// Inputs, outputs and last uses from who reads what.
  void findLiveValues() {
    llvm::MapVector<Value, int64_t> lastReader;
    std::vector<llvm::SetVector<Value>> outputs(plan.stages.size());
    for (auto [index, stage] : llvm::enumerate(plan.stages)) {
      auto read = [&](Value value, bool byStage) {
        Operation *op = value.getDefiningOp();
        auto maker = op ? stageOf.find(op) : stageOf.end();
        if (maker != stageOf.end() && (maker->second != int64_t(index) || !byStage))
          outputs[maker->second].insert(value);
        if (byStage && maker != stageOf.end() && maker->second == int64_t(index))
          return;
        lastReader[value] = index;
        if (byStage)
          inputs.insert(value);
      };
      inputs.clear();
      for (Operation *op : operations[index])
        for (Value operand : op->getOperands())
          if (!matchWeight(operand))
            read(operand, /*byStage=*/true);
      read(stage.observe.getInput(), /*byStage=*/false);
      if (stage.residual)
        read(stage.residual, /*byStage=*/false);
      stage.inputs.assign(inputs.begin(), inputs.end());
    }
    for (auto [stage, values] : llvm::zip(plan.stages, outputs))
      stage.outputs.assign(values.begin(), values.end());
    for (auto [value, index] : lastReader)
      plan.stages[index].lastUses.push_back(value);
  }

  /// Makes the function of `stage`, or finds an equal one.
  void outline(Stage &stage, ArrayRef<Operation *> stageOps) {
    OpBuilder builder = OpBuilder::atBlockEnd(plan.module->getBody());
    Location location = builder.getUnknownLoc();
    auto copy = func::FuncOp::create(builder, location, ("stage_" + llvm::Twine(plan.numDistinct)).str(),
                                     builder.getFunctionType({}, {}));
    Block *block = copy.addEntryBlock();
    IRMapping mapping;
    for (Value input : stage.inputs)
      mapping.map(input, block->addArgument(input.getType(), location));

    builder.setInsertionPointToEnd(block);
    llvm::MapVector<std::pair<Attribute, Operation *>, Value> weights;
    for (Operation *op : stageOps) {
      std::optional<Linear> linear = Linear::match(op);
      SmallVector<Value> operands;
      for (OpOperand &operand : op->getOpOperands()) {
        std::optional<ConstantView> constant = matchWeight(operand.get());
        ElementsAttr value = constant ? constant->value : ElementsAttr();
        if (!value) {
          operands.push_back(mapping.lookup(operand.get()));
        } else if (isInlined(value) && value.getType() == operand.get().getType()) {
          operands.push_back(onnx::ConstantOp::create(builder, location, operand.get().getType(), value));
        } else {
          bool isLinear = linear && operand.getOperandNumber() == 1;
          bool isWidened = value.getType() != operand.get().getType();
          Value &argument = weights[{value, isLinear || isWidened ? op : nullptr}];
          if (!argument) {
            argument = block->addArgument(operand.get().getType(), location);
            stage.weights.push_back({value, isWidened, isLinear ? linear : std::nullopt});
          }
          operands.push_back(argument);
        }
      }
      Operation *clone = op->cloneWithoutRegions();
      clone->setOperands(operands);
      clone->setLoc(location);
      clone->setDiscardableAttrs(DictionaryAttr::get(op->getContext()));
      builder.insert(clone);
      mapping.map(op->getResults(), clone->getResults());
    }
    SmallVector<Value> results;
    for (Value output : stage.outputs)
      results.push_back(mapping.lookup(output));
    func::ReturnOp::create(builder, location, results);
    copy.setFunctionType(builder.getFunctionType(block->getArgumentTypes(), ValueRange(results).getTypes()));

    for (func::FuncOp other : plan.module->getOps<func::FuncOp>())
      if (other != copy && other.getFunctionType() == copy.getFunctionType() &&
          OperationEquivalence::isRegionEquivalentTo(&other.getBody(), &copy.getBody(),
                                                     OperationEquivalence::IgnoreLocations)) {
        stage.function = other.getName().str();
        copy.erase();
        return;
      }
    stage.function = copy.getName().str();
    ++plan.numDistinct;
  }

  func::FuncOp function;
  StagePlan plan;
  llvm::DenseMap<Operation *, int64_t> stageOf;
  std::vector<SmallVector<Operation *>> operations; ///< by stage, in order of the function
  llvm::SetVector<Value> inputs;                    ///< of the stage at hand
};

} // namespace

FailureOr<StagePlan> qopt::outlineStages(func::FuncOp function) { return Outliner(function).run(); }
