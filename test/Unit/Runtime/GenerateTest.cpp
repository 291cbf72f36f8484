#include "qopt/Runtime/Generate.h"
#include "Fixture.h"
#include <cmath>
#include <limits>

using namespace qrt;

namespace {
/// A module whose most likely token after i is i + 1 (modulo 5).
class GenerateTest : public ::testing::Test {
protected:
  void SetUp() override {
    if (hostLevel().empty())
      GTEST_SKIP() << "this machine has no AVX2";
    std::vector<float> table(25);
    for (size_t i = 0; i < 5; ++i)
      table[i * 5 + (i + 1) % 5] = 2;
    writeTableModule(folder / "next.qmod", table, 5, {}, /*contextLength=*/12, /*withMask=*/true);
    session = openSession(folder / "next.qmod");
    ASSERT_TRUE(session);
    auto made = makeSessionModel(*session);
    ASSERT_TRUE(made) << made.error().message;
    model = std::move(*made);
  }
  Generated run(const GenerateOptions &options, std::vector<int32_t> prompt = {0}, int64_t stopAfter = -1) {
    std::vector<int32_t> seen;
    auto result = generate(*model, std::move(prompt), options, [&](int32_t token) {
      seen.push_back(token);
      return static_cast<int64_t>(seen.size()) != stopAfter;
    });
    EXPECT_TRUE(result) << result.error().message;
    if (!result)
      return {};
    EXPECT_EQ(seen, result->tokens);
    return *result;
  }
  using Ids = std::vector<int32_t>;

  TemporaryFolder folder;
  std::unique_ptr<Session> session;
  std::unique_ptr<LanguageModel> model;
};
} // namespace

TEST_F(GenerateTest, GreedyStopsWhereItShould) {
  GenerateOptions options;
  options.maxTokens = 3;
  Generated result = run(options);
  EXPECT_EQ(result.tokens, (Ids{1, 2, 3}));
  EXPECT_EQ(result.stop, Generated::MaxTokens);

  options.maxTokens = 100;
  options.endOfText = {9, 4};
  result = run(options);
  EXPECT_EQ(result.tokens, (Ids{1, 2, 3}));
  EXPECT_EQ(result.stop, Generated::EndOfText);

  options.endOfText = {};
  result = run(options);
  EXPECT_EQ(result.tokens.size(), 11u);
  EXPECT_EQ(result.stop, Generated::Context);

  result = run(options, {0}, /*stopAfter=*/2);
  EXPECT_EQ(result.tokens, (Ids{1, 2}));
  EXPECT_EQ(result.stop, Generated::Caller);
}

TEST_F(GenerateTest, SamplingDependsOnTheSeedOnly) {
  GenerateOptions options;
  options.maxTokens = 11;
  options.sampling.temperature = 2;
  options.sampling.seed = 1;
  Ids first = run(options).tokens;
  EXPECT_EQ(run(options).tokens, first);
  bool differs = false;
  for (options.sampling.seed = 2; options.sampling.seed < 6; ++options.sampling.seed)
    differs |= run(options).tokens != first;
  EXPECT_TRUE(differs);
  // Only the most likely one is left.
  const Ids likeliest = {1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1};
  options.sampling.topP = .01;
  EXPECT_EQ(run(options).tokens, likeliest);
  options.sampling.topP = 1;
  options.sampling.topK = 1;
  EXPECT_EQ(run(options).tokens, likeliest);
}

TEST_F(GenerateTest, Errors) {
  auto errorOf = [&](std::vector<int32_t> prompt) {
    auto result = generate(*model, std::move(prompt), {}, [](int32_t) { return true; });
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(errorOf({}), "the prompt has no tokens");
  EXPECT_EQ(errorOf(std::vector<int32_t>(12)), "the prompt has 12 tokens, but the context is 12");
  EXPECT_EQ(errorOf({1, 7}), "token id 7 at position 1 is beyond the vocabulary of 5");
}

TEST(SampleToken, FollowsTheProbabilities) {
  const float logits[] = {std::log(1.f), std::log(4.f), std::log(2.f), std::log(1.f)};
  auto draw = [&](double temperature, int64_t topK, double topP, double random) {
    return sampleToken(logits, {temperature, topK, topP, 0}, random);
  };
  EXPECT_EQ(draw(0, 0, 1, .99), 1);
  // In order of probability: 1 (1/2), 2 (1/4), 0 (1/8), 3 (1/8).
  const std::pair<double, int32_t> cases[] = {{0, 1},   {.49, 1}, {.51, 2}, {.74, 2},
                                              {.76, 0}, {.87, 0}, {.88, 3}, {.999, 3}};
  for (auto [random, token] : cases) {
    EXPECT_EQ(draw(1, 0, 1, random), token) << random;
    EXPECT_EQ(draw(1, 4, 1, random), token) << random;
    EXPECT_EQ(draw(1, 99, 1, random), token) << random;
  }
  // The most likely that reach .7: 1 and 2, with 2/3 and 1/3.
  EXPECT_EQ(draw(1, 0, .7, .66), 1);
  EXPECT_EQ(draw(1, 0, .7, .67), 2);
  EXPECT_EQ(draw(1, 0, .7, .999), 2);
  EXPECT_EQ(draw(1, 0, 0, .999), 1);
  // The three most likely: 4/7, 2/7 and 1/7, of equal ones the smaller id.
  EXPECT_EQ(draw(1, 3, 1, .57), 1);
  EXPECT_EQ(draw(1, 3, 1, .58), 2);
  EXPECT_EQ(draw(1, 3, 1, .86), 0);
  EXPECT_EQ(draw(1, 3, 1, .999), 0);
  // Of these the most likely that reach .8: 1 and 2.
  EXPECT_EQ(draw(1, 3, .8, .999), 2);
}

TEST(Sampler, RefusesWhatIsNoProbability) {
  const float infinity = std::numeric_limits<float>::infinity();
  auto fails = [](std::vector<float> logits) { return !Sampler({}).sample(logits); };
  EXPECT_TRUE(fails({}));
  EXPECT_TRUE(fails({0, std::nanf("")}));
  EXPECT_TRUE(fails({0, infinity}));
  EXPECT_TRUE(fails({-infinity, -infinity}));
  EXPECT_FALSE(fails({-infinity, 0}));
}
