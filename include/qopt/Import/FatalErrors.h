//===- FatalErrors.h - Where LLVM knows no way back -----------------------===//
//
// What LLVM would end with a stack dump or an abort becomes one line and exit code 1.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_IMPORT_FATALERRORS_H
#define QOPT_IMPORT_FATALERRORS_H

namespace qopt {

/// From now on fatal errors of LLVM and memory that there is not end the tool by
/// exitWithError() (Support/Tool.h). To be called within runTool(), once.
void reportFatalErrors();

} // namespace qopt

#endif // QOPT_IMPORT_FATALERRORS_H
