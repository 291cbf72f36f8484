//===- StageResult.cpp - Stages and tensors as bytes ----------------------===//
//
// Numbers and arrays one after the other, little-endian, each array behind its length. What
// is read was hashed, but is checked all the same.
//
//===----------------------------------------------------------------------===//
#include "StageResult.h"
#include "qopt/Support/CheckedMath.h"
#include <cstring>

using namespace qopt;

namespace {

class Writer {
public:
  explicit Writer(const ObjectStore::Sink &sink) : sink(sink) {}

  template <typename T>
  void number(T value) {
    array(&value, 1);
  }
  template <typename T>
  void list(const std::vector<T> &values) {
    number<int64_t>(static_cast<int64_t>(values.size()));
    array(values.data(), values.size());
  }
  template <typename T>
  void matrix(const Matrix<T> &matrix) {
    number(matrix.rows);
    number(matrix.cols);
    array(matrix.values.data(), matrix.values.size());
  }
  template <typename T>
  void optional(const std::optional<T> &value) {
    number<uint8_t>(value.has_value());
    number(value.value_or(T()));
  }
  void bytes(const void *data, size_t size) { array(static_cast<const std::byte *>(data), size); }

  /// Which alternative of WeightCodes it is, and then that.
  void codes(const WeightCodes &codes) {
    number<uint8_t>(static_cast<uint8_t>(codes.index()));
    std::visit([&](const auto &c) { write(c); }, codes);
  }

  void layer(const LayerResult &layer) {
    const LayerReport &report = layer.report;
    list(std::vector<char>(report.name.begin(), report.name.end()));
    optional(report.loss);
    optional(report.damping);
    number(report.tokens);
    number(report.deadColumns);
    number<uint8_t>(report.fallback);
    optional(report.sqnrDb);
    number(report.seconds);
    codes(*layer.codes);
  }

  Status status; ///< of the first write that failed

private:
  void write(const ChannelCodes &channels) {
    matrix(channels.codes);
    list(channels.scales);
  }
  void write(const SplitCodes &split) {
    write(split.rest);
    list(split.columns);
    matrix(split.kept);
  }
  /// What all codes with a scale per group begin with.
  template <typename Codes>
  void scaledCodes(const Codes &codes) {
    number(codes.groupSize);
    matrix(codes.codes);
    matrix(codes.scales);
  }
  /// Zero points are integers of groups, or numbers.
  template <typename Codes>
    requires requires(const Codes &c) { c.zeros; }
  void write(const Codes &codes) {
    scaledCodes(codes);
    number<int64_t>(codes.bits);
    matrix(codes.zeros);
  }
  void write(const TableCodes &codes) {
    scaledCodes(codes);
    number(codes.table);
  }
  void write(const Float8Codes &codes) { scaledCodes(codes); }

  template <typename T>
  void array(const T *values, size_t count) {
    if (status)
      status = sink(std::as_bytes(std::span(values, count)));
  }

  const ObjectStore::Sink &sink;
};

/// After something that does not fit all numbers are 0 and all arrays empty.
class Reader {
public:
  explicit Reader(std::span<const std::byte> bytes) : rest(bytes) {}

  template <typename T>
  T number() {
    T value = T();
    array(&value, 1);
    return value;
  }
  template <typename T>
  std::vector<T> list() {
    return values<T>(number<int64_t>());
  }
  template <typename T>
  Matrix<T> matrix() {
    Matrix<T> result;
    result.rows = number<int64_t>();
    result.cols = number<int64_t>();
    int64_t dims[] = {result.rows, result.cols};
    result.values = values<T>(checkedNumElements(dims).value_or(-1));
    return result;
  }
  template <typename T>
  std::optional<T> optional() {
    bool isThere = number<uint8_t>() != 0;
    T value = number<T>();
    return isThere ? std::optional<T>(value) : std::nullopt;
  }
  void bytes(void *data, size_t size) { array(static_cast<std::byte *>(data), size); }

  WeightCodes codes() { return alternative<0>(number<uint8_t>()); }

  LayerResult layer() {
    LayerResult layer;
    LayerReport &report = layer.report;
    std::vector<char> name = list<char>();
    report.name.assign(name.begin(), name.end());
    report.loss = optional<double>();
    report.damping = optional<double>();
    report.tokens = number<int64_t>();
    report.deadColumns = number<int64_t>();
    report.fallback = number<uint8_t>() != 0;
    report.sqnrDb = optional<double>();
    report.seconds = number<double>();
    layer.codes = std::make_shared<const WeightCodes>(codes());
    return layer;
  }

  void require(bool fits) { isGood &= fits; }
  int64_t numLeft() const { return static_cast<int64_t>(rest.size()); }
  std::span<const std::byte> left() const { return rest; }

  bool isGood = true;

private:
  template <size_t index>
  WeightCodes alternative(size_t which) {
    if constexpr (index < std::variant_size_v<WeightCodes>) {
      if (which != index)
        return alternative<index + 1>(which);
      std::variant_alternative_t<index, WeightCodes> codes;
      read(codes);
      return codes;
    }
    require(false);
    return ChannelCodes();
  }

  void read(ChannelCodes &channels) {
    channels.codes = matrix<int8_t>();
    channels.scales = list<float>();
    require(int64_t(channels.scales.size()) == channels.codes.rows);
  }
  void read(SplitCodes &split) {
    read(split.rest);
    split.columns = list<int64_t>();
    split.kept = matrix<float>();
    require(split.kept.rows == split.rest.codes.rows && split.kept.cols == int64_t(split.columns.size()));
    for (size_t i = 0; i < split.columns.size(); ++i)
      require(split.columns[i] > (i ? split.columns[i - 1] : -1) && split.columns[i] < split.rest.codes.cols);
  }
  /// What was read fits together, and codes have `bits` bits.
  template <typename Codes>
  void checkScaled(const Codes &codes, int bits) {
    require(codes.groupSize > 0 && codes.groupSize <= codes.codes.cols);
    requireGroups(codes.scales, codes);
    requireBits(codes.codes, bits);
  }
  void requireBits(const Matrix<uint8_t> &codes, int bits) {
    for (uint8_t code : codes.values)
      require(code >> bits == 0);
  }
  void requireBits(const Matrix<float> &, int) {} // any numbers
  /// A number for each group of each row.
  template <typename T, typename Codes>
  void requireGroups(const Matrix<T> &numbers, const Codes &codes) {
    require(isGood && numbers.rows == codes.codes.rows && numbers.cols == (codes.codes.cols - 1) / codes.groupSize + 1);
  }
  template <typename Codes>
  void readScaled(Codes &codes) {
    codes.groupSize = number<int64_t>();
    codes.codes = matrix<uint8_t>();
    codes.scales = matrix<float>();
  }
  template <typename Codes>
    requires requires(const Codes &c) { c.zeros; }
  void read(Codes &codes) {
    readScaled(codes);
    int64_t bits = number<int64_t>();
    require(1 <= bits && bits <= 8);
    codes.bits = isGood ? static_cast<int>(bits) : 8;
    codes.zeros = matrix<typename decltype(codes.zeros.values)::value_type>();
    checkScaled(codes, codes.bits);
    requireGroups(codes.zeros, codes);
    requireBits(codes.zeros, codes.bits);
  }
  void read(TableCodes &codes) {
    readScaled(codes);
    codes.table = number<Table16>();
    checkScaled(codes, /*bits=*/4);
  }
  void read(Float8Codes &codes) {
    readScaled(codes);
    checkScaled(codes, /*bits=*/8);
  }

  template <typename T>
  std::vector<T> values(int64_t count) {
    require(count >= 0 && count <= numLeft() / int64_t(sizeof(T)));
    std::vector<T> result(isGood ? count : 0);
    array(result.data(), result.size());
    return result;
  }

  template <typename T>
  void array(T *values, size_t count) {
    require(count <= rest.size() / sizeof(T));
    if (!isGood || count == 0)
      return;
    std::memcpy(values, rest.data(), count * sizeof(T));
    rest = rest.subspan(count * sizeof(T));
  }

  std::span<const std::byte> rest;
};

} // namespace

Status qopt::writeStage(const StageResult &result, const ObjectStore::Sink &sink) {
  Writer writer(sink);
  writer.optional(result.absMax);
  writer.number<int64_t>(static_cast<int64_t>(result.layers.size()));
  for (const LayerResult &layer : result.layers)
    writer.layer(layer);
  return writer.status;
}

Result<StageResult> qopt::readStage(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  StageResult result;
  result.absMax = reader.optional<float>();
  int64_t count = reader.number<int64_t>();
  while (reader.isGood && int64_t(result.layers.size()) < count)
    result.layers.push_back(reader.layer());
  if (!reader.isGood || reader.numLeft() != 0)
    return Error{"holds no result of a group of layers"};
  return result;
}

Status qopt::writeTensor(const qrt::Tensor &tensor, const ObjectStore::Sink &sink) {
  Writer writer(sink);
  writer.number<int64_t>(static_cast<int64_t>(tensor.type()));
  writer.list(tensor.dims());
  writer.bytes(tensor.data<char>(), tensor.bytes());
  return writer.status;
}

Result<qrt::Tensor> qopt::readTensor(std::span<const std::byte> &bytes) {
  Reader reader(bytes);
  std::optional<ElementType> type = elementTypeByNumber(reader.number<int64_t>());
  std::vector<int64_t> dims = reader.list<int64_t>();
  std::optional<int64_t> count = checkedNumElements(dims);
  if (!reader.isGood || !type || !count || *count > reader.numLeft() / elementBytes(*type))
    return Error{"holds no tensor"};
  qrt::Tensor tensor(*type, dims);
  reader.bytes(tensor.data<char>(), tensor.bytes());
  bytes = reader.left();
  return tensor;
}
