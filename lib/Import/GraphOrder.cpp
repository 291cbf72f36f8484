//===- GraphOrder.cpp - Nodes in an order in which they can run -----------===//
//
// Kahn's algorithm with a heap of what is ready, which gives the order nearest to the file's.
//
//===----------------------------------------------------------------------===//
#include "GraphOrder.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <queue>
#include <string_view>
#include <unordered_map>

using namespace qopt;

namespace {
/// Stands for a graph input or an initializer in the table of definitions.
constexpr int kNotANode = -1;
using Definitions = std::unordered_map<std::string_view, int>;
} // namespace

std::string qopt::nodeName(const pb::NodeProto &node) {
  if (!node.name().empty())
    return printable(node.name());
  for (const std::string &output : node.output())
    if (!output.empty())
      return printable(output);
  return "a node without name and outputs";
}

/// Who defines each name: inputs, initializers, nodes.
static Result<Definitions> collectDefinitions(const pb::GraphProto &graph) {
  Definitions definitions;
  for (const pb::ValueInfoProto &input : graph.input())
    if (!definitions.emplace(input.name(), kNotANode).second)
      return Error{printable(input.name()) + ": is a graph input twice"};
  // An initializer may have the name of an input, for which it then is a default.
  Definitions initializers;
  for (const pb::TensorProto &tensor : graph.initializer()) {
    if (tensor.name().empty())
      return Error{"an initializer has no name"};
    if (!initializers.emplace(tensor.name(), kNotANode).second)
      return Error{printable(tensor.name()) + ": is an initializer twice"};
    definitions.emplace(tensor.name(), kNotANode);
  }
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string &output : graph.node(i).output()) {
      if (output.empty())
        continue;
      auto [entry, isNew] = definitions.emplace(output, i);
      if (!isNew)
        return Error{nodeName(graph.node(i)) + ": output \"" + printable(output) + "\" is already defined by " +
                     (entry->second == kNotANode ? std::string("an input or initializer")
                                                 : "node \"" + nodeName(graph.node(entry->second)) + "\"")};
    }
  return definitions;
}

/// Names a cycle among the nodes that could not be ordered.
static Error describeCycle(const pb::GraphProto &graph, const Definitions &definitions,
                           const std::vector<int> &waitingFor) {
  // Every node left waits for another one that is left: walking back meets a node twice.
  auto previous = [&](int node) {
    for (const std::string &input : graph.node(node).input())
      if (auto found = definitions.find(input); found != definitions.end() && found->second != kNotANode)
        if (waitingFor[static_cast<size_t>(found->second)] > 0)
          return found->second;
    return node;
  };
  int start =
      static_cast<int>(std::ranges::find_if(waitingFor, [](int count) { return count > 0; }) - waitingFor.begin());
  std::vector<bool> seen(waitingFor.size(), false);
  while (!seen[static_cast<size_t>(start)]) {
    seen[static_cast<size_t>(start)] = true;
    start = previous(start);
  }
  std::vector<int> cycle = {start};
  for (int node = previous(start); node != start; node = previous(node))
    cycle.push_back(node);
  std::reverse(cycle.begin() + 1, cycle.end()); // in the direction of the data
  std::string text;
  constexpr size_t kShown = 8;
  for (size_t i = 0; i < std::min(cycle.size(), kShown); ++i)
    text += nodeName(graph.node(cycle[i])) + " -> ";
  text += cycle.size() > kShown ? "..." : nodeName(graph.node(start));
  return {nodeName(graph.node(start)) + ": is part of a cycle of " + std::to_string(cycle.size()) + " nodes: " + text};
}

/// What the graphs inside of `node` read of the graph around it, among others.
static void collectInnerInputs(const pb::NodeProto &node, std::vector<const std::string *> &names) {
  for (const pb::AttributeProto &attribute : node.attribute()) {
    for (const pb::NodeProto &inner : attribute.g().node()) {
      for (const std::string &input : inner.input())
        names.push_back(&input);
      collectInnerInputs(inner, names);
    }
    for (const pb::ValueInfoProto &output : attribute.g().output())
      names.push_back(&output.name());
  }
}

Result<std::vector<int>> qopt::sortNodes(const pb::GraphProto &graph,
                                         const std::function<bool(const std::string &)> &isKnown) {
  Result<Definitions> definitions = collectDefinitions(graph);
  if (!definitions)
    return definitions.error();
  auto count = static_cast<size_t>(graph.node_size());
  std::vector<int> waitingFor(count, 0); // inputs that are not computed yet
  std::vector<std::vector<int>> readers(count);
  auto waitFor = [&](int reader, int definition) {
    readers[static_cast<size_t>(definition)].push_back(reader);
    ++waitingFor[static_cast<size_t>(reader)];
  };
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string &input : graph.node(i).input()) {
      if (input.empty())
        continue;
      auto found = definitions->find(input);
      if (found == definitions->end() && isKnown(input))
        continue;
      if (found == definitions->end())
        return Error{nodeName(graph.node(i)) + ": input \"" + printable(input) +
                     "\" is neither a graph input, an initializer nor the output of a node"};
      if (found->second != kNotANode)
        waitFor(i, found->second);
    }
    // Names that a graph in the node defines are not the ones of this graph.
    std::vector<const std::string *> inner;
    collectInnerInputs(graph.node(i), inner);
    for (const std::string *name : inner)
      if (auto found = definitions->find(*name); found != definitions->end() && found->second != kNotANode)
        waitFor(i, found->second);
  }

  // The node that stands first in the file comes first.
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < count; ++i)
    if (waitingFor[i] == 0)
      ready.push(static_cast<int>(i));
  std::vector<int> order;
  order.reserve(count);
  while (!ready.empty()) {
    int node = ready.top();
    ready.pop();
    order.push_back(node);
    for (int reader : readers[static_cast<size_t>(node)])
      if (--waitingFor[static_cast<size_t>(reader)] == 0)
        ready.push(reader);
  }
  // What is left waits for itself.
  if (order.size() < count)
    return describeCycle(graph, *definitions, waitingFor);
  return order;
}
