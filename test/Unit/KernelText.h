//===- KernelText.h - IR of single kernels, for tests ----------------------===//
//
// The tests of all generators write their kernels with this: a function as
// qopt-outline-kernels leaves it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_KERNELTEXT_H
#define QOPT_TEST_UNIT_KERNELTEXT_H

#include <sstream>
#include <string>
#include <vector>

namespace qopt::test {

/// The type of a memref; dimensions below 0 are known at run time.
inline std::string memref(const std::vector<int64_t> &shape, const std::string &type) {
  std::string text = "memref<";
  for (int64_t d : shape)
    text += (d < 0 ? "?" : std::to_string(d)) + "x";
  return text + type + ">";
}

/// A private function that holds the operation `kernel` ("rms_norm") on its arguments, whose
/// types are given in the order of the operands, separated by ", ": "memref<?x8xf32>" or
/// "?x8xf32". Of matmul_w8a8 the number of operands tells the form of outliers.
inline std::string kernelFunction(const std::string &symbol, const std::string &kernel, const std::string &operands,
                                  const std::string &attributes = "") {
  std::string arguments, names, types, type;
  int count = 0;
  for (std::istringstream list(operands); std::getline(list >> std::ws, type, ',');) {
    const char *separator = count ? ", " : "";
    std::string name = "%a" + std::to_string(count++),
                full = type.starts_with("memref<") ? type : "memref<" + type + ">";
    arguments += separator + name + ": " + full;
    names += separator + name;
    types += separator + full;
  }
  std::string all = attributes, segments;
  if (kernel == "matmul_w8a8")
    segments = std::string("1, 1, 1, 1, 1, ") + (count == 8 ? "1, 1, 0, 0" : count == 9 ? "1, 0, 1, 1" : "0, 0, 0, 0");
  else if (kernel == "cached_attention")
    segments = std::string("1, 1, 1, 1, ") + (count == 7 ? "1, 1" : "0, 0"); // slopes and sinks
  if (!segments.empty())
    all += (all.empty() ? "" : ", ") + ("operandSegmentSizes = array<i32: " + segments + ", 1>");
  return "func.func private @" + symbol + "(" + arguments + ") {\n  \"kernel." + kernel + "\"(" + names + ") {" + all +
         "} : (" + types + ") -> ()\n  return\n}\n";
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_KERNELTEXT_H
