//===- LanguageModel.h - Token ids in, logits out -------------------------===//
//
// What evaluation and generation need of a model, whatever inputs its exporter
// gave it. SessionModel is a module's entry point; qopt makes its own to measure
// what it is about to write.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_LANGUAGEMODEL_H
#define QOPT_RUNTIME_LANGUAGEMODEL_H

#include "qopt/Runtime/Runtime.h"

namespace qrt {

/// Rows of token ids of one length. What a row lacks is filled up on its left.
struct TokenBatch {
  int64_t rows = 0, length = 0;
  std::vector<int32_t> ids; ///< [rows, length]
  /// How many positions at the start of each row are filling; empty: none.
  std::vector<int64_t> padding;

  int64_t paddingOf(int64_t row) const { return padding.empty() ? 0 : padding[static_cast<size_t>(row)]; }
};

class LanguageModel {
public:
  virtual ~LanguageModel() = default;
  /// f32, f16 or bf16 [rows, length, vocabularySize()], see widened(), or [rows, 1, vocabularySize()] of a model
  /// that has only those behind the last token. Errors: an id that is not in
  /// [0, vocabularySize()), what the model's code reports.
  virtual Result<Tensor> logits(const TokenBatch &batch) = 0;
  /// Empty texts of at most `capacity` tokens, in so many rows; null where the model has to
  /// be run over all tokens each time, or takes another number of rows.
  virtual Result<std::unique_ptr<Decoder>> makeDecoder(int64_t rows, int64_t capacity) {
    return std::unique_ptr<Decoder>();
  }
  virtual bool hasAllLogits() const { return true; }
  virtual int64_t vocabularySize() const = 0;
  /// The longest row; 0 when unknown.
  virtual int64_t contextLength() const = 0;
  /// The only number of rows, and the only length, that the model computes; 0: any. Fewer and
  /// shorter ones are filled up behind what counts.
  virtual int64_t fixedRows() const = 0;
  virtual int64_t fixedLength() const = 0;
  virtual ThreadPool &threads() = 0;
};

/// f16 or bf16 as f32; f32 as it is.
Tensor widened(Tensor tensor);

/// The entry point "forward" of `session`, which must outlive the result. Its
/// inputs are filled by their roles: token ids; an attention mask with 0 for
/// filling and 1 elsewhere; a bias that hides filling and later tokens; positions counting
/// from 0 at the first that is no filling; token types and the number of logits to keep 0;
/// past keys and values [batch, heads, length, size] of length 0.
/// Errors: other inputs (they are named), no f32, f16 or bf16 output of logits.
Result<std::unique_ptr<LanguageModel>> makeSessionModel(Session &session);

} // namespace qrt

#endif // QOPT_RUNTIME_LANGUAGEMODEL_H
