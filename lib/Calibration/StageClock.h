//===- StageClock.h - How long calibration will take ----------------------===//
//
// Stages differ in size: one of a wide layer takes as long as many others. What a stage
// takes is laid to the weights whose inputs it measures.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_STAGECLOCK_H
#define QOPT_LIB_CALIBRATION_STAGECLOCK_H

#include "StageReaders.h"
#include <functional>

namespace qopt {

class StageClock {
public:
  /// Starts before stage `first`; none of the later ones has been quantized. `now`: seconds.
  StageClock(const StagePlan &plan, size_t first, std::function<double()> now)
      : now(std::move(now)), start(this->now()) {
    for (const Stage &stage : llvm::drop_begin(plan.stages, first)) {
      double weights = 1;
      StageReaders readers(stage);
      for (auto &[scheme, linears] : readers.byScheme())
        for (const Linear &linear : linears)
          weights += static_cast<double>(linear.outFeatures) * static_cast<double>(linear.inFeatures);
      work.push_back(weights);
      all += weights;
    }
  }

  /// The next stage ended now. The seconds that all from the first on will have taken.
  double finish() {
    finished += work[next++];
    return (now() - start) * all / finished;
  }

private:
  std::vector<double> work;
  double all = 0, finished = 0;
  size_t next = 0;
  std::function<double()> now;
  double start;
};

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STAGECLOCK_H
