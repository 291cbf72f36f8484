//===- Bufferization.cpp - Kernels on tensors to kernels on memory --------===//
//
// A kernel on memory is the same operation without results. Code of kernels takes
// contiguous memory, so operands that are views with gaps are copied; destinations are
// never read, so an empty tensor costs nothing.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "qopt/Dialect/Kernel/Kernel.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace qopt::kernel;

namespace {

template <typename Op>
struct KernelModel : DstBufferizableOpInterfaceExternalModel<KernelModel<Op>, Op> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return cast<DestinationStyleOpInterface>(op).isDpsInput(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto kernel = cast<DestinationStyleOpInterface>(op);
    SmallVector<Value> operands, results;
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (isa<RankedTensorType>(value.getType())) {
        FailureOr<Value> buffer = getBuffer(rewriter, value, options, state);
        if (failed(buffer))
          return failure();
        FailureOr<Value> contiguous = makeContiguous(rewriter, op, *buffer, options);
        if (failed(contiguous))
          return failure();
        if (kernel.isDpsInit(&operand) && *contiguous != *buffer)
          return op->emitOpError() << "expected contiguous memory for a result, but got " << buffer->getType();
        value = *contiguous;
        if (kernel.isDpsInit(&operand))
          results.push_back(value);
      }
      operands.push_back(value);
    }
    rewriter.setInsertionPoint(op);
    clone(rewriter, op, TypeRange(), operands);
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }

private:
  static FailureOr<Value> makeContiguous(RewriterBase &rewriter, Operation *op, Value buffer,
                                         const BufferizationOptions &options) {
    auto type = cast<MemRefType>(buffer.getType());
    if (type.getLayout().isIdentity())
      return buffer;
    rewriter.setInsertionPoint(op);
    return castOrReallocMemRefValue(rewriter, buffer, MemRefType::get(type.getShape(), type.getElementType()), options);
  }
};

} // namespace

void qopt::kernel::registerBufferization(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, KernelDialect *) {
    AttentionOp::attachInterface<KernelModel<AttentionOp>>(*context);
    CacheAppendOp::attachInterface<KernelModel<CacheAppendOp>>(*context);
    CachedAttentionOp::attachInterface<KernelModel<CachedAttentionOp>>(*context);
    DynamicQuantizeOp::attachInterface<KernelModel<DynamicQuantizeOp>>(*context);
    GatherOp::attachInterface<KernelModel<GatherOp>>(*context);
    MatmulFloatOp::attachInterface<KernelModel<MatmulFloatOp>>(*context);
    MatmulW4A16Op::attachInterface<KernelModel<MatmulW4A16Op>>(*context);
    MatmulW4A8Op::attachInterface<KernelModel<MatmulW4A8Op>>(*context);
    MatmulW8A16Op::attachInterface<KernelModel<MatmulW8A16Op>>(*context);
    MatmulW8A8Op::attachInterface<KernelModel<MatmulW8A8Op>>(*context);
    QuantizeOp::attachInterface<KernelModel<QuantizeOp>>(*context);
    RmsNormOp::attachInterface<KernelModel<RmsNormOp>>(*context);
    LayerNormOp::attachInterface<KernelModel<LayerNormOp>>(*context);
    RotaryOp::attachInterface<KernelModel<RotaryOp>>(*context);
    SplitColumnsAtOp::attachInterface<KernelModel<SplitColumnsAtOp>>(*context);
    SplitColumnsOp::attachInterface<KernelModel<SplitColumnsOp>>(*context);
  });
}
