//===- Temporaries.h - What must be gone when the process ends ------------===//
//
// Private to the files that make temporaries and to the handlers of signals.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_SUPPORT_TEMPORARIES_H
#define QOPT_LIB_SUPPORT_TEMPORARIES_H

#include <string>

namespace qopt {

/// `flags`: of unlinkat(). Returns the number to release it with, or -1 where there is no
/// place for one more: then only a signal would leave it behind.
int registerTemporary(int directory, const std::string &name, int flags = 0);
void releaseTemporary(int slot);

/// Removes all that are registered. May be called in a signal handler.
void removeTemporaries();

/// Removes what killed processes left in `directory`: files and directories that are called
/// `prefix` and `suffixLength` more characters, belong to this user, and that nobody has
/// locked, as who makes a temporary does.
void removeLeftBehind(int directory, const std::string &prefix, size_t suffixLength);

/// Locks a new temporary for the life of `file`. False where another process took it for one
/// that was left behind, and removed it.
bool lockTemporary(int file);

} // namespace qopt

#endif // QOPT_LIB_SUPPORT_TEMPORARIES_H
