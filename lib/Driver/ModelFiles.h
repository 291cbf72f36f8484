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

/// max_position_embeddings of the config.json beside the model (also inside a
/// text_config, or context_length of a genai_config.json); 0 when not found.
int64_t readContextLength(const std::string &model);

/// A tokenizer and the file it came from; both empty when there is none.
struct TokenizerFile {
  std::string path;
  std::optional<MappedFile> file;
  std::unique_ptr<Tokenizer> tokenizer;
};

/// options.tokenizer, or tokenizer.json beside the model.
Result<TokenizerFile> readTokenizer(const CompileOptions &options);

/// The calibration windows that the options ask for. `vocabularySize` 0: unknown.
Result<std::vector<std::vector<int32_t>>> readSamples(const CompileOptions &options, const Tokenizer *tokenizer,
                                                      int64_t contextLength, int64_t vocabularySize);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_MODELFILES_H
