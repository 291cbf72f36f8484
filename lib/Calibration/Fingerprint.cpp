//===- Fingerprint.cpp - What the results of calibration depend on --------===//
//
// The graph without its data is hashed as text, which holds the schemes with all their
// options; the data are hashed as they lie, several constants at a time.
//
//===----------------------------------------------------------------------===//
#include "Fingerprint.h"
#include "mlir/IR/OperationSupport.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Support/Sha256.h"
#include <cpuid.h>

using namespace mlir;
using namespace qopt;

namespace {

/// A hash of parts: their lengths are part of it.
class PartHash {
public:
  void add(StringRef bytes) {
    uint64_t size = bytes.size();
    hash.update(std::as_bytes(std::span(&size, 1)));
    hash.update(std::as_bytes(std::span(bytes.data(), bytes.size())));
  }
  std::string finish() { return toHex(hash.finish()); }

private:
  Sha256 hash;
};

} // namespace

static StringRef text(ArrayRef<char> bytes) { return StringRef(bytes.data(), bytes.size()); }

/// Of the file's bytes where the constant is made of them.
static std::string hashConstant(ElementsAttr value) {
  PartHash hash;
  ConstantView view = viewConstant(value);
  if (view.deferred && view.deferred->transposeOf)
    hash.add(text(viewConstant(view.deferred->transposeOf).bytes));
  else if (view.deferred)
    hash.add(text(view.expanded()));
  else
    hash.add(text(view.bytes));
  return hash.finish();
}

static std::string hashData(func::FuncOp function, const ParallelFor &parallelFor) {
  std::vector<ElementsAttr> constants;
  function.walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs())
      if (auto value = dyn_cast<ElementsAttr>(attribute.getValue()))
        constants.push_back(value);
  });
  std::vector<std::string> hashes(constants.size());
  parallelFor(static_cast<int64_t>(constants.size()), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      hashes[i] = hashConstant(constants[i]);
  });
  PartHash all;
  for (const std::string &hash : hashes)
    all.add(hash);
  return all.finish();
}

static std::string hashGraph(func::FuncOp function, const CalibrationOptions &options) {
  std::string graph;
  llvm::raw_string_ostream stream(graph);
  stream << "batch-size=" << options.batchSize << '\n';
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(/*largeElementLimit=*/16).useLocalScope();
  function.getOperation()->print(stream, flags.printGenericOpForm());
  PartHash hash;
  hash.add(graph);
  return hash.finish();
}

static std::string hashWindows(const std::vector<std::vector<int32_t>> &windows) {
  PartHash hash;
  for (const std::vector<int32_t> &window : windows)
    hash.add(StringRef(reinterpret_cast<const char *>(window.data()), window.size() * sizeof(int32_t)));
  return hash.finish();
}

/// Code is made for a level of the processor, and OpenBLAS chooses by its family and model.
static std::string describeProcessor() {
  unsigned a = 0, b, c, d;
  __get_cpuid(1, &a, &b, &c, &d);
  constexpr unsigned familyAndModel = 0x0fff0ff0;
  return qrt::hostLevel() + " " + std::to_string(a & familyAndModel);
}

std::string qopt::fingerprintOfModel(func::FuncOp function, const ParallelFor &parallelFor) {
  PartHash hash;
  function.walk([&](Operation *op) {
    if (!isa<ObserveOp>(op))
      hash.add(op->getName().getStringRef());
  });
  hash.add(hashData(function, parallelFor));
  constexpr size_t kShown = 16;
  return hash.finish().substr(0, kShown);
}

Fingerprint qopt::fingerprint(func::FuncOp function, const std::vector<std::vector<int32_t>> &windows,
                              const CalibrationOptions &options, const ParallelFor &parallelFor) {
  return {{"the version of qopt", QOPT_VERSION},
          {"the device", options.device},
          {"the processor", describeProcessor()},
          {"the calibration data", hashWindows(windows)},
          {"the weights of the model", hashData(function, parallelFor)},
          {"the graph of the model or an option of the scheme", hashGraph(function, options)}};
}
