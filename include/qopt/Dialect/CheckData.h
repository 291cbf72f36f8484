//===- CheckData.h - Constants whose data do not fit their types ----------===//
//
// What IR from outside may hold, and no operation of ours ever makes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_CHECKDATA_H
#define QOPT_DIALECT_CHECKDATA_H

#include "mlir/IR/Operation.h"
#include "qopt/Support/Result.h"
#include <optional>
#include <utility>

namespace qopt {

/// What the parser accepts and nothing that runs later survives: a resource without data or
/// with more or fewer bytes than its type needs, a constant of one value that is larger than
/// any memory, a tensor whose bytes 63 bits cannot count. The operation that has it, and what
/// is wrong.
std::optional<std::pair<mlir::Location, Error>> findBadData(mlir::Operation *root);

} // namespace qopt

#endif // QOPT_DIALECT_CHECKDATA_H
