#include "qopt/Runtime/Perplexity.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace qrt;

namespace {
/// Logits after token i are row i of a table, unless `atPadding` says otherwise.
class TableModel final : public LanguageModel {
public:
  explicit TableModel(std::vector<std::vector<float>> table, int threads = 1)
      : table(std::move(table)), pool(threads) {}

  Result<Tensor> logits(const TokenBatch &batch) override {
    batches.push_back(batch);
    Tensor result(ElementType::F32, {batch.rows, batch.length, vocabularySize()});
    float *out = result.data<float>();
    for (int32_t id : batch.ids)
      out = std::copy(table[static_cast<size_t>(id)].begin(), table[static_cast<size_t>(id)].end(), out);
    return result;
  }
  int64_t vocabularySize() const override { return static_cast<int64_t>(table.size()); }
  int64_t contextLength() const override { return context; }
  int64_t fixedRows() const override { return 0; }
  int64_t fixedLength() const override { return 0; }
  ThreadPool &threads() override { return pool; }

  std::vector<std::vector<float>> table;
  int64_t context = 0;
  std::vector<TokenBatch> batches;

private:
  ThreadPool pool;
};

using Rows = std::vector<std::vector<int32_t>>;
} // namespace

static Result<Perplexity> measure(TableModel &model, const Rows &rows, PerplexityMode mode,
                                  LanguageModel *other = nullptr, int32_t paddingId = 0) {
  PerplexityOptions options;
  options.mode = mode;
  options.paddingId = paddingId;
  return measurePerplexity(model, rows, options, other);
}

static std::string errorOf(TableModel &model, const Rows &rows, PerplexityMode mode = PerplexityMode::Windows) {
  Result<Perplexity> result = measure(model, rows, mode);
  return result ? "" : result.error().message;
}

// Token 0 is followed by 0, 1, 2 with probabilities 1/2, 1/4, 1/4; token 1 by
// 1/4, 1/4, 1/2; token 2 by 1/8, 3/4, 1/8. An offset per row must not matter.
static std::vector<std::vector<float>> exampleTable() {
  auto row = [](float offset, std::vector<double> p) {
    std::vector<float> logits;
    for (double x : p)
      logits.push_back(static_cast<float>(std::log(x)) + offset);
    return logits;
  };
  return {row(0, {.5, .25, .25}), row(7, {.25, .25, .5}), row(-3, {.125, .75, .125})};
}

TEST(Perplexity, UniformModelHasTheVocabularyAsPerplexity) {
  TableModel model(std::vector<std::vector<float>>(10, std::vector<float>(10, 3.5f)));
  auto result = measure(model, {{1, 2, 3, 4}, {5, 6, 7, 8}}, PerplexityMode::Windows);
  ASSERT_TRUE(result);
  EXPECT_NEAR(result->perplexity, 10, 1e-12);
  EXPECT_NEAR(result->standardError, 0, 1e-12);
  EXPECT_EQ(result->tokens, 6);
  EXPECT_EQ(result->window, 4);
}

TEST(Perplexity, WindowsAverageRowMeans) {
  TableModel model(exampleTable());
  // Row 0: p = 1/2, 1/4, 1/2 -> 4/3 ln 2. Row 1: p = 3/4, 1/4, 1/4.
  double first = 4 * std::log(2) / 3, second = (std::log(4 / 3.) + 2 * std::log(4)) / 3;
  auto result = measure(model, {{0, 0, 1, 2}, {2, 1, 1, 0}}, PerplexityMode::Windows);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->rowNll.size(), 2u);
  EXPECT_NEAR(result->rowNll[0], first, 1e-6);
  EXPECT_NEAR(result->rowNll[1], second, 1e-6);
  double nll = (first + second) / 2;
  EXPECT_NEAR(result->nll, nll, 1e-6);
  EXPECT_NEAR(result->perplexity, std::exp(nll), 1e-6);
  // Two samples: their standard deviation is |a - b| / sqrt 2, over sqrt 2.
  EXPECT_NEAR(result->standardError, std::exp(nll) * std::abs(first - second) / 2, 1e-6);
}

TEST(Perplexity, PerTextAveragesPerplexities) {
  TableModel model(exampleTable());
  auto result = measure(model, {{0, 0}, {0, 1, 1, 1}}, PerplexityMode::PerText);
  ASSERT_TRUE(result);
  EXPECT_NEAR(result->perplexity, (2 + 4) / 2., 1e-6);
  EXPECT_NEAR(result->nll, (std::log(2) + std::log(4)) / 2, 1e-6);
  EXPECT_EQ(result->tokens, 4);
  ASSERT_EQ(model.batches.size(), 2u);
  EXPECT_EQ(model.batches[0].length, 2) << "no text may be filled up";
}

TEST(Perplexity, SeedPadsOnTheLeftAndScoresTheFirstToken) {
  TableModel model(exampleTable());
  auto result = measure(model, {{0, 0}, {0, 1, 1, 1}}, PerplexityMode::Seed, nullptr, /*paddingId=*/2);
  ASSERT_TRUE(result);
  ASSERT_EQ(model.batches.size(), 1u);
  EXPECT_EQ(model.batches[0].ids, (std::vector<int32_t>{2, 2, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(model.batches[0].padding, (std::vector<int64_t>{2, 0}));
  // Text 0: the first token after padding (1/8), then 1/2; text 1 as it is.
  EXPECT_NEAR(result->rowNll[0], (std::log(8) + std::log(2)) / 2, 1e-6);
  EXPECT_NEAR(result->rowNll[1], std::log(4), 1e-6);
  EXPECT_NEAR(result->perplexity, (4 + 4) / 2., 1e-6);
  EXPECT_EQ(result->tokens, 5);
}

TEST(Perplexity, LlamaCppScoresSecondHalves) {
  TableModel model(exampleTable());
  // Targets after position 4 / 2: only the last token of each row.
  auto result = measure(model, {{2, 2, 0, 0}, {2, 2, 0, 1}}, PerplexityMode::LlamaCpp);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->tokens, 2);
  double nll = (std::log(2) + std::log(4)) / 2;
  EXPECT_NEAR(result->nll, nll, 1e-6);
  EXPECT_NEAR(result->standardError, std::exp(nll) * std::log(2) / 2, 1e-6);
}

TEST(Perplexity, DivergenceFromAnotherModel) {
  TableModel model(exampleTable()), same(exampleTable()), uniform({{0, 0, 0}, {0, 0, 0}, {0, 0, 0}});
  const Rows rows = {{0, 1, 2}, {1, 1, 1}};
  auto none = measure(model, rows, PerplexityMode::Windows, &same);
  ASSERT_TRUE(none && none->divergence);
  EXPECT_EQ(none->divergence->mean, 0);
  EXPECT_EQ(none->divergence->sameTop1, 1);
  EXPECT_EQ(none->divergence->positions, 6) << "the last position counts too";

  // KL(uniform || model) = -ln 3 - mean ln p.
  auto kl = [](double p, double q, double r) { return -std::log(3) - (std::log(p) + std::log(q) + std::log(r)) / 3; };
  double after0 = kl(.5, .25, .25), after1 = after0, after2 = kl(.125, .75, .125);
  auto some = measure(model, rows, PerplexityMode::Windows, &uniform);
  ASSERT_TRUE(some && some->divergence);
  EXPECT_NEAR(some->divergence->mean, (after0 + 4 * after1 + after2) / 6, 1e-6);
  EXPECT_NEAR(some->divergence->median, after1, 1e-6);
  // numpy.quantile([a]*5 + [b], .99) = a + .95 (b - a)
  EXPECT_NEAR(some->divergence->p99, after1 + .95 * (after2 - after1), 1e-6);
  EXPECT_NEAR(some->divergence->sameTop1, 1 / 6., 1e-12) << "of equal logits the first is the largest";

  auto seed = measure(model, {{0, 1}, {0, 1, 2}}, PerplexityMode::Seed, &uniform, 2);
  ASSERT_TRUE(seed && seed->divergence);
  EXPECT_EQ(seed->divergence->positions, 5) << "filling does not count";
}

TEST(Perplexity, ThreadsDoNotMatter) {
  std::vector<std::vector<float>> table(50, std::vector<float>(50));
  for (size_t i = 0; i < 50; ++i)
    for (size_t j = 0; j < 50; ++j)
      table[i][j] = static_cast<float>(std::sin(static_cast<double>(i * 50 + j * j)));
  Rows rows(20, std::vector<int32_t>(33));
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < rows[i].size(); ++j)
      rows[i][j] = static_cast<int32_t>((i * 31 + j * 17) % 50);
  TableModel one(table, 1), four(table, 4), other({table.rbegin(), table.rend()});
  auto a = measure(one, rows, PerplexityMode::Windows, &other);
  auto b = measure(four, rows, PerplexityMode::Windows, &other);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->perplexity, b->perplexity);
  EXPECT_EQ(a->rowNll, b->rowNll);
  EXPECT_EQ(a->divergence->mean, b->divergence->mean);
  EXPECT_EQ(a->divergence->p99, b->divergence->p99);
  EXPECT_EQ(one.batches.size(), 3u) << "eight rows per call";
}

TEST(Perplexity, Errors) {
  TableModel model(exampleTable());
  EXPECT_EQ(errorOf(model, {}), "has no tokens to score");
  EXPECT_EQ(errorOf(model, {{1}}), "window 0 has 1 tokens: no tokens to score");
  EXPECT_EQ(errorOf(model, {{1, 2}, {}}, PerplexityMode::PerText), "text 1 has 0 tokens: no tokens to score");
  EXPECT_EQ(errorOf(model, {{1, 2}, {1, 2, 0}}), "window 1 has 3 tokens, but the first has 2");
  EXPECT_EQ(errorOf(model, {{1, 3}}), "window 0: token id 3 is beyond the vocabulary of 3");
  EXPECT_EQ(errorOf(model, {{1, -1}}), "window 0: token id -1 is beyond the vocabulary of 3");
  model.context = 2;
  EXPECT_EQ(errorOf(model, {{1, 2, 0}}), "window 0 has 3 tokens, more than the context of 2");
  TableModel larger(std::vector<std::vector<float>>(4, std::vector<float>(4)));
  auto different = measure(model, {{1, 2}}, PerplexityMode::Windows, &larger);
  ASSERT_FALSE(different);
  EXPECT_EQ(different.error().message, "the models to compare have vocabularies of 3 and 4");
}

TEST(Perplexity, LogitsThatAreNotFiniteAreErrors) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  auto withLogit = [](float value) {
    TableModel model(exampleTable());
    model.table[1][2] = value;
    return errorOf(model, {{0, 0, 0}, {0, 1, 2}});
  };
  EXPECT_EQ(withLogit(std::nanf("")), "the logits of window 1, position 1 are not finite");
  EXPECT_EQ(withLogit(infinity), "the logits of window 1, position 1 are not finite");
  EXPECT_EQ(withLogit(-infinity), "the logits of window 1, position 1 are not finite") << "the target is impossible";
  // A token that cannot occur and does not is no fault.
  TableModel model(exampleTable());
  model.table[1][2] = -infinity;
  EXPECT_EQ(errorOf(model, {{0, 1, 0}}), "");
  EXPECT_EQ(errorOf(model, {{0, 1, 0}}, PerplexityMode::PerText), "");
}

TEST(Perplexity, ModesHaveNames) {
  for (const char *name : {"windows", "per-text", "seed", "llama.cpp"})
    EXPECT_STREQ(perplexityModeName(*perplexityModeByName(name)), name);
  EXPECT_FALSE(perplexityModeByName("word"));
}

/// Logits of more than 64 MiB wait in a file, in the model's own type.
TEST(Perplexity, comparesLargeVocabularies) {
  class LargeModel final : public LanguageModel {
  public:
    explicit LargeModel(ElementType type) : type(type) {}
    Result<Tensor> logits(const TokenBatch &batch) override {
      Tensor result(type, {batch.rows, batch.length, vocabularySize()});
      for (int64_t i = 0; i < result.numElements(); ++i) {
        float value = static_cast<float>(i * 7919 % 101) / 64; // exact in 16 bits
        if (type == ElementType::F32)
          result.data<float>()[i] = value;
        else
          result.data<_Float16>()[i] = static_cast<_Float16>(value);
      }
      return result;
    }
    int64_t vocabularySize() const override { return 600'000; }
    int64_t contextLength() const override { return 0; }
    int64_t fixedRows() const override { return 0; }
    int64_t fixedLength() const override { return 0; }
    ThreadPool &threads() override { return pool; }

  private:
    ElementType type;
    ThreadPool pool{2};
  };
  PerplexityOptions options;
  Rows rows(1, std::vector<int32_t>(57, 5));
  LargeModel wide(ElementType::F32), narrow(ElementType::F16);
  std::optional<double> nll;
  for (auto [model, other] : {std::pair(&wide, &narrow), std::pair(&narrow, &wide)}) {
    Result<Perplexity> result = measurePerplexity(*model, rows, options, other);
    ASSERT_TRUE(bool(result)) << result.error().message;
    EXPECT_EQ(result->divergence->positions, 57);
    EXPECT_LT(result->divergence->mean, 1e-9);
    EXPECT_EQ(result->divergence->sameTop1, 1);
    EXPECT_EQ(nll.value_or(result->nll), result->nll);
    nll = result->nll;
  }
}
