//===- RunDialects.td - Dialects of passes that run the model -------------===//
//
// Such a pass compiles stages of it, so that those of the code generator are among them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RUNDIALECTS_TD
#define QOPT_PASSES_RUNDIALECTS_TD

defvar kRunDialects = ["::qopt::QoptDialect", "::qopt::onnx::OnnxDialect", "::mlir::affine::AffineDialect",
                       "::mlir::arith::ArithDialect", "::mlir::bufferization::BufferizationDialect",
                       "::mlir::cf::ControlFlowDialect",
                       "::mlir::linalg::LinalgDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                       "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                       "::mlir::vector::VectorDialect"];

#endif // QOPT_PASSES_RUNDIALECTS_TD
