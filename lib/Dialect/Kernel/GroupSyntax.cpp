//===- GroupSyntax.cpp - kernel.group as text -----------------------------===//
//
// kernel.group(%argument = %input scratch : type, ...) {...}: which input an argument
// stands for, and whether it is scratch, in one place.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/OpImplementation.h"
#include "qopt/Dialect/Kernel/Kernel.h"

using namespace mlir;
using namespace qopt::kernel;

ParseResult GroupOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> inputs;
  SmallVector<Type> types;
  SmallVector<int64_t> scratch;
  auto parseInput = [&]() -> ParseResult {
    if (parser.parseArgument(arguments.emplace_back()) || parser.parseEqual() ||
        parser.parseOperand(inputs.emplace_back()))
      return failure();
    if (succeeded(parser.parseOptionalKeyword("scratch")))
      scratch.push_back(static_cast<int64_t>(inputs.size()) - 1);
    if (parser.parseColonType(arguments.back().type))
      return failure();
    types.push_back(arguments.back().type);
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseInput) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion(), arguments, /*enableNameShadowing=*/true) ||
      parser.resolveOperands(inputs, types, loc, result.operands))
    return failure();
  result.getOrAddProperties<Properties>().scratch = parser.getBuilder().getDenseI64ArrayAttr(scratch);
  return success();
}

void GroupOp::print(OpAsmPrinter &p) {
  p << '(';
  llvm::interleaveComma(llvm::zip(getArguments(), getInputs()), p, [&](auto pair) {
    auto [argument, input] = pair;
    p << argument << " = " << input << (isScratch(argument) ? " scratch : " : " : ") << argument.getType();
  });
  p << ')';
  p.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {getScratchAttrName()});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}
