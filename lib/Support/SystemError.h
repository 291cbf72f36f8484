//===- SystemError.h - What the system says went wrong --------------------===//
//
// Private to the files that call it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_SUPPORT_SYSTEMERROR_H
#define QOPT_LIB_SUPPORT_SYSTEMERROR_H

#include "qopt/Support/Result.h"
#include <cstring>
#include <string>

namespace qopt {

/// `code`: of errno.
inline Error systemError(const char *what, int code) { return {std::string(what) + ": " + std::strerror(code)}; }

} // namespace qopt

#endif // QOPT_LIB_SUPPORT_SYSTEMERROR_H
