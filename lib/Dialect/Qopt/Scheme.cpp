//===- Scheme.cpp - Descriptions, options and their text ------------------===//
//
// What is the same for all schemes; each describes itself in a file of its own under
// Schemes.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Qopt/Scheme.h"
#include "Schemes/Schemes.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Support/Options.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <charconv>

using namespace llvm;
using namespace qopt;

/// "a", "a and b", "a, b and c"; each between two of `quote`.
static std::string joinWords(ArrayRef<std::string> items, StringRef last, StringRef quote = "") {
  std::string text;
  for (auto [i, item] : llvm::enumerate(items))
    text += ((i == 0 ? "" : i + 1 == items.size() ? (" " + last + " ").str() : ", ") + quote + item + quote).str();
  return text;
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

std::string OptionInfo::describeValues() const {
  if (!isWord())
    return expected.str();
  std::vector<std::string> words(choices.begin(), choices.end());
  return (name + " " + joinWords(words, "or", "\"")).str();
}

Result<OptionValue> OptionInfo::parse(StringRef text) const {
  Error error{"expected " + describeValues() + " but got " + (isWord() ? ("\"" + text + "\"").str() : text.str())};
  if (isWord()) {
    const StringLiteral *found = llvm::find(choices, text);
    if (found == choices.end())
      return error;
    return OptionValue(int64_t(found - choices.begin()));
  }
  if (isFlag()) {
    if (text != "true" && text != "false")
      return Error{("option " + name + ": ").str() + error.message};
    return OptionValue(text == "true");
  }
  if (std::holds_alternative<int64_t>(initial)) {
    int64_t value;
    if (!parseInteger(text, value) || !isAllowed(static_cast<double>(value)))
      return error;
    return OptionValue(value);
  }
  double value;
  if (!parseNumber(text, value) || !isAllowed(value))
    return error;
  return OptionValue(value);
}

std::string OptionInfo::text(OptionValue value) const {
  if (isWord())
    return choices[std::get<int64_t>(value)].str();
  if (const bool *flag = std::get_if<bool>(&value))
    return *flag ? "true" : "false";
  if (const int64_t *integer = std::get_if<int64_t>(&value))
    return std::to_string(*integer);
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, std::get<double>(value)).ptr};
}

//===----------------------------------------------------------------------===//
// Descriptions
//===----------------------------------------------------------------------===//

const OptionInfo *SchemeInfo::findOption(StringRef option) const {
  auto found = llvm::find_if(options, [&](const OptionInfo *info) { return info->name == option; });
  return found == options.end() ? nullptr : *found;
}

const SchemePreset *SchemeInfo::findPreset(StringRef preset) const {
  auto found = llvm::find_if(presets, [&](const SchemePreset &info) { return info.name == preset; });
  return found == presets.end() ? nullptr : &*found;
}

bool SchemeInfo::mayNeedData() const {
  return llvm::any_of(variants, [](const SchemeVariant &variant) {
    return (variant.weightStatistics | variant.activationStatistics) != StatisticSet::None;
  });
}

ArrayRef<const SchemeInfo *> qopt::allSchemes() {
  static const std::vector<const SchemeInfo *> schemes = [] {
    std::vector<const SchemeInfo *> all;
    for (ArrayRef<SchemeInfo> family : {schemes::floats(), schemes::int8(), schemes::groups(), schemes::smallFloats()})
      for (const SchemeInfo &info : family)
        all.push_back(&info);
    return all;
  }();
  return schemes;
}

const SchemeInfo *qopt::findScheme(StringRef name) {
  auto found = llvm::find_if(allSchemes(), [&](const SchemeInfo *info) { return info->name == name; });
  return found == allSchemes().end() ? nullptr : *found;
}

std::string qopt::listSchemes(function_ref<bool(const SchemeInfo &)> filter) {
  std::vector<std::string> names;
  for (const SchemeInfo *info : allSchemes())
    if (filter(*info))
      names.push_back(info->name.str());
  return joinWords(names, "and");
}

std::vector<std::string> qopt::allPresets() {
  std::vector<std::string> names;
  for (const SchemeInfo *info : allSchemes())
    for (const SchemePreset &preset : info->presets)
      if (!llvm::is_contained(names, preset.name))
        names.push_back(preset.name.str());
  return names;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

Result<std::vector<Setting>> qopt::parseSettings(const SchemeInfo &info, StringRef text) {
  std::vector<Setting> settings;
  SmallVector<StringRef> parts;
  text.split(parts, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    auto [name, value] = part.split('=');
    const OptionInfo *option = info.findOption(name);
    if (!option) {
      std::vector<std::string> names;
      for (const OptionInfo *known : info.options)
        names.push_back(known->name.str());
      std::string list = names.empty() ? "it has none" : "it has " + joinWords(names, "and");
      return Error{("no such option " + name + "; " + list).str()};
    }
    Result<OptionValue> read = option->parse(value);
    if (!read)
      return read.error();
    settings.push_back({option, *read});
  }
  return settings;
}

Result<std::string> qopt::resolveBits(StringRef text) {
  constexpr StringLiteral kInfix = "-int", kOption = "bits=", kUsual = "4";
  auto [name, rest] = text.split('{');
  SmallVector<StringRef> parts;
  std::vector<std::string> known;
  for (const SchemeInfo *info : allSchemes())
    if (StringRef other = info->name; other.consume_front(name) && other.consume_front(kInfix))
      known.push_back(other.str());
  bool hasBraces = rest.consume_back("}");
  if (findScheme(name) || known.empty() || (text.contains('{') && !hasBraces))
    return text.str();
  StringRef bits = kUsual;
  rest.split(parts, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  llvm::erase_if(parts, [&](StringRef part) { return part.consume_front(kOption) && (bits = part, true); });
  if (!llvm::is_contained(known, bits))
    return Error{("scheme \"" + name + "\": expected bits ").str() + joinWords(known, "or") + " but got " + bits.str()};
  std::string options = llvm::join(parts, " ");
  return (name + kInfix + bits).str() + (options.empty() ? "" : "{" + options + "}");
}

Result<SchemeSpec> SchemeSpec::parse(StringRef given) {
  Result<std::string> resolved = resolveBits(given);
  if (!resolved)
    return resolved.error();
  StringRef text = *resolved;
  auto [name, rest] = text.split('{');
  SchemeSpec spec;
  spec.info = name == "skip" ? allSchemes().front() : findScheme(name);
  if (!spec.info)
    return Error{("unknown scheme \"" + name + "\"; there are ").str() +
                 listSchemes([](const SchemeInfo &) { return true; })};
  if (!text.contains('{'))
    return spec;
  if (!rest.consume_back("}"))
    return Error{"expected a closing brace"};
  Result<std::vector<Setting>> settings = parseSettings(*spec.info, rest);
  if (!settings)
    return Error{("scheme \"" + spec.info->name + "\": ").str() + settings.error().message};
  spec.settings = std::move(*settings);
  return spec;
}

std::string SchemeSpec::text() const {
  std::string result = info->name.str();
  for (auto [i, setting] : llvm::enumerate(settings))
    result += ((i == 0 ? "{" : " ") + setting.option->name + "=" + setting.option->text(setting.value)).str();
  return settings.empty() ? result : result + "}";
}

//===----------------------------------------------------------------------===//
// Schemes
//===----------------------------------------------------------------------===//

Scheme::Scheme(const SchemeInfo &info) : description(&info) {
  for (const OptionInfo *option : info.options)
    values.push_back(option->initial);
}

const SchemeVariant &Scheme::variant() const {
  for (const SchemeVariant &variant : description->variants) {
    auto [name, value] = StringRef(variant.setting).split('=');
    const OptionInfo *option = description->findOption(name);
    if (!option || option->text(this->value(*option)) == value)
      return variant;
  }
  llvm_unreachable("a description whose last variant has a setting");
}

bool Scheme::has(const OptionInfo &option) const { return llvm::is_contained(description->options, &option); }

OptionValue Scheme::value(const OptionInfo &option) const {
  assert(has(option) && "an option that the scheme does not have");
  return values[llvm::find(description->options, &option) - description->options.begin()];
}

void Scheme::set(const OptionInfo &option, OptionValue value) {
  assert(has(option) && "an option that the scheme does not have");
  values[llvm::find(description->options, &option) - description->options.begin()] = value;
}

void Scheme::apply(ArrayRef<Setting> settings) {
  for (const Setting &setting : settings)
    if (has(*setting.option))
      set(*setting.option, setting.value);
}

std::vector<Setting> Scheme::settings() const {
  std::vector<Setting> result;
  for (auto [option, value] : llvm::zip(description->options, values))
    if (value != option->initial)
      result.push_back({option, value});
  return result;
}

hash_code qopt::hash_value(const Scheme &scheme) {
  hash_code code = llvm::hash_value(scheme.description);
  for (const OptionValue &value : scheme.values)
    code = std::visit([&](auto v) { return hash_combine(code, std::hash<decltype(v)>()(v)); }, value);
  return code;
}
