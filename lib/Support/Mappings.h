//===- Mappings.h - Which files are mapped --------------------------------===//
//
// Private to the handlers of signals and the writers of files.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_SUPPORT_MAPPINGS_H
#define QOPT_LIB_SUPPORT_MAPPINGS_H

#include "qopt/Support/Result.h"

namespace qopt {

/// The printable name of the file that is mapped at `address`; null where none is. May be
/// called in a signal handler.
const char *mappedFileAt(const void *address);

/// An error that names a file which was changed in place since it was mapped.
Status checkMappedFilesUnchanged();

} // namespace qopt

#endif // QOPT_LIB_SUPPORT_MAPPINGS_H
