//===- QoptAttributes.cpp - The attributes that the dialect declares ------===//
//
// What each of them may be and where it may stand, and the spelling of roles.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

FailureOr<Role> qopt::parseRole(AsmParser &parser) {
  SMLoc at = parser.getCurrentLocation();
  std::string name;
  if (failed(parser.parseKeywordOrString(&name)))
    return failure();
  if (std::optional<Role> role = roleByName(name))
    return *role;
  InFlightDiagnostic error = parser.emitError(at) << "unknown role '" << name << "'; there are ";
  llvm::interleaveComma(kRoles, error, [&](const RoleInfo &info) { error << StringRef(info.name); });
  return failure();
}

Role qopt::getArgRole(FunctionOpInterface function, unsigned index) {
  auto role = getArgAttr<attrs::Role>(function, index);
  return role ? role.getValue() : Role::Other;
}

Role qopt::getResultRole(FunctionOpInterface function, unsigned index) {
  auto role = getResultAttr<attrs::Role>(function, index);
  return role ? role.getValue() : Role::Other;
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

static bool isText(Attribute value) {
  auto text = dyn_cast<StringAttr>(value);
  return text && !text.empty();
}

template <int64_t least>
static bool isCount(Attribute value) {
  auto integer = dyn_cast<IntegerAttr>(value);
  return integer && integer.getType().isInteger(64) && integer.getInt() >= least;
}

template <typename AttributeClass>
static bool isAttr(Attribute value) {
  return isa<AttributeClass>(value);
}

static bool areNumbers(Attribute value) {
  auto numbers = dyn_cast<DenseI32ArrayAttr>(value);
  return numbers && llvm::all_of(numbers.asArrayRef(), [](int32_t number) { return number >= 0; });
}

static bool isFlag(Attribute value) { return isa<UnitAttr>(value); }

template <typename... Ops>
static bool isOp(Operation *op) {
  return isa<Ops...>(op);
}

/// Products of other projects' dialects carry the layer on.
static bool isOurs(Operation *op) {
  return isa_and_present<onnx::OnnxDialect, QoptDialect, kernel::KernelDialect>(op->getDialect()) ||
         isa<QuantizedProductOpInterface>(op);
}

static bool isAnything(Operation *op) { return true; }
static bool isFunction(Operation *op) { return isa<FunctionOpInterface>(op); }

constexpr StringLiteral kText = "a string that is not empty", kFlag = "without a value";
constexpr StringLiteral kOurs = "an operation of onnx, qopt or kernel or a quantized product", kFunction = "a function";

static constexpr AttributeRule kOperationRules[] = {
    {attrs::Layer::getNameStr(), isText, kText, isOurs, kOurs},
    {attrs::Tied::getNameStr(), isText, kText, isOurs, kOurs},
    {attrs::Scheme::getNameStr(), isAttr<SchemeAttr>, "a #qopt.scheme", isOurs, kOurs},
    {attrs::ContextLength::getNameStr(), isCount<1>, "an i64 of at least 1", isOp<ModuleOp>, "a module"},
    {attrs::Value::getNameStr(), isAttr<ElementsAttr>, "elements", isOp<memref::GlobalOp>, "memref.global"},
    {attrs::Name::getNameStr(), isAttr<StringAttr>, "a string", isOp<memref::GlobalOp>, "memref.global"},
    {attrs::Output::getNameStr(), isFlag, kFlag, isOp<memref::AllocOp>, "memref.alloc"},
    {attrs::Grain::getNameStr(), isCount<1>, "an i64 of at least 1", isOp<scf::ParallelOp>, "scf.parallel"},
    {attrs::Entry::getNameStr(), isText, kText, isFunction, kFunction},
    {attrs::Arch::getNameStr(), isText, kText, isFunction, kFunction},
    {attrs::SharedBytes::getNameStr(), isCount<0>, "an i64 of at least 0", isFunction, kFunction},
    {attrs::TensorMaps::getNameStr(), areNumbers, "an array of i32 of at least 0", isFunction, kFunction},
    {attrs::Frame::getNameStr(), isFlag, kFlag, isOp<LLVM::AllocaOp>, "llvm.alloca"},
    {attrs::Site::getNameStr(), isText, kText, isAnything, "any operation"},
    {attrs::SimOwn::getNameStr(), isFlag, kFlag, isAnything, "any operation"},
};

static constexpr AttributeRule kArgumentRules[] = {
    {attrs::Role::getNameStr(), isAttr<RoleAttr>, "a #qopt.role", isFunction, "an argument of a function"},
    {attrs::TensorMap::getNameStr(), isFlag, kFlag, isFunction, "an argument of a function"},
};

static constexpr AttributeRule kResultRules[] = {
    {attrs::Role::getNameStr(), isAttr<RoleAttr>, "a #qopt.role", isFunction, "a result of a function"},
};

LogicalResult QoptDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  return verifyAttribute(op, attribute, kOperationRules, "'" + op->getName().getStringRef() + "'");
}

LogicalResult QoptDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned index, NamedAttribute attribute) {
  if (failed(verifyAttribute(op, attribute, kArgumentRules, "argument " + Twine(index))))
    return failure();
  auto role = dyn_cast<RoleAttr>(attribute.getValue());
  if (role && !infoOf(role.getValue()).isInput)
    return op->emitError() << "argument " << index << " cannot have the role " << StringRef(roleName(role.getValue()))
                           << ", which is one of results";
  return success();
}

LogicalResult QoptDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned index,
                                                       NamedAttribute attribute) {
  if (failed(verifyAttribute(op, attribute, kResultRules, "result " + Twine(index))))
    return failure();
  auto role = cast<RoleAttr>(attribute.getValue());
  if (!infoOf(role.getValue()).isOutput)
    return op->emitError() << "result " << index << " cannot have the role " << StringRef(roleName(role.getValue()))
                           << ", which is one of arguments";
  return success();
}
