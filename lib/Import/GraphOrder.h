//===- GraphOrder.h - Nodes in an order in which they can run -------------===//
//
// ONNX demands sorted nodes, exporters do not always obey.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_GRAPHORDER_H
#define QOPT_LIB_IMPORT_GRAPHORDER_H

#include "onnx.pb.h"
#include "qopt/Support/Result.h"
#include <functional>
#include <vector>

namespace qopt {

/// The name of a node in messages: its own or its first output's, printable.
std::string nodeName(const pb::NodeProto &node);

/// The indices of the graph's nodes so that each comes after those that it reads:
/// of all such orders the one nearest to the file's, which for a sorted graph is the
/// file's own. ONNX demands sorted graphs, but onnxruntime accepts others and
/// exporters write them. The message of an error begins with the node or tensor
/// it is about: a name with two definitions or none, a cycle. `isKnown` tells which names
/// are defined around a graph inside a node.
Result<std::vector<int>> sortNodes(const pb::GraphProto &graph,
                                   const std::function<bool(const std::string &)> &isKnown);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_GRAPHORDER_H
