#include "runtime/Cuda/ChooseCode.h"
#include <gtest/gtest.h>

using namespace qrt::cuda;

namespace {
/// A module with these sections and nothing else.
class Sections : public qopt::Module {
public:
  Sections(std::vector<std::string> names, std::string ptx = {}, std::string hopperPtx = {})
      : ptx(std::move(ptx)), hopperPtx(std::move(hopperPtx)) {
    for (const std::string &name : names)
      list.push_back({name, 0, 1});
  }
  const qopt::ModuleInfo &info() const override { return nothing; }
  const std::vector<qopt::Section> &sections() const override { return list; }
  int64_t fileBytes() const override { return 0; }
  void startVerifying() const override {}
  qopt::Status verify() const override { return {}; }
  std::span<const char> section(std::string_view name) const override {
    return name == "ptx"          ? std::span<const char>(ptx)
           : name == "ptx:sm_90a" ? std::span<const char>(hopperPtx)
                                  : std::span<const char>();
  }
  std::span<const char> parameter(size_t) const override { return {}; }

private:
  qopt::ModuleInfo nothing;
  std::vector<qopt::Section> list;
  std::string ptx, hopperPtx;
};

const std::string ptx80 = ".version 7.0\n.target sm_80\n.address_size 64\n";

std::string choose(const Sections &module, Capability device) {
  auto chosen = chooseCode(module, device, "cuda:0");
  if (!chosen)
    return chosen.error().message;
  std::string text;
  for (const std::string &name : *chosen)
    text += (text.empty() ? "" : " ") + name;
  return text;
}
} // namespace

TEST(ChooseCode, CubinsRunOnTheirMajorNumberOnly) {
  EXPECT_TRUE(cubinRunsOn("sm_80", {8, 0}));
  EXPECT_TRUE(cubinRunsOn("sm_80", {8, 9}));
  EXPECT_FALSE(cubinRunsOn("sm_86", {8, 0}));
  EXPECT_FALSE(cubinRunsOn("sm_80", {9, 0}));
  EXPECT_TRUE(cubinRunsOn("sm_90a", {9, 0}));
  EXPECT_TRUE(cubinRunsOn("sm_100f", {10, 3}));
  EXPECT_FALSE(cubinRunsOn("sm_100a", {10, 3}));
  EXPECT_FALSE(cubinRunsOn("sm_120", {1, 20}));
  EXPECT_TRUE(cubinRunsOn("sm_120", {12, 0}));
  for (const char *name : {"", "sm_", "sm_x", "90", "compute_90", "sm_9"})
    EXPECT_FALSE(cubinRunsOn(name, {9, 0})) << name;
}

TEST(ChooseCode, PtxRunsOnLaterDevices) {
  EXPECT_TRUE(ptxRunsOn(ptx80, {8, 0}));
  EXPECT_TRUE(ptxRunsOn(ptx80, {12, 0}));
  EXPECT_FALSE(ptxRunsOn(ptx80, {7, 5}));
  EXPECT_FALSE(ptxRunsOn(".target sm_90a\n", {10, 0}));
  EXPECT_TRUE(ptxRunsOn(".target\tsm_90a, debug\n", {9, 0}));
  for (const char *text : {"", ".target", ".target ", ".target compute_80", "no ptx"})
    EXPECT_FALSE(ptxRunsOn(text, {9, 0})) << text;
}

TEST(ChooseCode, TheBestComesFirst) {
  Sections module({"cubin:sm_80", "cubin:sm_90", "cubin:sm_86", "cubin:sm_90a", "ptx"}, ptx80);
  EXPECT_EQ(choose(module, {9, 0}), "cubin:sm_90a cubin:sm_90 ptx");
  EXPECT_EQ(choose(module, {8, 9}), "cubin:sm_86 cubin:sm_80 ptx");
  EXPECT_EQ(choose(module, {12, 0}), "ptx");
}

TEST(ChooseCode, PtxOfOneArchitectureComesBeforeThatOfAll) {
  const std::string ptx90 = ".version 8.0\n.target sm_90a\n";
  Sections module({"cubin:sm_80", "ptx", "ptx:sm_90a"}, ptx80, ptx90),
      assembled({"ptx:sm_90a", "cubin:sm_90a"}, "", ptx90);
  EXPECT_EQ(choose(module, {9, 0}), "ptx:sm_90a ptx");
  EXPECT_EQ(choose(module, {8, 0}), "cubin:sm_80 ptx");
  EXPECT_EQ(choose(module, {10, 0}), "ptx");
  EXPECT_EQ(choose(assembled, {9, 0}), "cubin:sm_90a ptx:sm_90a");
  EXPECT_EQ(choose(assembled, {10, 0}), "the module has code for sm_90a, but cuda:0 is sm_100");
  // What the text is for counts, not what the section is called.
  EXPECT_EQ(choose(Sections({"ptx:sm_90a"}, "", ".target sm_100a\n"), {9, 0}),
            "the module has code for sm_100a, but cuda:0 is sm_90");
}

TEST(ChooseCode, WhatThereIsIsNamed) {
  EXPECT_EQ(choose(Sections({"ptx"}, ptx80), {7, 5}), "the module has code for sm_80 and later, but cuda:0 is sm_75");
  EXPECT_EQ(choose(Sections({"cubin:sm_90a", "cubin:sm_100a"}), {8, 0}),
            "the module has code for sm_90a, sm_100a, but cuda:0 is sm_80");
  EXPECT_EQ(choose(Sections({"ptx"}, "damaged"), {8, 0}), "the module has code for no GPU, but cuda:0 is sm_80");
}
