//===- RemarkCollector.cpp - What passes say they left as it is -----------===//
//
// MLIR's engine hands every remark that its filter lets through to a stream; ours keeps
// them as data.
//
//===----------------------------------------------------------------------===//
#include "RemarkCollector.h"
#include "Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "qopt/Passes/Remarks.h"
#include "qopt/Support/Utf8.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace qopt;

class RemarkCollector::Stream : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Stream(RemarkCollector &collector) : collector(collector) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::string text;
    for (const remark::detail::Remark::Arg &part : remark.getArgs())
      text += part.val;
    ReportedRemark reported{remark.getRemarkName().str(), describeLocation(remark.getLocation()), firstLine(text)};
    // Functions may be passed over in parallel.
    std::lock_guard lock(collector.mutex);
    if (llvm::is_contained(collector.all, reported))
      return;
    if (remark.getRemarkType() == llvm::remarks::Type::Missed)
      collector.missed[reported.topic].push_back(reported.where);
    collector.all.push_back(std::move(reported));
  }

private:
  RemarkCollector &collector;
};

void RemarkCollector::listenTo(MLIRContext &context) {
  remark::RemarkCategories categories;
  // A pattern for "all" counts only for the kinds that have one of their own.
  categories.missed = categories.analysis = "qopt";
  // Fails only for a context that has an engine already.
  (void)remark::enableOptimizationRemarks(context, std::make_unique<Stream>(*this),
                                          std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
}

/// ": A, B and 3 more", in an order that does not depend on threads.
static std::string listPlaces(std::vector<std::string> places) {
  constexpr size_t most = 5;
  llvm::sort(places);
  std::string text;
  for (size_t i = 0; i < std::min(most, places.size()); ++i)
    text += (i ? ", " : ": ") + printable(places[i].empty() ? "(unnamed)" : places[i]);
  return places.size() > most ? text + " and " + std::to_string(places.size() - most) + " more" : text;
}

RemarkCollector::News RemarkCollector::takeNews() {
  std::lock_guard lock(mutex);
  News news;
  news.remarks.assign(all.begin() + numTaken, all.end());
  numTaken = all.size();
  for (const RemarkTopic &topic : allRemarkTopics())
    if (std::vector<std::string> &places = missed[topic.name]; !places.empty())
      news.warnings.push_back(std::to_string(places.size()) + " " + (places.size() == 1 ? topic.one : topic.many) +
                              (topic.isNamed ? listPlaces(places) : "") + " (" + topic.remedy + ")");
  missed.clear();
  return news;
}
