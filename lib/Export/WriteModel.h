//===- WriteModel.h - A model and its weights as files --------------------===//
//
// One file, or two that appear together.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_EXPORT_WRITEMODEL_H
#define QOPT_LIB_EXPORT_WRITEMODEL_H

#include "onnx.pb.h"
#include "qopt/Support/Result.h"

#include "mlir/IR/BuiltinAttributeInterfaces.h"
#include <string>
#include <vector>

namespace qopt {

/// Tensors of a model whose data are not in its file.
using ExternalTensors = std::vector<std::pair<pb::TensorProto *, mlir::ElementsAttr>>;

/// Writes `path` and, where there are any, the data of `external` to PATH.HASH.data beside it.
Status writeModel(const pb::ModelProto &model, const ExternalTensors &external, const std::string &path);

} // namespace qopt

#endif // QOPT_LIB_EXPORT_WRITEMODEL_H
