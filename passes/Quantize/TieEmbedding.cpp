//===- TieEmbedding.cpp - A table that is the head's weight is read from it ===//
//
// Models often share the embedding with the head. After raising, the head's weight is the
// table transposed, so the two are compared bit by bit, whatever the exporter did to them.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_TIEEMBEDDING
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Whether the codes of this weight could be those of a table: int8, with a scale per output.
bool hasCodesOfRows(const Linear &linear) {
  WeightMethod method = linear.variant().weights;
  return linear.isQuantizedWithoutData() && (method == WeightMethod::Channels || method == WeightMethod::HalfChannels);
}

/// Whether the rows that `op` reads are wanted as f32, all of them.
bool isReadAsFloat(onnx::GatherOp op) {
  auto type = cast<RankedTensorType>(op.getOutput().getType());
  return type.getElementType().isF32() || llvm::all_of(op->getUsers(), [](Operation *user) {
           auto cast = dyn_cast<onnx::CastOp>(user);
           return cast && cast.getTo().isF32();
         });
}

/// Lets `op` read rows of the transposed weight of `linear`.
void tie(onnx::GatherOp op, const Linear &linear) {
  onnx::MatMulOp product = linear.op;
  // Constants may stand anywhere: this one, and its cast, go to where the table is read.
  for (Operation *weight = product.getB().getDefiningOp(), *user = op; weight;
       user = weight, weight = weight->getNumOperands() ? weight->getOperand(0).getDefiningOp() : nullptr)
    if (!weight->isBeforeInBlock(user))
      weight->moveBefore(user);
  OpBuilder builder(op);
  auto table = RankedTensorType::get({linear.outFeatures, linear.inFeatures}, builder.getF32Type());
  Value rows = onnx::TransposeOp::create(builder, op.getLoc(), table, product.getB(), ArrayRef<int64_t>{1, 0});
  auto type = cast<RankedTensorType>(op.getOutput().getType());
  auto gather = onnx::GatherOp::create(builder, op.getLoc(), type.clone(builder.getF32Type()), rows, op.getIndices(),
                                       op.getAxisAttr());
  if (type.getElementType().isF32())
    op.getOutput().replaceAllUsesWith(gather);
  for (Operation *cast : llvm::make_early_inc_range(op->getUsers())) {
    cast->replaceAllUsesWith(gather);
    cast->erase();
  }
  op.erase();
}

struct TieEmbedding : impl::TieEmbeddingBase<TieEmbedding> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Linear> linears;
    SmallVector<onnx::GatherOp> gathers;
    getOperation().walk([&](Operation *op) {
      if (std::optional<Linear> linear = Linear::match(op); linear && hasCodesOfRows(*linear))
        linears.push_back(*linear);
      if (auto gather = dyn_cast<onnx::GatherOp>(op); gather && gather.getAxis() == 0 && isReadAsFloat(gather))
        gathers.push_back(gather);
    });
    for (onnx::GatherOp gather : gathers) {
      std::optional<ConstantView> table = matchWeight(gather.getData());
      if (!table)
        continue;
      const Linear *linear =
          llvm::find_if(linears, [&](const Linear &one) { return isTransposed(*table, viewConstant(one.weights)); });
      if (linear == linears.end() || linear->op->getBlock() != gather->getBlock())
        continue;
      tie(gather, *linear);
      ++numTied;
    }
  }
};

} // namespace
} // namespace qopt
