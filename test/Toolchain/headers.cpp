// The C interfaces in a C++ program that is older than the compiler's own C++.
#include "qopt-c/qopt.h"
#include "qopt/Runtime/qrt.h"

int (*const version)(void) = qopt_abi_version;
int (*const runtimeVersion)(void) = qrt_api_version;
