//===- Symbols.cpp - Polynomials of dimensions ----------------------------===//
//
// Polynomials with integer coefficients in normal form, each stored once: equal ones have
// one number. What overflows 64 bits or has too many terms is unknown.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Onnx/SymbolicShapes.h"
#include "qopt/Support/CheckedMath.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

/// Shapes of models have a handful of terms.
static constexpr size_t kMaxTerms = 32;

Symbols::Polynomial Symbols::polynomialOf(Extent extent) const {
  if (extent.kind == Extent::Symbol)
    return polynomials[extent.value];
  return extent.value == 0 ? Polynomial() : Polynomial{{Monomial(), extent.value}};
}

Extent Symbols::intern(Polynomial polynomial) {
  llvm::SmallVector<Monomial> zeros;
  for (auto &[monomial, factor] : polynomial)
    if (factor == 0)
      zeros.push_back(monomial);
  for (const Monomial &monomial : zeros)
    polynomial.erase(monomial);
  if (polynomial.empty())
    return Extent::constant(0);
  if (polynomial.size() == 1 && polynomial.begin()->first.empty())
    return Extent::constant(polynomial.begin()->second);
  if (polynomial.size() > kMaxTerms)
    return {};
  auto [entry, isNew] = numbers.try_emplace(polynomial, polynomials.size());
  if (isNew)
    polynomials.push_back(std::move(polynomial));
  return Extent::symbol(entry->second);
}

int Symbols::addAtom(Atom atom) {
  atoms.push_back(atom);
  return static_cast<int>(atoms.size()) - 1;
}

Extent Symbols::dimension(Value value, int64_t position, StringRef name) {
  Extent &known = dimensions[{value.getAsOpaquePointer(), position}];
  if (known.isKnown())
    return known;
  Extent *shared = name.empty() ? nullptr : &named[name];
  if (shared && shared->isKnown())
    return known = *shared;
  known = intern({{Monomial{addAtom({Atom::Dimension, value, position})}, 1}});
  if (shared)
    *shared = known;
  return known;
}

Extent Symbols::add(Extent a, Extent b, int64_t factor) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  Polynomial sum = polynomialOf(a);
  for (const auto &[monomial, coefficient] : polynomialOf(b)) {
    int64_t &total = sum[monomial];
    std::optional<int64_t> term = checkedMul(coefficient, factor);
    std::optional<int64_t> next = term ? checkedAdd(total, *term) : std::nullopt;
    if (!next)
      return {};
    total = *next;
  }
  return intern(std::move(sum));
}

Extent Symbols::mul(Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  Polynomial product;
  for (const auto &[x, xFactor] : polynomialOf(a))
    for (const auto &[y, yFactor] : polynomialOf(b)) {
      Monomial monomial(x);
      llvm::append_range(monomial, y);
      llvm::sort(monomial);
      std::optional<int64_t> term = checkedMul(xFactor, yFactor);
      std::optional<int64_t> total = term ? checkedAdd(product[monomial], *term) : std::nullopt;
      if (!total)
        return {};
      product[monomial] = *total;
    }
  return intern(std::move(product));
}

/// `a` without the factors of `b`, where it has them all.
static std::optional<Symbols::Monomial> without(const Symbols::Monomial &a, const Symbols::Monomial &b) {
  Symbols::Monomial rest(a);
  for (int factor : b) {
    auto *found = llvm::find(rest, factor);
    if (found == rest.end())
      return std::nullopt;
    rest.erase(found);
  }
  return rest;
}

std::optional<Extent> Symbols::divideExactly(Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown() || b.isConstant(0))
    return std::nullopt;
  Polynomial above = polynomialOf(a), below = polynomialOf(b), quotient;
  // By one term every term is divided; by more, only what is a multiple as a whole.
  const auto &[monomial, factor] = *below.rbegin();
  for (const auto &[term, coefficient] : above) {
    std::optional<Monomial> rest = without(term, monomial);
    if (rest && coefficient % factor == 0)
      quotient[*rest] = coefficient / factor;
    else if (below.size() == 1)
      return std::nullopt;
  }
  if (below.size() > 1 && quotient.size() > 1) {
    auto last = *std::prev(quotient.end());
    quotient = {last};
  }
  Extent result = intern(std::move(quotient));
  return mul(result, b).isSameAs(a) ? std::optional(result) : std::nullopt;
}

Extent Symbols::operation(Atom::Kind kind, Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  bool isCommutative = kind != Atom::Quotient;
  if (isCommutative && std::pair(a.kind, a.value) > std::pair(b.kind, b.value))
    std::swap(a, b);
  Extent &known = operations[{kind, a.kind, a.value, b.kind, b.value}];
  // Atoms are never negative, so neither must the operands be.
  if (!known.isKnown() && isNonNegative(a) && isNonNegative(b))
    known = intern({{Monomial{addAtom({kind, {}, 0, a, b})}, 1}});
  return known;
}

bool Symbols::isNonNegative(Extent extent) const {
  return extent.isKnown() && llvm::all_of(polynomialOf(extent), [](const auto &term) { return term.second >= 0; });
}
