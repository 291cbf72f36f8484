//===- KeptFiles.cpp - Files of weights stay mapped -----------------------===//
//
// They hang on the dialect, which lives as long as its context.
//
//===----------------------------------------------------------------------===//
#include "KeptFiles.h"
#include "mlir/IR/DialectInterface.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include <set>

using namespace mlir;
using namespace qopt;

namespace {
struct KeptFiles : DialectInterface::Base<KeptFiles> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KeptFiles)
  explicit KeptFiles(Dialect *dialect) : Base(dialect) {}

  std::set<std::shared_ptr<const void>> files;
};
} // namespace

Result<OwnedBytes> qopt::keepFile(MLIRContext &context, Result<OwnedBytes> data) {
  if (!data)
    return data;
  auto *dialect = context.getOrLoadDialect<onnx::OnnxDialect>();
  auto *kept = dialect->getRegisteredInterface<KeptFiles>();
  (kept ? *kept : dialect->addInterface<KeptFiles>()).files.insert(data->owner);
  return data;
}
