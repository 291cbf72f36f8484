//===- SchemeText.cpp - Schemes and statistics in the IR ------------------===//
//
// `#qopt.scheme<kind = "NAME", optionName = value ...>` and the list of statistics of
// `qopt.observe`.
//
//===----------------------------------------------------------------------===//
#include "QoptText.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// SchemeAttr
//===----------------------------------------------------------------------===//

/// "group-size" as a keyword: "groupSize".
static std::string keyword(const OptionInfo &option) {
  std::string text;
  for (size_t i = 0; i < option.name.size(); ++i)
    text += option.name[i] == '-' ? llvm::toUpper(option.name[++i]) : option.name[i];
  return text;
}

/// One value as the user would write it, but that numbers of floats have a point.
static FailureOr<std::string> parseValueText(AsmParser &parser, const OptionInfo &option) {
  std::string text;
  int64_t integer;
  double number;
  if (option.isWord() || option.isFlag()) {
    if (parser.parseKeywordOrString(&text))
      return failure();
    return text;
  }
  if (std::holds_alternative<int64_t>(option.initial)) {
    if (parser.parseInteger(integer))
      return failure();
    return std::to_string(integer);
  }
  if (parser.parseFloat(number))
    return failure();
  return option.text(number);
}

static LogicalResult parseOption(AsmParser &parser, Scheme &scheme) {
  SMLoc at = parser.getCurrentLocation();
  StringRef name;
  if (parser.parseKeyword(&name) || parser.parseEqual())
    return failure();
  ArrayRef<const OptionInfo *> known = scheme.info().options;
  auto option = llvm::find_if(known, [&](const OptionInfo *info) { return keyword(*info) == name; });
  if (option == known.end()) {
    InFlightDiagnostic error = parser.emitError(at) << "scheme \"" << scheme.name() << "\" has no option " << name;
    if (!known.empty())
      error << "; it has ";
    llvm::interleaveComma(known, error, [&](const OptionInfo *info) { error << keyword(*info); });
    return error;
  }
  at = parser.getCurrentLocation();
  FailureOr<std::string> text = parseValueText(parser, **option);
  if (failed(text))
    return failure();
  Result<OptionValue> value = (*option)->parse(*text);
  if (!value)
    return parser.emitError(at) << value.error().message;
  scheme.set(**option, *value);
  return success();
}

Attribute SchemeAttr::parse(AsmParser &parser, Type) {
  std::string name;
  if (parser.parseLess() || parser.parseKeyword("kind") || parser.parseEqual())
    return {};
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseString(&name))
    return {};
  const SchemeInfo *info = findScheme(name);
  if (!info) {
    parser.emitError(at) << "unknown scheme \"" << name << "\"; there are "
                         << listSchemes([](const SchemeInfo &) { return true; });
    return {};
  }
  Scheme scheme(*info);
  while (succeeded(parser.parseOptionalComma()))
    if (failed(parseOption(parser, scheme)))
      return {};
  if (parser.parseGreater())
    return {};
  return SchemeAttr::get(parser.getContext(), scheme);
}

void SchemeAttr::print(AsmPrinter &printer) const {
  printer << "<kind = \"" << getName() << '"';
  for (const Setting &setting : getValue().settings()) {
    printer << ", " << keyword(*setting.option) << " = ";
    std::string text = setting.option->text(setting.value);
    if (setting.option->isWord())
      printer.printKeywordOrString(text);
    else if (std::holds_alternative<double>(setting.value) && text.find('.') == std::string::npos)
      printer << text.insert(text.find_first_not_of("-0123456789") == std::string::npos ? text.size() : text.find('e'),
                             ".0");
    else
      printer << text;
  }
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Statistics of ObserveOp
//===----------------------------------------------------------------------===//

ParseResult qopt::parseStatistics(OpAsmParser &parser, StatisticSetAttr &attribute) {
  StatisticSet set = StatisticSet::None;
  auto parseOne = [&]() -> ParseResult {
    SMLoc at = parser.getCurrentLocation();
    std::string name;
    if (parser.parseString(&name))
      return failure();
    std::optional<StatisticSet> one = symbolizeStatisticSet(name);
    if (!one || *one == StatisticSet::None)
      return parser.emitError(at) << "expected statistic \"absmax\", \"column-absmax\" or \"hessian\" but got \""
                                  << name << '"';
    set = set | *one;
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne))
    return failure();
  attribute = StatisticSetAttr::get(parser.getContext(), set);
  return success();
}

void qopt::printStatistics(OpAsmPrinter &printer, Operation *, StatisticSetAttr attribute) {
  SmallVector<StringRef> names;
  std::string text = stringifyStatisticSet(attribute.getValue());
  if (attribute.getValue() != StatisticSet::None)
    StringRef(text).split(names, '|');
  printer << '[';
  llvm::interleaveComma(names, printer, [&](StringRef name) { printer << '"' << name << '"'; });
  printer << ']';
}
