//===- DecoderTest.cpp - Whole models with and without a cache -------------===//
//
// What prefill and decode give for a text that grows is what forward gives for all of
// it: on the CPU bit by bit, as every sum has one order; in the simulator within 1e-3 of
// the largest logit, as products of many tokens round each to the 11 bits of f16, and
// those of one token do not.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Generate.h"
#include "qopt/Support/Npy.h"
#include "qopt/Support/TemporaryDirectory.h"
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>

using namespace qrt;

namespace {

struct Loaded {
  std::unique_ptr<Session> session;
  std::unique_ptr<LanguageModel> model;
};

std::string modelOf(const std::string &name) { return QOPT_TEST_INPUTS "/" + name + "/model.onnx"; }

/// `arguments` of qopt behind the model's path.
std::shared_ptr<const qopt::Module> compile(const std::string &model, const std::string &arguments) {
  auto directory = qopt::TemporaryDirectory::create("qopt-decoder");
  EXPECT_TRUE(directory);
  std::string path = directory->path() + "/m.qmod";
  std::string command = std::string(QOPT) + " " + model + " --quiet -o " + path + " " + arguments;
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  auto module = qopt::Module::open(path);
  EXPECT_TRUE(module) << module.error().message;
  return *module;
}

/// For the level of this machine.
std::shared_ptr<const qopt::Module> compileForCpu(const std::string &model, const std::string &arguments) {
  return compile(model, "--cpu=" + hostLevel() + " " + arguments);
}

Loaded load(std::shared_ptr<const qopt::Module> module, const std::string &device) {
  auto session = Session::create(std::move(module), {.threads = 2, .device = device});
  EXPECT_TRUE(session) << session.error().message;
  auto model = makeSessionModel(**session);
  EXPECT_TRUE(model) << model.error().message;
  return {std::move(*session), std::move(*model)};
}

std::vector<int32_t> evaluationTokens(const std::string &name, size_t count) {
  auto array = qopt::readNpy(std::string(QOPT_TEST_INPUTS) + "/references/" + name + "/eval.npy");
  EXPECT_TRUE(array) << array.error().message;
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i)
    ids.push_back(array->type == qopt::NpyType::Int64 ? static_cast<int32_t>(array->as<int64_t>()[i])
                                                      : array->as<int32_t>()[i]);
  return ids;
}

/// The logits behind the last of the first `count` tokens.
std::vector<float> forwardLogits(LanguageModel &model, const std::vector<int32_t> &ids, size_t count) {
  auto logits =
      model.logits({1, static_cast<int64_t>(count), {ids.begin(), ids.begin() + static_cast<ptrdiff_t>(count)}, {}});
  EXPECT_TRUE(logits) << logits.error().message;
  const float *end = logits->data<float>() + logits->numElements();
  return {end - model.vocabularySize(), end};
}

/// Appends pieces of a text and compares after each; the largest difference, of the
/// largest logit.
double compareWithForward(const Loaded &cached, LanguageModel &model, const std::vector<int32_t> &ids,
                          const std::vector<size_t> &pieces) {
  auto decoder = cached.session->makeDecoder(1, static_cast<int64_t>(ids.size()));
  EXPECT_TRUE(decoder && *decoder);
  double worst = 0, largest = 0;
  size_t length = 0;
  for (size_t piece : pieces) {
    auto logits = (*decoder)->append(std::span(ids).subspan(length, piece));
    EXPECT_TRUE(logits) << logits.error().message;
    length += piece;
    EXPECT_EQ((*decoder)->length(), static_cast<int64_t>(length));
    std::vector<float> expected = forwardLogits(model, ids, length);
    for (size_t i = 0; i < expected.size(); ++i) {
      worst = std::max<double>(worst, std::abs(logits->data<float>()[i] - expected[i]));
      largest = std::max<double>(largest, std::abs(expected[i]));
    }
  }
  return worst / largest;
}

/// The same model, run over all tokens each time.
class WithoutDecoder final : public LanguageModel {
public:
  explicit WithoutDecoder(LanguageModel &model) : model(model) {}
  Result<Tensor> logits(const TokenBatch &batch) override { return model.logits(batch); }
  int64_t vocabularySize() const override { return model.vocabularySize(); }
  int64_t contextLength() const override { return model.contextLength(); }
  int64_t fixedRows() const override { return 0; }
  int64_t fixedLength() const override { return 0; }
  ThreadPool &threads() override { return model.threads(); }

private:
  LanguageModel &model;
};

std::vector<int32_t> generated(LanguageModel &model, const std::vector<int32_t> &prompt, int64_t count) {
  GenerateOptions options;
  options.maxTokens = count;
  auto result = generate(model, prompt, options, [](int32_t) { return true; });
  EXPECT_TRUE(result) << result.error().message;
  return result->tokens;
}

const std::vector<size_t> kPieces = {1, 1, 7, 1, 1, 40, 1, 1, 1, 60, 1, 1};

class DecoderTest : public testing::Test {
protected:
  void SetUp() override {
    if (hostLevel().empty())
      GTEST_SKIP() << "this machine has no AVX2";
  }
};

TEST_F(DecoderTest, IsForwardOnTheCpu) {
  for (auto [name, arguments] : {std::pair("stories260K", ""), std::pair("stories260K", "--pass-pipeline=rtn-int4"),
                                 std::pair("tiny-llama", "--pass-pipeline=int8-dynamic")}) {
    SCOPED_TRACE(std::string(name) + " " + arguments);
    Loaded loaded = load(compileForCpu(modelOf(name), std::string("--cache-type=f32 ") + arguments), "cpu");
    std::vector<int32_t> ids = evaluationTokens(name, 116);
    EXPECT_EQ(compareWithForward(loaded, *loaded.model, ids, kPieces), 0);
    WithoutDecoder all(*loaded.model);
    ids.resize(9);
    EXPECT_EQ(generated(*loaded.model, ids, 60), generated(all, ids, 60));
  }
}

TEST_F(DecoderTest, RoundsKeysAndValuesByDefault) {
  Loaded loaded = load(compileForCpu(modelOf("stories260K"), ""), "cpu");
  for (const qopt::EntryPoint &entry : loaded.session->module().info().entryPoints)
    for (const qopt::TensorInfo &input : entry.inputs)
      EXPECT_TRUE(!qopt::isCache(input.role) || input.type == ElementType::F16) << entry.name << " " << input.name;
  std::vector<int32_t> ids = evaluationTokens("stories260K", 116);
  double difference = compareWithForward(loaded, *loaded.model, ids, kPieces);
  EXPECT_LT(difference, 1e-3);
  EXPECT_GT(difference, 0);
  // Those of another package's choices, and of code for GPUs, are f32.
  for (const char *arguments : {"--pass-pipeline=rtn-int4 --compat=gptq", "--target=cpu,sim"})
    EXPECT_EQ(compileForCpu(modelOf("stories260K"), arguments)->info().entryPoints.back().inputs.back().type,
              ElementType::F32);
}

// Without a decoder the past is given as empty; with one it is not given at all.
TEST_F(DecoderTest, TakesThePlaceOfAnExportersCache) {
  Loaded loaded = load(compileForCpu(EXPORTERS_CACHE, "--cache-type=f32"), "cpu");
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 30; ++i)
    ids.push_back(i * i % 16);
  EXPECT_EQ(compareWithForward(loaded, *loaded.model, ids, {3, 1, 1, 20, 1, 4}), 0);
  auto huge = loaded.session->makeDecoder(int64_t(1) << 45, 32);
  ASSERT_FALSE(huge);
  std::string message = huge.error().message, begin = "out of memory: the caches of 32 tokens do not fit: ";
  EXPECT_TRUE(message.starts_with(begin) && message.find(" bytes are needed, ") != std::string::npos &&
              message.ends_with(" are free"))
      << message;
}

TEST_F(DecoderTest, RowsAreTextsOfTheirOwn) {
  Loaded loaded = load(compileForCpu(modelOf("stories260K"), "--cache-type=f32"), "cpu");
  std::vector<int32_t> ids = evaluationTokens("stories260K", 40);
  auto both = loaded.session->makeDecoder(2, 20);
  ASSERT_TRUE(both && *both);
  std::vector<int32_t> starts(ids.begin(), ids.begin() + 38); // two of 19
  auto first = (*both)->append(starts);
  ASSERT_TRUE(first) << first.error().message;
  auto second = (*both)->append(std::vector<int32_t>{ids[38], ids[39]});
  ASSERT_TRUE(second) << second.error().message;
  for (size_t row = 0; row < 2; ++row) {
    std::vector<int32_t> text(ids.begin() + static_cast<ptrdiff_t>(19 * row),
                              ids.begin() + static_cast<ptrdiff_t>(19 * row + 19));
    text.push_back(ids[38 + row]);
    for (auto [logits, length] : {std::pair(&*first, size_t(19)), std::pair(&*second, size_t(20))}) {
      std::vector<float> expected = forwardLogits(*loaded.model, text, length);
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(logits->data<float>()[row * expected.size() + i], expected[i]);
    }
  }
}

/// Texts of different lengths that grow together, with one that ends early, against each alone.
void expectRowsAsAlone(const Loaded &loaded, const std::vector<std::vector<int32_t>> &texts, size_t steps) {
  auto rows = static_cast<int64_t>(texts.size());
  auto together = loaded.session->makeDecoder(rows, 30), alone = loaded.session->makeDecoder(1, 30);
  ASSERT_TRUE(together && *together && alone && *alone);
  EXPECT_TRUE((*together)->areRowsAlone());
  std::vector<size_t> lengths;
  auto compare = [&](const float *logits, size_t row) {
    (*alone)->clear();
    auto expected = (*alone)->append(std::span(texts[row]).first(lengths[row]));
    ASSERT_TRUE(expected) << expected.error().message;
    for (int64_t i = 0; i < expected->numElements(); ++i)
      ASSERT_EQ(logits[i], expected->data<float>()[i]) << "row " << row << ", " << lengths[row] << " tokens";
  };
  for (size_t row = 0; row < texts.size(); ++row) {
    lengths.push_back(texts[row].size() - steps);
    auto logits = (*together)->appendTo(static_cast<int64_t>(row), std::span(texts[row]).first(lengths[row]));
    ASSERT_TRUE(logits) << logits.error().message;
    compare(logits->data<float>(), row);
  }
  for (size_t step = 0; step < steps; ++step) {
    std::vector<int32_t> ids;
    for (size_t row = 0; row < texts.size(); ++row)
      ids.push_back(texts[row][std::min(lengths[row], texts[row].size() - 1)]);
    auto logits = (*together)->append(ids);
    ASSERT_TRUE(logits) << logits.error().message;
    for (size_t row = 0; row < texts.size(); ++row) {
      if (row == 1 && step > 0) { // ended
        (*together)->cut(1, static_cast<int64_t>(lengths[1]));
        continue;
      }
      ++lengths[row];
      EXPECT_EQ((*together)->length(static_cast<int64_t>(row)), static_cast<int64_t>(lengths[row]));
      compare(logits->data<float>() + static_cast<int64_t>(row) * logits->dims().back(), row);
    }
  }
}

// Few and many new tokens, as a GPU has kernels for either; caches of f16 round.
TEST_F(DecoderTest, SeesTheKeysOfWindowsSlopesAndSinks) {
  auto module = compile(WINDOWS, "--target=cpu,sim --cpu=x86-64-v3");
  Loaded sim = load(module, "sim"), cpu = load(module, "cpu");
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 120; ++i)
    ids.push_back((i * i + i / 7) % 16);
  EXPECT_LT(compareWithForward(cpu, *cpu.model, ids, {3, 1, 1, 40, 1, 70, 1, 3}), 1e-5);
  EXPECT_LT(compareWithForward(sim, *cpu.model, ids, {3, 1, 1, 40, 1, 70, 1, 3}), 1e-4);
}

TEST_F(DecoderTest, RowsMayHaveDifferentLengths) {
  std::vector<int32_t> ids = evaluationTokens("stories260K", 60);
  auto from = [&](size_t first, size_t count) {
    return std::vector<int32_t>(ids.begin() + static_cast<ptrdiff_t>(first),
                                ids.begin() + static_cast<ptrdiff_t>(first + count));
  };
  expectRowsAsAlone(load(compileForCpu(modelOf("stories260K"), "--pass-pipeline=int8-dynamic"), "cpu"),
                    {from(0, 9), from(9, 26), from(35, 5)}, 4);
  std::vector<int32_t> small;
  for (int32_t i = 0; i < 30; ++i)
    small.push_back(i * i % 16);
  expectRowsAsAlone(load(compileForCpu(EXPORTERS_CACHE, "--cache-type=f32"), "cpu"),
                    {{small.begin(), small.begin() + 7}, {small.begin() + 3, small.begin() + 25}}, 4);
  // Which columns are outliers is decided for all rows together.
  Loaded mixed = load(compileForCpu(modelOf("stories260K"), "--pass-pipeline=llm-int8"), "cpu");
  auto two = mixed.session->makeDecoder(2, 8);
  ASSERT_TRUE(two && *two);
  EXPECT_FALSE((*two)->areRowsAlone());
  auto refused = (*two)->appendTo(0, std::vector<int32_t>{1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the 2 rows of this module grow together only");
}

TEST_F(DecoderTest, ErrorsLeaveTheTextAsItWas) {
  Loaded loaded = load(compileForCpu(modelOf("stories260K"), ""), "cpu");
  auto decoder = loaded.session->makeDecoder(1, 4);
  ASSERT_TRUE(decoder && *decoder);
  auto errorOf = [&](std::vector<int32_t> ids) {
    auto logits = (*decoder)->append(ids);
    return logits ? "" : logits.error().message;
  };
  EXPECT_EQ(errorOf({1, 2, 3}), "");
  EXPECT_EQ(errorOf({4, 5}), "there is room for 4 tokens, but 3 and 2 more were given");
  EXPECT_EQ(errorOf({}), "expected as many tokens for each of 1 rows, but got 0");
  EXPECT_EQ(errorOf({512}), "token id 512 at position 3 is beyond the vocabulary of 512");
  EXPECT_EQ(errorOf({-1}), "token id -1 at position 3 is beyond the vocabulary of 512");
  EXPECT_EQ((*decoder)->length(), 3);
  EXPECT_EQ(errorOf({4}), "");
  (*decoder)->clear();
  EXPECT_EQ((*decoder)->length(), 0);
  EXPECT_EQ(errorOf({1, 2, 3, 4}), "");

  auto none = loaded.session->makeDecoder(1, 0);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "the model takes 1 row or more of at least 1 token, but 1 of 0 were asked for");
  auto tooLong = loaded.session->makeDecoder(1, 513);
  ASSERT_FALSE(tooLong);
  EXPECT_EQ(tooLong.error().message, "the context is 512 tokens, but 513 were asked for");
  auto direct = loaded.session->run("decode", {});
  ASSERT_FALSE(direct);
  EXPECT_EQ(direct.error().message, "entry point 'decode' has caches; it only runs for texts that grow");
  // The context is full, with a cache as without.
  std::vector<int32_t> ids = evaluationTokens("stories260K", 509);
  EXPECT_EQ(generated(*loaded.model, ids, 10).size(), 3u);
}

TEST_F(DecoderTest, IsForwardInTheSimulator) {
  auto module = compile(modelOf("stories260K"), "--pass-pipeline=rtn-int4 --target=cpu,sim --cpu=x86-64-v3");
  Loaded sim = load(module, "sim"), cpu = load(module, "cpu");
  std::vector<int32_t> ids = evaluationTokens("stories260K", 116);
  EXPECT_LT(compareWithForward(sim, *sim.model, ids, kPieces), 1e-3);
  EXPECT_LT(compareWithForward(sim, *cpu.model, ids, kPieces), 1e-3);
  WithoutDecoder all(*sim.model);
  ids.resize(9);
  std::vector<int32_t> expected = generated(*cpu.model, ids, 24);
  EXPECT_EQ(generated(*sim.model, ids, 24), expected);
  EXPECT_EQ(generated(all, ids, 24), expected);
}

} // namespace
