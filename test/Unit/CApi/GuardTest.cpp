// Faults planted in guarded work: none ends the process, and calls after it succeed.
#include "CAPI/Guard.h"
#include "llvm/Support/ErrorHandling.h"
#include <gtest/gtest.h>
#include <latch>
#include <stdexcept>
#include <thread>

using namespace qopt::capi;

static Outcome run(std::function<Outcome()> work) { return runGuarded(std::move(work)); }

static void expectGood() {
  Outcome outcome = run([] { return Outcome{}; });
  EXPECT_EQ(outcome.code, QOPT_OK);
  EXPECT_EQ(outcome.message, "");
}

TEST(Guard, GivesTheOutcome) {
  expectGood();
  Outcome outcome = run([] { return Outcome{QOPT_ERROR_IO, "model.onnx: cannot open"}; });
  EXPECT_EQ(outcome.code, QOPT_ERROR_IO);
  EXPECT_EQ(outcome.message, "model.onnx: cannot open");
}

TEST(Guard, CatchesExceptions) {
  Outcome outcome = run([]() -> Outcome { throw std::bad_alloc(); });
  EXPECT_EQ(outcome.code, QOPT_ERROR_MEMORY);
  EXPECT_EQ(outcome.message, "out of memory");
  outcome = run([]() -> Outcome { throw std::runtime_error("two\nlines"); });
  EXPECT_EQ(outcome.code, QOPT_ERROR_INTERNAL);
  EXPECT_EQ(outcome.message.find('\n'), std::string::npos);
  EXPECT_EQ(run([]() -> Outcome { throw 1; }).code, QOPT_ERROR_INTERNAL);
  expectGood();
}

TEST(Guard, OutlivesFatalErrorsOfLlvm) {
  Outcome outcome = run([]() -> Outcome { llvm::report_fatal_error("planted"); });
  EXPECT_EQ(outcome.code, QOPT_ERROR_INTERNAL);
  EXPECT_EQ(outcome.message, "LLVM: planted");
  outcome = run([]() -> Outcome { llvm::report_bad_alloc_error("planted"); });
  EXPECT_EQ(outcome.code, QOPT_ERROR_MEMORY);
  expectGood();
}

TEST(Guard, OutlivesThemInOtherThreads) {
  Outcome outcome = run([]() -> Outcome {
    std::thread thread([] { llvm::report_fatal_error("planted in a pool"); });
    thread.join(); // never ends
    return {};
  });
  EXPECT_EQ(outcome.code, QOPT_ERROR_INTERNAL);
  EXPECT_EQ(outcome.message, "LLVM: planted in a pool");
  expectGood();
}

TEST(Guard, FaultsOfOneCallAreNotAnothers) {
  std::latch isStarted(1), isOver(1);
  std::thread other([&] {
    Outcome outcome = run([&] {
      isStarted.count_down();
      isOver.wait();
      return Outcome{};
    });
    EXPECT_EQ(outcome.code, QOPT_OK);
  });
  isStarted.wait();
  EXPECT_EQ(run([]() -> Outcome { llvm::report_fatal_error("planted"); }).code, QOPT_ERROR_INTERNAL);
  isOver.count_down();
  other.join();
}
