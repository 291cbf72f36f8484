//===- WriteJobs.cpp - What is to be written, in pieces -------------------===//
//
// Data that are there are cut where chunks end, so that most are hashed as they pass.
//
//===----------------------------------------------------------------------===//
#include "WriteJobs.h"
#include "Layout.h"
#include <algorithm>
#include <system_error>
#include <thread>

using namespace qopt;

void WriteJobs::add(int64_t offset, std::span<const std::byte> bytes) {
  file.announce(offset, static_cast<int64_t>(bytes.size()));
  while (!bytes.empty()) {
    int64_t left = hashedChunkBytes - offset % hashedChunkBytes;
    Job &job = jobs.emplace_back();
    job.offset = offset;
    job.bytes = bytes.first(std::min(bytes.size(), static_cast<size_t>(left)));
    bytes = bytes.subspan(job.bytes.size());
    offset += left;
  }
}

void WriteJobs::add(ParameterSource &source, const std::vector<int64_t> &places) {
  Made *made = sources.emplace_back(std::make_unique<Made>(&source, &places)).get();
  for (int64_t part = 0; part < source.numParts(); ++part) {
    Job &job = jobs.emplace_back();
    job.made = made;
    job.part = part;
  }
}

Status WriteJobs::run(const Job &job) {
  if (!job.made)
    return file.put(job.offset, job.bytes);
  auto put = [&](size_t parameter, int64_t offset, std::span<const char> bytes) {
    return file.put((*job.made->places)[parameter] + offset, std::as_bytes(bytes));
  };
  if (Status status = job.made->source->make(job.part, put); !status)
    return status;
  if (--job.made->left == 0)
    finishInOrder();
  return {};
}

void WriteJobs::finishInOrder() {
  std::lock_guard guard(lock);
  for (; finished < sources.size() && sources[finished]->left == 0; ++finished)
    sources[finished]->source->finish();
}

void WriteJobs::work() {
  for (size_t i; !hasFailed && (i = next++) < jobs.size();)
    if (Status status = run(jobs[i]); !status) {
      std::lock_guard guard(lock);
      if (!hasFailed.exchange(true))
        failure = std::move(status);
    }
}

Status WriteJobs::run(int threads) {
  {
    std::vector<std::jthread> others;
    try {
      for (int i = 1; i < threads; ++i)
        others.emplace_back([this] { work(); });
    } catch (const std::system_error &) {
      // The system gives no more threads: go on with those there are.
    }
    work();
  }
  finishInOrder(); // sources without parts
  return std::move(failure);
}
