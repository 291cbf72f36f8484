//===- AssignScheme.cpp - Which linear gets which scheme ------------------===//
//
// The pipeline's scheme for all linears but the head, then the overrides in
// order. Everything that a user may have mistyped is an error here, before any
// long work starts.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/Regex.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ASSIGNSCHEME
#include "qopt/Passes/Passes.h.inc"

namespace {

/// A scheme and its options as text gives them.
struct Spec {
  SchemeKind kind = SchemeKind::Float;
  int64_t groupSize = 128;
  bool symmetric = true;
  double threshold = 6;
  OutlierColumns outliers = OutlierColumns::Dynamic;

  /// Checks the numbers; the message continues "... scheme "x": ".
  std::string check() const {
    if (groupSize == 0 || groupSize < -1)
      return llvm::formatv("expected a group size of at least 1, or -1, but got {0}", groupSize);
    if (kind == SchemeKind::LlmInt8 && !(threshold > 0 && std::isfinite(static_cast<float>(threshold))))
      return llvm::formatv("expected a threshold above 0 but got {0} (int8-dynamic splits no columns)", threshold);
    return "";
  }

  SchemeAttr get(MLIRContext *context, int64_t inFeatures) const {
    FloatAttr limit;
    if (kind == SchemeKind::LlmInt8)
      limit = Builder(context).getF32FloatAttr(static_cast<float>(threshold));
    OutlierColumns when = kind == SchemeKind::LlmInt8 ? outliers : OutlierColumns::Dynamic;
    if (kind != SchemeKind::RtnInt4 && kind != SchemeKind::GptqInt4)
      return SchemeAttr::get(context, kind, /*groupSize=*/128, /*symmetric=*/true, limit, when);
    int64_t size = groupSize < 0 ? inFeatures : std::min(groupSize, inFeatures);
    return SchemeAttr::get(context, kind, size, symmetric, limit, when);
  }
};

/// Reads `NAME` or `NAME{key=value ...}` into `spec`; returns what is wrong, or "".
std::string parseSpec(StringRef text, Spec &spec) {
  auto [name, rest] = text.split('{');
  if (name == "skip")
    name = "float";
  std::optional<SchemeKind> kind = symbolizeSchemeKind(name);
  if (!kind)
    return ("unknown scheme \"" + name + "\"").str();
  spec.kind = *kind;
  if (!text.contains('{'))
    return "";
  if (!rest.consume_back("}"))
    return "expected a closing brace";
  SmallVector<StringRef> options;
  rest.split(options, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef option : options) {
    auto [key, value] = option.split('=');
    bool good = false;
    if (key == "group-size") {
      good = !value.getAsInteger(10, spec.groupSize);
    } else if (key == "threshold") {
      good = !value.getAsDouble(spec.threshold);
    } else if (key == "outliers") {
      std::optional<OutlierColumns> outliers = symbolizeOutlierColumns(value);
      good = outliers.has_value();
      spec.outliers = outliers.value_or(spec.outliers);
    } else if (key == "sym") {
      good = value == "true" || value == "false";
      spec.symmetric = value == "true";
    } else {
      return ("unknown option \"" + key + "\"").str();
    }
    if (!good)
      return ("unreadable value \"" + value + "\" of option \"" + key + "\"").str();
  }
  return spec.check();
}

/// `PATTERN=SPEC`.
class Override {
public:
  /// `defaults` gives the options that SPEC does not name.
  static FailureOr<Override> parse(Location location, StringAttr textAttr, const Spec &defaults) {
    StringRef text = textAttr.getValue();
    auto fail = [&](const Twine &reason) { return emitError(location) << "override \"" << text << "\": " << reason; };
    // SPEC may hold "=" within its braces, PATTERN anywhere.
    size_t braces = text.ends_with("}") ? text.rfind('{') : StringRef::npos;
    size_t equals = text.take_front(braces).rfind('=');
    if (equals == StringRef::npos || equals == 0)
      return fail("expected PATTERN=SPEC");
    Override result;
    result.text = textAttr;
    result.spec = defaults;
    if (std::string problem = parseSpec(text.drop_front(equals + 1), result.spec); !problem.empty())
      return fail(problem);
    StringRef pattern = text.take_front(equals);
    if (pattern.consume_front("re:")) {
      result.regex.emplace(pattern);
      if (std::string problem; !result.regex->isValid(problem))
        return fail("invalid regular expression: " + problem);
      return result;
    }
    llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(pattern, /*MaxSubPatterns=*/1024);
    if (!glob)
      return fail("invalid pattern: " + llvm::toString(glob.takeError()));
    result.glob = std::move(*glob);
    return result;
  }

  bool matches(StringRef name) const { return regex ? regex->match(name) : glob->match(name); }

  StringAttr text; ///< also holds the characters that `glob` refers to
  Spec spec;
  bool used = false;

private:
  std::optional<llvm::Regex> regex;
  std::optional<llvm::GlobPattern> glob;
};

struct AssignScheme : impl::AssignSchemeBase<AssignScheme> {
  using Base::Base;

  void runOnOperation() override {
    Spec chosen;
    std::vector<Override> all;
    if (failed(readOptions(chosen, all)))
      return signalPassFailure();
    Spec left = chosen;
    left.kind = SchemeKind::Float;

    int64_t count = 0;
    getOperation().walk([&](Operation *op) {
      std::optional<Linear> linear = Linear::match(op);
      if (!linear)
        return;
      bool isLeftHead = linear->name == "lm_head" && !head;
      const Spec *spec = isLeftHead ? &left : &chosen;
      std::string reason = "it is the head, which is quantized with head=true";
      for (Override &one : all)
        if (one.matches(linear->name)) {
          one.used = true;
          spec = &one.spec;
          reason = ("override \"" + one.text.getValue() + "\"").str();
        }
      if (spec->kind == SchemeKind::Float && chosen.kind != SchemeKind::Float)
        remarkChosen(op->getLoc(), topics::kLinear,
                     "layer \"" + linear->name + "\" of " + Twine(linear->outFeatures * linear->inFeatures) +
                         " weights stays float: " + reason);
      setAttr<attrs::Scheme>(op, spec->get(&getContext(), linear->inFeatures));
      ++count;
    });
    numLinears += count;
    if (count == 0 && hasUnnamedProduct())
      emitWarning(getOperation().getLoc())
          << "none of the products with constant weights has a name, so none is quantized; qopt-raise names them";

    for (const Override &one : all)
      if (!one.used) {
        emitError(getOperation().getLoc())
            << "override \"" << one.text.getValue() << "\": the pattern matches none of " << count << " linear layers";
        return signalPassFailure();
      }
  }

private:
  /// Whether there is what would be a linear layer if it had a name.
  bool hasUnnamedProduct() {
    auto result = getOperation().walk(
        [](onnx::MatMulOp op) { return matchWeight(op.getB()) ? WalkResult::interrupt() : WalkResult::advance(); });
    return result.wasInterrupted();
  }

  LogicalResult readOptions(Spec &chosen, std::vector<Override> &all) {
    Location location = getOperation().getLoc();
    std::optional<SchemeKind> kind = symbolizeSchemeKind(scheme);
    if (!kind)
      return emitError(location) << "unknown scheme \"" << scheme << '"';
    std::optional<OutlierColumns> when = symbolizeOutlierColumns(outliers);
    if (!when)
      return emitError(location) << "expected outliers \"dynamic\" or \"static\" but got \"" << outliers << '"';
    chosen = {*kind, groupSize, symmetric, threshold, *when};
    if (std::string problem = chosen.check(); !problem.empty())
      return emitError(location) << "scheme \"" << scheme << "\": " << problem;
    std::vector<std::string> texts(overrides.begin(), overrides.end());
    if (CalibrationContext *driver = CalibrationContext::get(getContext()))
      texts.insert(texts.end(), driver->overrides.begin(), driver->overrides.end());
    for (const std::string &text : texts) {
      FailureOr<Override> one = Override::parse(location, StringAttr::get(&getContext(), text), chosen);
      if (failed(one))
        return failure();
      all.push_back(std::move(*one));
    }
    return success();
  }
};

} // namespace
} // namespace qopt
