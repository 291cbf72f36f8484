//===- SchemeTest.cpp - Descriptions of schemes and their text ------------===//
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "gtest/gtest.h"
#include <set>

using namespace qopt;

namespace {

/// What no compiler checks of a description.
TEST(Schemes, areDescribedSoundly) {
  std::set<llvm::StringRef> names;
  for (const SchemeInfo *info : allSchemes()) {
    EXPECT_TRUE(names.insert(info->name).second) << info->name.str();
    ASSERT_FALSE(info->variants.empty()) << info->name.str();
    EXPECT_TRUE(info->variants.back().setting.empty()) << info->name.str();
    for (const SchemeVariant &variant : info->variants.drop_back())
      EXPECT_TRUE(parseSettings(*info, variant.setting)) << variant.setting.str();
    for (const SchemeVariant &variant : info->variants)
      EXPECT_EQ(variant.weights == WeightMethod::Float, info->isFloat()) << info->name.str();
    for (const SchemePreset &preset : info->presets)
      EXPECT_TRUE(parseSettings(*info, preset.settings)) << info->name.str() << ", " << preset.name.str();
    for (const OptionInfo *option : info->options)
      EXPECT_TRUE(option->parse(option->text(option->initial))) << option->name.str();
  }
  EXPECT_EQ(findScheme("float"), allSchemes().front());
  EXPECT_EQ(findScheme("int9"), nullptr);
}

TEST(Schemes, areReadFromText) {
  Result<SchemeSpec> spec = SchemeSpec::parse("llm-int8{threshold=2.5  outliers=static}");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->text(), "llm-int8{threshold=2.5 outliers=static}");
  Scheme scheme(*spec->info);
  EXPECT_EQ(scheme.variant().activations, ActivationMethod::SplitColumns);
  scheme.apply(spec->settings);
  EXPECT_EQ(scheme.get(options::threshold), 2.5);
  EXPECT_EQ(scheme.get(options::outliers), OutlierColumns::Static);
  EXPECT_EQ(scheme.variant().activations, ActivationMethod::SplitColumnsAt);
  EXPECT_EQ(scheme.variant().weightStatistics, StatisticSet::ColumnAbsMax);
  EXPECT_FALSE(scheme.has(options::groupSize));
}

TEST(Schemes, areReadWithoutOptions) {
  for (const SchemeInfo *info : allSchemes()) {
    Result<SchemeSpec> spec = SchemeSpec::parse(info->name);
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(spec->text(), info->name.str());
    EXPECT_TRUE(Scheme(*info).settings().empty());
  }
  EXPECT_EQ(SchemeSpec::parse("skip")->info, allSchemes().front());
}

TEST(Schemes, areNamedByTheirBits) {
  const std::pair<const char *, const char *> cases[] = {
      {"gptq{bits=3 group-size=64}", "gptq-int3{group-size=64}"},
      {"gptq{sym=false bits=2}", "gptq-int2{sym=false}"},
      {"gptq", "gptq-int4"},
      {"rtn{bits=8}", "rtn-int8"},
      {"hqq{group-size=32}", "hqq-int4{group-size=32}"},
      {"gptq-int4{group-size=32}", "gptq-int4{group-size=32}"},
      {"gptq{bits=3", "gptq{bits=3"},
      {"nope{bits=3}", "nope{bits=3}"},
      {"builtin.module(float)", "builtin.module(float)"},
  };
  for (auto [text, name] : cases) {
    Result<std::string> resolved = resolveBits(text);
    ASSERT_TRUE(resolved) << resolved.error().message;
    EXPECT_EQ(*resolved, name);
  }
  EXPECT_EQ(resolveBits("gptq{bits=5}").error().message, "scheme \"gptq\": expected bits 2, 3, 4 or 8 but got 5");
  EXPECT_EQ(SchemeSpec::parse("hqq{bits=8}").error().message, "scheme \"hqq\": expected bits 2, 3 or 4 but got 8");
  EXPECT_EQ(SchemeSpec::parse("gptq{bits=2}")->info, findScheme("gptq-int2"));
}

TEST(Schemes, sayWhatIsWrong) {
  const std::pair<const char *, const char *> cases[] = {
      {"int9", "unknown scheme \"int9\"; there are float, "},
      {"rtn-int4{group-size=32", "expected a closing brace"},
      {"rtn-int4{bits=3}",
       "scheme \"rtn-int4\": no such option bits; it has group-size, sym, grid, exact-reference, activations and "
       "activation-group-size"},
      {"rtn-int4{group-size=1x}", "expected a group size of at least 1, or -1, but got 1x"},
      {"rtn-int4{group-size=-2}", "expected a group size of at least 1, or -1, but got -2"},
      {"rtn-int4{grid}", "expected grid \"search\" or \"minmax\" but got \"\""},
      {"gptq-int4{damp-percent=1.5}", "expected a damping between 0 and 1 but got 1.5"},
      {"llm-int8{threshold=nan}", "expected a threshold above 0 but got nan"},
      {"float{sym=true}", "no such option sym; it has none"},
      {"int8-weights{group-size=64}", "scheme \"int8-weights\": no such option group-size; it has steps"},
      {"int8-weights{steps=126}", "expected steps \"127\", \"127.5\" or \"128\" but got \"126\""},
      {"gptq-int8{activations=int8}", "no such option activations"},
      {"mxfp4{group-size=16}", "no such option group-size; it has scale-rule"},
      {"nf4{double-quant=yes}", "option double-quant: expected true or false but got yes"},
  };
  for (auto [text, message] : cases) {
    Result<SchemeSpec> spec = SchemeSpec::parse(text);
    ASSERT_FALSE(spec) << text;
    EXPECT_NE(spec.error().message.find(message), std::string::npos) << spec.error().message;
  }
}

TEST(Schemes, takeOnlyTheirOwnOptionsFromOthers) {
  Result<SchemeSpec> gptq = SchemeSpec::parse("gptq-int4{group-size=32 polish=0}");
  Scheme rounded(*findScheme("rtn-int4"));
  rounded.apply(gptq->settings);
  EXPECT_EQ(rounded.get(options::groupSize), 32);
  EXPECT_EQ(rounded.settings().size(), 1u);
  Scheme same(*findScheme("rtn-int4"));
  EXPECT_FALSE(same == rounded);
  same.set(options::groupSize, int64_t(32));
  EXPECT_TRUE(same == rounded);
  EXPECT_EQ(hash_value(same), hash_value(rounded));
}

} // namespace
