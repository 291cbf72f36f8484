// Texts that grow on a GPU: caches that stay there, and a CUDA graph for each further token.
#include "Fixture.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Tokenizer/Tokenizer.h"

namespace {
class GraphTest : public DeviceTest {
protected:
  static constexpr int64_t numTokens = 8;
  const std::string longPrompt = "Once upon a time there was a little dog and a cat";

  void SetUp() override {
    DeviceTest::SetUp();
    if (IsSkipped())
      return;
    writeModule(ModuleParts::growing());
    auto tokenizer = qopt::Tokenizer::parse(read(QOPT_TEST_INPUTS "/stories260K/tokenizer.json"));
    ASSERT_TRUE(tokenizer);
    auto ids = (*tokenizer)->encode(longPrompt);
    ASSERT_TRUE(ids);
    ASSERT_GT(ids->size(), 10u) << "past the token whose kernel fails";
    int64_t sum = 0;
    for (int32_t id : *ids)
      sum += id;
    expected = "[";
    for (int64_t i = 0; i < numTokens; ++i) {
      std::span<const float> logits(table.data() + sum % vocabulary * vocabulary, vocabulary);
      int32_t next = qrt::sampleToken(logits, {}, 0);
      expected += std::to_string(next) + (i + 1 < numTokens ? "," : "]");
      sum += next;
    }
  }

  /// The tokens that qrun gives, as "[1,2,3]".
  std::string generate(const std::string &device, const std::string &settings = "") {
    Outcome outcome = run("--device=" + device + " --prompt='" + longPrompt +
                              "' --max-tokens=" + std::to_string(numTokens) + " --quiet --json=j",
                          settings);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.err;
    std::string json = read(file("j"));
    size_t begin = json.find("\"tokens\": ") + 10;
    std::string list = json.substr(begin, json.find(']', begin) + 1 - begin);
    std::erase_if(list, [](char c) { return c == ' ' || c == '\n'; });
    return list;
  }

  std::string expected;
};
} // namespace

TEST_F(GraphTest, StepsAreReplayed) {
  EXPECT_EQ(generate("cuda"), expected);
  // The prompt, a step with launches, the step that is captured, and the others.
  EXPECT_EQ(count("launch grow"), 2) << log();
  EXPECT_EQ(count("capture nothing"), 1) << log();
  EXPECT_EQ(count("capture grow 1x1x1 of 1x1x1 shared 0 args mem+0 mem+256 mem+0 mem+0 mem+0 mem+0 1 "), 1) << log();
  EXPECT_EQ(count("graph of 2"), 1) << log();
  EXPECT_EQ(count("replay"), numTokens - 2) << log();
  // A step uploads its token and how many there were before, and downloads logits and error.
  EXPECT_EQ(count("upload 264"), numTokens - 1) << log();
  EXPECT_EQ(count("download"), 2 * numTokens) << log();
  EXPECT_EQ(count("graphs left"), 0) << log();
  EXPECT_NE(log().find("context released, 0 allocations left\n"), std::string::npos) << log();
  std::string whole = log();
  EXPECT_EQ(whole.find("allocate", whole.find("graph of 2")), std::string::npos) << "memory for a step: " << whole;
}

TEST_F(GraphTest, WithoutGraphsEveryStepLaunches) {
  auto expectLaunches = [&](const std::string &settings) {
    SCOPED_TRACE(settings);
    EXPECT_EQ(generate("cuda", settings), expected);
    EXPECT_EQ(count("launch grow"), numTokens) << log();
    EXPECT_EQ(count("replay"), 0) << log();
    EXPECT_EQ(log().find("graphs left"), std::string::npos) << log();
    EXPECT_NE(log().find("context released, 0 allocations left\n"), std::string::npos) << log();
  };
  expectLaunches("LD_LIBRARY_PATH=" OLD_FAKE_CUDA_FOLDER);
  expectLaunches("CUDA_LAUNCH_BLOCKING=1");
  for (const char *fault :
       {"cuStreamBeginCapture=900", "cuStreamEndCapture=901", "cuGraphInstantiate=2", "cuLaunchKernel=701@6"})
    expectLaunches(std::string("FAKE_CUDA_FAIL=") + fault);
  EXPECT_EQ(generate("sim"), expected);
}

TEST_F(GraphTest, ErrorsOfReplays) {
  const std::string steps = "--device=cuda --quiet --max-tokens=20 --prompt=";
  auto errorOf = [&](const std::string &prompt, const std::string &settings = "") {
    Outcome outcome = run(steps + prompt, settings);
    EXPECT_EQ(outcome.exitCode, 1);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  };
  EXPECT_EQ(errorOf("Once").find("qrun: error: m.qmod: index 9 is out of range for "), 0u);
  EXPECT_GT(count("replay"), 1) << log();
  EXPECT_EQ(
      errorOf("Once", "FAKE_CUDA_FAIL=cuGraphLaunch=700@2"),
      "qrun: error: m.qmod: cannot run one of 2 kernels, grow last, on cuda:0 (CUDA_LAUNCH_BLOCKING=1 tells which): "
      "illegal memory access (CUDA_ERROR_ILLEGAL_ADDRESS, 700)\n");
  EXPECT_EQ(errorOf("Once", "FAKE_CUDA_FAIL=cuGraphLaunch=999"),
            "qrun: error: m.qmod: cannot run one of 2 kernels, grow last, on cuda:0 (CUDA_LAUNCH_BLOCKING=1 tells "
            "which): the "
            "driver does not know why; its kernel log (dmesg) may (CUDA_ERROR_UNKNOWN, 999)\n");
  Outcome tooLarge = run(steps + "Once", "FAKE_CUDA_MEMORY=1060000");
  EXPECT_EQ(tooLarge.err.find("qrun: error: m.qmod: "), 0u) << tooLarge.err;
  EXPECT_NE(tooLarge.err.find("out of memory on cuda:0"), std::string::npos) << tooLarge.err;
}
