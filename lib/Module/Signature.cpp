//===- Signature.cpp - What code of a module relies on --------------------===//
//
// Code reads parameters, inputs and outputs without asking how large they are, and takes sizes
// of one name for equal. So it carries what it was compiled for as text, a line for each.
//
//===----------------------------------------------------------------------===//
#include "qopt/Module/Module.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Utf8.h"

using namespace qopt;

static void addLine(std::string &text, const std::string &what, ElementType type, const std::vector<Dimension> &dims) {
  text += what + " " + elementTypeName(type) + " [";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + (dims[i].symbol.empty() ? std::to_string(dims[i].size) : printable(dims[i].symbol));
  text += "]\n";
}

std::string qopt::signatureOf(const ModuleInfo &info, std::string_view section) {
  std::string text;
  for (const Parameter &parameter : info.parameters)
    addLine(text, "parameter", parameter.type, {parameter.dims.begin(), parameter.dims.end()});
  for (const EntryPoint &entry : info.entryPoints) {
    text += "entry point " + printable(entry.name) + "\n";
    for (const TensorInfo &input : entry.inputs)
      addLine(text, "input " + std::string(roleName(input.role)), input.type, input.dims);
    for (const TensorInfo &output : entry.outputs)
      addLine(text, "output " + std::string(roleName(output.role)), output.type, output.dims);
  }
  if (section == kCudaHostSection)
    for (const KernelInfo &kernel : info.kernels)
      text += "kernel " + printable(kernel.name) + " " + printable(kernel.arch) + "\n";
  return text;
}

/// Takes the first line off `text`.
static std::string_view nextLine(std::string_view &text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

Status qopt::checkSignature(const ModuleInfo &info, std::string_view section, std::string_view signature) {
  std::string own = signatureOf(info, section);
  if (own == signature)
    return {};
  std::string_view declared = own;
  for (int64_t number = 1;; ++number) {
    std::string_view inHeader = nextLine(declared), inCode = nextLine(signature);
    auto quoted = [](std::string_view line) { return line.empty() ? "nothing" : "\"" + printable(line) + "\""; };
    if (inHeader != inCode || inHeader.empty())
      return Error{"its header does not fit the code in section '" + std::string(section) + "': item " +
                   std::to_string(number) + " of the signature is " + quoted(inHeader) +
                   ", but the code was compiled for " + quoted(inCode)};
  }
}
