//===- Configuration.h - What the files beside a model say of it ----------===//
//
// How long texts may be and where they end, as exporters write it for transformers and for
// onnxruntime-genai.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_CONFIGURATION_H
#define QOPT_LIB_DRIVER_CONFIGURATION_H

#include "qopt/Driver/Driver.h"
#include "qopt/Module/Module.h"
#include "qopt/Tokenizer/Tokenizer.h"

namespace qopt {

/// The file of this name in the model's folder or in the one above, as the model's path has
/// them: its files may be links into a store where no other is near. Empty where it is in neither.
std::string findBeside(const CompileOptions &options, const std::string &name);

/// What the configurations say.
struct Configuration {
  int64_t contextLength = 0; ///< 0: none says it
  TextFacts text;
};

/// Reads what findBeside() finds; `tokenizer` gives the ids of tokens that files name, and may be
/// null. A file that cannot be read is a warning.
Configuration readConfiguration(const CompileOptions &options, const Tokenizer *tokenizer);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_CONFIGURATION_H
