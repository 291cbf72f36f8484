//===- NameLayers.cpp - Recover the names of linear layers ----------------===//
//
// Exporters keep a layer's name in different places or lose it. In order of trust:
// the module path in the node's metadata, the path in the node's name, the name of
// the weight, and last the place in the decoder: what feeds an attention is q, k
// or v of that layer, and so on.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/Logits.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_NAMELAYERS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// "/model/layers.0/self_attn/q_proj/MatMul_1" -> "model.layers.0.self_attn.q_proj".
std::string nameFromNode(Location location) {
  auto name = dyn_cast<NameLoc>(location);
  if (!name || !name.getName().getValue().contains('/'))
    return {};
  SmallVector<StringRef> parts;
  name.getName().getValue().split(parts, '/', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  if (parts.size() < 2)
    return {};
  parts.pop_back(); // the operator
  return llvm::join(parts, ".");
}

/// "model.layers.0.self_attn.q_proj.weight" -> "model.layers.0.self_attn.q_proj".
std::string nameFromWeight(Value weight) {
  std::optional<ConstantView> view = matchWeight(weight);
  if (!view || !isa<DenseResourceElementsAttr>(view->value))
    return {};
  StringRef key = viewConstant(view->value).name;
  key.consume_back(".transposed");
  size_t end = key.rfind(".weight");
  if (end == StringRef::npos || end == 0)
    return {};
  key = key.take_front(end);
  key.consume_back(".MatMul"); // of onnxruntime-genai
  return key.str();
}

/// The weights of a product [K, N], be they floats or codes; null for other products.
Value weightsOf(MatMulOp op) {
  if (std::optional<ConstantView> weights = matchWeight(op.getB()))
    return weights->type.getRank() == 2 ? op.getB() : Value();
  auto transpose = op.getB().getDefiningOp<TransposeOp>();
  Value codes = transpose ? transpose.getData() : Value();
  // The parts of a sum have one name.
  while (codes && isa_and_present<AddOp, SubOp>(codes.getDefiningOp()))
    codes = codes.getDefiningOp()->getOperand(0);
  auto dequantize = codes ? codes.getDefiningOp<DequantizeOp>() : DequantizeOp();
  return dequantize && matchConstant(dequantize.getCodes()) ? Value(dequantize.getCodes()) : Value();
}

/// What `value` becomes behind operators that only move or rotate elements.
template <typename Visit>
bool reaches(Value value, int depth, const Visit &visit) {
  for (OpOperand &use : value.getUses()) {
    if (visit(use))
      return true;
    Operation *user = use.getOwner();
    bool keepsPlace = user->hasTrait<Elementwise>() || user->hasTrait<Rearranges>() ||
                      isa<RotaryEmbeddingOp, RMSNormalizationOp>(user);
    if (depth > 0 && keepsPlace && use.getOperandNumber() == 0 && reaches(user->getResult(0), depth - 1, visit))
      return true;
  }
  return false;
}

/// The name that a linear's place in a decoder gives it; empty when it has none.
/// `attentions` is the number of attention operators before it.
std::string nameFromPlace(MatMulOp op, int64_t attentions, bool isHead) {
  if (isHead)
    return "lm_head";
  std::string role;
  reaches(op.getY(), 4, [&](OpOperand &use) {
    if (!isa<AttentionOp>(use.getOwner()) || use.getOperandNumber() > 2)
      return false;
    static constexpr const char *names[] = {"q_proj", "k_proj", "v_proj"};
    role = names[use.getOperandNumber()];
    return true;
  });
  if (!role.empty())
    return "model.layers." + std::to_string(attentions) + ".self_attn." + role;

  Value input = op.getA();
  while (auto *producer = input.getDefiningOp()) {
    if (!producer->hasTrait<Rearranges>())
      break;
    input = producer->getOperand(0);
  }
  std::string layer = "model.layers." + std::to_string(std::max<int64_t>(attentions - 1, 0));
  if (input.getDefiningOp<AttentionOp>())
    return layer + ".self_attn.o_proj";
  auto feeds = [&](auto isRole) { return llvm::any_of(op->getUsers(), isRole); };
  if (feeds([](Operation *user) { return isa<SwishOp, GeluOp>(user); }))
    return layer + ".mlp.gate_proj";
  auto isGated = [](Operation *user) {
    return isa<MulOp>(user) && llvm::any_of(user->getOperands(), [](Value operand) {
             return isa_and_nonnull<SwishOp, GeluOp>(operand.getDefiningOp());
           });
  };
  if (feeds(isGated))
    return layer + ".mlp.up_proj";
  if (Operation *producer = input.getDefiningOp(); producer && isGated(producer))
    return layer + ".mlp.down_proj";
  return {};
}

struct NameLayers : impl::NameLayersBase<NameLayers> {
  using Base::Base;

  void runOnOperation() override {
    // Of a function without logits, the outputs that could be any.
    llvm::DenseSet<Operation *> heads = findProducts(getOperation(), {Role::Logits, Role::LastLogits});
    if (heads.empty())
      heads = findProducts(getOperation(), Role::Other);
    llvm::StringSet<> taken;
    int64_t attentions = 0, unknown = 0;
    getOperation().walk([&](Operation *op) {
      attentions += isa<AttentionOp>(op);
      auto linear = dyn_cast<MatMulOp>(op);
      Value weights = linear ? weightsOf(linear) : Value();
      if (!weights)
        return;
      auto given = getAttr<attrs::Layer>(op);
      auto scope = getAttr<onnx::attrs::Scope>(op);
      std::string candidates[] = {given ? given.str() : std::string(), scope ? scope.str() : std::string(),
                                  nameFromNode(op->getLoc()), nameFromWeight(weights),
                                  nameFromPlace(linear, attentions, heads.contains(op))};
      std::string name;
      for (const std::string &candidate : candidates)
        if (name.empty() && !candidate.empty() && !taken.contains(candidate))
          name = candidate;
      while (name.empty() || taken.contains(name))
        name = "linear_" + std::to_string(unknown++);
      taken.insert(name);
      setAttr<attrs::Layer>(op, StringAttr::get(&getContext(), name));
      ++numLayers;
    });
  }
};

} // namespace
} // namespace qopt
