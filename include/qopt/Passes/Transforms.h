//===- Transforms.h - Passes on the float model before quantizing ---------===//
//
// Declared in Transforms.td.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_TRANSFORMS_H
#define QOPT_PASSES_TRANSFORMS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "qopt/Dialect/Qopt/Qopt.h"

namespace qopt {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "qopt/Passes/Transforms.h.inc"

} // namespace qopt

#endif // QOPT_PASSES_TRANSFORMS_H
