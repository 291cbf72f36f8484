//===- AssignScheme.cpp - Which linear gets which scheme ------------------===//
//
// The pipeline's scheme for all linears but the head, which has its own, then the
// overrides in order. Everything that a user may have mistyped is an error here, before any
// long work starts.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/Regex.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ASSIGNSCHEME
#include "qopt/Passes/Passes.h.inc"

namespace {

/// `PATTERN=SPEC`.
class Override {
public:
  static FailureOr<Override> parse(Location location, StringAttr textAttr) {
    StringRef text = textAttr.getValue();
    auto fail = [&](const Twine &reason) { return emitError(location) << "override \"" << text << "\": " << reason; };
    // SPEC may hold "=" within its braces, PATTERN anywhere.
    size_t braces = text.ends_with("}") ? text.rfind('{') : StringRef::npos;
    size_t equals = text.take_front(braces).rfind('=');
    if (equals == StringRef::npos || equals == 0)
      return fail("expected PATTERN=SPEC");
    Override result;
    result.text = textAttr;
    Result<SchemeSpec> spec = SchemeSpec::parse(text.drop_front(equals + 1));
    if (!spec)
      return fail(spec.error().message);
    result.spec = std::move(*spec);
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
  SchemeSpec spec;
  bool used = false;

private:
  std::optional<llvm::Regex> regex;
  std::optional<llvm::GlobPattern> glob;
};

/// Inputs of a group of a layer that has so many.
int64_t smallerSize(int64_t size, int64_t inputs) { return size < 0 ? inputs : std::min(size, inputs); }

/// The same of groups that have to divide the layer's inputs, as quanto finds it.
int64_t dividingSize(int64_t size, int64_t inputs) {
  constexpr int64_t kStep = 32;
  if (size < 0 || inputs <= size)
    return inputs;
  while (inputs % size && size > kStep)
    size -= kStep;
  return inputs % size ? inputs : size;
}

/// Groups of fewer inputs cost more in scales than products of integers save.
constexpr int64_t kSmallestIntegerGroup = 32;

/// Decides how activations enter the products of a layer where the scheme leaves it open, and
/// how many of them share a scale. An error where what was asked for cannot be: `groupSize`
/// and `activationGroupSize` are as they were given.
LogicalResult chooseActivations(const Linear &linear, Scheme &scheme, int64_t groupSize, bool prefersInt8) {
  if (!scheme.has(options::activations) || scheme.get(options::activations) == Int4Activations::Float)
    return success();
  auto set = [&](Int4Activations choice) {
    scheme.set(options::activations, static_cast<int64_t>(choice));
    return success();
  };
  bool isAuto = scheme.get(options::activations) == Int4Activations::Auto;
  int64_t asked = scheme.get(options::activationGroupSize), size = scheme.get(options::groupSize);
  int64_t inputs = asked < 0 ? size : std::min(asked, size);
  // What fits no layer is a mistake; what does not fit this one is only where it must.
  bool isContradiction = asked > 0 && groupSize > 0 && !areActivationGroups(asked, groupSize);
  if (isContradiction || (!isAuto && !areActivationGroups(inputs, size)))
    return emitError(linear.op->getLoc())
           << "layer \"" << linear.name << "\": expected an activation-group-size of "
           << describeActivationGroups(isContradiction ? groupSize : size) << ", the group-size, but got " << asked;
  if (isAuto && !prefersInt8)
    return set(Int4Activations::Float);
  if (isAuto && (inputs < kSmallestIntegerGroup || !areActivationGroups(inputs, size))) {
    remarkChosen(linear.op->getLoc(), topics::kLinear,
                 "layer \"" + linear.name + "\" takes float activations: integers pay in groups of " +
                     Twine(kSmallestIntegerGroup) + " inputs and more that divide those of the weights, " +
                     Twine(size) + ", and they have " + Twine(inputs));
    return set(Int4Activations::Float);
  }
  scheme.set(options::activationGroupSize, inputs);
  return set(Int4Activations::Int8);
}

/// What the options of the pass say together.
class Assignment {
public:
  /// `overrides` are PATTERN=SPEC. Emits an error where the text of an option is wrong.
  static FailureOr<Assignment> parse(Location location, StringRef scheme, StringRef compat, StringRef head,
                                     ArrayRef<std::string> overrides) {
    Assignment result;
    Result<SchemeSpec> spec = SchemeSpec::parse(scheme);
    if (!spec)
      return emitError(location) << spec.error().message;
    result.chosen = std::move(*spec);
    if (head == "same") {
      result.ofHead = result.chosen;
    } else {
      // Packages leave it in float.
      StringRef initial = compat.empty() ? result.chosen.info->head : "";
      Result<SchemeSpec> other = SchemeSpec::parse(!head.empty() ? head : initial.empty() ? "skip" : initial);
      if (!other)
        return emitError(location) << "head \"" << head << "\": " << other.error().message;
      result.ofHead = std::move(*other);
    }
    result.compat = compat;
    if (!compat.empty() && !result.chosen.info->findPreset(compat))
      return emitError(location) << "scheme \"" << result.chosen.info->name << "\" cannot repeat package \"" << compat
                                 << '"';
    for (const std::string &text : overrides) {
      FailureOr<Override> one = Override::parse(location, StringAttr::get(location.getContext(), text));
      if (failed(one))
        return failure();
      result.overrides.push_back(std::move(*one));
    }
    return result;
  }

  /// A layer whose codes the file has must be left as it is. `layer` is its product.
  LogicalResult checkStored(QuantizedProductOpInterface layer, StringRef name) {
    const SchemeSpec *spec = name == "lm_head" ? &ofHead : &chosen;
    for (Override &one : overrides)
      if (one.matches(name)) {
        one.used = true;
        spec = &one.spec;
      }
    if (spec->info->isFloat())
      return success();
    return emitError(layer->getLoc()) << "layer \"" << name << "\" is quantized in the file already, as "
                                      << layer->getName().getStringRef()
                                      << ": --dequantize makes it float first, and \"" << name
                                      << "=skip\" as an override leaves it as it is";
  }

  /// The scheme of a layer. Says in a remark who wants it so where a layer stays in float.
  FailureOr<Scheme> choose(const Linear &linear, bool prefersInt8) {
    const SchemeSpec *spec = linear.name == "lm_head" ? &ofHead : &chosen;
    std::string reason = "it is the head, whose scheme is an option, head";
    for (Override &one : overrides)
      if (one.matches(linear.name)) {
        one.used = true;
        spec = &one.spec;
        reason = ("override \"" + one.text.getValue() + "\"").str();
      }
    if (spec->info->isFloat() && !chosen.info->isFloat())
      remarkChosen(linear.op->getLoc(), topics::kLinear,
                   "layer \"" + linear.name + "\" of " + Twine(linear.outFeatures * linear.inFeatures) +
                       " weights stays float: " + reason);
    return resolve(*spec, linear, prefersInt8);
  }

  /// Whether layers are to become something else than float.
  bool quantizes() const { return !chosen.info->isFloat(); }

  /// Those that matched no layer are errors.
  LogicalResult checkUse(Location location, int64_t numLinears) const {
    for (const Override &one : overrides)
      if (!one.used)
        return emitError(location) << "override \"" << one.text.getValue() << "\": the pattern matches none of "
                                   << numLinears << " linear layers";
    return success();
  }

private:
  /// The values of all options of one layer's scheme: what it names, else what the
  /// pipeline's scheme names, else what the package does, else the default.
  FailureOr<Scheme> resolve(const SchemeSpec &spec, const Linear &linear, bool prefersInt8) const {
    Scheme result(*spec.info);
    if (const SchemePreset *preset = spec.info->findPreset(compat))
      result.apply(*parseSettings(*spec.info, preset->settings));
    result.apply(chosen.settings);
    result.apply(spec.settings);
    for (const SchemeOption<int64_t> *option : {&options::groupSize, &options::groupSize64})
      if (result.has(*option)) {
        int64_t size = result.get(*option);
        bool divides = result.has(options::dividingGroups) && result.get(options::dividingGroups);
        result.set(*option, divides ? dividingSize(size, linear.inFeatures) : smallerSize(size, linear.inFeatures));
        if (failed(chooseActivations(linear, result, size, prefersInt8)))
          return failure();
      }
    return result;
  }

  SchemeSpec chosen, ofHead;
  StringRef compat;
  std::vector<Override> overrides; ///< the last one that matches wins
};

struct AssignScheme : impl::AssignSchemeBase<AssignScheme> {
  using Base::Base;

  void runOnOperation() override {
    Location location = getOperation().getLoc();
    std::vector<std::string> texts(overrides.begin(), overrides.end());
    bool prefersInt8 = true;
    if (CalibrationContext *driver = CalibrationContext::get(getContext())) {
      texts.insert(texts.end(), driver->overrides.begin(), driver->overrides.end());
      prefersInt8 = driver->prefersInt8Activations;
    }
    FailureOr<Assignment> assignment = Assignment::parse(location, scheme, compat, head, texts);
    if (failed(assignment))
      return signalPassFailure();
    int64_t count = 0, numStored = 0, numDone = 0; // by an earlier pipeline
    WalkResult result = getOperation().walk([&](Operation *op) {
      if (auto stored = dyn_cast<QuantizedProductOpInterface>(op)) {
        auto name = getAttr<attrs::Layer>(op);
        bool isDone = name && getAttr<attrs::Scheme>(op);
        numDone += isDone;
        if (!name || isDone)
          return WalkResult::advance();
        ++numStored;
        return failed(assignment->checkStored(stored, name.getValue())) ? WalkResult::interrupt()
                                                                        : WalkResult::advance();
      }
      std::optional<Linear> linear = Linear::match(op);
      if (!linear)
        return WalkResult::advance();
      FailureOr<Scheme> scheme = assignment->choose(*linear, prefersInt8);
      if (failed(scheme))
        return WalkResult::interrupt();
      setAttr<attrs::Scheme>(op, SchemeAttr::get(&getContext(), *scheme));
      ++count;
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    numLinears += count;
    if (failed(assignment->checkUse(location, count + numStored)))
      return signalPassFailure();
    if (count + numStored + numDone == 0 && assignment->quantizes()) {
      emitError(location) << "found no linear layer to quantize: "
                          << (hasUnnamedProduct()
                                  ? "none of the products with constant weights has a name; qopt-raise names them"
                                  : "no product has a constant matrix as its second factor");
      signalPassFailure();
    }
  }

private:
  /// Whether there is what would be a linear layer if it had a name.
  bool hasUnnamedProduct() {
    auto result = getOperation().walk(
        [](onnx::MatMulOp op) { return matchWeight(op.getB()) ? WalkResult::interrupt() : WalkResult::advance(); });
    return result.wasInterrupted();
  }
};

} // namespace
} // namespace qopt
