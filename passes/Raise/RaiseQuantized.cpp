//===- RaiseQuantized.cpp - What a file has quantized becomes products of codes ----===//
//
// A DequantizeLinear of constants is read in three ways: as the weight of a product, as a
// table of rows, and as numbers. The first keeps its codes, as `qopt.dequantize`; of the
// second single rows are dequantized; the third becomes a float constant.
//
// Where the other factor of such a product is dequantized too, its codes are what the
// product takes, so that it is one of integers.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "StoredValues.h"
#include "qopt/Dialect/StoredWeights.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include <map>
#include <tuple>

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_RAISEQUANTIZED
#include "qopt/Passes/Passes.h.inc"

namespace {

using namespace raise;

/// Codes of activations as int8, less 128 where they are unsigned.
struct Activation {
  Value codes, scale, zero; ///< scale and zero f32 of rank 0
};

class Raising {
public:
  explicit Raising(func::FuncOp function, bool dequantize) : function(function), dequantize(dequantize) {}

  void run() {
    foldCodes(function);
    rearrangeFirst(function);
    SmallVector<DequantizeLinearOp> found;
    function.walk([&](DequantizeLinearOp op) { found.push_back(op); });
    for (DequantizeLinearOp &op : found)
      op = liftOverGather(op);
    for (DequantizeLinearOp op : found)
      if (matchConstant(op.getX()))
        raise(op);
    if (dequantize)
      for (DequantizeLinearOp op : found)
        dropRounding(op);
    for (DequantizeLinearOp op : found)
      if (op->use_empty())
        op.erase();
    warn();
  }

private:
  /// One reader of a dequantized matrix; `isFlipped`: it reads the transpose.
  struct Use {
    OpOperand *operand;
    bool isFlipped;
  };

  /// DequantizeLinear(Gather(table)) reads rows of DequantizeLinear(table).
  DequantizeLinearOp liftOverGather(DequantizeLinearOp op) {
    auto gather = op.getX().getDefiningOp<GatherOp>();
    if (!gather || !matchConstant(gather.getData()) || !isSingle(op.getXScale()) || op.getBlockSize())
      return op;
    OpBuilder b(op);
    RankedTensorType table = typeOf(gather.getData()), rows = typeOf(op.getY());
    auto whole =
        DequantizeLinearOp::create(b, op.getLoc(), table.clone(rows.getElementType()), gather.getData(), op.getXScale(),
                                   op.getXZeroPoint(), op.getAxis(), op.getBlockSize(), op.getTo());
    auto read = GatherOp::create(b, gather.getLoc(), rows, whole, gather.getIndices(), gather.getAxisAttr());
    copyScope(gather, read);
    op.getY().replaceAllUsesWith(read.getOutput());
    op.erase();
    return whole;
  }

  void collect(Value value, bool isFlipped, SmallVectorImpl<Use> &uses) {
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      auto transpose = dyn_cast<TransposeOp>(user);
      auto cast = dyn_cast<CastOp>(user);
      if (transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0})
        collect(transpose.getTransposed(), !isFlipped, uses);
      else if (cast && isa<FloatType>(cast.getTo()))
        collect(cast.getOutput(), isFlipped, uses);
      else
        uses.push_back({&use, isFlipped});
    }
  }

  void raise(DequantizeLinearOp op) {
    SmallVector<Use> uses;
    if (!dequantize && typeOf(op.getY()).getRank() == 2)
      collect(op.getY(), /*isFlipped=*/false, uses);
    reason.clear();
    for (const Use &use : uses)
      if (auto gemm = dyn_cast<GemmOp>(use.operand->getOwner()))
        raiseGemm(op, gemm, use);
      else if (auto product = dyn_cast<MatMulOp>(use.operand->getOwner()))
        raiseProduct(op, product, use);
      else if (auto gather = dyn_cast<GatherOp>(use.operand->getOwner()))
        raiseGather(op, gather, use);
    eraseUnread(op);
    if (!op->use_empty())
      makeFloat(op);
  }

  /// Transposes and casts that nobody reads any more.
  void eraseUnread(DequantizeLinearOp op) {
    for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
      if (isa<TransposeOp, CastOp>(user)) {
        for (Operation *next : llvm::make_early_inc_range(user->getUsers()))
          if (isa<TransposeOp, CastOp>(next) && next->use_empty())
            next->erase();
        if (user->use_empty())
          user->erase();
      }
  }

  /// The matrix [N, K] whose outputs are along `outputAxis` of the codes; null where it has no
  /// form. The same for all that read it alike.
  Value weightsOf(DequantizeLinearOp op, int64_t outputAxis, bool asInt8) {
    auto pointer = [](Value value) { return value.getAsOpaquePointer(); };
    Value &known = weights[{pointer(op.getX()), pointer(op.getXScale()), pointer(op.getXZeroPoint()), op.getBlockSize(),
                            outputAxis, asInt8}];
    if (known)
      return known;
    std::optional<StoredWeights> stored = StoredWeights::match(op, outputAxis, reason);
    if (!stored)
      return {};
    OpBuilder b(op);
    known = createStoredWeights(b, op.getLoc(), *stored, nameOf(op.getX()), asInt8);
    if (!known)
      reason = "no form of codes holds its zero points";
    return known;
  }

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// x as int8 codes, where it is dequantized with one scale.
  std::optional<Activation> activationOf(Value x) {
    auto op = x.getDefiningOp<DequantizeLinearOp>();
    if (!op || !isSingle(op.getXScale()) || (op.getXZeroPoint() && !isSingle(op.getXZeroPoint())))
      return std::nullopt;
    auto quantize = op.getX().getDefiningOp<QuantizeLinearOp>();
    Type element = typeOf(op.getX()).getElementType();
    if (!quantize || !(element.isInteger(8)) || !isSingle(quantize.getYScale()) || matchConstant(op.getX()))
      return std::nullopt;
    double middle = element.isUnsignedInteger() ? 128 : 0;
    OpBuilder b(op);
    Location loc = op.getLoc();
    return Activation{codesOf(quantize, middle), toScalar(b, loc, op.getXScale()),
                      zeroAsFloat(b, loc, op.getXZeroPoint(), middle)};
  }

  /// What `op` gives, less `middle`, as int8.
  Value codesOf(QuantizeLinearOp op, double middle) {
    Value &known = codes[op];
    if (known)
      return known;
    OpBuilder b(op);
    Location loc = op.getLoc();
    Value x = castTo(b, loc, op.getX(), b.getF32Type()), scale = toScalar(b, loc, op.getYScale());
    Value zero = zeroAsFloat(b, loc, op.getYZeroPoint(), middle);
    if (getConstantScalar(zero) == 0)
      return known = QuantizeOp::create(b, loc, x, scale);
    Type type = x.getType();
    Value rounded = RoundOp::create(b, loc, type, DivOp::create(b, loc, type, x, scale));
    Value moved = AddOp::create(b, loc, type, rounded, zero);
    Value bounded = ClipOp::create(b, loc, type, moved, scalarConstant(b, loc, -128), scalarConstant(b, loc, 127));
    return known = castTo(b, loc, bounded, b.getI8Type());
  }

  /// The other factor of a product with these weights, in f32.
  Value factorOf(OpBuilder &b, Location loc, Value x, const std::optional<Activation> &activation) {
    if (!activation)
      return castTo(b, loc, x, b.getF32Type());
    Value result = DequantizeOp::create(b, loc, activation->codes, activation->scale);
    if (getConstantScalar(activation->zero) == 0)
      return result;
    std::optional<double> zero = getConstantScalar(activation->zero), scale = getConstantScalar(activation->scale);
    Value offset;
    if (zero && scale)
      offset = scalarConstant(b, loc, static_cast<float>(*zero * *scale));
    else
      offset = MulOp::create(b, loc, activation->scale.getType(), activation->zero, activation->scale);
    return SubOp::create(b, loc, result.getType(), result, offset);
  }

  /// x W^T in the type of `like`; null where W has no form.
  Value createProduct(DequantizeLinearOp op, Operation *like, Value x, int64_t outputAxis) {
    OpBuilder b(like);
    Location loc = like->getLoc();
    std::optional<Activation> activation = activationOf(x);
    Value w = activation ? weightsOf(op, outputAxis, /*asInt8=*/true) : Value();
    if (!w) {
      activation.reset();
      w = weightsOf(op, outputAxis, /*asInt8=*/false);
    }
    if (!w || typeOf(x).getRank() < 1)
      return {};
    RankedTensorType matrix = typeOf(w), type = typeOf(like->getResult(0));
    auto transposed = RankedTensorType::get({matrix.getDimSize(1), matrix.getDimSize(0)}, b.getF32Type());
    Value right = TransposeOp::create(b, loc, transposed, w, ArrayRef<int64_t>{1, 0});
    Value left = factorOf(b, loc, x, activation);
    auto product = MatMulOp::create(b, loc, type.clone(b.getF32Type()), left, right);
    copyScope(like, product);
    return castTo(b, loc, product, type.getElementType());
  }

  void raiseProduct(DequantizeLinearOp op, MatMulOp product, const Use &use) {
    if (use.operand->getOperandNumber() != 1) {
      reason = "it is the first factor of a product";
      return;
    }
    Value result = createProduct(op, product, product.getA(), use.isFlipped ? 0 : 1);
    if (!result)
      return;
    product.getY().replaceAllUsesWith(result);
    product.erase();
  }

  void raiseGemm(DequantizeLinearOp op, GemmOp gemm, const Use &use) {
    if (use.operand->getOperandNumber() != 1 || gemm.getTransA()) {
      reason = "it is the first factor of a product";
      return;
    }
    Value result = createProduct(op, gemm, gemm.getA(), (gemm.getTransB() != 0) != use.isFlipped ? 0 : 1);
    if (!result)
      return;
    OpBuilder b(gemm);
    result = scaledBy(b, gemm.getLoc(), result, gemm.getAlpha());
    if (gemm.getC())
      result = AddOp::create(b, gemm.getLoc(), result.getType(), result,
                             scaledBy(b, gemm.getLoc(), gemm.getC(), gemm.getBeta()));
    gemm.getY().replaceAllUsesWith(result);
    gemm.erase();
  }

  //===--------------------------------------------------------------------===//
  // Rows of a table
  //===--------------------------------------------------------------------===//

  void raiseGather(DequantizeLinearOp op, GatherOp gather, const Use &use) {
    int64_t axis = frontAxis(gather.getAxis(), 2);
    if (use.operand->getOperandNumber() != 0 || axis != 0)
      return;
    std::optional<StoredWeights> stored = StoredWeights::match(op, use.isFlipped ? 1 : 0, reason);
    if (!stored)
      return;
    OpBuilder b(gather);
    bool isPerRow = stored->groups() == 1 && stored->bits() == 8;
    Value table = isPerRow ? weightsOf(op, use.isFlipped ? 1 : 0, /*asInt8=*/false) : Value();
    Value rows = table ? gatherTable(b, gather, table) : gatherGroups(b, gather, *stored, nameOf(op.getX()), reason);
    if (!rows)
      return;
    gather.getOutput().replaceAllUsesWith(
        castTo(b, gather.getLoc(), rows, typeOf(gather.getOutput()).getElementType()));
    gather.erase();
  }

  //===--------------------------------------------------------------------===//
  // Numbers
  //===--------------------------------------------------------------------===//

  /// What is left of the readers of `op` get a float constant.
  void makeFloat(DequantizeLinearOp op) {
    FailureOr<reference::Tensor> tensor = evaluateConstants(op);
    if (failed(tensor))
      return;
    RankedTensorType type = tensor->type;
    OpBuilder b(op);
    Value constant;
    if (type.getElementType().isF32()) {
      std::vector<float> values(tensor->floats.begin(), tensor->floats.end());
      constant = createFloats(b, op.getLoc(), type.getShape(), values, nameOf(op.getX()));
    } else {
      constant = ConstantOp::create(b, op.getLoc(), reference::toAttribute(*tensor));
    }
    op.getY().replaceAllUsesWith(constant);
    if (dequantize || type.getRank() < 2)
      return;
    made.push_back(nameOf(op.getX()) + (reason.empty() ? "" : " (" + reason + ")"));
    bytes += type.getNumElements() * type.getElementTypeBitWidth() / 8;
  }

  /// What a quantized model rounded on the way: a float model does not.
  void dropRounding(DequantizeLinearOp op) {
    auto quantize = op.getX().getDefiningOp<QuantizeLinearOp>();
    if (!quantize || quantize.getX().getType() != op.getY().getType() || quantize.getYScale() != op.getXScale())
      return;
    op.getY().replaceAllUsesWith(quantize.getX());
  }

  void warn() {
    if (made.empty())
      return;
    emitWarning(function.getLoc()) << made.size()
                                   << (made.size() == 1 ? " quantized weight becomes" : " quantized weights become")
                                   << " float, " << (bytes + 1023) / 1024
                                   << " KiB in the module: " << llvm::join(ArrayRef(made).take_front(3), ", ")
                                   << (made.size() > 3 ? ", ..." : "");
  }

  func::FuncOp function;
  bool dequantize;
  /// By codes, scales, zero points and how they are read: a head and a table may share them.
  std::map<std::tuple<void *, void *, void *, int64_t, int64_t, bool>, Value> weights;
  llvm::DenseMap<Operation *, Value> codes;
  std::string reason;
  SmallVector<std::string> made;
  int64_t bytes = 0;
};

struct RaiseQuantized : impl::RaiseQuantizedBase<RaiseQuantized> {
  using Base::Base;

  void runOnOperation() override {
    if (raise::isGraph(getOperation()))
      Raising(getOperation(), dequantize).run();
  }
};

} // namespace
} // namespace qopt
