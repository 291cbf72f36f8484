//===- RemarkCollector.h - What passes say they left as it is -------------===//
//
// The driver's end of MLIR's remark engine.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_REMARKCOLLECTOR_H
#define QOPT_LIB_DRIVER_REMARKCOLLECTOR_H

#include "mlir/IR/MLIRContext.h"
#include "qopt/Driver/CompileReport.h"
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace qopt {

/// Collects the remarks of all passes that run in a context, each once: what several entry
/// points share is lowered for each of them. Lives longer than the context does.
class RemarkCollector {
public:
  /// Makes `context` send its remarks here.
  void listenTo(mlir::MLIRContext &context);

  /// The remarks since the last call, and one warning for each topic of which something
  /// was missed, "2 attentions were not recognised ... (--remarks lists them ...)".
  struct News {
    std::vector<ReportedRemark> remarks;
    std::vector<std::string> warnings;
  };
  News takeNews();

private:
  class Stream;

  std::mutex mutex;
  std::vector<ReportedRemark> all;
  size_t numTaken = 0;
  std::map<std::string, std::vector<std::string>> missed; ///< where, by topic, since the last call
};

} // namespace qopt

#endif // QOPT_LIB_DRIVER_REMARKCOLLECTOR_H
