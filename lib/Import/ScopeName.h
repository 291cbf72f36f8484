//===- ScopeName.h - The module a node comes from -------------------------===//
//
// One of the sources of the names of layers.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_SCOPENAME_H
#define QOPT_LIB_IMPORT_SCOPENAME_H

#include "onnx.pb.h"
#include <string>

namespace qopt {

/// The path of the innermost PyTorch module that `node` comes from, as
/// torch.onnx's dynamo exporter wrote it into the node's metadata:
/// "model.layers.0.self_attn.q_proj". Empty where there is none.
std::string scopeName(const pb::NodeProto &node);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_SCOPENAME_H
