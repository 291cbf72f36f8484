//===- SavedStatisticsTest.cpp - Calibration without text -----------------===//
//
// What a run measured gives another the same codes, and what two measured is what one would have.
//
//===----------------------------------------------------------------------===//
#include "CalibrationModel.h"
#include "qopt/Support/File.h"
#include "qopt/Support/TemporaryDirectory.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

struct SavedStatistics : Calibration {
  TemporaryDirectory directory = std::move(*TemporaryDirectory::create("qopt-test"));
  std::string first = directory.path() + "/first", second = directory.path() + "/second";

  void save(const std::string &path, const std::string &statistic, const std::string &scheme) {
    options.save = path;
    auto function = model(statistic, scheme);
    ASSERT_TRUE(calibrate(function)) << error;
    options.save.clear();
    reports.clear();
  }

  /// The range of the first observer.
  static float absMax(func::FuncOp function) {
    ObserveOp observe = *function.getOps<ObserveOp>().begin();
    return observe.getAbsmax()->convertToFloat();
  }
};

TEST_F(SavedStatistics, giveTheSameCodes) {
  auto whole = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(whole)) << error;
  std::vector<LayerReport> expected = std::move(reports);
  save(first, "hessian", kGptq);
  windows.clear(); // no text
  options.load = {first};
  auto function = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(function)) << error;
  ASSERT_EQ(reports.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(reports[i].loss, expected[i].loss);
    EXPECT_EQ(reports[i].sqnrDb, expected[i].sqnrDb);
    EXPECT_EQ(reports[i].tokens, expected[i].tokens);
  }
  // Ranges are measured besides, so that another scheme finds them.
  auto ranges = model("absmax", R"(kind = "int8-static", observer = absmax)");
  EXPECT_TRUE(calibrate(ranges)) << error;
}

TEST_F(SavedStatistics, areTakenTogether) {
  for (std::string scheme :
       {R"(kind = "int8-static")", R"(kind = "int8-static", observer = percentile, percentile = 90.0)"}) {
    std::vector<std::vector<int32_t>> all = windows;
    auto whole = model("absmax", scheme);
    ASSERT_TRUE(calibrate(whole)) << error;
    float expected = absMax(whole);
    windows.assign(all.begin(), all.begin() + 2);
    save(first, "absmax", scheme);
    windows.assign(all.begin() + 2, all.end());
    save(second, "absmax", scheme);
    options.load = {second, first};
    auto function = model("absmax", scheme);
    ASSERT_TRUE(calibrate(function)) << error;
    EXPECT_EQ(absMax(function), expected);
    options.load.clear();
    windows = all;
  }
}

TEST_F(SavedStatistics, refuseWhatDoesNotFit) {
  auto fails = [&](const std::string &statistic, const std::string &scheme, const std::string &text) {
    error.clear();
    auto function = model(statistic, scheme);
    EXPECT_FALSE(calibrate(function));
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
  save(first, "absmax", R"(kind = "int8-static", observer = "moving-average")");
  options.load = {first};
  fails("hessian", kGptq, "has no Hessian");
  options.load = {first, first};
  fails("absmax", R"(kind = "int8-static", observer = "moving-average")", "moving averages of several files");
  options.load = {directory.path() + "/missing"};
  fails("absmax", R"(kind = "int8-static")", "cannot open");
  std::string bytes(MappedFile::open(first)->text());
  ++bytes[bytes.size() / 2];
  ASSERT_TRUE(writeFileAtomically(second, bytes));
  options.load = {second};
  fails("absmax", R"(kind = "int8-static")", "is damaged");
  ASSERT_TRUE(writeFileAtomically(second, "something else"));
  fails("absmax", R"(kind = "int8-static")", "expected statistics that --save-calibration has written");
  up(0, 0) += 1; // another model
  options.load = {first};
  fails("absmax", R"(kind = "int8-static")", "has the statistics of model ");
  EXPECT_NE(error.find(", but this one is "), std::string::npos) << error;
}

} // namespace
