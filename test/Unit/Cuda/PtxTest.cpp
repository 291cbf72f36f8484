//===- PtxTest.cpp - Every kernel as PTX and as machine code ---------------===//
#include "../KernelText.h"
#include "CudaProgram.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Support/Targets.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

/// Chips of every generation from the baseline on.
constexpr const char *kChips[] = {"sm_80", "sm_90a", "sm_100a", "sm_120"};

struct PtxCase {
  const char *name;
  std::string text;
};

/// A product of Llama-3.2-1B's and 8B's sizes. `weights`: operands after x.
std::string product(const std::string &kernel, int64_t n, int64_t k, const std::string &weights,
                    const std::string &config = "") {
  static int count = 0; // names must differ
  std::string columns = std::to_string(n), inputs = std::to_string(k);
  return kernelFunction(kernel + "_" + std::to_string(count++), kernel,
                        "?x" + inputs + "xf32, " + weights + ", ?x" + columns + "xf32", config);
}
std::string packed(int64_t n, int64_t rows, const std::string &rest) {
  return std::to_string(n / 16) + "x" + std::to_string(rows) + "x" + rest;
}
std::string int4Product(int64_t n, int64_t k, int64_t groupSize, bool hasZeros) {
  int64_t groups = groupSize < 0 ? 1 : k / groupSize;
  std::string weights = packed(n, k / 8, "64xi8") + ", " + packed(n, groups, "16xf16");
  if (hasZeros)
    weights += ", " + packed(n, groups, "16xi8");
  return product("matmul_w4a16", n, k, weights, "group_size = " + std::to_string(groupSize) + " : i64");
}
/// `xGroupSize`: -1 for a scale per token.
std::string int4Int8Product(int64_t n, int64_t k, int64_t groupSize, int64_t xGroupSize, bool hasZeros) {
  int64_t groups = groupSize < 0 ? 1 : k / groupSize, xGroups = xGroupSize < 0 ? 1 : k / xGroupSize;
  std::string own = "?x" + std::to_string(xGroups) + "xf32, " + packed(n, k / 8, "64xi8") + ", " +
                    packed(n, groups, "16xf16") + (hasZeros ? ", " + packed(n, groups, "16xi8") : ""),
              config = "group_size = " + std::to_string(groupSize) +
                       " : i64, x_group_size = " + std::to_string(xGroupSize) + " : i64";
  static int count = 0; // names must differ
  return kernelFunction("matmul_w4a8_" + std::to_string(count++), "matmul_w4a8",
                        "?x" + std::to_string(k) + "xi8, " + own + ", ?x" + std::to_string(n) + "xf32", config);
}
std::string int4Int8Products() {
  std::string text;
  for (auto [groupSize, xGroupSize] : {std::pair(128, 128), {128, 64}, {64, 64}, {32, 32}, {-1, -1}})
    for (bool hasZeros : {false, true})
      text += int4Int8Product(2048, 8192, groupSize, xGroupSize, hasZeros);
  return text + int4Int8Product(14336, 4096, 128, 128, false);
}
std::string int4Products() {
  std::string text;
  for (int64_t groupSize : {32, 64, 128, -1})
    for (bool hasZeros : {false, true})
      text += int4Product(2048, 8192, groupSize, hasZeros);
  for (auto [n, k] : {std::pair(14336, 4096), {128256, 4096}})
    text += int4Product(n, k, 128, false);
  return text;
}
std::string halfProducts() {
  std::string text;
  for (auto [n, k] : {std::pair(128256, 2048), {14336, 4096}})
    for (const char *type : {"16xf16", "16xbf16"})
      text += product("matmul_float", n, k, packed(n, k, type));
  for (auto [n, k] : {std::pair(2048, 8192), {14336, 4096}})
    text += product("matmul_w8a16", n, k, packed(n, k, "16xi8") + ", " + std::to_string(n) + "xf32");
  return text;
}

/// Decoders' attention: the causal one of exporters, alone and with padding.
std::string attentions() {
  std::string text;
  for (int64_t size : {64, 96, 128, 256})
    for (bool isPadded : {false, true}) {
      std::string heads = "x" + std::to_string(size) + "xf32", keys = ", ?x8x?" + heads;
      text += kernelFunction("attention" + std::to_string(size) + (isPadded ? "_padded" : ""), "attention",
                             "?x?x32" + heads + keys + keys + (isPadded ? ", ?x1x1x?xi1" : "") + ", ?x?x32" + heads,
                             "kv_heads_first, causal, offset");
    }
  return text;
}

const std::string kMatmulW8A8 =
    kernelFunction("even", "matmul_w8a8", "?x4096xi8, ?xf32, 256x1024x64xi8, 4096xi32, 4096xf32, ?x4096xf32") +
    kernelFunction("outliers", "matmul_w8a8", "?x67xi8, f32, 2x17x64xi8, 32xi32, 17xf32, ?x67xf32, 67xi32, ?x17xf32") +
    kernelFunction("listed", "matmul_w8a8",
                   "?x4096xi8, ?xf32, 256x1024x64xi8, 4096xi32, 4096xf32, ?x4096xf32, 4096xi32, ?x4096xf32") +
    kernelFunction("kept", "matmul_w8a8",
                   "?x4096xi8, ?xf32, 256x1024x64xi8, 4096xi32, 4096xf32, ?x?xf32, 256x?x16xf16, 1xi32, ?x4096xf32") +
    kernelFunction("kept_floats", "matmul_w8a8",
                   "?x67xi8, ?xf32, 2x17x64xi8, 32xi32, 17xf32, ?x?xf32, 2x?x16xf32, 1xi32, ?x17xf32");

/// Several shapes of one kernel per entry, ragged ones among them.
const PtxCase kCases[] = {
    {"layer_norm",
     kernelFunction("even", "layer_norm", "?x4096xf32, 4096xf32, 4096xf32, ?x4096xf32", "epsilon = 1.0e-5 : f32") +
         kernelFunction("ragged", "layer_norm", "?x171xf32, 171xf32, ?x171xf32", "epsilon = 1.0e-3 : f32") +
         kernelFunction("wide", "layer_norm", "?x28672xf32, 28672xf32, ?x28672xf32", "epsilon = 1.0e-5 : f32")},
    {"rms_norm",
     kernelFunction("even", "rms_norm", "?x4096xf32, 4096xf32, ?x4096xf32", "epsilon = 1.0e-5 : f32") +
         kernelFunction("ragged", "rms_norm", "?x171xf32, 171xf32, ?x171xf32", "epsilon = 1.0e-3 : f32") +
         kernelFunction("small", "rms_norm", "?x8xf32, 8xf32, ?x8xf32", "epsilon = 1.0e-5 : f32") +
         kernelFunction("wide", "rms_norm", "?x28672xf32, 28672xf32, ?x28672xf32", "epsilon = 1.0e-5 : f32")},
    {"gather", kernelFunction("floats", "gather", "32000x4096xf32, ?xi64, ?x4096xf32") +
                   kernelFunction("ragged", "gather", "?x21xf16, ?xi32, ?x21xf16") +
                   kernelFunction("bytes", "gather", "9x40xi8, ?xi32, ?x40xi8") +
                   kernelFunction("packed", "gather", "2000x512x16xf32, ?xi64, ?x512xf32", "rows = 31999 : i64") +
                   kernelFunction("bits", "gather", "9x7xi1, ?xi64, ?x7xi1")},
    {"attention",
     kernelFunction("llama", "attention", "?x?x32x128xf32, ?x8x?x128xf32, ?x8x?x128xf32, ?x?x32x128xf32",
                    "kv_heads_first, causal, offset") +
         kernelFunction("padded", "attention", "?x4x?x64xf32, ?x4x?x64xf32, ?x4x?x64xf32, ?x1x1x?xi1, ?x4x?x64xf32",
                        "q_heads_first, kv_heads_first, causal") +
         kernelFunction("additive", "attention",
                        "?x?x16x128xf32, ?x?x1x128xf32, ?x?x1x128xf32, ?x?x?x?xf32, ?x?x16x128xf32",
                        "causal, softcap = 50.0 : f32") +
         kernelFunction("ragged", "attention", "?x?x6x63xf32, ?x?x1x63xf32, ?x?x1x42xf32, ?x1x?x?xi1, ?x?x6x42xf32") +
         kernelFunction("small", "attention", "?x?x4x8xf32, ?x?x4x8xf32, ?x?x4x8xf32, ?x?x4x8xf32", "causal") +
         kernelFunction("large", "attention", "?x?x8x256xf32, ?x?x1x256xf32, ?x?x1x256xf32, ?x?x8x256xf32",
                        "causal, softcap = 50.0 : f32")},
    {"attention_in_order",
     kernelFunction("llama", "attention", "?x?x32x128xf32, ?x?x8x128xf32, ?x?x8x128xf32, ?x1x1x?xi1, ?x?x32x128xf32",
                    "causal, in_order") +
         kernelFunction("small", "cached_attention", "?x?x32x64xf32, ?x8x?x64xf32, ?x8x?x64xf32, 1xi64, ?x?x32x64xf32",
                        "in_order") +
         kernelFunction("ragged", "attention", "?x?x6x63xf32, ?x?x1x63xf32, ?x?x1x42xf32, ?x1x?x?xf32, ?x?x6x42xf32",
                        "softcap = 50.0 : f32, in_order")},
    {"cache",
     kernelFunction("append", "cache_append", "?x?x8x128xf32, 1xi64, ?x8x?x128xf32") +
         kernelFunction("append_odd", "cache_append", "?x?x3x13xf32, 1xi64, ?x3x?x13xf32") +
         kernelFunction("llama", "cached_attention",
                        "?x?x32x128xf32, ?x8x?x128xf32, ?x8x?x128xf32, 1xi64, ?x?x32x128xf32") +
         kernelFunction("small", "cached_attention",
                        "?x?x32x64xf32, ?x8x?x64xf32, ?x8x?x64xf32, 1xi64, ?x?x32x64xf32") +
         kernelFunction("multiquery", "cached_attention",
                        "?x?x16x256xf32, ?x1x?x256xf32, ?x1x?x256xf32, 1xi64, ?x?x16x256xf32", "softcap = 50.0 : f32")},
    {"quantize", kernelFunction("even", "quantize", "?x4096xf32, f32, ?x4096xi8") +
                     kernelFunction("ragged", "quantize", "?x171xf32, f32, ?x171xi8")},
    {"dynamic_quantize",
     kernelFunction("even", "dynamic_quantize", "?x4096xf32, ?x4096xi8, ?xf32") +
         kernelFunction("partial", "dynamic_quantize", "?x11008xf32, ?x11008xi8, ?xf32") +
         kernelFunction("ragged", "dynamic_quantize", "?x171xf32, ?x171xi8, ?xf32") +
         kernelFunction("groups", "dynamic_quantize", "?x4096xf32, ?x4096xi8, ?x32xf32", "group_size = 128 : i64") +
         kernelFunction("ragged_groups", "dynamic_quantize", "?x171xf32, ?x171xi8, ?x9xf32", "group_size = 20 : i64") +
         kernelFunction("wide", "dynamic_quantize", "?x28672xf32, ?x28672xi8, ?xf32")},
    {"split_columns",
     kernelFunction("even", "split_columns", "?x4096xf32, ?x4096xi8, ?xf32, 4096xi32", "threshold = 6.0 : f32") +
         kernelFunction("ragged", "split_columns", "?x171xf32, ?x171xi8, ?xf32, 171xi32", "threshold = 0.0 : f32") +
         kernelFunction("wide", "split_columns", "?x28672xf32, ?x28672xi8, ?xf32, 28672xi32", "threshold = 6.0 : f32")},
    {"split_columns_at",
     kernelFunction("even", "split_columns_at", "?x4096xf32, ?xi32, ?x4096xi8, ?xf32, ?x?xf32") +
         kernelFunction("ragged", "split_columns_at", "?x171xf32, ?xi32, ?x171xi8, ?xf32, ?x?xf32") +
         kernelFunction("wide", "split_columns_at", "?x28672xf32, ?xi32, ?x28672xi8, ?xf32, ?x?xf32")},
    {"rotary", kernelFunction("positions", "rotary", "?x?x32x128xf32, ?x64xf32, ?x64xf32, ?x?xi64, ?x?x32x128xf32",
                              "rotary_dim = 128 : i64") +
                   kernelFunction("counted", "rotary", "?x2x?x24xf32, ?x?x6xf32, ?x?x6xf32, ?x2x?x24xf32",
                                  "heads_first, rotary_dim = 12 : i64") +
                   kernelFunction("interleaved", "rotary", "?x?x4x64xf32, ?x32xf32, ?x32xf32, ?x?xi32, ?x?x4x64xf32",
                                  "interleaved, rotary_dim = 64 : i64") +
                   kernelFunction("odd", "rotary", "?x?x3x5xf32, ?x1xf32, ?x1xf32, ?x?xi64, ?x?x3x5xf32",
                                  "interleaved, rotary_dim = 2 : i64")},
    {"loops", R"(
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#row = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
#none = affine_map<(d0, d1) -> ()>
func.func private @swish(%x: memref<?x?x172xf32>, %up: memref<?x?x172xf32>) {
  %one = arith.constant 1.0 : f32
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %up : memref<?x?x172xf32>, memref<?x?x172xf32>) outs(%x : memref<?x?x172xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %n = arith.negf %a : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %s = arith.divf %a, %d : f32
    %y = arith.mulf %s, %b : f32
    linalg.yield %y : f32
  }
  return
}
func.func private @functions(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = math.log %a : f32
    %1 = math.tanh %0 : f32
    %2 = math.erf %1 : f32
    %3 = math.sin %2 : f32
    %4 = math.cos %3 : f32
    %5 = math.powf %4, %a : f32
    %6 = math.rsqrt %5 : f32
    %7 = arith.remf %6, %a : f32
    %8 = math.roundeven %7 : f32
    %9 = math.floor %8 : f32
    %10 = arith.maximumf %9, %a : f32
    linalg.yield %10 : f32
  }
  return
}
func.func private @sum_rows(%x: memref<?x?xf32, strided<[?, ?], offset: ?>>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x?xf32, strided<[?, ?], offset: ?>>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %0 = arith.addf %sum, %a : f32
    linalg.yield %0 : f32
  }
  return
}
func.func private @sum_all(%x: memref<3x?xi64>, %y: memref<i64>) {
  linalg.generic {indexing_maps = [#all, #none], iterator_types = ["reduction", "reduction"]}
      ins(%x : memref<3x?xi64>) outs(%y : memref<i64>) {
  ^bb0(%a: i64, %sum: i64):
    %0 = arith.addi %sum, %a : i64
    linalg.yield %0 : i64
  }
  return
}
)"},
    {"matmul_w8a8", kMatmulW8A8},
    {"matmul_w4a16",
     kernelFunction("even", "matmul_w4a16", "?x4096xf32, 256x512x64xi8, 256x32x16xf16, ?x4096xf32",
                    "group_size = 128 : i64") +
         kernelFunction("ragged", "matmul_w4a16", "?x64xf32, 11x10x64xi8, 11x4x16xf32, 11x4x16xi8, ?x172xf32",
                        "group_size = 20 : i64")},
    {"matmul_w4a8",
     kernelFunction("ragged", "matmul_w4a8", "?x64xi8, ?x4xf32, 11x10x64xi8, 11x4x16xf32, 11x4x16xi8, ?x172xf32",
                    "group_size = 20 : i64, x_group_size = 20 : i64")},
    {"matmul_w8a16", kernelFunction("even", "matmul_w8a16", "?x4096xf32, 256x4096x16xi8, 4096xf32, ?x4096xf32") +
                         kernelFunction("ragged", "matmul_w8a16", "?x33xf32, 2x33x16xi8, 17xf32, ?x17xf32")},
    {"matmul_f32", kernelFunction("even", "matmul_float", "?x4096xf32, 256x4096x16xf32, ?x4096xf32") +
                       kernelFunction("ragged", "matmul_float", "?x33xf32, 2x33x16xf32, ?x17xf32")},
    {"matmul_f16", kernelFunction("ragged", "matmul_float", "?x33xf32, 2x33x16xf16, ?x17xf32") +
                       kernelFunction("brain", "matmul_float", "?x33xf32, 2x33x16xbf16, ?x17xf32")},
    {"decoders_int4", int4Products()},
    {"decoders_int4_int8", int4Int8Products()},
    {"decoders_half", halfProducts()},
    {"decoders_attention", attentions()},
};

class Ptx : public testing::TestWithParam<PtxCase> {};

void expectNoSpills(const Cubin &cubin, const char *chip) {
  EXPECT_FALSE(cubin.bytes.empty());
  EXPECT_FALSE(cubin.kernels.empty());
  for (const auto &[name, resources] : cubin.kernels) {
    EXPECT_EQ(resources.spilledBytes, 0) << name.str() << " on " << chip;
    EXPECT_EQ(resources.stackBytes, 0) << name.str() << " on " << chip;
    EXPECT_GT(resources.registers, 0) << name.str() << " on " << chip;
    EXPECT_FALSE(resources.serializesProducts) << name.str() << " on " << chip;
  }
}

/// `ptx` without its lines `.version` and `.target`.
std::string withoutTarget(const std::string &ptx) { return ptx.substr(ptx.find(".address_size")); }

/// The same twice, with no need of a library, and assembled for every generation: the chip's own text, and the
/// baseline's for the latest chip, whose driver has to take it. Where both say the same ptxas reads it once.
TEST_P(Ptx, IsTheSameTwiceAndAssemblesWithoutSpills) {
  CudaProgram program(GetParam().text);
  std::string baseline = program.ptx(std::string(kBaselineArch));
  EXPECT_EQ(baseline, CudaProgram(GetParam().text).ptx(std::string(kBaselineArch)));
  EXPECT_EQ(baseline.find(".extern .func"), std::string::npos) << baseline;
  EXPECT_EQ(baseline.find("call"), std::string::npos) << baseline;
  if (findPtxas().empty())
    GTEST_SKIP() << "ptxas is not installed";
  bool isAssembled = false;
  for (const char *chip : kChips) {
    std::string ptx = program.ptx(chip);
    bool isBaseline = withoutTarget(ptx) == withoutTarget(baseline);
    mlir::FailureOr<Cubin> cubin = compileCubin(program.module->getLoc(), isBaseline ? baseline : ptx, chip);
    ASSERT_TRUE(succeeded(cubin)) << chip;
    expectNoSpills(*cubin, chip);
    isAssembled = isBaseline;
  }
  if (!isAssembled)
    EXPECT_TRUE(succeeded(compileCubin(program.module->getLoc(), baseline, *std::rbegin(kChips))));
}

INSTANTIATE_TEST_SUITE_P(Kernels, Ptx, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<PtxCase> &info) { return std::string(info.param.name); });

size_t count(const std::string &text, const std::string &pattern) {
  size_t result = 0;
  for (size_t at = text.find(pattern); at != std::string::npos; at = text.find(pattern, at + 1))
    ++result;
  return result;
}

/// Rows whose size allows it are read and written 16 bytes at a time.
TEST(PtxText, UsesVectors) {
  std::string ptx =
      CudaProgram(kernelFunction("norm", "rms_norm", "?x4096xf32, 4096xf32, ?x4096xf32", "epsilon = 1.0e-5 : f32"))
          .ptx();
  EXPECT_GE(count(ptx, "ld.global.nc.v4.b32"), 2u) << ptx;
  EXPECT_GE(count(ptx, "st.global.v4.b32"), 1u) << ptx;
  EXPECT_EQ(count(ptx, ".local"), 0u) << ptx;
  EXPECT_NE(ptx.find(".extern .shared .align 1024 .b8 qopt_shared[]"), std::string::npos) << ptx;
}

/// Kernels of one architecture are in its PTX only.
TEST(PtxText, LeavesOutWhatAChipLacks) {
  CudaProgram program(kMatmulW8A8);
  std::string baseline = program.ptx(), hopper = program.ptx("sm_90a"), later = program.ptx("sm_100a");
  for (const std::string &ptx : {baseline, later}) {
    EXPECT_EQ(count(ptx, "wgmma"), 0u) << ptx;
    EXPECT_EQ(count(ptx, ".entry even_large("), 1u) << ptx;
  }
  EXPECT_EQ(count(hopper, ".entry even_wgmma("), 1u) << hopper;
  EXPECT_EQ(count(hopper, ".param .align 64 .b8 even_wgmma_param_0[128]"), 1u) << hopper;
  EXPECT_EQ(count(hopper, ".maxntid 384, 1, 1\n.minnctapersm 1"), count(hopper, ".maxntid 384, 1, 1")) << hopper;
  EXPECT_GE(count(hopper, "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8"), 16u);
  // Rows of 67 bytes are nothing for a tensor copy.
  EXPECT_EQ(count(hopper, "outliers_wgmma"), 0u) << hopper;
}

/// ptxas may fuse `mul.f32` and `add.f32`, but not `mul.rn.f32` and `add.rn.f32`.
TEST(PtxText, FusesNothing) {
  std::string ptx = CudaProgram(kernelFunction("turn", "rotary", "?x?x2x8xf32, ?x?x4xf32, ?x?x4xf32, ?x?x2x8xf32",
                                               "rotary_dim = 8 : i64"))
                        .ptx();
  EXPECT_GT(count(ptx, "mul.rn.f32"), 0u) << ptx;
  for (const char *op : {"mul.f32", "add.f32", "sub.f32", "fma"})
    EXPECT_EQ(count(ptx, op), 0u) << ptx;
}

TEST(CudaDiagnostics, UnknownChip) {
  CudaProgram program(kCases[0].text);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&program.context, [&](mlir::Diagnostic &d) { message = d.str(); });
  EXPECT_TRUE(failed(compilePtx(*program.module, "sm_1")));
  EXPECT_NE(message.find("unknown chip \"sm_1\""), std::string::npos) << message;
}

TEST(CudaDiagnostics, PtxasMessage) {
  if (findPtxas().empty())
    GTEST_SKIP() << "ptxas is not installed";
  CudaProgram program(kCases[0].text);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&program.context, [&](mlir::Diagnostic &d) { message = d.str(); });
  EXPECT_TRUE(failed(compileCubin(program.module->getLoc(), ".version 7.0\n.target sm_80\nnonsense\n", "sm_80")));
  EXPECT_NE(message.find("ptxas failed for sm_80"), std::string::npos) << message;
  EXPECT_NE(message.find("nonsense"), std::string::npos) << message;
}

TEST(Ptxas, Resources) {
  auto kernels =
      parseResources("ptxas info    : 0 bytes gmem\n"
                     "ptxas info    : Compiling entry function 'a' for 'sm_80'\n"
                     "ptxas info    : Function properties for a\n"
                     "    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
                     "ptxas info    : Used 18 registers, used 1 barriers, 944 bytes smem, 384 bytes cmem[0]\n"
                     "ptxas info    : (C7513) Potential Performance Loss: wgmma.mma_async instructions are "
                     "serialized due to non wgmma instructions in the function 'b'\n"
                     "ptxas info    : Compiling entry function 'b' for 'sm_80'\n"
                     "ptxas info    : Used 255 registers, 8 bytes cumulative stack size\n");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels["a"].stackBytes, 8);
  EXPECT_EQ(kernels["a"].spilledBytes, 16);
  EXPECT_EQ(kernels["a"].registers, 18);
  EXPECT_EQ(kernels["a"].sharedBytes, 944);
  EXPECT_EQ(kernels["b"].registers, 255);
  EXPECT_EQ(kernels["b"].sharedBytes, 0);
  EXPECT_FALSE(kernels["a"].serializesProducts);
  EXPECT_TRUE(kernels["b"].serializesProducts);
}

} // namespace
