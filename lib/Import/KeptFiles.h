//===- KeptFiles.h - Files of weights stay mapped -------------------------===//
//
// As long as the context, also where all data were copied: who writes an output asks which
// files are mapped.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_KEPTFILES_H
#define QOPT_LIB_IMPORT_KEPTFILES_H

#include "ExternalData.h"
#include "mlir/IR/MLIRContext.h"

namespace qopt {

/// `data`, whose file `context` holds from now on.
Result<OwnedBytes> keepFile(mlir::MLIRContext &context, Result<OwnedBytes> data);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_KEPTFILES_H
