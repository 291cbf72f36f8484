//===- SchemePipelines.cpp - A pipeline for every scheme ------------------===//
//
// The list of passes follows from what a scheme says of itself.
//
//===----------------------------------------------------------------------===//
#include "SchemePipelines.h"
#include "mlir/Pass/PassRegistry.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Support/Utf8.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::pipelines;

namespace {

/// What may follow the name of a scheme: its own options, and those of the passes that
/// carry it out. MLIR takes the text apart; the scheme reads the values of its options.
class SchemePipelineOptions : public AssignmentOptions {
public:
  explicit SchemePipelineOptions(const SchemeInfo &info) {
    if (info.mayNeedData())
      calibration = add("calibration", "token ids [n, length] as .npy");
    if (!info.presets.empty())
      compat = add("compat", "package whose choices to repeat where no option says otherwise");
    for (const OptionInfo *option : info.options)
      settings.push_back(add(option->name, option->help));
  }

  /// "a, b and c": what an error offers instead of a name that there is not.
  std::string listNames() const {
    SmallVector<StringRef> names;
    for (const auto &setting : settings)
      names.push_back(setting->ArgStr);
    names.append({head.ArgStr, overrides.ArgStr});
    for (const auto *more : {&calibration, &compat})
      if (*more)
        names.push_back((*more)->ArgStr);
    return llvm::join(ArrayRef(names).drop_back(), ", ") + " and " + names.back().str();
  }

  std::unique_ptr<Option<std::string>> calibration, compat;
  std::vector<std::unique_ptr<Option<std::string>>> settings; ///< of the scheme; those given have a value

private:
  std::unique_ptr<Option<std::string>> add(StringRef name, StringRef help) {
    return std::make_unique<Option<std::string>>(*this, name, llvm::cl::desc(help));
  }
};

} // namespace

/// What MLIR says about text that it does not understand, without where and who.
static std::string reasonOf(StringRef message) {
  StringRef reason = message.trim().split('\n').first;
  if (size_t at = reason.find("error: "); at != StringRef::npos)
    reason = reason.substr(at + StringRef("error: ").size());
  reason.consume_front("<Pass-Options-Parser>: ");
  return printable(reason.str());
}

/// Adds the passes of a scheme. `text` is what stands in the braces behind its name;
/// `preset`, unless empty, is one more option, compat, and `overrides` follow those of the text.
static Status addScheme(OpPassManager &pm, const SchemeInfo &info, StringRef text, StringRef preset,
                        ArrayRef<std::string> overrides) {
  SchemePipelineOptions given(info);
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (failed(given.parseFromString(text, stream))) {
    std::string reason = reasonOf(message);
    bool isUnknown = StringRef(reason).starts_with("no such option");
    return Error{isUnknown ? reason + "; it has " + given.listNames() : reason};
  }
  SchemeSpec spec{&info, {}};
  for (const auto &setting : given.settings)
    if (setting->hasValue()) {
      auto read = parseSettings(info, (setting->ArgStr + "=" + setting->getValue()).str());
      if (!read)
        return read.error();
      llvm::append_range(spec.settings, *read);
    }
  std::string compat = given.compat ? given.compat->getValue() : "";
  if (!preset.empty())
    compat = preset.str();
  if (!compat.empty() && !info.findPreset(compat))
    return Error{"expected compat " +
                 llvm::join(llvm::map_range(info.presets, [](const SchemePreset &p) { return p.name.str(); }), " or ") +
                 " but got \"" + compat + "\""};
  CalibrateOptions calibrate;
  if (given.calibration)
    calibrate.calibration = given.calibration->getValue();
  AssignSchemeOptions assign = given.assign(spec.text(), compat);
  llvm::append_range(assign.overrides, overrides);
  if (!info.isFloat())
    buildScheme(pm, assign, calibrate);
  return {};
}

std::vector<NamedPipeline> qopt::pipelines::schemePipelines() {
  std::vector<NamedPipeline> result;
  for (const SchemeInfo *info : allSchemes())
    result.push_back(
        {info->name.str(), info->summary.str(),
         [info](OpPassManager &pm, StringRef text, function_ref<LogicalResult(const Twine &)> errorHandler) {
           Status status = addScheme(pm, *info, text, /*preset=*/"", /*overrides=*/{});
           return status ? success() : errorHandler(status.error().message);
         },
         [info](function_ref<void(const mlir::detail::PassOptions &)> handle) { handle(SchemePipelineOptions(*info)); },
         info});
  return result;
}

Status qopt::parsePipeline(OpPassManager &pm, StringRef text, StringRef compat) {
  return parsePipelineWithOverrides(pm, text, compat, /*overrides=*/{});
}

/// The pipelines of a list with commas; those within brackets belong to one of them.
static SmallVector<StringRef> splitPipelines(StringRef text) {
  SmallVector<StringRef> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    depth += StringRef("({[").contains(text[i]) - StringRef(")}]").contains(text[i]);
    if (text[i] == ',' && depth == 0) {
      parts.push_back(text.slice(begin, i));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// Adds the last pipeline of a list, which must be a scheme's, with what is no part of its text.
static Status addSchemeOfList(OpPassManager &pm, StringRef last, StringRef compat, ArrayRef<std::string> overrides) {
  auto [name, rest] = last.split('{');
  const SchemeInfo *info = findScheme(name);
  if (!info)
    return Error{"expected the name of a scheme, which takes overrides"};
  if (last.contains('{') && !rest.consume_back("}"))
    return Error{"expected a closing brace"};
  return addScheme(pm, *info, rest, compat, overrides);
}

/// A transformation behind a scheme would come too late.
static Status checkOrder(ArrayRef<std::string> pipelines) {
  StringRef scheme;
  for (StringRef pipeline : pipelines) {
    StringRef name = pipeline.split('{').first;
    if (findScheme(name))
      scheme = name;
    else if (!scheme.empty() && llvm::is_contained(transformationNames(), name))
      return Error{name.str() + " changes the float model, so it stands before " + scheme.str()};
  }
  return {};
}

Status qopt::parsePipelineWithOverrides(OpPassManager &pm, StringRef text, StringRef compat,
                                        ArrayRef<std::string> overrides) {
  auto fail = [&](const Twine &reason) { return Error{"pipeline \"" + printable(text.str()) + "\": " + reason.str()}; };
  StringRef inner = text;
  if (inner.consume_front("builtin.module(") && !inner.consume_back(")"))
    return fail("expected a closing parenthesis");
  std::vector<std::string> pipelines;
  bool isFloat = text == "builtin.module()"; // what the float pipeline stands for
  for (StringRef part : splitPipelines(inner)) {
    if (part.trim().empty() && !isFloat)
      return fail("expected the name of a pipeline");
    Result<std::string> resolved = resolveBits(part.trim());
    if (!resolved)
      return fail(resolved.error().message);
    pipelines.push_back(std::move(*resolved));
  }
  if (Status status = checkOrder(pipelines); !status)
    return fail(status.error().message);
  std::string scheme;
  if (!compat.empty() || !overrides.empty()) {
    // Transformations may stand in front of it.
    scheme = std::move(pipelines.back());
    pipelines.pop_back();
    const SchemeInfo *info = findScheme(StringRef(scheme).split('{').first);
    if (!compat.empty() && (!info || !info->findPreset(compat)))
      return Error{"--compat=" + compat.str() + " is for " +
                   listSchemes([&](const SchemeInfo &other) { return other.findPreset(compat) != nullptr; }) +
                   ", not for the pipeline \"" + printable(text.str()) + "\""};
  }
  std::string message;
  llvm::raw_string_ostream stream(message);
  if ((!pipelines.empty() || scheme.empty()) && failed(parsePassPipeline(llvm::join(pipelines, ","), pm, stream))) {
    if (StringRef(message).contains("does not refer to a registered pass"))
      return fail("there is no such pipeline; there are " + listSchemes([](const SchemeInfo &) { return true; }) +
                  ", before them " + llvm::join(transformationNames(), ", ") +
                  ", and MLIR's and qopt's passes by name");
    return fail(reasonOf(message));
  }
  if (scheme.empty())
    return {};
  Status status = addSchemeOfList(pm, scheme, compat, overrides);
  return status ? status : fail(status.error().message);
}
