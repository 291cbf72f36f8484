// The program itself, on a module whose model is one table.
#include "Fixture.h"
#include "qopt/Support/Npy.h"
#include <cmath>
#include <sys/wait.h>

using namespace qopt;
namespace fs = std::filesystem;

namespace {
struct Outcome {
  int exitCode; // -signal when one ended it
  std::string out, err;
};

class Qrun : public ::testing::Test {
protected:
  static constexpr int64_t vocabulary = 512;

  void SetUp() override {
    if (qrt::hostLevel().empty())
      GTEST_SKIP() << "this machine has no AVX2";
    std::vector<float> table(vocabulary * vocabulary);
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<float>(std::sin(static_cast<double>(i * i % 1000003)));
    std::string tokenizer = read(QOPT_TEST_INPUTS "/stories260K/tokenizer.json");
    module = folder / "table.qmod";
    writeTableModule(module, table, vocabulary, {}, 64, /*withMask=*/true, tokenizer);
    std::ofstream(folder / "text.txt") << std::string(30, ' ') << "Once upon a time there was a little girl.\n"
                                       << "She liked to play in the garden, and she sang.\n";
  }
  static std::string read(const std::string &path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  /// `arguments` as a shell would read them, after the module; may redirect.
  Outcome run(const std::string &arguments, const std::string &before = "") const {
    std::string command = "cd " + (folder / "") + " && " + before + " " QRUN " " + arguments + " 2>err";
    FILE *pipe = ::popen(command.c_str(), "r");
    std::string out;
    for (int c; (c = std::fgetc(pipe)) != EOF;)
      out += static_cast<char>(c);
    int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), out, read(folder / "err")};
  }
  /// Nothing on stdout, one line on stderr.
  void expectError(const std::string &arguments, int exitCode, const std::string &message) const {
    Outcome outcome = run(arguments + " --quiet");
    EXPECT_EQ(outcome.exitCode, exitCode) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_EQ(outcome.err, "qrun: error: " + message + (exitCode == 2 ? " (see qrun --help)\n" : "\n"));
  }
  static double valueOf(const std::string &json, const std::string &key) {
    size_t at = json.find("\"" + key + "\": ");
    return at == std::string::npos ? std::nan("") : std::stod(json.substr(at + key.size() + 4));
  }

  TemporaryFolder folder;
  std::string module;
};
} // namespace

TEST_F(Qrun, PerplexityInAllModes) {
  double last = 0;
  for (const char *mode : {"windows", "per-text", "seed", "llama.cpp"}) {
    Outcome outcome = run(std::string("table.qmod --perplexity=text.txt --mode=") + mode +
                          (std::string(mode) == "windows" || std::string(mode) == "llama.cpp" ? " --window=16" : "") +
                          " --json=result.json");
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    EXPECT_NE(outcome.out.find(std::string("(mode ") + mode + ":"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.err.find("runs on cpu (" + qrt::hostLevel()), std::string::npos) << outcome.err;
    std::string json = read(folder / "result.json");
    double perplexity = valueOf(json, "perplexity");
    EXPECT_GT(perplexity, 100);
    EXPECT_NE(perplexity, last);
    last = perplexity;
    EXPECT_NE(json.find(std::string(mode) == "windows" || std::string(mode) == "llama.cpp" ? "nll_windows"
                                                                                           : "perplexity_texts"),
              std::string::npos);
    EXPECT_NE(json.find(std::string("\"mode\": \"") + mode + "\""), std::string::npos) << json;
  }
}

TEST_F(Qrun, PerplexityIsTheSameForThreadsLevelsAndLocales) {
  const std::string arguments = "table.qmod --perplexity=text.txt --window=8 --quiet --threads=";
  std::string expected = run(arguments + "1").out;
  EXPECT_NE(expected.find("perplexity "), std::string::npos);
  EXPECT_EQ(run(arguments + "3").out, expected);
  EXPECT_EQ(run(arguments + "2 --host-level=x86-64-v3").out, expected);
  EXPECT_EQ(run(arguments + "2", "LC_ALL=de_DE.UTF-8").out, expected);
}

TEST_F(Qrun, ComparesWithAnotherModule) {
  Outcome outcome = run("table.qmod --perplexity=text.txt --window=8 --compare=table.qmod --json=- --quiet");
  ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
  EXPECT_EQ(outcome.out.front(), '{') << "JSON and nothing else";
  EXPECT_EQ(valueOf(outcome.out, "kl_divergence_mean"), 0);
  EXPECT_EQ(valueOf(outcome.out, "same_top1"), 1);
}

TEST_F(Qrun, ArraysInAndOut) {
  const int32_t values[] = {1, 2, 3};
  const int64_t shape[] = {1, 3};
  ASSERT_TRUE(writeNpy(folder / "ids.npy", NpyType::Int32, shape, std::as_bytes(std::span(values))));
  // The mask as a TensorProto: i64 [1, 3] of ones.
  std::ofstream(folder / "mask.pb", std::ios::binary) << "\x08\x01\x08\x03\x10\x07\x3a\x03\x01\x01\x01";
  Outcome outcome = run("table.qmod --input input_ids=ids.npy --input attention_mask=mask.pb --output=out/deep");
  ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "logits f32 [1, 3, 512] -> out/deep/logits.npy\n");
  auto logits = readNpy(folder / "out/deep/logits.npy");
  ASSERT_TRUE(logits) << logits.error().message;
  EXPECT_EQ(logits->shape, (std::vector<int64_t>{1, 3, 512}));
  EXPECT_EQ(logits->as<float>()[512], static_cast<float>(std::sin(double(1024 * 1024 % 1000003))));

  expectError("table.qmod --input input_ids=ids.npy", 1, "input 'attention_mask' i64 [batch, seq] was not given");
  const int32_t negative[] = {1, -2, 3};
  ASSERT_TRUE(writeNpy(folder / "negative.npy", NpyType::Int32, shape, std::as_bytes(std::span(negative))));
  expectError("table.qmod --input input_ids=negative.npy --input attention_mask=mask.pb", 1,
              "negative.npy: token id -2 at element 1 is negative");
  expectError("table.qmod --input input_ids=ids.npy --input attention_mask=mask.pb --input x=ids.npy", 1,
              "the model has no input 'x'");
  expectError("table.qmod --input input_ids", 2, "--input=input_ids: expected NAME=FILE");
}

TEST_F(Qrun, Text) {
  const std::string arguments = "table.qmod --prompt='Once upon a time' --max-tokens=5 ";
  Outcome greedy = run(arguments);
  ASSERT_EQ(greedy.exitCode, 0) << greedy.err;
  EXPECT_EQ(greedy.out.find("Once upon a time"), 0u) << greedy.out;
  EXPECT_EQ(run(arguments).out, greedy.out);
  std::string one = run(arguments + "--temperature=2 --seed=1").out;
  EXPECT_EQ(run(arguments + "--temperature=2 --seed=1 --threads=3").out, one);
  EXPECT_NE(run(arguments + "--temperature=2 --seed=2").out, one);
  Outcome json = run(arguments + "--json=- --quiet");
  EXPECT_EQ(json.out.front(), '{');
  EXPECT_LE(valueOf(json.out, "generated_tokens"), 5);
}

TEST_F(Qrun, InfoExtractAndBench) {
  Outcome info = run("table.qmod --info");
  ASSERT_EQ(info.exitCode, 0) << info.err;
  for (const char *part :
       {"forward", "input_ids", "i64 [batch, seq]", "token_ids", "logits", "host:x86-64-v3", "weights", "none (float)"})
    EXPECT_NE(info.out.find(part), std::string::npos) << part;
  ASSERT_EQ(run("table.qmod --extract=tokenizer -o tokenizer.json").exitCode, 0);
  EXPECT_EQ(read(folder / "tokenizer.json"), read(QOPT_TEST_INPUTS "/stories260K/tokenizer.json"));
  Outcome bench = run("table.qmod --bench --json=-");
  ASSERT_EQ(bench.exitCode, 0) << bench.err;
  EXPECT_EQ(valueOf(bench.out, "prompt_tokens"), 64) << "the context";
  EXPECT_GT(valueOf(bench.out, "generation_tokens_per_second"), 0);
}

TEST_F(Qrun, BadCommandLines) {
  expectError("", 2, "no module was given");
  expectError("table.qmod", 2,
              "nothing to do: give --perplexity, --prompt, --input, --info, --verify, --extract or --bench");
  expectError("table.qmod --info --bench", 2, "--info and --bench cannot be used together");
  expectError("table.qmod --threads=0 --info", 2, "--threads=0: expected an integer from 1 to 1024");
  expectError("table.qmod --perplexty=x", 2, "unknown option '--perplexty'; did you mean '--perplexity'?");
  expectError("table.qmod --info --mode=seed", 2, "--mode needs --perplexity");
  expectError("table.qmod x.qmod --info", 2, "unexpected argument 'x.qmod'");
  Outcome help = run("--help");
  EXPECT_EQ(help.exitCode, 0);
  EXPECT_EQ(help.out.find("usage: qrun MODULE.qmod"), 0u);
}

TEST_F(Qrun, Errors) {
  std::ofstream(folder / "one.txt") << "";
  std::ofstream(folder / "ids.jsonl") << "{\"input_ids\": [1, 600]}\n";
  std::ofstream(folder / "single.jsonl") << "{\"input_ids\": [1]}\n";
  std::ofstream(folder / "long.jsonl") << "{\"text\": \"" << std::string(500, 'q') << "\"}\n";
  expectError("missing.qmod --info", 1, "missing.qmod: cannot open: No such file or directory");
  expectError("text.txt --info", 1,
              "text.txt: is not a .qmod module: its first 8 bytes are wrong; qopt makes modules of models");
  expectError("table.qmod --perplexity=missing.txt", 1, "missing.txt: cannot open: No such file or directory");
  expectError("table.qmod --perplexity=one.txt", 1, "one.txt: no tokens");
  expectError("table.qmod --perplexity=single.jsonl --mode=per-text", 1,
              "single.jsonl: text 0 has 1 tokens: no tokens to score");
  expectError("table.qmod --perplexity=ids.jsonl --mode=per-text", 1,
              "ids.jsonl: line 1: input_ids[1]: id 600 is not in the vocabulary of 512");
  Outcome tooLong = run("table.qmod --perplexity=long.jsonl --mode=per-text --quiet");
  EXPECT_EQ(tooLong.exitCode, 1);
  EXPECT_NE(tooLong.err.find("more than the context of 64"), std::string::npos) << tooLong.err;
  expectError("table.qmod --bench --device=cuda", 1,
              "table.qmod: the module has no code for device cuda; run with --device=cpu");
  expectError("table.qmod --extract=ptx -o x", 1,
              "table.qmod: has no section 'ptx', only host:x86-64-v3, host:x86-64-v4, tokenizer, weights");
  EXPECT_FALSE(fs::exists(folder / "x"));
}

TEST_F(Qrun, OutputThatCannotBeWritten) {
  Outcome full = run("table.qmod --info >/dev/full");
  EXPECT_EQ(full.exitCode, 1);
  EXPECT_EQ(full.err, "qrun: error: cannot write to standard output: No space left on device\n");
  Outcome closed = run("table.qmod --info >&-");
  EXPECT_EQ(closed.exitCode, 1);
  EXPECT_NE(closed.err.find("cannot write to standard output"), std::string::npos);
  EXPECT_EQ(run("table.qmod --perplexity=text.txt --window=8 --json=no/such/folder.json --quiet").exitCode, 1);
  // A small memory limit is an error, not a crash.
  Outcome small = run("table.qmod --perplexity=text.txt --window=8", "ulimit -v 40000;");
  EXPECT_NE(small.exitCode, 0);
  EXPECT_GT(small.exitCode, 0) << "ended by a signal";
}
