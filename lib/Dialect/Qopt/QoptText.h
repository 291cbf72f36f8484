//===- QoptText.h - Custom parts of the assembly format -------------------===//
//
// What the declarative format cannot say, as functions that it calls.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DIALECT_QOPT_QOPTTEXT_H
#define QOPT_LIB_DIALECT_QOPT_QOPTTEXT_H

#include "qopt/Dialect/Qopt/Qopt.h"

namespace qopt {

/// `["absmax", "hessian"]`
mlir::ParseResult parseStatistics(mlir::OpAsmParser &parser, StatisticSetAttr &attribute);
void printStatistics(mlir::OpAsmPrinter &printer, mlir::Operation *op, StatisticSetAttr attribute);

} // namespace qopt

#endif // QOPT_LIB_DIALECT_QOPT_QOPTTEXT_H
