//===- Pipelines.cpp - What qopt does, in order ---------------------------===//
//
// The file to read first. A pipeline is a list of passes, each described in
// docs/Passes.md and runnable alone with qopt-opt.
//
//===----------------------------------------------------------------------===//
#include "qopt/Passes/Passes.h"

void qopt::registerPipelines() {}
