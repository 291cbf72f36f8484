//===- HostForm.cpp - What lowerAbi expects of a function ------------------===//
//
// Dense arrays cross the boundary, and memory belongs to a function as a whole, which gives
// it back however it ends.
//
//===----------------------------------------------------------------------===//
#include "HostForm.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;

LogicalResult qopt::host::checkForm(func::FuncOp function, function_ref<bool(StringRef)> isParameter) {
  if (!function.isPrivate())
    for (Type type : function.getArgumentTypes()) {
      auto memory = dyn_cast<MemRefType>(type);
      if (!memory || !memory.getLayout().isIdentity())
        return function.emitOpError("expected arguments that are dense memrefs but got ") << type;
    }
  for (Type type : function.getResultTypes())
    if (!isa<MemRefType>(type))
      return function.emitOpError("expected results that are memrefs but got ") << type;
  WalkResult result = function.walk([&](Operation *op) {
    auto global = dyn_cast<memref::GetGlobalOp>(op);
    bool belongsToFunction =
        isa<memref::AllocOp, memref::DeallocOp, RequireOp>(op) || (global && isParameter(global.getName()));
    bool isOfLayer = isa<RequireOp>(op) && isa<RepeatOp>(op->getParentOp());
    if (!belongsToFunction || op->getParentOp() == function || isOfLayer)
      return WalkResult::advance();
    op->emitOpError("expected at the top of its function, outside of loops and branches");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}
