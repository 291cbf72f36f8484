//===- Assignment.cpp - Which linear gets which scheme --------------------===//
//
// The pipeline's scheme for all linears but the head, which has its own, then the
// overrides in order.
//
//===----------------------------------------------------------------------===//
#include "Assignment.h"
#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/Logits.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;
using namespace qopt;

FailureOr<Override> Override::parse(Location location, StringAttr textAttr) {
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

namespace {

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

/// Options that mean something with one observer only.
constexpr std::pair<const OptionInfo *, RangeRule> kOfObserver[] = {
    {&options::mseNorm, RangeRule::LeastSquares},     {&options::mseShrink, RangeRule::LeastSquares},
    {&options::msePatience, RangeRule::LeastSquares}, {&options::momentum, RangeRule::MovingAverage},
    {&options::percentile, RangeRule::Percentile},    {&options::entropyBins, RangeRule::Entropy},
};

/// An error where an option of a scheme that the user gave contradicts another.
LogicalResult checkSettings(const Linear &linear, const Scheme &scheme, ArrayRef<Setting> given) {
  auto fail = [&] { return emitError(linear.op->getLoc()) << "scheme \"" << scheme.name() << "\": "; };
  for (auto [option, rule] : kOfObserver)
    if (llvm::any_of(given, [&](const Setting &setting) { return setting.option == option; }) &&
        scheme.has(options::observer) && scheme.get(options::observer) != rule)
      return fail() << option->name << '=' << option->text(scheme.value(*option))
                    << " needs observer=" << options::observer.text(static_cast<int64_t>(rule)) << ", but it is "
                    << options::observer.text(scheme.value(options::observer));
  if (scheme.has(options::actOrder) && scheme.get(options::actOrder) && !scheme.get(options::staticGroups) &&
      scheme.get(options::groupSize) < linear.inFeatures)
    return fail() << "act-order=true needs static-groups=true where groups are smaller than a row: layer \""
                  << linear.name << "\" has " << linear.inFeatures << " inputs in groups of "
                  << scheme.get(options::groupSize);
  if (scheme.has(options::actOrder) && scheme.get(options::actOrder) && scheme.get(options::actGroupAware))
    return fail() << "act-group-aware=true needs act-order=false, but it is true";
  return success();
}

/// Whether `other` is the same with more bits that are stored in as many, and no more of these.
bool isBeatenBy(SchemeAttr scheme, SchemeAttr other) {
  const Scheme &one = scheme.getValue(), &two = other.getValue();
  auto same = [](const Setting &a, const Setting &b) { return a.option == b.option && a.value == b.value; };
  auto most = [](int bits) { return StoredGroups::areBytes(bits) ? 8 : 4; };
  return one.variant().weights == two.variant().weights && llvm::equal(one.settings(), two.settings(), same) &&
         two.variant().weightBits > one.variant().weightBits &&
         two.variant().weightBits == most(one.variant().weightBits);
}

} // namespace

FailureOr<Assignment> Assignment::parse(Location location, StringRef scheme, StringRef compat, StringRef head,
                                        ArrayRef<std::string> overrides) {
  Assignment result;
  Result<SchemeSpec> spec = SchemeSpec::parse(scheme);
  if (!spec)
    return emitError(location) << spec.error().message;
  result.chosen = std::move(*spec);
  if (head == "same") {
    result.ofHead = result.chosen;
    result.isHeadTheSame = true;
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

LogicalResult Assignment::checkStored(QuantizedProductOpInterface layer, StringRef name) {
  const SchemeSpec *spec = isHead(layer) ? &ofHead : &chosen;
  for (Override &one : overrides)
    if (one.matches(name)) {
      one.used = true;
      spec = &one.spec;
    }
  if (spec->info->isFloat())
    return success();
  return emitError(layer->getLoc()) << "layer \"" << name << "\" is quantized in the file already, as "
                                    << layer->getName().getStringRef() << ": --dequantize makes it float first, and \""
                                    << name << "=skip\" as an override leaves it as it is";
}

FailureOr<Scheme> Assignment::choose(const Linear &linear, bool prefersInt8) {
  const SchemeSpec *spec = isHead(linear.op) ? &ofHead : &chosen;
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

bool Assignment::isOpen(const Linear &linear) const {
  return (isHeadTheSame || !isHead(linear.op)) &&
         llvm::none_of(overrides, [&](const Override &one) { return one.matches(linear.name); });
}

std::vector<std::string> Assignment::family() const {
  constexpr int64_t kSmallerGroups[] = {64, 32};
  std::vector<std::string> result;
  StringRef stem = chosen.info->name.take_front(chosen.info->name.rfind("-int"));
  bool hasSize =
      llvm::any_of(chosen.settings, [](const Setting &s) { return s.option->name == options::groupSize.name; });
  for (const SchemeInfo *info : allSchemes()) {
    StringRef bits = info->name;
    if (!bits.consume_front(stem) || !bits.consume_front("-int") ||
        bits.find_first_not_of("0123456789") != StringRef::npos)
      continue;
    result.push_back(info->name.str());
    if (hasSize || !info->findOption(options::groupSize.name) ||
        StoredGroups::areBytes(info->variants.back().weightBits))
      continue;
    for (int64_t size : kSmallerGroups)
      result.push_back((info->name + "{group-size=" + Twine(size) + "}").str());
  }
  if (result.empty())
    result.push_back(chosen.info->name.str());
  return result;
}

LogicalResult Assignment::choose(OpenLayer &layer, ArrayRef<SchemeSpec> candidates, bool prefersInt8) const {
  std::vector<SchemeAttr> resolved;
  for (const SchemeSpec &spec : candidates) {
    FailureOr<Scheme> scheme = resolve(spec, layer.linear, prefersInt8);
    if (failed(scheme))
      return failure();
    resolved.push_back(SchemeAttr::get(layer.linear.op->getContext(), *scheme));
  }
  for (SchemeAttr scheme : resolved) {
    auto better = llvm::find_if(resolved, [&](SchemeAttr other) { return isBeatenBy(scheme, other); });
    SchemeAttr best = better == resolved.end() ? scheme : *better;
    size_t at = llvm::find(layer.schemes, best) - layer.schemes.begin();
    if (at == layer.schemes.size())
      layer.schemes.push_back(best);
    layer.choiceOf.push_back(at);
  }
  return success();
}

LogicalResult Assignment::checkUse(Location location, int64_t numLinears) const {
  for (const Override &one : overrides)
    if (!one.used)
      return emitError(location) << "override \"" << one.text.getValue() << "\": the pattern matches none of "
                                 << numLinears << " linear layers";
  return success();
}

FailureOr<Scheme> Assignment::resolve(const SchemeSpec &spec, const Linear &linear, bool prefersInt8) const {
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
  if (failed(checkSettings(linear, result, spec.settings)))
    return failure();
  return result;
}
