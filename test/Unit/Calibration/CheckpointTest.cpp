//===- CheckpointTest.cpp - Calibration that goes on where it stopped -----===//
//
// Runs that end in the middle of a stage, and what the next one makes of their work.
//
//===----------------------------------------------------------------------===//
#include "CalibrationModel.h"
#include "qopt/Support/TemporaryDirectory.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

/// A runner that ends the work at its n-th call, as a full disk or a lost device would.
StageRunnerFactory failingRunner(int calls) {
  struct Runner : StageRunner {
    std::unique_ptr<StageRunner> whole;
    int left;
    Result<std::vector<qrt::Tensor>> run(StringRef name, ArrayRef<qrt::Tensor> inputs) override {
      if (left-- == 0)
        return Error{"lost"};
      return whole->run(name, inputs);
    }
  };
  return [calls](ModuleOp module, qrt::ThreadPool &threads) -> FailureOr<std::unique_ptr<StageRunner>> {
    auto runner = std::make_unique<Runner>();
    runner->whole = std::move(*createReferenceRunner(module, threads));
    runner->left = calls;
    return std::unique_ptr<StageRunner>(std::move(runner));
  };
}

TEST_F(Calibration, goesOnWhereItStopped) {
  options.batchSize = 2; // 3 batches: the first stage is 3 calls
  windows[1].resize(3);
  auto whole = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(whole)) << error;
  std::vector<LayerReport> expected = std::move(reports);
  TemporaryDirectory directory = std::move(*TemporaryDirectory::create("qopt-test"));
  options.checkpoint = directory.path() + "/checkpoint";
  for (int calls : {2, 5, 4}) {
    reports.clear();
    options.threads = calls;
    auto function = model("hessian", kGptq);
    EXPECT_FALSE(succeeded(qopt::calibrate(function, windows, options, failingRunner(calls))));
    EXPECT_EQ(reports.size(), calls == 2 ? 0u : 1u);
  }
  reports.clear();
  int64_t resumed = 0, total = 0, estimates = 0;
  options.onResume = [&](int64_t done, int64_t all) { resumed = done, total = all; };
  options.onEstimate = [&](double seconds) { estimates += seconds > 0; };
  std::vector<int64_t> progress;
  options.onProgress = [&](int64_t done, int64_t all) { progress.push_back(done); };
  auto function = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(function)) << error;
  EXPECT_EQ(resumed, 1);
  EXPECT_EQ(total, 2);
  EXPECT_EQ(estimates, 1);
  EXPECT_EQ(progress, (std::vector<int64_t>{3, 4, 5, 6}));
  for (const char *layer : {"up", "down"})
    EXPECT_EQ(stored(function, layer), stored(whole, layer)) << layer;
  EXPECT_TRUE(function.getOps<ObserveOp>().empty());
  ASSERT_EQ(reports.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(reports[i].name, expected[i].name);
    EXPECT_EQ(reports[i].loss, expected[i].loss);
    EXPECT_EQ(reports[i].sqnrDb, expected[i].sqnrDb);
    EXPECT_EQ(reports[i].damping, expected[i].damping);
    EXPECT_EQ(reports[i].tokens, expected[i].tokens);
    EXPECT_EQ(reports[i].bitsPerWeight, expected[i].bitsPerWeight);
  }
}

TEST_F(Calibration, goesOnWithRangesAndKeptColumns) {
  for (auto [statistic, scheme] :
       {std::pair("absmax", R"(kind = "int8-static", observer = "moving-average")"),
        std::pair("column-absmax", R"(kind = "llm-int8", threshold = 5.0, outliers = static)")}) {
    options.checkpoint.clear();
    auto whole = model(statistic, scheme);
    ASSERT_TRUE(calibrate(whole)) << error;
    TemporaryDirectory directory = std::move(*TemporaryDirectory::create("qopt-test"));
    options.checkpoint = directory.path() + "/checkpoint";
    auto first = model(statistic, scheme);
    EXPECT_FALSE(succeeded(qopt::calibrate(first, windows, options, failingRunner(1))));
    auto second = model(statistic, scheme);
    ASSERT_TRUE(calibrate(second)) << error;
    for (const char *layer : {"up", "down"})
      EXPECT_EQ(stored(second, layer), stored(whole, layer)) << layer;
    for (auto [a, b] : llvm::zip_equal(whole.getOps<ObserveOp>(), second.getOps<ObserveOp>()))
      EXPECT_EQ(a.getAbsmaxAttr(), b.getAbsmaxAttr());
  }
}

TEST_F(Calibration, saysOfALongRunThatItCouldBeKept) {
  // Each look at the clock is `step` seconds later: one before the stages, one behind each.
  auto notesFor = [&](double step) {
    std::vector<std::string> notes;
    addNotes([&](const std::string &note) { notes.push_back(note); }, options);
    options.clock = [step, now = 1e6]() mutable { return now += step; };
    EXPECT_TRUE(calibrate(model("hessian", kGptq))) << error;
    return notes;
  };
  EXPECT_EQ(notesFor(200), std::vector<std::string>());
  std::vector<std::string> notes = notesFor(4000);
  ASSERT_EQ(notes.size(), 1u) << "once, though the second stage tells it, too";
  EXPECT_EQ(notes[0], "calibration will take about 133 minutes; with --checkpoint=DIR a run that is ended goes on "
                      "where it stopped");

  TemporaryDirectory directory = std::move(*TemporaryDirectory::create("qopt-test"));
  options.checkpoint = directory.path() + "/checkpoint";
  options.onEstimate = nullptr;
  EXPECT_EQ(notesFor(4000), std::vector<std::string>());
  EXPECT_EQ(notesFor(4000), std::vector<std::string>{"calibration goes on: 2 of 2 groups are in the checkpoint"});
}

TEST_F(Calibration, refusesACheckpointOfAnotherCalibration) {
  TemporaryDirectory directory = std::move(*TemporaryDirectory::create("qopt-test"));
  options.checkpoint = directory.path() + "/checkpoint";
  ASSERT_TRUE(calibrate(model("hessian", kGptq))) << error;
  auto isRefused = [&](const char *what, const char *scheme = kGptq) {
    error.clear();
    EXPECT_FALSE(calibrate(model("hessian", scheme)));
    EXPECT_EQ(error, "checkpoint \"" + options.checkpoint + "\": was made by another run: " + what +
                         " is not the same; repeat that run, remove the directory or give another");
  };
  windows[0][0] = (windows[0][0] + 1) % kVocabulary;
  isRefused("the calibration data");
  windows[0][0] = (windows[0][0] + kVocabulary - 1) % kVocabulary;
  isRefused("the graph of the model or an option of the scheme", R"(kind = "gptq-int4", groupSize = 2)");
  options.batchSize = 2;
  isRefused("the graph of the model or an option of the scheme");
  options.batchSize = 8;
  options.device = "sim";
  isRefused("the device");
  options.device = "cpu";
  ++down(1, 1);
  isRefused("the weights of the model");
  --down(1, 1);
  EXPECT_TRUE(calibrate(model("hessian", kGptq))) << error;
}

} // namespace
