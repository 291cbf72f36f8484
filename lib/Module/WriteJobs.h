//===- WriteJobs.h - What is to be written, in pieces ---------------------===//
//
// Pieces are taken in the order in which they were added, by as many threads as there are:
// so few layers are in work at a time.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_MODULE_WRITEJOBS_H
#define QOPT_LIB_MODULE_WRITEJOBS_H

#include "HashedFile.h"
#include "qopt/Module/Module.h"
#include <mutex>

namespace qopt {

class WriteJobs {
public:
  explicit WriteJobs(HashedFile &file) : file(file) {}

  /// Bytes that are there. Announces them.
  void add(int64_t offset, std::span<const std::byte> bytes);
  /// Parameters of `source`, each at its place in `places`, which must outlive this.
  void add(ParameterSource &source, const std::vector<int64_t> &places);
  /// Returns when all is written, or the first error.
  Status run(int threads);

private:
  struct Made {
    ParameterSource *source;
    const std::vector<int64_t> *places;
    std::atomic<int64_t> left; ///< parts
    Made(ParameterSource *source, const std::vector<int64_t> *places)
        : source(source), places(places), left(source->numParts()) {}
  };
  struct Job {
    int64_t offset = 0;
    std::span<const std::byte> bytes;
    Made *made = nullptr; ///< else `bytes`
    int64_t part = 0;
  };

  void work();
  Status run(const Job &job);
  void finishInOrder();

  HashedFile &file;
  std::vector<std::unique_ptr<Made>> sources;
  std::vector<Job> jobs;
  std::atomic<size_t> next = 0;
  std::atomic<bool> hasFailed = false;
  std::mutex lock; ///< of what follows
  size_t finished = 0;
  Status failure;
};

} // namespace qopt

#endif // QOPT_LIB_MODULE_WRITEJOBS_H
