//===- Decoder.cpp - What decoders of all devices have in common ----------===//
//
// Which entry points a text needs, what their caches look like, and whether ids are in
// the vocabulary.
//
//===----------------------------------------------------------------------===//
#include "CacheEntries.h"
#include "Shapes.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>

using namespace qrt;
using qopt::Dimension;
using qopt::EntryPoint;
using qopt::Error;
using qopt::isCache;
using qopt::Role;
using qopt::TensorInfo;

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

bool qrt::hasCaches(const EntryPoint &entry) {
  return std::any_of(entry.inputs.begin(), entry.inputs.end(),
                     [](const TensorInfo &input) { return isCache(input.role); });
}

static bool isCacheType(ElementType type) { return type == ElementType::F32 || type == ElementType::F16; }
static bool isSymbol(const Dimension &dim) { return !dim.symbol.empty(); }

static bool isSameCache(const TensorInfo &a, const TensorInfo &b) {
  auto isSame = [](const Dimension &x, const Dimension &y) { return x.symbol == y.symbol && x.size == y.size; };
  return a.type == b.type && std::equal(a.dims.begin(), a.dims.end(), b.dims.begin(), b.dims.end(), isSame);
}

/// Whether `entry` can be called as Module.h says; an error names what is wrong with it.
static Status checkEntry(const EntryPoint &entry, bool isOneToken) {
  auto fault = [&](const std::string &what) {
    return Error{"entry point '" + entry.name + "' cannot be used with caches because of " + what};
  };
  const std::vector<TensorInfo> &inputs = entry.inputs;
  if (inputs.size() <= CacheEntries::numPlainInputs || entry.outputs.size() != 1)
    return fault("its number of inputs or outputs");
  const TensorInfo &ids = inputs[0], &past = inputs[1], &logits = entry.outputs[0];
  if (ids.role != Role::TokenIds || !qopt::isIndexType(ids.type) || ids.dims.size() != 2 ||
      (isOneToken ? isSymbol(ids.dims[1]) || ids.dims[1].size != 1 : !isSymbol(ids.dims[1])))
    return fault("its first input");
  bool isForAll = past.dims.size() == 1 && past.dims[0].size == 1;
  bool isForEach = past.dims.size() == 1 && isSymbol(past.dims[0]) && past.dims[0].symbol == ids.dims[0].symbol;
  if (past.role != Role::PastLength || past.type != ElementType::I64 || (!isForAll && !isForEach))
    return fault("its second input");
  for (const TensorInfo &cache : std::span(inputs).subspan(CacheEntries::numPlainInputs))
    if (!isCache(cache.role) || !isCacheType(cache.type) || cache.dims.size() != 4 || isSymbol(cache.dims[1]) ||
        isSymbol(cache.dims[3]) || !isSymbol(cache.dims[2]) || cache.dims[0].symbol != ids.dims[0].symbol ||
        cache.dims[0].size != ids.dims[0].size)
      return fault("its input '" + qopt::printable(cache.name) + "'");
  bool isFloat = qopt::isFloatType(logits.type);
  if (logits.role != Role::LastLogits || !isFloat || logits.dims.size() != 3 || isSymbol(logits.dims[1]) ||
      logits.dims[1].size != 1 || isSymbol(logits.dims[2]) || logits.dims[2].size < 1)
    return fault("its output");
  return {};
}

Result<std::optional<CacheEntries>> qrt::findCacheEntries(const qopt::Module &module, int64_t batch, int64_t capacity) {
  CacheEntries found{};
  for (const EntryPoint &entry : module.info().entryPoints) {
    bool isOneToken = entry.name == "decode";
    if (!isOneToken && entry.name != "prefill")
      continue;
    if (Status status = checkEntry(entry, isOneToken); !status)
      return status.error();
    (isOneToken ? found.decode : found.prefill) = &entry;
  }
  if (!found.prefill || !found.decode)
    return std::optional<CacheEntries>();
  std::span<const TensorInfo> others = std::span(found.decode->inputs).subspan(CacheEntries::numPlainInputs);
  if (!std::equal(found.caches().begin(), found.caches().end(), others.begin(), others.end(), isSameCache))
    return Error{"entry points 'prefill' and 'decode' have caches of different types"};
  const Dimension &rows = found.prefill->inputs[0].dims[0];
  if (batch < 1 || capacity < 1 || (!isSymbol(rows) && rows.size != batch))
    return Error{"the model takes " + (isSymbol(rows) ? "1 row or more" : std::to_string(rows.size) + " rows") +
                 " of at least 1 token, but " + std::to_string(batch) + " of " + std::to_string(capacity) +
                 " were asked for"};
  int64_t context = module.info().contextLength;
  if (context > 0 && capacity > context)
    return Error{"the context is " + std::to_string(context) + " tokens, but " + std::to_string(capacity) +
                 " were asked for"};
  return std::optional<CacheEntries>(found);
}

std::vector<int64_t> qrt::cacheDims(const TensorInfo &cache, int64_t batch, int64_t capacity) {
  return {batch, cache.dims[1].size, capacity, cache.dims[3].size};
}

std::optional<int64_t> qrt::cacheBytes(std::span<const TensorInfo> caches, int64_t batch, int64_t capacity) {
  std::optional<int64_t> all = 0;
  for (const TensorInfo &cache : caches) {
    std::optional<int64_t> elements = qopt::checkedNumElements(cacheDims(cache, batch, capacity)), bytes;
    if (elements)
      bytes = qopt::checkedMul(*elements, qopt::elementBytes(cache.type));
    if (!all || !bytes)
      return std::nullopt;
    all = qopt::checkedAdd(*all, *bytes);
  }
  return all;
}

//===----------------------------------------------------------------------===//
// Decoder
//===----------------------------------------------------------------------===//

Decoder::Decoder(const CacheEntries &entries, int64_t batch, int64_t capacity)
    : prefill(*entries.prefill), decode(*entries.decode), room(capacity),
      alone(batch == 1 || (entries.hasLengths() && isSymbol(prefill.inputs[0].dims[0]))),
      used(static_cast<size_t>(batch)) {}

int64_t Decoder::length() const { return *std::max_element(used.begin(), used.end()); }

std::span<const int64_t> Decoder::lengths(int64_t firstRow, int64_t n) const {
  bool areShared = prefill.inputs[1].dims[0].size == 1;
  return std::span(used).subspan(static_cast<size_t>(firstRow), areShared ? 1 : static_cast<size_t>(n));
}

void Decoder::cut(int64_t row, int64_t length) {
  int64_t &count = used[static_cast<size_t>(row)];
  count = std::clamp<int64_t>(length, 0, count);
}

void Decoder::clear() { std::fill(used.begin(), used.end(), 0); }

template <typename T>
static Tensor makeIds(std::span<const int32_t> ids, int64_t batch, ElementType type) {
  Tensor tensor(type, {batch, static_cast<int64_t>(ids.size()) / batch});
  std::copy(ids.begin(), ids.end(), tensor.data<T>());
  return tensor;
}

Result<Tensor> Decoder::append(std::span<const int32_t> ids) { return append(ids, 0, batch()); }

Result<Tensor> Decoder::appendTo(int64_t row, std::span<const int32_t> ids) {
  if (row < 0 || row >= batch())
    return Error{"there are rows 0 to " + std::to_string(batch() - 1) + ", but row " + std::to_string(row) +
                 " was asked for"};
  if (!alone)
    return Error{"the " + std::to_string(batch()) + " rows of this module grow together only"};
  return append(ids, row, 1);
}

Result<Tensor> Decoder::append(std::span<const int32_t> ids, int64_t firstRow, int64_t n) {
  int64_t count = static_cast<int64_t>(ids.size()) / n;
  if (count < 1 || static_cast<int64_t>(ids.size()) % n != 0)
    return Error{"expected as many tokens for each of " + std::to_string(n) + " rows, but got " +
                 std::to_string(ids.size())};
  std::span rows = std::span(used).subspan(static_cast<size_t>(firstRow), static_cast<size_t>(n));
  int64_t longest = *std::max_element(rows.begin(), rows.end());
  if (count > room - longest)
    return Error{"there is room for " + std::to_string(room) + " tokens, but " + std::to_string(longest) + " and " +
                 std::to_string(count) + " more were given"};
  const EntryPoint &entry = count == 1 ? decode : prefill;
  int64_t vocabulary = entry.outputs[0].dims[2].size;
  if (Status status = checkTokens(ids, count, longest, vocabulary); !status)
    return status.error();
  bool isWide = entry.inputs[0].type == ElementType::I64;
  Result<Tensor> logits =
      call(entry, isWide ? makeIds<int64_t>(ids, n, ElementType::I64) : makeIds<int32_t>(ids, n, ElementType::I32),
           firstRow);
  if (!logits)
    return logits;
  if (logits->type() != entry.outputs[0].type || logits->dims() != std::vector<int64_t>{n, 1, vocabulary})
    return Error{"the code of the module returned no logits of " + std::to_string(n) + " rows and " +
                 std::to_string(vocabulary) + " tokens"};
  for (int64_t &row : rows)
    row += count;
  return logits;
}
