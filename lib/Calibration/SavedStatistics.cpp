//===- SavedStatistics.cpp - What calibration measured, as a file ---------===//
//
// A line that says what the file is, a line with the model, records of a name and the numbers under it, each behind
// its length, and the SHA-256 of all that.
//
//===----------------------------------------------------------------------===//
#include "SavedStatistics.h"
#include "qopt/Support/Tool.h"
#include "llvm/ADT/Twine.h"
#include <cstring>

using namespace llvm;
using namespace qopt;

static constexpr std::string_view kMagic = "qopt calibration 1\n";

namespace {

/// Numbers and arrays one after the other, little-endian, each array behind its length.
class ByteWriter {
public:
  template <typename... T>
  void operator()(const T &...values) {
    (write(values), ...);
  }
  std::string bytes;

private:
  template <typename T>
  void write(const T &value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  template <typename T>
  void write(const std::vector<T> &values) {
    write<uint64_t>(values.size());
    bytes.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
  }
  template <typename T>
  void write(const Matrix<T> &matrix) {
    (*this)(matrix.rows, matrix.cols, matrix.values);
  }
};

/// The same the other way.
class ByteReader {
public:
  explicit ByteReader(std::string_view bytes) : bytes(bytes) {}

  template <typename... T>
  void operator()(T &...values) {
    (read(values), ...);
  }
  bool isAtEnd() const { return isGood && bytes.empty(); }

private:
  void take(void *to, size_t size) {
    isGood &= size <= bytes.size();
    if (!isGood || size == 0)
      return;
    std::memcpy(to, bytes.data(), size);
    bytes.remove_prefix(size);
  }
  template <typename T>
  void read(T &value) {
    take(&value, sizeof value);
  }
  template <typename T>
  void read(std::vector<T> &values) {
    uint64_t size = 0;
    read(size);
    isGood &= size <= bytes.size() / sizeof(T);
    values.resize(isGood ? size : 0);
    take(values.data(), values.size() * sizeof(T));
  }
  template <typename T>
  void read(Matrix<T> &matrix) {
    (*this)(matrix.rows, matrix.cols, matrix.values);
    isGood &= matrix.rows >= 0 && matrix.cols >= 0 && matrix.rows * matrix.cols == int64_t(matrix.values.size());
  }

  std::string_view bytes;
  bool isGood = true;
};

/// What stands behind its length; advances `bytes`.
std::optional<std::string_view> takeBlock(std::string_view &bytes) {
  uint64_t size;
  if (bytes.size() < sizeof size)
    return std::nullopt;
  std::memcpy(&size, bytes.data(), sizeof size);
  bytes.remove_prefix(sizeof size);
  if (size > bytes.size())
    return std::nullopt;
  std::string_view block = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return block;
}

} // namespace

Result<StatisticsFile> StatisticsFile::create(const std::string &path, const std::string &model) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return inFile(path, file.error());
  StatisticsFile result(std::move(*file), path);
  if (Status status = result.write(std::string(kMagic) + model + "\n"); !status)
    return status.error();
  return result;
}

Status StatisticsFile::write(std::string_view bytes) {
  hash.update(std::as_bytes(std::span(bytes)));
  if (Status status = file.write(bytes); !status)
    return inFile(path, status.error());
  return {};
}

Status StatisticsFile::add(StringRef name, const Statistics &statistics) {
  ByteWriter numbers;
  const_cast<Statistics &>(statistics).archive(numbers); // it only looks
  for (std::string_view block : {std::string_view(name), std::string_view(numbers.bytes)}) {
    uint64_t size = block.size();
    if (Status status = write({reinterpret_cast<const char *>(&size), sizeof size}); !status)
      return status;
    if (Status status = write(block); !status)
      return status;
  }
  return {};
}

Status StatisticsFile::finish() {
  auto digest = hash.finish();
  if (Status status = file.write(std::as_bytes(std::span(digest))); !status)
    return inFile(path, status.error());
  if (Status status = file.commit(); !status)
    return inFile(path, status.error());
  return {};
}

Result<SavedStatistics> SavedStatistics::open(const std::vector<std::string> &paths, const std::string &model) {
  SavedStatistics result;
  for (const std::string &path : paths) {
    Result<MappedFile> mapped = MappedFile::open(path);
    if (!mapped)
      return inFile(path, mapped.error());
    std::string_view rest = mapped->text();
    constexpr size_t kDigest = 32;
    if (!rest.starts_with(kMagic) || rest.size() < kMagic.size() + kDigest)
      return inFile(path, {"expected statistics that --save-calibration has written"});
    Sha256 hash;
    hash.update(std::as_bytes(std::span(rest.substr(0, rest.size() - kDigest))));
    auto digest = hash.finish();
    if (std::memcmp(digest.data(), rest.data() + rest.size() - kDigest, kDigest) != 0)
      return inFile(path, {"is damaged: its hash is another than when it was written"});
    rest.remove_suffix(kDigest);
    rest.remove_prefix(kMagic.size());
    size_t end = rest.find('\n');
    if (end == std::string_view::npos)
      return inFile(path, {"is damaged: no line names its model"});
    if (rest.substr(0, end) != model)
      return inFile(path,
                    {"has the statistics of model " + std::string(rest.substr(0, end)) + ", but this one is " + model});
    rest.remove_prefix(end + 1);
    File file{path, std::move(*mapped), {}};
    while (!rest.empty()) {
      std::optional<std::string_view> name = takeBlock(rest);
      std::optional<std::string_view> numbers = name ? takeBlock(rest) : std::nullopt;
      if (!numbers)
        return inFile(path, {"is damaged: it ends within a record"});
      file.records[std::string(*name)] = *numbers;
    }
    result.files.push_back(std::move(file));
  }
  return result;
}

Status SavedStatistics::addTo(StringRef name, Statistics &statistics) const {
  for (const File &file : files) {
    auto found = file.records.find(std::string_view(name));
    if (found == file.records.end())
      return inFile(file.path, {"has no statistics of the input of layer \"" + name.str() + "\""});
    Statistics one = statistics.emptyCopy();
    ByteReader reader(found->second);
    one.archive(reader);
    if (!reader.isAtEnd())
      return inFile(file.path, {"is damaged: the statistics of layer \"" + name.str() + "\" have another size"});
    if (Status status = statistics.merge(one); !status)
      return inFile(file.path, {"layer \"" + name.str() + "\": " + status.error().message});
  }
  return {};
}
