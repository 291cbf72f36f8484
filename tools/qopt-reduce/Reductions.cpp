//===- Reductions.cpp - Ways to make a module smaller ---------------------===//
//
// Every way makes one of these smaller and none before it larger, so that reduction ends: the
// operations, the results and arguments of functions, the attributes, the data.
//
//===----------------------------------------------------------------------===//
#include "Reductions.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

/// Functions that have a body, in the order of the module.
static std::vector<FunctionOpInterface> functionsWithBody(ModuleOp module) {
  std::vector<FunctionOpInterface> functions;
  module.walk<WalkOrder::PreOrder>([&](FunctionOpInterface function) {
    if (!function.isExternal())
      functions.push_back(function);
  });
  return functions;
}

/// The function whose arguments `op` could use; null where a region in between sees nothing of it.
static FunctionOpInterface functionAround(Operation *op) {
  for (op = op->getParentOp(); op; op = op->getParentOp()) {
    if (auto function = dyn_cast<FunctionOpInterface>(op))
      return function;
    if (op->hasTrait<OpTrait::IsIsolatedFromAbove>())
      return nullptr;
  }
  return nullptr;
}

void eraseDeadCode(ModuleOp module) {
  module.walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isOpTriviallyDead(op))
      op->erase();
  });
}

//===----------------------------------------------------------------------===//
// The reductions
//===----------------------------------------------------------------------===//

/// Weights become zeros, of which no data need be printed.
static std::vector<Place> zeroData(ModuleOp module) {
  std::vector<Place> places;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs()) {
      auto elements = dyn_cast<ElementsAttr>(attribute.getValue());
      if (!elements || !elements.getElementType().isIntOrIndexOrFloat() || !elements.getShapedType().hasStaticShape() ||
          elements.getNumElements() == 0 || elements.isSplat())
        continue;
      Attribute zero = Builder(op).getZeroAttr(elements.getElementType());
      places.push_back([op, name = attribute.getName(), zero, type = elements.getShapedType()] {
        op->setAttr(name, DenseElementsAttr::get(type, zero));
      });
    }
  });
  return places;
}

/// Functions lose their bodies, and stay for those that call them.
static std::vector<Place> eraseBodies(ModuleOp module) {
  std::vector<Place> places;
  for (FunctionOpInterface function : functionsWithBody(module))
    places.push_back([function]() mutable {
      function.eraseBody();
      SymbolTable::setSymbolVisibility(function, SymbolTable::Visibility::Private);
    });
  return places;
}

/// Functions and other symbols go.
static std::vector<Place> eraseSymbols(ModuleOp module) {
  std::vector<Place> places;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op != module && isa<SymbolOpInterface>(op) && op->use_empty())
      places.push_back([op] { op->erase(); });
  });
  return places;
}

/// Functions return less.
static std::vector<Place> eraseResults(ModuleOp module) {
  std::vector<Place> places;
  for (FunctionOpInterface function : functionsWithBody(module))
    for (unsigned index = 0; index < function.getNumResults(); ++index)
      places.push_back([function, index]() mutable {
        for (Block &block : function.getFunctionBody())
          if (Operation &last = block.back(); last.hasTrait<OpTrait::ReturnLike>() && index < last.getNumOperands())
            last.eraseOperand(index);
        (void)function.eraseResult(index);
      });
  return places;
}

/// Operations that may go: neither symbols nor ends of blocks.
static void walkOperations(ModuleOp module, llvm::function_ref<void(Operation *)> visit) {
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op != module && !isa<SymbolOpInterface>(op) && !op->hasTrait<OpTrait::IsTerminator>())
      visit(op);
  });
}

/// The operation that a function returns with, of several any; null where there is none.
static Operation *findReturn(FunctionOpInterface function) {
  for (Block &block : function.getFunctionBody())
    if (!block.empty() && block.back().hasTrait<OpTrait::ReturnLike>())
      return &block.back();
  return nullptr;
}

/// Functions return what an operation of their first block computes, and end behind it.
static std::vector<Place> returnEarly(ModuleOp module) {
  std::vector<Place> places;
  for (FunctionOpInterface function : functionsWithBody(module)) {
    Operation *last = findReturn(function);
    for (Operation &op : function.getFunctionBody().front()) {
      if (!last || op.hasTrait<OpTrait::IsTerminator>() || op.getNextNode() == last)
        break;
      places.push_back([function, op = &op, last]() mutable {
        Region &body = function.getFunctionBody();
        last->moveBefore(&body.front(), body.front().end());
        last->setOperands(op->getResults());
        for (Block &block : llvm::drop_begin(body)) {
          block.dropAllReferences();
          block.dropAllDefinedValueUses();
        }
        while (!llvm::hasSingleElement(body))
          body.back().erase();
        while (last->getPrevNode() != op)
          last->getPrevNode()->erase();
        function.removeResAttrsAttr();
        function.setType(function.cloneTypeWith(function.getArgumentTypes(), op->getResultTypes()));
      });
    }
  }
  return places;
}

/// Lets users of `value` take a new argument of `function`, if there are any.
static void replaceByArgument(Value value, FunctionOpInterface function) {
  unsigned index = function ? function.getNumArguments() : 0;
  if (!function || value.use_empty() || failed(function.insertArgument(index, value.getType(), {}, value.getLoc())))
    return;
  value.replaceAllUsesWith(function.getArgument(index));
}

/// Erases an operation whose users have something else by now; else leaves it there.
static void eraseUnused(Operation *op) {
  if (op->use_empty())
    op->erase();
}

/// Operations go, and their function gets what they computed as arguments.
static std::vector<Place> cutOperations(ModuleOp module) {
  std::vector<Place> places;
  walkOperations(module, [&](Operation *op) {
    places.push_back([op] {
      for (Value result : op->getResults())
        replaceByArgument(result, functionAround(op));
      eraseUnused(op);
    });
  });
  return places;
}

/// Operations with regions go, and what is in their regions stands in their place.
static std::vector<Place> unwrapRegions(ModuleOp module) {
  std::vector<Place> places;
  walkOperations(module, [&](Operation *op) {
    auto isPlain = [](Region &region) { return region.empty() || llvm::hasSingleElement(region); };
    if (op->getNumRegions() == 0 || !llvm::all_of(op->getRegions(), isPlain))
      return;
    places.push_back([op] {
      FunctionOpInterface function = functionAround(op);
      for (Region &region : op->getRegions()) {
        if (region.empty())
          continue;
        Block &block = region.front();
        for (BlockArgument argument : block.getArguments())
          replaceByArgument(argument, function);
        if (!llvm::all_of(block.getArguments(), [](Value argument) { return argument.use_empty(); }))
          return;
        if (!block.empty() && block.back().hasTrait<OpTrait::IsTerminator>()) {
          for (auto [result, value] : llvm::zip(op->getResults(), block.back().getOperands()))
            if (result.getType() == value.getType())
              result.replaceAllUsesWith(value);
          block.back().erase();
        }
        op->getBlock()->getOperations().splice(op->getIterator(), block.getOperations());
      }
      for (Value result : op->getResults())
        replaceByArgument(result, function);
      eraseUnused(op);
    });
  });
  return places;
}

/// Operations go, and their users take an operand of theirs of the same type.
static std::vector<Place> bypassOperations(ModuleOp module) {
  std::vector<Place> places;
  walkOperations(module, [&](Operation *op) {
    auto operandFor = [](Value result) -> Value {
      for (Value operand : result.getDefiningOp()->getOperands())
        if (operand.getType() == result.getType())
          return operand;
      return nullptr;
    };
    if (op->use_empty() ||
        !llvm::all_of(op->getResults(), [&](Value result) { return result.use_empty() || operandFor(result); }))
      return;
    places.push_back([op, operandFor] {
      for (Value result : op->getResults())
        if (!result.use_empty())
          result.replaceAllUsesWith(operandFor(result));
      op->erase();
    });
  });
  return places;
}

/// Arguments go, and their users take the first one of the same type.
static std::vector<Place> eraseArguments(ModuleOp module) {
  std::vector<Place> places;
  for (FunctionOpInterface function : functionsWithBody(module)) {
    llvm::DenseMap<Type, Value> firstOfType;
    for (BlockArgument argument : function.getArguments()) {
      Value first = firstOfType.try_emplace(argument.getType(), argument).first->second;
      if (first == argument && !argument.use_empty())
        continue;
      places.push_back([function, argument, first]() mutable {
        if (first != argument)
          argument.replaceAllUsesWith(first);
        else if (!argument.use_empty())
          return; // those of a later one, by now
        (void)function.eraseArgument(argument.getArgNumber());
      });
    }
  }
  return places;
}

/// Attributes go that no operation defines as its own (MLIR's verifiers and interfaces do not
/// survive the lack of some of these), also those of arguments and results of functions.
static std::vector<Place> eraseAttributes(ModuleOp module) {
  std::vector<Place> places;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (NamedAttribute attribute : op->getDiscardableAttrs())
      places.push_back([op, name = attribute.getName()] { op->removeDiscardableAttr(name); });
    auto function = dyn_cast<FunctionOpInterface>(op);
    if (!function)
      return;
    for (unsigned index = 0; index < function.getNumArguments(); ++index)
      for (NamedAttribute attribute : function.getArgAttrs(index))
        places.push_back(
            [function, index, name = attribute.getName()]() mutable { function.removeArgAttr(index, name); });
    for (unsigned index = 0; index < function.getNumResults(); ++index)
      for (NamedAttribute attribute : function.getResultAttrs(index))
        places.push_back(
            [function, index, name = attribute.getName()]() mutable { function.removeResultAttr(index, name); });
  });
  return places;
}

ArrayRef<Reduction> allReductions() {
  static const Reduction reductions[] = {zeroData,       eraseBodies,    eraseSymbols,  eraseResults,
                                         returnEarly,    cutOperations,  unwrapRegions, bypassOperations,
                                         eraseArguments, eraseAttributes};
  return reductions;
}
