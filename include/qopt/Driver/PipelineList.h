//===- PipelineList.h - The named pipelines, for people and programs ------===//
//
// What `qopt --print-pipelines` and `--dump-pass-pipeline` print.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_PIPELINELIST_H
#define QOPT_DRIVER_PIPELINELIST_H

#include "qopt/Support/Result.h"
#include <string>
#include <vector>

namespace qopt {

/// All named pipelines with their options, types and defaults, as text and as JSON.
std::string pipelineTable();
std::string pipelinesAsJson();
/// The schemes with their variants, options and presets as JSON.
std::string schemesAsJson();

/// What `pipeline` stands for as builtin.module(...), with the choices of the package
/// `compat`, unless empty, and `overrides` in it: text that gives the same passes again.
/// Errors: no such pipeline, options that text cannot hold.
Result<std::string> expandPipeline(const std::string &pipeline, const std::string &compat,
                                   const std::vector<std::string> &overrides);
/// Its result as JSON.
std::string passPipelineAsJson(const std::string &text);

} // namespace qopt

#endif // QOPT_DRIVER_PIPELINELIST_H
