//===- ModelFiles.h - What lies beside a model and what goes into it ------===//
//
// The files around the model: configuration, tokenizer, calibration data.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_MODELFILES_H
#define QOPT_LIB_DRIVER_MODELFILES_H

#include "qopt/Driver/Driver.h"
#include "qopt/Support/File.h"
#include "qopt/Tokenizer/Tokenizer.h"

namespace qopt {

/// A tokenizer and the file it came from; both empty when there is none.
struct TokenizerFile {
  std::string path;
  std::optional<MappedFile> file;
  std::unique_ptr<Tokenizer> tokenizer;
};

/// options.tokenizer, or the tokenizer.json in the model's folder or the one above.
Result<TokenizerFile> readTokenizer(const CompileOptions &options);

/// The calibration windows that the options ask for. `vocabularySize` 0: unknown.
Result<std::vector<std::vector<int32_t>>> readSamples(const CompileOptions &options, const Tokenizer *tokenizer,
                                                      int64_t contextLength, int64_t vocabularySize);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_MODELFILES_H
