//===- TokenWindows.cpp - Token ids in windows of one length --------------===//
//
// Documents are joined and cut without overlap. Drawing depends on the seed alone, on every
// machine: no std:: distribution, whose results the standard leaves open.
//
//===----------------------------------------------------------------------===//
#include "qopt/Tokenizer/TokenWindows.h"
#include "qopt/Support/Random.h"
#include <algorithm>
#include <numeric>

using namespace qopt;

Result<TokenWindows> qopt::makeWindows(const Corpus &corpus, int64_t length) {
  TokenWindows windows;
  windows.length =
      corpus.isWindows && !corpus.documents.empty() ? static_cast<int64_t>(corpus.documents[0].size()) : length;
  int64_t available = corpus.numTokens();
  if (windows.length < 1)
    return Error{"a window of " + std::to_string(windows.length) + " tokens holds nothing"};
  if (available < windows.length)
    return Error{std::to_string(available) + " tokens are fewer than one window of " + std::to_string(windows.length)};
  // The rest that fills no window is left out.
  size_t wanted = static_cast<size_t>(available / windows.length * windows.length);
  windows.ids.reserve(wanted);
  for (const std::vector<int32_t> &document : corpus.documents) {
    size_t count = std::min(document.size(), wanted - windows.ids.size());
    windows.ids.insert(windows.ids.end(), document.begin(), document.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return windows;
}

/// The windows with these numbers.
static TokenWindows select(const TokenWindows &windows, std::span<const int64_t> indices) {
  TokenWindows result;
  result.length = windows.length;
  result.ids.reserve(indices.size() * static_cast<size_t>(windows.length));
  for (int64_t index : indices) {
    std::span<const int32_t> window = windows[index];
    result.ids.insert(result.ids.end(), window.begin(), window.end());
  }
  return result;
}

/// Every n-th, so that a part of a long text stands for all of it.
TokenWindows qopt::pickEvenly(const TokenWindows &windows, int64_t count) {
  int64_t available = windows.count();
  if (count >= available)
    return windows;
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < count; ++k) // below available^2, and the ids are in memory: no overflow
    indices.push_back(k * available / count);
  return select(windows, indices);
}

TokenWindows qopt::drawWindows(const TokenWindows &windows, int64_t count, uint64_t seed) {
  int64_t available = windows.count();
  if (count >= available)
    return windows;
  // The first `count` places of a shuffle (Fisher and Yates).
  std::vector<int64_t> indices(static_cast<size_t>(available));
  std::iota(indices.begin(), indices.end(), 0);
  count = std::max<int64_t>(count, 0);
  for (int64_t k = 0; k < count; ++k) {
    // The remainder's bias is 2^-64 times the number of windows: nothing.
    uint64_t other = splitmix64(seed) % static_cast<uint64_t>(available - k);
    std::swap(indices[static_cast<size_t>(k)], indices[static_cast<size_t>(k) + other]);
  }
  indices.resize(static_cast<size_t>(count));
  // In the order of the text: the choice is random, the order need not be.
  std::sort(indices.begin(), indices.end());
  return select(windows, indices);
}
