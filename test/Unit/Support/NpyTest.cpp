#include "qopt/Support/Npy.h"
#include "TemporaryDirectory.h"
#include <gtest/gtest.h>

using namespace qopt;

/// A version 1.0 file with this header and data.
static std::string npy(std::string_view header, std::string_view data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return file.append(header).append(data);
}

static Result<NpyArray> parse(std::string_view file) { return parseNpy(std::as_bytes(std::span(file))); }

static std::string errorOf(std::string_view file) {
  Result<NpyArray> array = parse(file);
  return array ? "no error" : array.error().message;
}

TEST(Npy, RoundTrip) {
  TemporaryDirectory directory;
  std::vector<int32_t> values = {1, -2, 3, 4, 5, 6};
  std::vector<std::vector<int64_t>> shapes = {{6}, {2, 3}, {1, 2, 3, 1}};
  for (const std::vector<int64_t> &shape : shapes) {
    ASSERT_TRUE(bool(writeNpy(directory.file("a.npy"), NpyType::Int32, shape, std::as_bytes(std::span(values)))));
    EXPECT_EQ(directory.read("a.npy").size(), 128 + 24u);
    Result<NpyArray> array = readNpy(directory.file("a.npy"));
    ASSERT_TRUE(bool(array)) << array.error().message;
    EXPECT_EQ(array->type, NpyType::Int32);
    EXPECT_EQ(array->shape, shape);
    std::span<const int32_t> elements = array->as<int32_t>();
    EXPECT_TRUE(std::equal(elements.begin(), elements.end(), values.begin(), values.end()));
  }
  float scalar = 2.5f;
  ASSERT_TRUE(bool(writeNpy(directory.file("s.npy"), NpyType::Float32, {}, std::as_bytes(std::span(&scalar, 1)))));
  Result<NpyArray> array = readNpy(directory.file("s.npy"));
  ASSERT_TRUE(bool(array));
  EXPECT_TRUE(array->shape.empty());
  EXPECT_EQ(array->as<float>()[0], 2.5f);
  std::vector<int64_t> wrong = {7};
  EXPECT_FALSE(bool(writeNpy(directory.file("w.npy"), NpyType::Int32, wrong, std::as_bytes(std::span(values)))));
}

TEST(Npy, AcceptsWhatNumPyWrites) {
  EXPECT_EQ(errorOf(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  \n", "aaaabbbb")), "no error");
  EXPECT_EQ(errorOf(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", "a")), "no error");
  EXPECT_EQ(errorOf(npy("{'descr': '<f2', 'fortran_order': True, 'shape': (2,), }\n", "aabb")), "no error");
  EXPECT_EQ(errorOf(npy("{\"shape\":(0, 7),\"descr\":\"<i8\",\"fortran_order\":False}", "")), "no error");
}

TEST(Npy, TurnsOtherOrders) {
  auto integersOf = [](const std::string &file) {
    Result<NpyArray> array = parseNpy(std::as_bytes(std::span(file)));
    return array ? *npyIntegers(*array) : std::vector<int64_t>();
  };
  std::string bytes("\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\xff\xfe", 12);
  EXPECT_EQ(integersOf(npy("{'descr': '>u2', 'fortran_order': False, 'shape': (6,), }\n", bytes)),
            (std::vector<int64_t>{1, 2, 3, 4, 5, 65534}));
  EXPECT_EQ(integersOf(npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", bytes)),
            (std::vector<int64_t>{1, 3, 5, 2, 4, -2}));
  EXPECT_EQ(integersOf(npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }\n", std::string(8, '\xff'))),
            (std::vector<int64_t>{std::numeric_limits<int64_t>::max()}));
}

TEST(Npy, RejectsMalformedFiles) {
  std::string good = npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }\n", "aaaabbbb");
  ASSERT_EQ(errorOf(good), "no error");
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(errorOf(good.substr(0, length)), "no error") << length;
  EXPECT_EQ(errorOf("PK\x03\x04"), "is not a .npy file");
  EXPECT_EQ(errorOf(good.substr(0, good.size() - 1)), "npy shape needs 8 bytes of data, but the file has 7");
  EXPECT_EQ(errorOf(good + "x"), "npy shape needs 8 bytes of data, but the file has 9");

  auto header = [](std::string_view descr, std::string_view order, std::string_view shape) {
    return npy("{'descr': " + std::string(descr) + ", 'fortran_order': " + std::string(order) +
                   ", 'shape': " + std::string(shape) + ", }",
               "aaaabbbb");
  };
  EXPECT_EQ(errorOf(header("'<c8'", "False", "(1,)")),
            "npy element type '<c8' is not one of bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, "
            "float16, float32, float64");
  EXPECT_EQ(errorOf(header("[('a', '<i4')]", "False", "(1,)")), "npy arrays of records are not supported");
  EXPECT_EQ(errorOf(header("'<i4'", "False", "(-2,)")), "npy shape has a negative dimension, -2");
  EXPECT_EQ(errorOf(header("'<i4'", "False", "(99999999999999999999,)")),
            "npy shape has a dimension that is not a 64-bit integer");
  EXPECT_EQ(errorOf(header("'<i4'", "False", "(4294967296, 4294967296)")),
            "npy shape has more elements than 64 bits can count");
  EXPECT_EQ(errorOf(header("'<i4'", "False", "(4294967296, 4294967296, 0)")),
            "npy shape has more elements than 64 bits can count");
  EXPECT_EQ(errorOf(header("'<i8'", "False", "(2305843009213693952,)")),
            "npy shape has more elements than 64 bits can count");
  EXPECT_EQ(errorOf(header("'<i4'", "Maybe", "(2,)")), "npy header is malformed");
  std::string ones;
  for (int i = 0; i < 65; ++i)
    ones += "1,";
  EXPECT_EQ(errorOf(header("'<i4'", "False", "(" + ones + ")")), "npy shape has more than 64 dimensions");
  EXPECT_EQ(errorOf(npy("{'descr': '<i4', 'descr': '<i4', }", "")), "npy header has 'descr' twice");
  EXPECT_EQ(errorOf(npy("{'descr': '<i4', }", "")), "npy header lacks 'descr', 'fortran_order' or 'shape'");
  EXPECT_EQ(errorOf(npy("{'x': 1}", "")), "npy header has an unknown key 'x'");
  std::string version("\x93NUMPY\x09\x00\x01\x00{", 11);
  EXPECT_EQ(errorOf(version), "npy version 9 is not supported");
  std::string huge("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14);
  EXPECT_EQ(errorOf(huge), "npy header says 4294967295 bytes, but the file has 2 left");
}
