//===- RotaryTables.cpp - Read a rotary embedding's tables off a graph ----===//
//
// A rotation is linear in its input, so what it does to unit vectors says all about
// it: channel 0 alone shows its partner, and ones in the first of every pair show
// cos and sin. That costs a few tokens. The values behind cos and sin are then
// looked up in the exporter's own tables, which can be evaluated at every position
// without the activations.
//
//===----------------------------------------------------------------------===//
#include "RotaryTables.h"

#include "llvm/ADT/SmallPtrSet.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::raise;
using reference::Tensor;

/// Tokens of a probe, and how exactly its factors must be found in a table.
static constexpr int64_t kLength = 7;
static constexpr double kExact = 1e-6;

bool Rotation::isSourceHeadsFirst() const {
  auto type = cast<RankedTensorType>(source.getType());
  return type.getRank() == 4 && type.getDimSize(1) == heads && type.getDimSize(2) != heads;
}

RankedTensorType Rotation::sourceType(Sizes sizes) const {
  auto type = cast<RankedTensorType>(source.getType());
  SmallVector<int64_t> dims(type.getShape());
  for (auto [i, dim] : llvm::enumerate(dims))
    if (dim == ShapedType::kDynamic)
      dim = i == 0 ? sizes.batch : sizes.length;
  return RankedTensorType::get(dims, type.getElementType());
}

namespace {

/// Rules of reading, behind those of finding what is rotated.
enum Rule { kHasTokens = 10, kHasPairs, kHasTables, kHasPositions, kHasFactor };
static_assert(kHasFactor <= kLastTableRule);

/// Factors [length, pairs] as a probe shows them.
struct Factors {
  std::vector<double> cos, sin;
  int64_t pairs;
};

/// How factor i of a row is found in a row of a table: at stride * i + offset.
struct Place {
  Value table;
  int64_t stride, offset;
  double sign;
};

class Reader {
public:
  Reader(const ModelInputs &inputs, const Rotation &rotation, EvaluatedTables &evaluated)
      : inputs(inputs), rotation(rotation), evaluated(evaluated) {}

  FailureOr<RotaryTables> read(int64_t maxPosition, Reason &reason) {
    sizes = inputs.adapt({1, kLength});
    if (sizes.length < 2)
      return reason.fail(kHasTokens, "the model takes " + Twine(sizes.length) + " tokens only");
    std::optional<int64_t> partner = findPartner();
    if (!partner)
      return reason.fail(kHasPairs, "the first of " + Twine(rotation.size) +
                                        " channels does not turn into exactly one other channel of its half");
    bool interleaved = *partner == 1 && rotation.size > 2;
    int64_t rotatedSize = interleaved ? rotation.size : 2 * *partner;
    std::optional<Factors> factors = probeFactors(interleaved, rotatedSize);
    if (!factors)
      return reason.fail(kHasPairs, "the rotation cannot be computed alone");
    std::optional<Place> cos = findPlace(factors->cos, factors->pairs), sin = findPlace(factors->sin, factors->pairs);
    if (!cos || !sin)
      return reason.fail(kHasTables, "the " + Twine(cos ? "sines" : "cosines") + " of " + Twine(factors->pairs) +
                                         " angles are in none of " + Twine(rotation.tables.size()) + " tables");
    std::optional<Tensor> cosTable = readTable(*cos, factors->pairs, maxPosition),
                          sinTable = readTable(*sin, factors->pairs, maxPosition);
    if (!cosTable || !sinTable || cosTable->type != sinTable->type)
      return reason.fail(kHasPositions, "the tables cannot be computed for " + Twine(maxPosition) + " positions");
    for (Value table : rotation.tables)
      if (table != cos->table && table != sin->table && changesLater(table, maxPosition))
        return reason.fail(kHasFactor, "a factor that is the same for the first tokens changes for later ones");
    return RotaryTables{std::move(*cosTable), std::move(*sinTable), interleaved,
                        2 * factors->pairs,   cos->table,           sin->table};
  }

private:
  /// The rotated value of token s and head 0 for a source that is `basis`(channel)
  /// everywhere: [length, size].
  template <typename Basis>
  std::optional<std::vector<double>> probe(Basis basis) {
    reference::Slice slice;
    std::mt19937 random;
    inputs.fill(slice, sizes, Padding::None, 1, random);
    Tensor source{rotation.sourceType(sizes), {}, {}};
    source.floats.resize(source.numElements());
    for (size_t i = 0; i < source.floats.size(); ++i)
      source.floats[i] = basis(static_cast<int64_t>(i) % rotation.size) ? 1 : 0;
    slice.set(rotation.source, std::move(source));
    FailureOr<Tensor> rotated = slice.get(rotation.rotated);
    if (failed(rotated) || rotated->numElements() != sizes.batch * rotation.heads * sizes.length * rotation.size)
      return std::nullopt;
    int64_t step = (rotation.headsFirst ? 1 : rotation.heads) * rotation.size;
    std::vector<double> result;
    for (int64_t s = 0; s < sizes.length; ++s)
      for (int64_t c = 0; c < rotation.size; ++c)
        result.push_back(rotated->floats[s * step + c]);
    return result;
  }

  /// The channel that channel 0 turns into.
  std::optional<int64_t> findPartner() {
    auto turned = probe([](int64_t channel) { return channel == 0; });
    if (!turned)
      return std::nullopt;
    std::optional<int64_t> partner;
    for (int64_t c = 1; c < rotation.size; ++c) {
      if (std::abs((*turned)[rotation.size + c]) <= kExact)
        continue;
      if (partner)
        return std::nullopt;
      partner = c;
    }
    if (!partner || 2 * *partner > rotation.size)
      return std::nullopt;
    return partner;
  }

  std::optional<Factors> probeFactors(bool interleaved, int64_t rotatedSize) {
    auto first = [&](int64_t i) { return interleaved ? 2 * i : i; };
    auto second = [&](int64_t i) { return interleaved ? 2 * i + 1 : i + rotatedSize / 2; };
    auto turned = probe([&](int64_t c) { return interleaved ? c % 2 == 0 : c < rotatedSize / 2; });
    if (!turned)
      return std::nullopt;
    // Where pairs are neighbours, those at the end may not turn at all.
    int64_t pairs = rotatedSize / 2;
    auto turns = [&](int64_t i) { return std::abs((*turned)[(sizes.length - 1) * rotation.size + second(i)]) > 0; };
    while (interleaved && pairs > 1 && !turns(pairs - 1))
      --pairs;
    Factors factors{{}, {}, pairs};
    for (int64_t s = 0; s < sizes.length; ++s)
      for (int64_t i = 0; i < pairs; ++i) {
        factors.cos.push_back((*turned)[s * rotation.size + first(i)]);
        factors.sin.push_back((*turned)[s * rotation.size + second(i)]);
      }
    return factors;
  }

  /// A table for `length` positions as [length, columns]; its batch, if any, repeats. The
  /// address is valid until the next call.
  const std::optional<std::pair<Tensor, int64_t>> &evaluateTable(Value table, int64_t length) {
    constexpr size_t kMostKept = 8;
    if (auto found = evaluated.find({table, length}); found != evaluated.end())
      return found->second;
    if (evaluated.size() >= kMostKept)
      evaluated.clear();
    return evaluated[{table, length}] = computeTable(table, length);
  }

  std::optional<std::pair<Tensor, int64_t>> computeTable(Value table, int64_t length) {
    reference::Slice slice;
    std::mt19937 random;
    Sizes call = inputs.adapt({1, length});
    inputs.fill(slice, call, Padding::None, 1, random);
    FailureOr<Tensor> tensor = slice.get(table);
    if (failed(tensor) || call.length != length)
      return std::nullopt;
    int64_t before = 1;
    for (auto [axis, dim] : llvm::enumerate(tensor->type.getShape())) {
      if (dim == length && (before == 1 || before == call.batch)) {
        int64_t columns = tensor->numElements() / (before * length);
        return std::pair(std::move(*tensor), columns);
      }
      before *= dim;
    }
    return std::nullopt;
  }

  std::optional<Place> findPlace(const std::vector<double> &factors, int64_t pairs) {
    for (Value table : rotation.tables) {
      const auto &found = evaluateTable(table, sizes.length);
      if (!found)
        continue;
      const auto &[tensor, columns] = *found;
      auto holds = [&, &tensor = tensor, columns = columns](int64_t stride, int64_t offset, double sign) {
        if (stride * (pairs - 1) + offset >= columns)
          return false;
        for (int64_t s = 0; s < sizes.length; ++s)
          for (int64_t i = 0; i < pairs; ++i)
            if (!(std::abs(sign * tensor.floats[s * columns + stride * i + offset] - factors[s * pairs + i]) <= kExact))
              return false;
        return true;
      };
      for (double sign : {1.0, -1.0})
        for (auto [stride, offset] : {std::pair<int64_t, int64_t>(1, 0), {2, 0}, {2, 1}, {1, pairs}})
          if (holds(stride, offset, sign))
            return Place{table, stride, offset, sign};
    }
    return std::nullopt;
  }

  /// The model's own caches may be shorter than asked for.
  static int64_t limitPositions(Value table, int64_t maxPosition) {
    SmallVector<Value> open = {table};
    llvm::SmallPtrSet<Operation *, 16> seen;
    while (!open.empty()) {
      Operation *op = open.pop_back_val().getDefiningOp();
      if (!op || isa<onnx::ShapeOp>(op) || !seen.insert(op).second)
        continue;
      if (isa<onnx::GatherOp, onnx::SliceOp>(op) && op->getOperand(0).getDefiningOp<onnx::ConstantOp>()) {
        ArrayRef<int64_t> shape = cast<RankedTensorType>(op->getOperand(0).getType()).getShape();
        if (shape.size() >= 2 && *llvm::max_element(shape) > 1)
          maxPosition = std::min(maxPosition, *llvm::max_element(shape.drop_back()));
      }
      open.append(op->operand_begin(), op->operand_end());
    }
    return maxPosition;
  }

  std::optional<Tensor> readTable(const Place &place, int64_t pairs, int64_t maxPosition) {
    int64_t positions = inputs.adapt({1, limitPositions(place.table, maxPosition)}).length;
    const auto &found = evaluateTable(place.table, positions);
    if (!found)
      return std::nullopt;
    const auto &[tensor, columns] = *found;
    Tensor result{RankedTensorType::get({positions, pairs}, tensor.type.getElementType()), {}, {}};
    for (int64_t s = 0; s < positions; ++s)
      for (int64_t i = 0; i < pairs; ++i)
        result.floats.push_back(place.sign * tensor.floats[s * columns + place.stride * i + place.offset]);
    return result;
  }

  /// Whether `table` has equal rows in the short calls by which a rotation is recognised, but
  /// not in a long one: queries that are scaled behind the length a model was first trained
  /// for (llama 4, ministral 3).
  bool changesLater(Value table, int64_t maxPosition) {
    auto hasEqualRows = [](const Tensor &tensor, int64_t columns, int64_t rows) {
      for (int64_t i = columns; i < rows * columns; ++i)
        if (tensor.floats[i] != tensor.floats[i - columns])
          return false;
      return true;
    };
    const auto &few = evaluateTable(table, sizes.length);
    if (!few || few->first.floats.empty() || !hasEqualRows(few->first, few->second, sizes.length))
      return false;
    int64_t positions = inputs.adapt({1, limitPositions(table, maxPosition)}).length;
    const auto &many = evaluateTable(table, positions);
    return !many || !hasEqualRows(many->first, many->second, positions);
  }

  const ModelInputs &inputs;
  const Rotation &rotation;
  EvaluatedTables &evaluated;
  Sizes sizes{};
};

} // namespace

FailureOr<RotaryTables> raise::readRotaryTables(const ModelInputs &inputs, const Rotation &rotation,
                                                int64_t maxPosition, EvaluatedTables &evaluated, Reason &reason) {
  return Reader(inputs, rotation, evaluated).read(maxPosition, reason);
}
