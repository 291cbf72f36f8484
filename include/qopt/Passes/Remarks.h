//===- Remarks.h - Why a pass did less than it can ------------------------===//
//
// A pass that leaves a part of the model as it is says why, with MLIR's remark engine: at
// the operation, under a topic, in one sentence with numbers. Without an engine remarks
// cost nothing. The driver collects them; `qopt-opt --remarks-filter=qopt` prints them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_REMARKS_H
#define QOPT_PASSES_REMARKS_H

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>
#include <string>

namespace qopt {

/// What a remark is about. Of a topic that is missed the driver warns once, with the count.
struct RemarkTopic {
  const char *name;     ///< "attention": of the remark, and in the report
  const char *one;      ///< the warning behind "1 "
  const char *many;     ///< and behind a greater number
  const char *remedy;   ///< what the user can do
  bool isNamed = false; ///< whether the warning says where
};

namespace topics {
inline constexpr const char *kListed = "--remarks lists them with reasons";
inline constexpr RemarkTopic kGraph = {"graph", "function has branches and stays as it is",
                                       "functions have branches and stay as they are", kListed};
inline constexpr RemarkTopic kLinear = {"linear", "product with constant weights is no linear layer and stays float",
                                        "products with constant weights are no linear layers and stay float", kListed,
                                        /*isNamed=*/true};
inline constexpr RemarkTopic kAttention = {"attention", "attention was not recognised and runs operator by operator",
                                           "attentions were not recognised and run operator by operator", kListed};
inline constexpr RemarkTopic kNormalization = {
    "normalization", "RMS normalization was not recognised and runs operator by operator",
    "RMS normalizations were not recognised and run operator by operator", kListed};
inline constexpr RemarkTopic kRotary = {"rotary", "rotary embedding was not recognised and runs operator by operator",
                                        "rotary embeddings were not recognised and run operator by operator", kListed};
inline constexpr RemarkTopic kContext = {
    "context", "context length was assumed", "context lengths were assumed",
    "max_position_embeddings in a config.json beside the model tells it; --remarks says what was assumed"};
inline constexpr RemarkTopic kCache = {"cache", "decoder gets no key-value cache, so each new token computes all again",
                                       "decoders get no key-value cache, so each new token computes all again",
                                       "--remarks says why"};
inline constexpr RemarkTopic kTransformation = {"transformation", "part of the model was left by a transformation",
                                                "parts of the model were left by a transformation", kListed};
inline constexpr RemarkTopic kKernel = {"kernel", "operator has no kernel and runs as a loop",
                                        "operators have no kernel and run as loops", kListed};
} // namespace topics

/// All topics.
llvm::ArrayRef<RemarkTopic> allRemarkTopics();

/// Whether anybody listens. Only then is it worth looking for what was missed.
bool areRemarksWanted(mlir::Operation *op);

/// Something was left that the compiler could treat better in another form.
void remarkMissed(mlir::Location loc, const RemarkTopic &topic, const llvm::Twine &text);
/// Something was left because the user, or a default that is documented, has it so.
void remarkChosen(mlir::Location loc, const RemarkTopic &topic, const llvm::Twine &text);

/// The reason why something was not recognised. Several ways to recognise it may be tried;
/// what counts is the first rule that failed on the way that came farthest.
class Reason {
public:
  /// A way ended at its rule number `step`. Returns failure, to be returned in turn.
  mlir::LogicalResult fail(int step, const llvm::Twine &why) {
    if (step > farthest) {
      farthest = step;
      sentence = why.str();
    }
    return mlir::failure();
  }
  /// The number of the rule, 0 where nothing has failed.
  int step() const { return farthest; }
  llvm::StringRef text() const { return sentence; }

private:
  int farthest = 0;
  std::string sentence;
};

/// Hears what patterns say when they do not match, and keeps the last reason per location.
/// Nothing is kept where nobody listens to remarks.
class ReasonListener : public mlir::RewriterBase::Listener {
public:
  explicit ReasonListener(mlir::Operation *op) : isWanted(areRemarksWanted(op)) {}

  void notifyMatchFailure(mlir::Location loc, llvm::function_ref<void(mlir::Diagnostic &)> describe) override;
  /// What was said of an operation at this location; a general sentence if nothing.
  std::string reasonOf(mlir::Operation *op) const;

private:
  bool isWanted;
  llvm::DenseMap<mlir::Location, std::string> reasons;
};

/// A type as it is printed.
std::string typeText(mlir::Type type);

} // namespace qopt

#endif // QOPT_PASSES_REMARKS_H
