//===- RegistersTest.cpp - Products keep their sums in registers -----------===//
//
// A tile of sums is as large as the registers allow, so one value too many costs a store
// and a load at every step. The assembly text names each: this counts those of vectors in
// the innermost loops that multiply. Code for a level can be made on any machine.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "KernelProgram.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"
#include <gtest/gtest.h>
#include <map>
#include <set>

using namespace qopt;
using namespace qopt::test;

namespace {

struct ProductLoop {
  int64_t first = 0, last = 0; ///< lines
  int64_t spills = 0;
  std::set<std::string> registers = {};
};

bool contains(const ProductLoop &outer, const ProductLoop &inner) {
  return outer.first <= inner.first && inner.last <= outer.last &&
         (outer.first != inner.first || outer.last != inner.last);
}

/// The innermost loops that multiply vectors.
std::vector<ProductLoop> productLoops(const std::string &assembly) {
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(assembly).split(lines, '\n');
  std::map<std::string, int64_t> labels;
  std::vector<ProductLoop> loops;
  llvm::Regex label("^(\\.LBB[0-9_]+):"), jump("^[[:space:]]j[a-z]+[[:space:]]+(\\.LBB[0-9_]+)");
  llvm::Regex product("vpdpbusd|vpmaddwd|vpmaddubsw|vfmadd"), vectorRegister("%[yz]mm([0-9]+)");
  llvm::Regex spill("(16|32|64)-byte (Folded )?(Spill|Reload)");
  for (int64_t i = 0; i < static_cast<int64_t>(lines.size()); ++i) {
    llvm::SmallVector<llvm::StringRef> found;
    if (label.match(lines[i], &found))
      labels[found[1].str()] = i;
    else if (jump.match(lines[i], &found))
      if (auto target = labels.find(found[1].str()); target != labels.end())
        loops.push_back({target->second, i});
  }
  std::vector<ProductLoop> innermost;
  for (ProductLoop &loop : loops) {
    if (llvm::any_of(loops, [&](const ProductLoop &other) { return contains(loop, other); }))
      continue;
    bool multiplies = false;
    for (llvm::StringRef line : llvm::ArrayRef(lines).slice(loop.first, loop.last - loop.first + 1)) {
      multiplies |= product.match(line);
      loop.spills += spill.match(line);
      llvm::SmallVector<llvm::StringRef> found;
      for (llvm::StringRef rest = line; vectorRegister.match(rest, &found); rest = found[0].end())
        loop.registers.insert(found[1].str());
    }
    if (multiplies)
      innermost.push_back(loop);
  }
  return innermost;
}

struct KernelCase {
  const char *name, *operands, *attributes;
  int64_t mostSpillsOnV3 = 0; ///< vectors of 32 bytes
};
constexpr KernelCase kProducts[] = {
    {"matmul_float", "?x2048xf32, 128x2048x16xf32, ?x2048xf32", ""},
    {"matmul_float", "?x2048xf32, 128x2048x16xf16, ?x2048xf32", ""},
    {"matmul_w8a16", "?x2048xf32, 128x2048x16xi8, 2048xf32, ?x2048xf32", ""},
    {"matmul_w8a8", "?x2048xi8, ?xf32, 128x512x64xi8, 2048xi32, 2048xf32, ?x2048xf32", ""},
    {"matmul_w4a16", "?x2048xf32, 128x256x64xi8, 128x16x16xf16, ?x2048xf32", "group_size = 128",
     /*mostSpillsOnV3=*/48}, // LLVM unpacks all eight inputs of a step before it multiplies by the first
    {"matmul_w4a8", "?x2048xi8, ?x16xf32, 128x256x64xi8, 128x16x16xf16, ?x2048xf32",
     "group_size = 128, x_group_size = 128", /*mostSpillsOnV3=*/2}, // of 236 instructions
};

class Registers : public testing::TestWithParam<std::string> {};

TEST_P(Registers, HoldAllSumsOfProducts) {
  for (const KernelCase &kernel : kProducts) {
    KernelProgram program(kernelFunction("product", kernel.name, kernel.operands, kernel.attributes), GetParam(),
                          /*keepsAssembly=*/true);
    std::vector<ProductLoop> loops = productLoops(program.assembly());
    EXPECT_FALSE(loops.empty()) << kernel.name;
    size_t most = 0;
    for (const ProductLoop &loop : loops) {
      EXPECT_LE(loop.spills, GetParam() == "x86-64-v3" ? kernel.mostSpillsOnV3 : 0)
          << kernel.name << " (" << kernel.operands << "), lines " << loop.first << " to " << loop.last
          << " of its code";
      most = std::max(most, loop.registers.size());
    }
    RecordProperty(std::string(kernel.name) + " registers", std::to_string(most));
    std::printf("%s (%s): %zu loops, at most %zu vector registers\n", kernel.name, kernel.operands, loops.size(), most);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, Registers, testing::Values("x86-64-v3", "x86-64-v4"),
                         [](const auto &info) { return info.param.substr(info.param.size() - 2); });

} // namespace
