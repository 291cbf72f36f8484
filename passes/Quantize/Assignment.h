//===- Assignment.h - Which linear gets which scheme ----------------------===//
//
// What the options of qopt-assign-scheme say, together with what users add to them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_QUANTIZE_ASSIGNMENT_H
#define QOPT_PASSES_QUANTIZE_ASSIGNMENT_H

#include "qopt/Calibration/ChooseSchemes.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/Regex.h"

namespace qopt {

/// `PATTERN=SPEC`.
class Override {
public:
  static mlir::FailureOr<Override> parse(mlir::Location location, mlir::StringAttr textAttr);

  bool matches(llvm::StringRef name) const { return regex ? regex->match(name) : glob->match(name); }

  mlir::StringAttr text; ///< also holds the characters that `glob` refers to
  SchemeSpec spec;
  bool used = false;

private:
  std::optional<llvm::Regex> regex;
  std::optional<llvm::GlobPattern> glob;
};

class Assignment {
public:
  /// `overrides` are PATTERN=SPEC. Emits an error where the text of an option is wrong.
  static mlir::FailureOr<Assignment> parse(mlir::Location location, llvm::StringRef scheme, llvm::StringRef compat,
                                           llvm::StringRef head, llvm::ArrayRef<std::string> overrides);

  /// A layer whose codes the file has must be left as it is. `layer` is its product.
  mlir::LogicalResult checkStored(QuantizedProductOpInterface layer, llvm::StringRef name);
  /// The scheme of a layer. Says in a remark who wants it so where a layer stays in float.
  mlir::FailureOr<Scheme> choose(const Linear &linear, bool prefersInt8);
  /// Whether layers are to become something else than float.
  bool quantizes() const { return !chosen.info->isFloat(); }
  /// Those that matched no layer are errors.
  mlir::LogicalResult checkUse(mlir::Location location, int64_t numLinears) const;

  /// Whether a layer has the pipeline's scheme, so that it may choose another under a budget.
  bool isOpen(const Linear &linear) const;
  /// What layers choose among if nothing else is said: the pipeline's scheme with each number of bits, and of those
  /// that are stored in four bits with smaller groups.
  std::vector<std::string> family() const;
  /// The schemes of a layer by candidate. What takes as many bytes as another with more bits is that one.
  mlir::LogicalResult choose(OpenLayer &layer, llvm::ArrayRef<SchemeSpec> candidates, bool prefersInt8) const;

private:
  /// The values of all options of one layer's scheme: what it names, else what the
  /// pipeline's scheme names, else what the package does, else the default.
  mlir::FailureOr<Scheme> resolve(const SchemeSpec &spec, const Linear &linear, bool prefersInt8) const;

  SchemeSpec chosen, ofHead;
  bool isHeadTheSame = false;
  llvm::StringRef compat;
  std::vector<Override> overrides; ///< the last one that matches wins
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_ASSIGNMENT_H
