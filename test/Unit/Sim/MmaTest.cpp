//===- MmaTest.cpp - mma.sync against matrices ----------------------------===//
//
// The fragments are written here element by element, as the PTX ISA lists them.
//
//===----------------------------------------------------------------------===//
#include "SimTest.h"
#include <bit>
#include <cmath>

using namespace qopt::test;

namespace {

struct Case {
  std::string type; ///< of A and B
  int bits, k;
  std::string operand; ///< MLIR type of a register of A and B
  std::string accumulator = "i32";
  std::string overflow = "";
  std::string typeB = "";
};

std::ostream &operator<<(std::ostream &os, const Case &c) {
  return os << c.type << " k" << c.k << " " << c.accumulator << c.overflow;
}

double decode(uint32_t bits, const std::string &type) {
  if (type == "f16")
    return static_cast<double>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
  if (type == "bf16")
    return std::bit_cast<float>(bits << 16);
  if (type == "tf32")
    return std::bit_cast<float>(bits & 0xFFFFE000u);
  if (type == "s8")
    return static_cast<int8_t>(bits);
  if (type == "s4")
    return bits & 8 ? int(bits & 15) - 16 : int(bits & 15);
  return bits & (type == "u4" ? 15 : 255);
}

/// Random bits of a small finite number.
uint32_t randomElement(std::mt19937 &random, const std::string &type) {
  float value = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 512;
  if (type == "f16")
    return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
  if (type == "bf16")
    return std::bit_cast<uint32_t>(value) >> 16;
  if (type == "tf32")
    return std::bit_cast<uint32_t>(value) | 0x3FF; // bits that do not count
  return random() & (type.back() == '4' ? 15 : 255);
}

class Mma : public testing::TestWithParam<Case> {};

std::string kernelText(const Case &c, int numA, int numB, int numC) {
  auto list = [](const std::string &name, int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += (i ? ", " : "") + name + std::to_string(i);
    return text;
  };
  std::string loads, stores;
  auto load = [&](const std::string &from, int count, const std::string &type) {
    for (int i = 0; i < count; ++i) {
      std::string n = from + std::to_string(i);
      loads += "%p" + n + " = llvm.getelementptr %" + from + "[%lane, " + std::to_string(i) +
               "] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<4 x i32>\n";
      loads += "%" + n + " = llvm.load %p" + n + " : !llvm.ptr -> " + type + "\n";
    }
  };
  load("a", numA, c.operand);
  load("b", numB, c.operand);
  load("c", numC, c.accumulator);
  std::string result = "!llvm.struct<(";
  for (int i = 0; i < numC; ++i) {
    std::string n = std::to_string(i);
    result += (i ? ", " : "") + c.accumulator;
    stores += "%r" + n + " = llvm.extractvalue %d[" + n + "] : {result}\nllvm.store %r" + n + ", %pc" + n + " : " +
              c.accumulator + ", !llvm.ptr\n";
  }
  result += ")>";
  std::string types;
  if (c.operand == "i32")
    types = "multiplicandAPtxType = #nvvm.mma_type<" + c.type + ">, multiplicandBPtxType = #nvvm.mma_type<" +
            (c.typeB.empty() ? c.type : c.typeB) + ">, ";
  if (!c.overflow.empty())
    types += "intOverflowBehavior = #nvvm.mma_int_overflow<" + c.overflow + ">, ";
  return fill("gpu.func @f(%a: !llvm.ptr, %b: !llvm.ptr, %c: !llvm.ptr) kernel {\n"
              "%id = gpu.thread_id x\n%lane = arith.index_cast %id : index to i32\n" +
                  loads + "%d = nvvm.mma.sync A[" + list("%a", numA) + "] B[" + list("%b", numB) + "] C[" +
                  list("%c", numC) + "] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, " + types +
                  "shape = #nvvm.shape<m = 16, n = 8, k = " + std::to_string(c.k) + ">} : (" + c.operand + ", " +
                  c.operand + ", " + c.accumulator + ") -> {result}\n" + stores + "gpu.return\n}",
              {{"result", result}});
}

TEST_P(Mma, GivesTheProduct) {
  const Case &c = GetParam();
  std::string typeB = c.typeB.empty() ? c.type : c.typeB;
  int each = 32 / c.bits, numB = c.k / (4 * each), numA = 2 * numB, numC = c.accumulator == "vector<2xf16>" ? 2 : 4;
  std::mt19937 random(7);
  std::vector<uint32_t> a(16 * c.k), b(c.k * 8);
  for (uint32_t &x : a)
    x = randomElement(random, c.type);
  for (uint32_t &x : b)
    x = randomElement(random, typeB);
  Array<uint32_t> aRegisters(128), bRegisters(128), cRegisters(128);
  std::vector<double> start(16 * 8);
  for (int lane = 0; lane < 32; ++lane) {
    int group = lane / 4, inGroup = lane % 4;
    for (int i = 0; i < numA * each; ++i) {
      int row = i / each % 2 == 0 ? group : group + 8;
      int column = inGroup * each + i % each + (i / each < 2 ? 0 : 4 * each);
      aRegisters[lane * 4 + i / each] |= a[row * c.k + column] << i % each * c.bits;
    }
    for (int i = 0; i < numB * each; ++i)
      bRegisters[lane * 4 + i / each] |= b[(inGroup * each + i % each + (i < each ? 0 : 4 * each)) * 8 + group]
                                         << i % each * c.bits;
    for (int i = 0; i < 4; ++i) {
      int row = i < 2 ? group : group + 8, column = inGroup * 2 + (i & 1);
      if (c.accumulator == "i32") {
        // Some near the ends of the range.
        int32_t value = i == 0   ? INT32_MAX - int(random() % 1000)
                        : i == 1 ? INT32_MIN + int(random() % 1000)
                                 : int(random()) / 4;
        start[row * 8 + column] = value;
        cRegisters[lane * 4 + i] = static_cast<uint32_t>(value);
      } else {
        float value = static_cast<float>(random() % 1000) / 64;
        start[row * 8 + column] = value;
        if (numC == 4)
          cRegisters[lane * 4 + i] = std::bit_cast<uint32_t>(value);
        else
          cRegisters[lane * 4 + i / 2] |= uint32_t(std::bit_cast<uint16_t>(static_cast<_Float16>(value))) << i % 2 * 16;
      }
    }
  }
  Kernels kernels(kernelText(c, numA, numB, numC));
  ASSERT_EQ(kernels.run("f", {}, aRegisters.data(), bRegisters.data(), cRegisters.data()), "");
  int clamped = 0;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      int row = i < 2 ? lane / 4 : lane / 4 + 8, column = lane % 4 * 2 + (i & 1);
      double want = start[row * 8 + column];
      for (int k = 0; k < c.k; ++k)
        want += decode(a[row * c.k + k], c.type) * decode(b[k * 8 + column], typeB);
      if (c.accumulator == "i32") {
        auto wide = static_cast<int64_t>(want);
        int64_t clamp = std::clamp<int64_t>(wide, INT32_MIN, INT32_MAX);
        clamped += clamp != wide;
        if (c.overflow == "satfinite")
          wide = clamp;
        EXPECT_EQ(static_cast<int32_t>(cRegisters[lane * 4 + i]), static_cast<int32_t>(wide)) << lane << " " << i;
      } else if (numC == 4) {
        EXPECT_NEAR(std::bit_cast<float>(cRegisters[lane * 4 + i]), want, 1e-4) << lane << " " << i;
      } else {
        auto half = std::bit_cast<_Float16>(static_cast<uint16_t>(cRegisters[lane * 4 + i / 2] >> i % 2 * 16));
        EXPECT_NEAR(static_cast<double>(half), want, 0.02) << lane << " " << i;
      }
    }
  if (c.accumulator == "i32" && c.bits == 8) {
    EXPECT_GT(clamped, 0) << "the case does not overflow";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Types, Mma,
    testing::Values(Case{"s8", 8, 32, "i32", "i32", "satfinite"}, Case{"s8", 8, 32, "i32", "i32", "wrapped"},
                    Case{"s8", 8, 16, "i32", "i32", "satfinite"}, Case{"u8", 8, 32, "i32", "i32", "satfinite", "s8"},
                    Case{"s4", 4, 64, "i32", "i32", "satfinite"}, Case{"u4", 4, 32, "i32", "i32", "wrapped"},
                    Case{"f16", 16, 16, "vector<2xf16>", "f32"}, Case{"f16", 16, 8, "vector<2xf16>", "f32"},
                    Case{"f16", 16, 16, "vector<2xf16>", "vector<2xf16>"}, Case{"bf16", 16, 16, "i32", "f32"},
                    Case{"bf16", 16, 8, "i32", "f32"}, Case{"tf32", 32, 8, "i32", "f32"}));

} // namespace
