//===- AssignRoles.cpp - What the inputs and outputs of a model are -------===//
//
// Exporters name inputs as they like, so a name proves nothing. What an input is shows
// in what the graph does with it: token ids choose rows of the embedding table, positions
// turn into angles, a mask meets the attention scores without a product in between, keys
// are multiplied to scores and values by the softmax of these. Names only decide where
// the graph leaves it open. The outputs follow from the inputs: logits are as wide as the
// vocabulary, hidden states as wide as an embedding.
//
//===----------------------------------------------------------------------===//
#include "RoleUses.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_ASSIGNROLES
#include "qopt/Passes/Passes.h.inc"

namespace {

using raise::Uses;

/// An argument or a result on its way to its role.
struct Port {
  Value value; ///< the argument, or what is returned
  RankedTensorType type;
  std::string name; ///< in lower case
  std::optional<Role> role;
  Uses uses;

  bool isFree() const { return type && !role; }
  bool isInteger() const { return type.getElementType().isInteger(32) || type.getElementType().isInteger(64); }
  bool isFloat() const { return isa<FloatType>(type.getElementType()); }
  bool isNamed(StringRef part) const { return StringRef(name).contains(part); }
  int64_t width() const { return type.getRank() ? type.getShape().back() : ShapedType::kDynamic; }
};

class RoleAssignment {
public:
  explicit RoleAssignment(func::FuncOp function) : function(function) {}

  /// Returns how many roles have been decided.
  int64_t run() {
    collect();
    findTokens();
    findPositions();
    findMasks();
    findOthers();
    findPasts();
    findPresents();
    findLogits();
    findHiddenStates();
    return write();
  }

private:
  void collect();
  void findTokens();
  void findPositions();
  void findMasks();
  void findOthers();
  void findPasts();
  void findPresents();
  void findLogits();
  void findHiddenStates();
  int64_t write();

  bool isVocabulary(int64_t rows) const;
  bool isLastOnly(const Port &output) const;

  func::FuncOp function;
  SmallVector<Port> inputs, outputs;
  const Port *tokens = nullptr; ///< token ids, or embeddings in their place
  int64_t vocabulary = ShapedType::kDynamic, features = ShapedType::kDynamic;
};

void RoleAssignment::collect() {
  auto port = [](Value value, Type type, StringAttr name, RoleAttr given) {
    Port port{value, dyn_cast<RankedTensorType>(type), name ? name.getValue().lower() : std::string(), {}, {}};
    if (given)
      port.role = given.getValue();
    if (port.type)
      port.uses = raise::findUses(value);
    return port;
  };
  for (BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    inputs.push_back(port(argument, argument.getType(), getArgAttr<onnx::attrs::Name>(function, i),
                          getArgAttr<attrs::Role>(function, i)));
  }
  for (OpOperand &operand : function.front().getTerminator()->getOpOperands()) {
    unsigned i = operand.getOperandNumber();
    outputs.push_back(port(operand.get(), operand.get().getType(), getResultAttr<onnx::attrs::Name>(function, i),
                           getResultAttr<attrs::Role>(function, i)));
  }
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

/// Whether something that is returned comes out of a product of this width.
bool RoleAssignment::isVocabulary(int64_t rows) const {
  return llvm::any_of(outputs, [&](const Port &output) {
    std::optional<int64_t> width = output.type ? raise::findProductWidth(output.value) : std::nullopt;
    return width == rows;
  });
}

/// Token ids choose rows of a table. So may positions and token types, but only one table
/// has as many rows as there are logits; if none has, names and then sizes decide.
void RoleAssignment::findTokens() {
  auto rows = [](const Port &port) { return cast<ShapedType>(port.uses.tables.front().getType()).getDimSize(0); };
  auto rank = [&](const Port &port) {
    bool isOther = port.isNamed("position") || port.isNamed("type") || port.isNamed("segment") || port.isNamed("mask");
    return std::tuple(isVocabulary(rows(port)), !isOther, rows(port));
  };
  Port *found = nullptr;
  for (Port &input : inputs) {
    if (input.role == Role::TokenIds)
      found = &input;
    if (!input.isFree() || !input.isInteger() || input.type.getRank() < 1 || input.type.getRank() > 2 ||
        input.uses.tables.empty() || (found && found->role))
      continue;
    if (!found || rank(*found) < rank(input))
      found = &input;
  }
  // The table may be computed, or none: then there is only the name.
  for (Port &input : inputs)
    if (!found && input.isFree() && input.isInteger() && input.type.getRank() == 2 && input.name == "input_ids")
      found = &input;
  if (found) {
    found->role = Role::TokenIds;
    tokens = found;
    if (!found->uses.tables.empty()) {
      auto table = cast<ShapedType>(found->uses.tables.front().getType());
      vocabulary = table.getDimSize(0), features = table.getDimSize(1);
    }
    return;
  }
  for (Port &input : inputs) {
    bool canBe = input.isFree() && input.isFloat() && input.type.getRank() == 3 && input.uses.isProjected;
    if (input.role != Role::Embeddings && (!canBe || tokens))
      continue;
    input.role = Role::Embeddings;
    tokens = &input;
    features = input.width();
  }
}

/// Positions become angles, or choose rows of the tables of sines and cosines. Those of a
/// cache may only say which keys a token sees.
void RoleAssignment::findPositions() {
  for (Port &input : inputs) {
    if (!input.isFree() || !input.isInteger() || input.type.getRank() < 1 || input.type.getRank() > 2)
      continue;
    bool isNamed = input.isNamed("position");
    bool isOfCache = isNamed && input.uses.masks && input.type.getRank() == 1;
    if (input.uses.rotates || input.uses.tables.size() > 1 || (isNamed && !input.uses.tables.empty()) || isOfCache ||
        input.name == "position_ids")
      input.role = Role::PositionIds;
  }
}

/// Masks are added to the scores, or choose among them.
void RoleAssignment::findMasks() {
  for (Port &input : inputs) {
    if (!input.isFree())
      continue;
    bool meetsScores = input.uses.masks && !input.uses.rotates && !input.uses.isKey && !input.uses.isProjected;
    if (input.type.getRank() == 2 && (meetsScores || input.name == "attention_mask"))
      input.role = Role::AttentionMask;
    else if (input.type.getRank() > 2 && meetsScores && input.uses.biases)
      input.role = Role::AttentionBias;
  }
}

/// Types choose rows of a table that is added to the tokens'; a number may say from which
/// token on logits are computed.
void RoleAssignment::findOthers() {
  for (Port &input : inputs) {
    if (!input.isFree() || !input.isInteger())
      continue;
    bool isNamed = input.isNamed("type") || input.isNamed("segment");
    bool isNumber = input.type.getRank() == 0 || (input.type.getRank() == 1 && input.type.getDimSize(0) == 1);
    if (input.type.getRank() == 2 && isNamed && input.uses.tables.size() == 1 &&
        cast<ShapedType>(input.uses.tables.front().getType()).getDimSize(1) == features)
      input.role = Role::TokenTypes;
    else if (isNumber && input.uses.isBound)
      input.role = Role::LogitsToKeep;
  }
}

/// Keys and values of earlier tokens join those of a call, on their way into attention.
void RoleAssignment::findPasts() {
  int64_t unknown = 0;
  for (Port &input : inputs) {
    if (!input.isFree() || !input.isFloat() || input.type.getRank() < 3)
      continue;
    ArrayRef<int64_t> shape = input.type.getShape();
    bool looksLike = shape.size() == 4 && !ShapedType::isDynamic(shape[1]) && ShapedType::isDynamic(shape[2]) &&
                     !ShapedType::isDynamic(shape[3]);
    bool isNamed = StringRef(input.name).starts_with("past") && (input.isNamed("key") || input.isNamed("value"));
    if (input.uses.isKey != input.uses.isValue)
      input.role = input.uses.isKey ? Role::PastKey : Role::PastValue;
    else if (isNamed) // "past_key_values.0.key" is a key
      input.role = StringRef(input.name).rsplit('.').second.contains("value") ? Role::PastValue : Role::PastKey;
    else if (looksLike) // they come in pairs
      input.role = unknown++ % 2 ? Role::PastValue : Role::PastKey;
  }
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// Keys and values that the next call is given.
void RoleAssignment::findPresents() {
  for (auto [i, output] : llvm::enumerate(outputs)) {
    if (!output.isFree() || !output.isFloat() || output.type.getRank() < 3)
      continue;
    bool isKey = output.uses.isKey, isValue = output.uses.isValue;
    Value source = raise::skipCasts(output.value);
    if (auto attention = source.getDefiningOp<AttentionOp>()) {
      isKey |= source == attention.getPresentKey();
      isValue |= source == attention.getPresentValue();
    }
    for (const Port &input : inputs) {
      bool comesBack = input.role && isPast(*input.role) && llvm::is_contained(input.uses.results, i);
      isKey |= comesBack && input.role == Role::PastKey;
      isValue |= comesBack && input.role == Role::PastValue;
    }
    if (output.type.getRank() > 3 && isKey != isValue)
      output.role = isKey ? Role::PresentKey : Role::PresentValue;
    else if (StringRef(output.name).starts_with("present") && (output.isNamed("key") || output.isNamed("value")))
      output.role = StringRef(output.name).rsplit('.').second.contains("value") ? Role::PresentValue : Role::PresentKey;
  }
}

/// Whether an output has the last token's row only: it lacks a dimension of the tokens,
/// or has one row where they have any number.
bool RoleAssignment::isLastOnly(const Port &output) const {
  int64_t rank = tokens->role == Role::Embeddings ? tokens->type.getRank() : tokens->type.getRank() + 1;
  if (output.type.getRank() < rank)
    return true;
  return tokens->type.getRank() > 1 && tokens->type.getDimSize(1) != 1 && raise::hasOneRow(output.value);
}

/// One output is as wide as the vocabulary. Where several are, it is the one that comes
/// out of a product, then the one of this name, then the first.
void RoleAssignment::findLogits() {
  auto rank = [&](const Port &output) {
    std::optional<int64_t> product = raise::findProductWidth(output.value);
    int64_t width = ShapedType::isDynamic(output.width()) ? product.value_or(output.width()) : output.width();
    bool fits = width == vocabulary && !ShapedType::isDynamic(vocabulary);
    bool isHidden = !fits && width == features;
    return std::tuple(fits, product.has_value() && !isHidden, output.name == "logits");
  };
  Port *found = nullptr;
  for (Port &output : outputs) {
    bool canBe = output.isFree() && output.isFloat() && output.type.getRank() >= 2 && output.type.getRank() <= 3;
    if (output.role == Role::Logits || output.role == Role::LastLogits)
      return;
    if (canBe && rank(output) > std::tuple(false, false, false) && (!found || rank(*found) < rank(output)))
      found = &output;
  }
  if (found && tokens)
    found->role = isLastOnly(*found) ? Role::LastLogits : Role::Logits;
}

void RoleAssignment::findHiddenStates() {
  for (Port &output : outputs)
    if (output.isFree() && output.isFloat() && tokens && output.type.getRank() >= 2 && output.type.getRank() <= 3 &&
        output.width() == features && !ShapedType::isDynamic(features))
      output.role = Role::HiddenStates;
}

/// All at once: each attribute that is set alone copies those of all arguments.
int64_t RoleAssignment::write() {
  int64_t decided = 0;
  auto withRole = [&](DictionaryAttr others, const Port &port) {
    Role role = port.role.value_or(Role::Other);
    decided += role != Role::Other;
    NamedAttrList attributes(others);
    attributes.set(attrs::Role::getNameStr(), RoleAttr::get(function.getContext(), role));
    return attributes.getDictionary(function.getContext());
  };
  SmallVector<DictionaryAttr> ofInputs, ofOutputs;
  for (auto [i, input] : llvm::enumerate(inputs))
    ofInputs.push_back(withRole(function.getArgAttrDict(i), input));
  for (auto [i, output] : llvm::enumerate(outputs))
    ofOutputs.push_back(withRole(function.getResultAttrDict(i), output));
  function.setAllArgAttrs(ofInputs);
  function.setAllResultAttrs(ofOutputs);
  return decided;
}

struct AssignRoles : impl::AssignRolesBase<AssignRoles> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || function.isPrivate() || !function.getBody().hasOneBlock())
      return;
    numAssigned += RoleAssignment(function).run();
  }
};

} // namespace
} // namespace qopt
