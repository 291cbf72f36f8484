#include "qopt/Runtime/TensorFile.h"
#include "Fixture.h"
#include "qopt/Support/Npy.h"
#include <cstring>

using namespace qrt;
using namespace std::string_literals;

static std::string errorOf(const std::string &bytes) {
  auto tensor = parseTensorProto(std::as_bytes(std::span(bytes)));
  return tensor ? "" : tensor.error().message;
}

static Tensor parse(const std::string &bytes) {
  auto tensor = parseTensorProto(std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(tensor) << tensor.error().message;
  return tensor ? *tensor : Tensor(ElementType::F32, {0});
}

// dims 2 x 2 packed, int64 as raw_data, name "x": as onnx.numpy_helper writes it.
static const std::string rawInt64 = "\x08\x02\x08\x02\x10\x07\x42\x01x\x4a\x20"s +
                                    std::string("\x01\0\0\0\0\0\0\0", 8) + std::string("\x02\0\0\0\0\0\0\0", 8) +
                                    std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) +
                                    std::string("\x04\0\0\0\0\0\0\0", 8);

TEST(TensorProto, PackedListWithoutElements) {
  EXPECT_EQ(parse("\x08\x00\x10\x01\x22\x00"s).dims(), std::vector<int64_t>{0});
}

TEST(TensorProto, RawData) {
  Tensor tensor = parse(rawInt64);
  EXPECT_EQ(tensor.type(), ElementType::I64);
  EXPECT_EQ(tensor.dims(), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(tensor.data<int64_t>()[1], 2);
  EXPECT_EQ(tensor.data<int64_t>()[2], -1);
}

TEST(TensorProto, TypedData) {
  // float_data: packed 1.5, -2, then one by one .25.
  Tensor floats = parse("\x0a\x01\x03\x10\x01\x22\x08\0\0\xc0\x3f\0\0\0\xc0\x25\0\0\x80\x3e"s);
  EXPECT_EQ(floats.data<float>()[0], 1.5f);
  EXPECT_EQ(floats.data<float>()[1], -2.f);
  EXPECT_EQ(floats.data<float>()[2], .25f);
  // int32_data holds int8: 5 and -1 (ten bytes of varint).
  Tensor bytes = parse("\x08\x02\x10\x03\x2a\x0b\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
  EXPECT_EQ(bytes.data<int8_t>()[0], 5);
  EXPECT_EQ(bytes.data<int8_t>()[1], -1);
  // A scalar: no dims, int64_data.
  EXPECT_EQ(parse("\x10\x07\x3a\x01\x07"s).data<int64_t>()[0], 7);
  EXPECT_EQ(parse("\x08\0\x10\x01"s).numElements(), 0);
}

TEST(TensorProto, Errors) {
  EXPECT_NE(errorOf("").find("element type 0"), std::string::npos);
  EXPECT_NE(errorOf("not protobuf").find("are not an ONNX TensorProto"), std::string::npos);
  EXPECT_EQ(errorOf("\x08\x03\x10\x07\x4a\x08\0\0\0\0\0\0\0\0"s), "has 8 bytes of data, but its shape needs 24");
  EXPECT_EQ(errorOf("\x08\x03\x10\x07\x3a\x01\x07"s), "has 1 values, but its shape needs 3");
  EXPECT_EQ(errorOf("\x10\x08\x4a\x01x"s), "element type 8 of ONNX is not supported");
  EXPECT_NE(errorOf("\x10\x01\x70\x01"s).find("another file"), std::string::npos);
  // 2^40 elements and no data: refused without asking for memory.
  EXPECT_NE(errorOf("\x08\x80\x80\x80\x80\x80\x20\x10\x01"s).find("has 0 values"), std::string::npos);
  // Negative, and a product that overflows.
  EXPECT_EQ(errorOf("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01"s), "has an impossible shape");
  EXPECT_EQ(errorOf("\x08\x80\x80\x80\x80\x80\x20\x08\x80\x80\x80\x80\x80\x20\x10\x01"s), "has an impossible shape");
  EXPECT_NE(errorOf("\x08\x01\x10\x03\x2a\x02\x80\x01"s).find("does not fit into i8"), std::string::npos);
}

TEST(TensorProto, EveryTruncationIsAnError) {
  for (size_t length = 0; length < rawInt64.size(); ++length)
    EXPECT_NE(errorOf(rawInt64.substr(0, length)), "") << length;
}

TEST(TensorFile, NpyRoundTrip) {
  TemporaryFolder folder;
  for (ElementType type : {ElementType::F32, ElementType::I64, ElementType::I32, ElementType::I8, ElementType::U8,
                           ElementType::Bool, ElementType::F16}) {
    Tensor tensor(type, {2, 3});
    std::memset(tensor.data<char>(), 1, static_cast<size_t>(tensor.bytes()));
    ASSERT_TRUE(writeTensorFile(folder / "x.npy", tensor));
    auto read = readTensorFile(folder / "x.npy");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->type(), type);
    EXPECT_EQ(read->dims(), tensor.dims());
    EXPECT_EQ(std::memcmp(read->data<char>(), tensor.data<char>(), static_cast<size_t>(tensor.bytes())), 0);
  }
  // NumPy has no bf16: 1.0 is 0x3f80.
  Tensor brain(ElementType::BF16, {1});
  brain.data<uint16_t>()[0] = 0x3f80;
  ASSERT_TRUE(writeTensorFile(folder / "x.npy", brain));
  auto wide = readTensorFile(folder / "x.npy");
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->type(), ElementType::F32);
  EXPECT_EQ(wide->data<float>()[0], 1.f);
}

TEST(TensorFile, WidensOrRoundsWhatIsNoElementType) {
  TemporaryFolder folder;
  const uint16_t shorts[] = {1, 65535};
  const int64_t shape[] = {2};
  ASSERT_TRUE(qopt::writeNpy(folder / "x.npy", qopt::NpyType::UInt16, shape, std::as_bytes(std::span(shorts))));
  auto integers = readTensorFile(folder / "x.npy");
  ASSERT_TRUE(integers) << integers.error().message;
  EXPECT_EQ(integers->type(), ElementType::I64);
  EXPECT_EQ(integers->data<int64_t>()[1], 65535);
  const double doubles[] = {0.1, -2};
  ASSERT_TRUE(qopt::writeNpy(folder / "x.npy", qopt::NpyType::Float64, shape, std::as_bytes(std::span(doubles))));
  auto floats = readTensorFile(folder / "x.npy");
  ASSERT_TRUE(floats) << floats.error().message;
  EXPECT_EQ(floats->type(), ElementType::F32);
  EXPECT_EQ(floats->data<float>()[0], 0.1f);
  const double large[] = {std::numeric_limits<double>::infinity(), 1e39};
  ASSERT_TRUE(qopt::writeNpy(folder / "x.npy", qopt::NpyType::Float64, shape, std::as_bytes(std::span(large))));
  EXPECT_NE(readTensorFile(folder / "x.npy").error().message.find("does not fit into f32"), std::string::npos);
}

TEST(ConvertTensor, FloatsToTheNearest) {
  Tensor wide(ElementType::F32, {4});
  const float values[] = {1.f, 1.01f, -3e4f, std::numeric_limits<float>::infinity()};
  std::copy(std::begin(values), std::end(values), wide.data<float>());
  auto brains = convertTensor(wide, ElementType::BF16);
  ASSERT_TRUE(brains);
  // 1.01 lies between 0x3f81 (1.0078125) and 0x3f82 (1.015625); -3e4 is 0xc6ea6000.
  const uint16_t expected[] = {0x3f80, 0x3f81, 0xc6ea, 0x7f80};
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(brains->data<uint16_t>()[i], expected[i]) << i;
  EXPECT_EQ(convertTensor(*brains, ElementType::F32)->data<float>()[1], 1.0078125f);
  EXPECT_EQ(convertTensor(*convertTensor(wide, ElementType::F16), ElementType::F32)->data<float>()[2], -3e4f);
  wide.data<float>()[0] = 1e5f;
  EXPECT_EQ(convertTensor(wide, ElementType::F16).error().message, "holds 100000.000000, which does not fit into f16");
}

TEST(ConvertTensor, IntegersWhereTheyFit) {
  Tensor wide = idTensor({3}, {1, -5, 300});
  auto narrow = convertTensor(wide, ElementType::I32);
  ASSERT_TRUE(narrow);
  EXPECT_EQ(narrow->data<int32_t>()[1], -5);
  EXPECT_EQ(convertTensor(*narrow, ElementType::I64)->data<int64_t>()[2], 300);
  EXPECT_EQ(convertTensor(wide, ElementType::I8).error().message, "holds 300, which does not fit into i8");
  EXPECT_EQ(convertTensor(wide, ElementType::Bool).error().message, "holds -5, which does not fit into bool");
  EXPECT_EQ(convertTensor(wide, ElementType::F32).error().message, "has elements of type i64, but f32 is needed");
}
