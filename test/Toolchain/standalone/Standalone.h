//===- Standalone.h - The dialect and the pass of an accelerator ----------===//
//
// Declared in Standalone.td.
//
//===----------------------------------------------------------------------===//
#ifndef STANDALONE_H
#define STANDALONE_H

#include "mlir/Pass/Pass.h"
#include "qopt/Dialect/Qopt/Qopt.h"

#include "StandaloneDialect.h.inc"
#define GET_OP_CLASSES
#include "StandaloneOps.h.inc"

namespace standalone {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "StandalonePasses.h.inc"
} // namespace standalone

#endif // STANDALONE_H
