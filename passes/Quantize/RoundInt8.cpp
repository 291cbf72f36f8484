//===- RoundInt8.cpp - What int8 does, computed in float ------------------===//
//
// The ablations of LLM.int8() (Dettmers et al., arXiv 2208.07339, table 1). Kernels exist for the best of
// them; this is for comparing.
//
//===----------------------------------------------------------------------===//
#include "Transforming.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/Logits.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Transforms.h"
#include "llvm/Support/GlobPattern.h"
#include <cmath>

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ROUNDINT8
#include "qopt/Passes/Transforms.h.inc"

namespace {

constexpr float kMostCode = 127;

/// The code that stands for 0, and the step between codes, of numbers in [smallest, largest].
struct Grid {
  float step, zero;

  Grid(float smallest, float largest, bool hasZeroPoint) {
    float most = std::max(std::fabs(smallest), std::fabs(largest));
    step = hasZeroPoint ? (largest - smallest) / (2 * kMostCode) : most / kMostCode;
    step = step > 0 ? step : 1;
    zero = hasZeroPoint ? -kMostCode - std::nearbyint(smallest / step) : 0;
  }
  float round(float value) const {
    return (std::clamp(std::nearbyint(value / step) + zero, -kMostCode, kMostCode) - zero) * step;
  }
};

/// Weights [K, N], with a grid for each column or for all.
void roundWeights(std::vector<float> &weights, int64_t columns, bool isPerColumn, bool hasZeroPoint) {
  int64_t count = static_cast<int64_t>(weights.size()), grids = isPerColumn ? columns : 1;
  for (int64_t grid = 0; grid < grids; ++grid) {
    int64_t stride = isPerColumn ? columns : 1;
    float smallest = weights[grid], largest = weights[grid];
    for (int64_t i = grid; i < count; i += stride) {
      smallest = std::min(smallest, weights[i]);
      largest = std::max(largest, weights[i]);
    }
    Grid rounding(smallest, largest, hasZeroPoint);
    for (int64_t i = grid; i < count; i += stride)
      weights[i] = rounding.round(weights[i]);
  }
}

/// Makes the operations that round a value.
class InputRounder {
public:
  InputRounder(OpBuilder &builder, Location location, Value x) : builder(builder), location(location), x(x) {}

  /// 1 for features of which a token has at least this magnitude, else 0.
  Value findOutliers(float threshold) {
    Value large = unary<onnx::AbsOp>(x);
    SmallVector<int64_t> axes;
    for (int64_t i = 0; i + 1 < rank(); ++i)
      axes.push_back(i);
    Value most = reduce<onnx::ReduceMaxOp>(large, axes);
    auto type = typeOf(most);
    Value is =
        onnx::GreaterOrEqualOp::create(builder, location, type.clone(builder.getI1Type()), most, number(threshold));
    return onnx::WhereOp::create(builder, location, type, is, number(1), number(0));
  }

  /// The value with all numbers on the grid of their row, or of all.
  Value round(bool isPerRow, bool hasZeroPoint) {
    SmallVector<int64_t> axes;
    for (int64_t i = isPerRow ? rank() - 1 : 0; i < rank(); ++i)
      axes.push_back(i);
    Value step, zero;
    if (hasZeroPoint) {
      Value smallest = reduce<onnx::ReduceMinOp>(x, axes), largest = reduce<onnx::ReduceMaxOp>(x, axes);
      step = usable(binary<onnx::MulOp>(binary<onnx::SubOp>(largest, smallest), number(1 / (2 * kMostCode))));
      Value code = unary<onnx::RoundOp>(binary<onnx::DivOp>(smallest, step));
      zero = binary<onnx::SubOp>(number(-kMostCode), code, typeOf(code));
    } else {
      Value most = reduce<onnx::ReduceMaxOp>(unary<onnx::AbsOp>(x), axes);
      step = usable(binary<onnx::MulOp>(most, number(1 / kMostCode)));
    }
    Value codes = unary<onnx::RoundOp>(binary<onnx::DivOp>(x, step));
    if (zero)
      codes = binary<onnx::AddOp>(codes, zero);
    codes = onnx::ClipOp::create(builder, location, codes.getType(), codes, number(-kMostCode), number(kMostCode));
    if (zero)
      codes = binary<onnx::SubOp>(codes, zero);
    return binary<onnx::MulOp>(codes, step);
  }

  template <typename Op>
  Value binary(Value a, Value b, Type type = {}) {
    return Op::create(builder, location, type ? type : a.getType(), a, b);
  }

private:
  int64_t rank() { return typeOf(x).getRank(); }

  template <typename Op>
  Value unary(Value a) {
    return Op::create(builder, location, a.getType(), a);
  }

  Value number(float value) {
    auto type = RankedTensorType::get({}, builder.getF32Type());
    return onnx::ConstantOp::create(builder, location, DenseElementsAttr::get(type, value));
  }

  /// Over some axes, which become 1.
  template <typename Op>
  Value reduce(Value a, ArrayRef<int64_t> axes) {
    auto type = typeOf(a);
    SmallVector<int64_t> shape(type.getShape());
    for (int64_t axis : axes)
      shape[axis] = 1;
    auto axesType = RankedTensorType::get({int64_t(axes.size())}, builder.getI64Type());
    Value list = onnx::ConstantOp::create(builder, location, DenseElementsAttr::get(axesType, axes));
    return Op::create(builder, location, type.clone(shape), a, list, /*keepdims=*/1, /*noop_with_empty_axes=*/0);
  }

  /// Steps of 0 become 1.
  Value usable(Value step) {
    auto type = typeOf(step);
    Value is = onnx::GreaterOp::create(builder, location, type.clone(builder.getI1Type()), step, number(0));
    return onnx::WhereOp::create(builder, location, type, is, step, number(1));
  }

  OpBuilder &builder;
  Location location;
  Value x;
};

struct RoundInt8 : impl::RoundInt8Base<RoundInt8> {
  using Base::Base;

  void runOnOperation() override {
    transform::LeftOut left("round-int8");
    std::vector<llvm::GlobPattern> patterns;
    std::vector<std::string> globs(skip.begin(), skip.end()); // patterns refer to their characters
    for (const std::string &glob : globs) {
      llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(glob);
      if (!pattern) {
        emitError(getOperation().getLoc())
            << "round-int8: skip \"" << glob << "\": " << llvm::toString(pattern.takeError());
        return signalPassFailure();
      }
      patterns.push_back(std::move(*pattern));
    }
    for (func::FuncOp function : transform::functionsOf(getOperation()))
      for (onnx::MatMulOp op : llvm::to_vector(function.getOps<onnx::MatMulOp>())) {
        auto name = getAttr<attrs::Layer>(op);
        if (!name || !transform::hasConstantWeights(op))
          continue;
        auto isNamed = [&](const llvm::GlobPattern &pattern) { return pattern.match(name.getValue()); };
        if (globs.empty() ? qopt::isHead(op) : llvm::any_of(patterns, isNamed)) {
          left.add(op, transform::layerName(op) + (globs.empty() ? ": it is the head" : ": skip names it"));
          continue;
        }
        round(op);
        ++numRounded;
        left.countDone();
      }
    if (failed(left.check(getOperation().getLoc(), "a linear layer")))
      signalPassFailure();
  }

private:
  void round(onnx::MatMulOp op) {
    OpBuilder builder(op);
    Value original = op.getB(), x = op.getA();
    std::vector<float> weights = transform::readConstant(original);
    roundWeights(weights, typeOf(original).getDimSize(1), weightsArePerRow(), zeroPoint);
    transform::setConstant(op.getBMutable(), weights);
    Value exact;
    if (threshold > 0) {
      InputRounder whole(builder, op.getLoc(), x);
      Value outliers = whole.binary<onnx::MulOp>(x, whole.findOutliers(static_cast<float>(threshold)));
      exact = onnx::MatMulOp::create(builder, op.getLoc(), op.getType(), outliers, original);
      x = whole.binary<onnx::SubOp>(x, outliers);
    }
    op.getAMutable().assign(InputRounder(builder, op.getLoc(), x).round(inputs == "row", zeroPoint));
    if (!exact)
      return;
    builder.setInsertionPointAfter(op);
    auto sum = onnx::AddOp::create(builder, op.getLoc(), op.getType(), op.getResult(), exact);
    op.getResult().replaceAllUsesExcept(sum.getResult(), sum);
  }

  bool weightsArePerRow() const { return weights == "row"; }
};

} // namespace
} // namespace qopt
