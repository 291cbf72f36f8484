// The definitions of perplexity on logits that transformers computed, against the
// values that it and torch.nn.functional.cross_entropy give.
#include "qopt/Runtime/Perplexity.h"
#include "qopt/Support/Npy.h"
#include <algorithm>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace qrt;
using qopt::NpyArray;

namespace {
class PerplexityReference : public ::testing::TestWithParam<const char *> {
protected:
  static std::string pathOf(const std::string &name) {
    return std::string(QOPT_TEST_INPUTS "/references/") + GetParam() + "/" + name;
  }
  static NpyArray array(const std::string &name) {
    auto read = qopt::readNpy(pathOf(name));
    EXPECT_TRUE(read) << name << ": " << read.error().message;
    return read ? *read : NpyArray();
  }
  static nlohmann::json expected() { return nlohmann::json::parse(std::ifstream(pathOf("fp32.json"))); }
};

/// A model whose logits are known for one batch.
class Recorded final : public LanguageModel {
public:
  Recorded(std::vector<int64_t> ids, const NpyArray &logits)
      : ids(std::move(ids)), recorded(logits), vocabulary(logits.shape.back()) {}

  Result<Tensor> logits(const TokenBatch &batch) override {
    if (!std::equal(batch.ids.begin(), batch.ids.end(), ids.begin(), ids.end()))
      return qopt::Error{"other tokens than the recorded ones"};
    Tensor result(ElementType::F32, {batch.rows, batch.length, vocabulary});
    std::ranges::copy(recorded.as<float>(), result.data<float>());
    return result;
  }
  int64_t vocabularySize() const override { return vocabulary; }
  int64_t contextLength() const override { return 0; }
  int64_t fixedRows() const override { return 0; }
  int64_t fixedLength() const override { return 0; }
  ThreadPool &threads() override { return pool; }

private:
  std::vector<int64_t> ids;
  NpyArray recorded;
  int64_t vocabulary;
  ThreadPool pool{2};
};
} // namespace

TEST_P(PerplexityReference, Window) {
  NpyArray windows = array("eval.npy");
  auto first = windows.as<int32_t>().first(static_cast<size_t>(windows.shape[1]));
  Recorded model({first.begin(), first.end()}, array("logits_window0.npy"));
  const std::vector<int32_t> row(first.begin(), first.end());
  auto result = measurePerplexity(model, {&row, 1}, {});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_NEAR(result->rowNll[0], expected()["fp32"]["nll_windows"][0].get<double>(), 1e-6);
  EXPECT_EQ(result->tokens, windows.shape[1] - 1);
}

TEST_P(PerplexityReference, Seed) {
  NpyArray ids = array("seed_ids.npy"), mask = array("seed_mask.npy");
  auto paddedIds = ids.as<int32_t>(), isReal = mask.as<int32_t>();
  size_t length = static_cast<size_t>(ids.shape[1]);
  std::vector<std::vector<int32_t>> texts(2);
  for (size_t i = 0; i < 2 * length; ++i)
    if (isReal[i])
      texts[i / length].push_back(static_cast<int32_t>(paddedIds[i]));
  Recorded model({paddedIds.begin(), paddedIds.end()}, array("seed_logits.npy"));
  PerplexityOptions options;
  options.mode = PerplexityMode::Seed;
  options.paddingId = static_cast<int32_t>(paddedIds[0]);
  auto result = measurePerplexity(model, texts, options);
  ASSERT_TRUE(result) << result.error().message;
  auto values = expected()["seed"]["default_position_ids"];
  double mean = 0;
  for (size_t text = 0; text < 2; ++text) {
    EXPECT_NEAR(result->rowNll[text], values["avg"][text].get<double>(), 1e-6);
    double perplexity = values["ppl"][text];
    EXPECT_NEAR(std::exp(result->rowNll[text]) / perplexity, 1, 2e-6);
    mean += perplexity / 2;
  }
  EXPECT_NEAR(result->perplexity / mean, 1, 2e-6);
}

INSTANTIATE_TEST_SUITE_P(Models, PerplexityReference, ::testing::Values("tiny-llama", "stories260K"),
                         [](const auto &info) { return info.index == 0 ? "TinyLlama" : "Stories260K"; });
