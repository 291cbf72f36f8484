//===- SeenKeys.cpp - Which keys a mask shows to a query -------------------===//
//
// A mask of a few tokens is computed and looked at. A window that is longer than these shows only
// in long texts, but it is a number behind the mask: with small numbers in its place the window is
// small, and grows as they do.
//
//===----------------------------------------------------------------------===//
#include "SeenKeys.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Reference/LongCalls.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;
using reference::Tensor;

/// What is added to a score of a hidden key, at most.
static constexpr double kHidden = -1000;

namespace {
/// One text's mask [heads or 1, queries or 1, keys or 1].
class MaskView {
public:
  MaskView(const Tensor &mask, int64_t length) : mask(mask), length(length) {
    shape.assign(4 - mask.type.getRank(), 1);
    shape.append(mask.type.getShape().begin(), mask.type.getShape().end());
  }
  bool fits() const {
    return shape[0] == 1 &&
           llvm::all_of(ArrayRef(shape).drop_front(2), [&](int64_t n) { return n == 1 || n == length; });
  }
  int64_t heads() const { return shape[1]; }
  bool isHidden(int64_t head, int64_t query, int64_t key) const {
    return mask.isFloat() ? added(head, query, key) < kHidden : !mask.ints[place(head, query, key)];
  }
  /// To a score.
  double added(int64_t head, int64_t query, int64_t key) const {
    return mask.isFloat() ? mask.floats[place(head, query, key)] : 0;
  }

private:
  int64_t place(int64_t head, int64_t query, int64_t key) const {
    return (head * shape[2] + (shape[2] == 1 ? 0 : query)) * shape[3] + (shape[3] == 1 ? 0 : key);
  }

  const Tensor &mask;
  int64_t length;
  SmallVector<int64_t> shape;
};
} // namespace

/// The same for the first `length` tokens alone.
static std::optional<SeenKeys> measure(const MaskView &mask, int64_t length, bool isCausal) {
  SeenKeys seen;
  for (int64_t key = length - 1; key >= 0 && !seen.window; --key)
    if (mask.isHidden(0, length - 1, key))
      seen.window = length - 1 - key;
  if (mask.isHidden(0, length - 1, length - 1))
    return std::nullopt;
  for (int64_t head = 0; head < mask.heads(); ++head)
    seen.slopes.push_back(mask.added(head, 1, 1) - mask.added(head, 1, 0));
  // A window of one key tells no slopes.
  if (seen.window == 1)
    seen.slopes.clear();
  for (int64_t head = 0; head < mask.heads(); ++head)
    for (int64_t query = 0; query < length; ++query)
      for (int64_t key = 0; key < length; ++key) {
        int64_t distance = query - key;
        bool isBehind = distance < 0, isSeen = !isBehind && (!seen.window || distance < seen.window);
        if (isBehind && isCausal)
          continue;
        if (mask.isHidden(head, query, key) == isSeen)
          return std::nullopt;
        if (!isSeen)
          continue;
        double expected = seen.slopes.empty() ? 0 : -seen.slopes[head] * static_cast<double>(distance);
        double actual = mask.added(head, query, key) - mask.added(head, query, query);
        if (!(std::abs(actual - expected) <= 1e-5 * std::max(1.0, std::abs(expected))))
          return std::nullopt;
      }
  if (llvm::all_of(seen.slopes, [](double slope) { return slope == 0; }))
    seen.slopes.clear();
  return seen;
}

std::optional<SeenKeys> lowering::measureSeenKeys(Value mask, bool isCausal, const reference::ModelInputs &inputs) {
  auto type = dyn_cast<RankedTensorType>(mask.getType());
  if (!type || type.getRank() > 4)
    return std::nullopt;
  reference::Quiet quiet(mask.getContext());
  auto measureWith = [&](ArrayRef<std::pair<Value, Tensor>> changed) -> std::optional<SeenKeys> {
    reference::Sizes sizes = inputs.adapt({1, reference::kSeenDistance + 8, 0});
    reference::Slice slice;
    std::mt19937 random(1);
    inputs.fill(slice, sizes, reference::Padding::None, /*maxPosition=*/1, random);
    for (const auto &[constant, tensor] : changed)
      slice.set(constant, tensor);
    FailureOr<Tensor> shown = slice.get(mask);
    if (failed(shown))
      return std::nullopt;
    MaskView view(*shown, sizes.length);
    return view.fits() && sizes.length > 1 ? measure(view, sizes.length, isCausal) : std::nullopt;
  };
  std::optional<SeenKeys> seen = measureWith({});
  std::optional<SmallVector<Value>> numbers =
      reference::findLongNumbers(mask, inputs, std::numeric_limits<int64_t>::max());
  if (!seen || !numbers)
    return std::nullopt;
  if (numbers->empty())
    return seen;
  // Each is the window, but for one more or less, and perhaps for its sign.
  auto numberOf = [](const Tensor &tensor) {
    return tensor.isFloat() ? static_cast<int64_t>(tensor.floats[0]) : tensor.ints[0];
  };
  SmallVector<Tensor> stored;
  for (Value number : *numbers)
    stored.push_back(*reference::getConstant(number));
  int64_t longest = std::abs(numberOf(stored[0]));
  std::optional<int64_t> beyond; // of the window over the number
  for (int64_t small : {7, 12, 20}) {
    SmallVector<std::pair<Value, Tensor>> changed;
    for (auto [number, tensor] : llvm::zip(*numbers, stored)) {
      Tensor other = tensor;
      int64_t old = numberOf(tensor), now = std::abs(old) - longest + small;
      if (std::abs(std::abs(old) - longest) > 2)
        return std::nullopt;
      other.floats.assign(other.floats.size(), static_cast<double>(old < 0 ? -now : now));
      other.ints.assign(other.ints.size(), old < 0 ? -now : now);
      changed.push_back({number, std::move(other)});
    }
    std::optional<SeenKeys> shorter = measureWith(changed);
    if (!shorter || !shorter->window || shorter->slopes != seen->slopes ||
        (beyond && *beyond != shorter->window - small))
      return std::nullopt;
    beyond = shorter->window - small;
  }
  seen->window = longest + *beyond;
  return seen;
}
