//===- LogitRows.cpp - The logits of a batch, row by row ------------------===//
//
// Of the types that a model may give them in.
//
//===----------------------------------------------------------------------===//
#include "LogitRows.h"
#include "qopt/Support/Half.h"

using namespace qrt;
using qopt::Error;

/// Fewer bytes are kept in memory.
static constexpr int64_t kSmall = int64_t(64) << 20;

LogitRows::LogitRows(Tensor given) : type(given.type()), vocabulary(given.dims().back()), logits(std::move(given)) {}

Status LogitRows::spill() {
  if (logits.bytes() <= kSmall)
    return {};
  Result<qopt::UnlinkedFile> created = qopt::UnlinkedFile::create();
  if (!created)
    return created.error();
  if (Status status = created->write(0, {logits.data<char>(), static_cast<size_t>(logits.bytes())}); !status)
    return status;
  file = std::move(*created);
  logits = Tensor();
  return {};
}

Result<const float *> LogitRows::row(int64_t i, std::vector<float> &buffer) const {
  auto size = static_cast<size_t>(vocabulary);
  if (!file && type == ElementType::F32)
    return logits.data<float>() + i * vocabulary;
  buffer.resize(size);
  std::vector<char> stored;
  const char *from = file ? nullptr : logits.data<char>() + i * rowBytes();
  if (file) {
    char *to = reinterpret_cast<char *>(buffer.data());
    if (type != ElementType::F32) {
      stored.resize(static_cast<size_t>(rowBytes()));
      from = to = stored.data();
    }
    if (Status status = file->read(i * rowBytes(), {to, static_cast<size_t>(rowBytes())}); !status)
      return status.error();
  }
  if (type != ElementType::F32)
    (type == ElementType::BF16 ? qopt::widenBrains : qopt::widenHalves)(from, vocabulary, buffer.data());
  return buffer.data();
}
