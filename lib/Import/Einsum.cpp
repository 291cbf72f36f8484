//===- Einsum.cpp - Sums of products as matrix products -------------------===//
//
// Two operands at a time: labels of both that are needed later count a batch, those of both
// that are not are summed up by the product, and the others are its rows and columns. A
// constant becomes the second factor, where linears have their weights.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace qopt;

namespace {

/// A label per dimension. Those of an ellipsis are numbers below the letters, the last
/// dimension having the lowest.
using Labels = SmallVector<int, 8>;
constexpr int kMaxEllipsis = 32;

struct Term {
  Value value;
  Labels labels;
};

class Einsum {
public:
  explicit Einsum(NodeImport &node) : node(node), b(node) {}
  Status run();

private:
  Status parse(StringRef equation);
  Result<Labels> parseTerm(StringRef text, int64_t rank);
  Term takeDiagonals(Term term);
  Term sumOut(Term term, function_ref<bool(int)> isNeeded);
  Term multiply(Term lhs, Term rhs, function_ref<bool(int)> isNeeded);
  Value arrange(const Term &term, ArrayRef<Labels> groups, ArrayRef<bool> joined);
  bool isConstant(Value value) const;

  NodeImport &node;
  OperatorBuilder b;
  SmallVector<Term> terms;
  Labels output;
  int ellipsis = 0; ///< the dimensions of the longest
};

} // namespace

static std::optional<int64_t> placeOf(const Labels &labels, int label) {
  const int *found = llvm::find(labels, label);
  return found == labels.end() ? std::nullopt : std::optional<int64_t>(found - labels.begin());
}

/// `rank` < 0: the output's, whose ellipsis is the longest.
Result<Labels> Einsum::parseTerm(StringRef text, int64_t rank) {
  Labels labels;
  auto [before, after] = text.split("...");
  bool hasEllipsis = text.contains("...");
  for (StringRef part : {before, after}) {
    for (char letter : part) {
      if (!llvm::isAlpha(letter))
        return Error{"expected letters in the equation but got '" + std::string(1, letter) + "'"};
      labels.push_back(letter);
    }
    if (hasEllipsis && part.data() == before.data()) {
      auto letters = static_cast<int64_t>(before.size() + after.size());
      int64_t dims = rank < 0 ? ellipsis : rank - letters;
      if (dims < 0 || dims >= kMaxEllipsis)
        return Error{"cannot give " + std::to_string(letters) + " labels to " + std::to_string(rank) + " dimensions"};
      ellipsis = std::max<int>(ellipsis, static_cast<int>(dims));
      for (int64_t i = dims; i-- > 0;)
        labels.push_back(static_cast<int>(i));
    }
    if (!hasEllipsis)
      break;
  }
  if (rank >= 0 && static_cast<int64_t>(labels.size()) != rank)
    return Error{std::to_string(labels.size()) + " labels for " + std::to_string(rank) + " dimensions"};
  return labels;
}

Status Einsum::parse(StringRef equation) {
  std::string text;
  llvm::copy_if(equation, std::back_inserter(text), [](char c) { return c != ' '; });
  auto [left, right] = StringRef(text).split("->");
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  if (parts.size() != node.inputs.size())
    return Error{"the equation has " + std::to_string(parts.size()) + " operands but the node " +
                 std::to_string(node.inputs.size())};
  for (auto [part, value] : llvm::zip(parts, node.inputs)) {
    Result<Labels> labels = parseTerm(part, typeOf(value).getRank());
    if (!labels)
      return labels.error();
    terms.push_back({value, *labels});
  }
  if (StringRef(text).contains("->")) {
    Result<Labels> labels = parseTerm(right, -1);
    if (!labels)
      return labels.error();
    output = *labels;
  } else {
    // The ellipsis, then what occurs once, in the order of the alphabet.
    std::map<int, int> counts;
    for (const Term &term : terms)
      for (int label : term.labels)
        ++counts[label];
    for (int i = ellipsis; i-- > 0;)
      output.push_back(i);
    for (auto [label, count] : counts)
      if (label >= kMaxEllipsis && count == 1)
        output.push_back(label);
  }
  for (auto [i, label] : llvm::enumerate(output))
    if (placeOf(output, label) != static_cast<int64_t>(i) ||
        llvm::none_of(terms, [&](const Term &term) { return placeOf(term.labels, label).has_value(); }))
      return Error{"a label of the output occurs twice, or in no operand"};
  return {};
}

/// Of dimensions with one label the elements at equal places.
Term Einsum::takeDiagonals(Term term) {
  for (size_t i = 0; i < term.labels.size(); ++i)
    for (size_t j = i + 1; j < term.labels.size() && !b.hasFailed();) {
      if (term.labels[i] != term.labels[j]) {
        ++j;
        continue;
      }
      auto rank = static_cast<int64_t>(term.labels.size());
      auto places = [&](size_t axis) {
        SmallVector<int64_t> behind = llvm::to_vector(llvm::seq<int64_t>(1, rank - static_cast<int64_t>(axis)));
        Value count = b.count(0, b.dim(term.value, static_cast<int64_t>(axis)));
        return behind.empty() ? count : b.unsqueeze(count, behind);
      };
      Value zero = b.cast(b.scalar(0), typeOf(term.value).getElementType());
      Value kept = b.make("Where", {b.make("Equal", {places(i), places(j)}), term.value, zero});
      term.value = b.make("ReduceSum", {kept, b.ints(static_cast<int64_t>(j))}, b.attribute("keepdims", int64_t(0)));
      term.labels.erase(term.labels.begin() + j);
    }
  return term;
}

Term Einsum::sumOut(Term term, function_ref<bool(int)> isNeeded) {
  SmallVector<int64_t> axes;
  Labels kept;
  for (auto [i, label] : llvm::enumerate(term.labels)) {
    if (isNeeded(label))
      kept.push_back(label);
    else
      axes.push_back(static_cast<int64_t>(i));
  }
  if (axes.empty())
    return term;
  return {b.make("ReduceSum", {term.value, b.ints(axes)}, b.attribute("keepdims", int64_t(0))), kept};
}

/// The dimensions in the order of `groups`; those of a joined group become one. A batch label that
/// the term lacks has size 1.
Value Einsum::arrange(const Term &term, ArrayRef<Labels> groups, ArrayRef<bool> joined) {
  SmallVector<int64_t> perm, missing;
  SmallVector<Value> shape;
  bool isReshaped = false;
  for (auto [group, isJoined] : llvm::zip(groups, joined)) {
    SmallVector<Value> sizes;
    for (int label : group) {
      std::optional<int64_t> at = placeOf(term.labels, label);
      sizes.push_back(at ? b.dim(term.value, *at) : b.ints(1));
      if (at)
        perm.push_back(*at);
    }
    isReshaped |=
        static_cast<size_t>(llvm::count_if(group, [&](int label) { return !placeOf(term.labels, label); })) > 0;
    if (!isJoined) {
      shape.append(sizes);
    } else {
      isReshaped |= sizes.size() != 1;
      Value size = sizes.empty() ? b.ints(1) : sizes.front();
      for (Value next : ArrayRef(sizes).drop_front(sizes.empty() ? 0 : 1))
        size = b.make("Mul", {size, next});
      shape.push_back(size);
    }
  }
  Value value = llvm::is_sorted(perm) ? term.value : b.transpose(term.value, perm);
  return isReshaped ? b.make("Reshape", {value, b.concat(shape, 0)}, b.attribute("allowzero", int64_t(1))) : value;
}

bool Einsum::isConstant(Value value) const { return value && value.getDefiningOp<onnx::ConstantOp>(); }

Term Einsum::multiply(Term lhs, Term rhs, function_ref<bool(int)> isNeeded) {
  if (isConstant(lhs.value) && !isConstant(rhs.value))
    std::swap(lhs, rhs);
  auto isKept = [&](const Term &other) {
    return [&](int label) { return isNeeded(label) || placeOf(other.labels, label).has_value(); };
  };
  lhs = sumOut(lhs, isKept(rhs));
  rhs = sumOut(rhs, isKept(lhs));
  if (b.hasFailed())
    return lhs;
  Labels batch, inner, rows, columns;
  for (int label : lhs.labels)
    (!placeOf(rhs.labels, label) ? rows : isNeeded(label) ? batch : inner).push_back(label);
  for (int label : rhs.labels)
    if (!placeOf(lhs.labels, label))
      columns.push_back(label);
  // An ellipsis may be shorter in one operand, and broadcasts: it is a batch where a batch is.
  if (!batch.empty())
    for (Labels *own : {&rows, &columns})
      for (int label : Labels(*own))
        if (label < kMaxEllipsis) {
          batch.insert(batch.begin(), label);
          own->erase(llvm::find(*own, label));
        }
  bool areRowsJoined = !batch.empty() || rows.empty();
  Value a = arrange(lhs, {batch, rows, inner}, {false, areRowsJoined, true});
  Value c = arrange(rhs, {batch, inner, columns}, {false, true, true});
  Value product = b.make("MatMul", {a, c});
  SmallVector<Value> shape;
  Labels labels;
  for (const auto &[group, from] : {std::pair(&batch, &lhs), {&rows, &lhs}, {&columns, &rhs}})
    for (int label : *group) {
      std::optional<int64_t> at = placeOf(from->labels, label), other = placeOf(rhs.labels, label);
      Value size = at ? b.dim(from->value, *at) : Value();
      if (group == &batch && other)
        size = at ? b.make("Max", {size, b.dim(rhs.value, *other)}) : b.dim(rhs.value, *other);
      shape.push_back(size);
      labels.push_back(label);
    }
  bool isInOrder = columns.size() == 1 && (rows.size() == 1 || (!areRowsJoined && !rows.empty()));
  if (!isInOrder)
    product = shape.empty() ? b.reshape(product, ArrayRef<int64_t>())
                            : b.make("Reshape", {product, b.concat(shape, 0)}, b.attribute("allowzero", int64_t(1)));
  return {product, labels};
}

Status Einsum::run() {
  auto equation = node.take<StringAttr>("equation");
  if (!equation)
    return Error{"requires the attribute equation"};
  if (Status status = parse(equation.getValue()); !status)
    return status;
  for (Term &term : terms)
    term = takeDiagonals(term);
  Term result = terms.front();
  for (size_t i = 1; i < terms.size() && !b.hasFailed(); ++i) {
    auto isNeeded = [&](int label) {
      return placeOf(output, label) || llvm::any_of(ArrayRef(terms).drop_front(i + 1), [&](const Term &term) {
               return placeOf(term.labels, label).has_value();
             });
    };
    result = multiply(result, terms[i], isNeeded);
  }
  result = sumOut(result, [&](int label) { return placeOf(output, label).has_value(); });
  SmallVector<int64_t> perm;
  for (int label : output)
    perm.push_back(placeOf(result.labels, label).value_or(0));
  if (!llvm::is_sorted(perm))
    result.value = b.transpose(result.value, perm);
  return b.finish(result.value);
}

Status standard::importEinsum(NodeImport &node) { return Einsum(node).run(); }
