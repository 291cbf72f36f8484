//===- Reference.td - All passes, for docs/Passes.md ----------------------===//
//
// Code is generated of each file, the page of all.
//
//===----------------------------------------------------------------------===//
include "qopt/Passes/Passes.td"
include "qopt/Passes/Transforms.td"
