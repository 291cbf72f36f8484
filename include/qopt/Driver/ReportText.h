//===- ReportText.h - The report for people -------------------------------===//
//
// Tables and lines as `qopt` prints them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_REPORTTEXT_H
#define QOPT_DRIVER_REPORTTEXT_H

#include "qopt/Driver/CompileReport.h"

namespace qopt {

/// What the evaluation of `report` measured, and the five layers whose weights were changed most.
std::string evaluationText(const CompileReport &report);
/// What layers chose under a budget, and the options that give them the same.
std::string choiceText(const CompileReport &report);
/// A table of the layers.
std::string layerTable(const CompileReport &report);
/// One line, without its end, on the finished module.
std::string summaryLine(const CompileReport &report, const std::string &output);
/// One line, without its end, on a layer that was just quantized.
std::string progressLine(const LayerReport &layer);

/// The quantization schemes with their options, as tables (`--list-schemes`).
std::string schemeTable();

} // namespace qopt

#endif // QOPT_DRIVER_REPORTTEXT_H
