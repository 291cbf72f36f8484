#include "Fixture.h"

using namespace qopt;
using namespace qrt;

namespace {
class SessionTest : public ::testing::Test {
protected:
  void SetUp() override {
    if (hostLevel().empty())
      GTEST_SKIP() << "this machine has no AVX2";
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<float>(i);
    path = folder / "table.qmod";
  }
  std::string errorOf(Session &session, const std::string &name, std::vector<Tensor> inputs) {
    auto outputs = session.run(name, inputs);
    return outputs ? "" : outputs.error().message;
  }

  TemporaryFolder folder;
  std::string path;
  std::vector<float> table = std::vector<float>(16);
};
} // namespace

TEST_F(SessionTest, RunsTheSameWithAnyNumberOfThreads) {
  writeTableModule(path, table, 4);
  std::vector<int64_t> ids(3 * 500);
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int64_t>(i * 7 % 4);
  for (int threads : {1, 2, 5}) {
    auto session = openSession(path, threads);
    ASSERT_TRUE(session);
    EXPECT_EQ(session->device(), "cpu");
    EXPECT_EQ(session->code(), "host:" + hostLevel());
    EXPECT_EQ(session->description(), "cpu (" + hostLevel() + ", " + std::to_string(threads) + " threads)");
    Tensor input = idTensor({3, 500}, ids);
    auto outputs = session->run("forward", {&input, 1});
    ASSERT_TRUE(outputs) << outputs.error().message;
    ASSERT_EQ((*outputs)[0].dims(), (std::vector<int64_t>{3, 500, 4}));
    for (size_t i = 0; i < ids.size() * 4; ++i)
      ASSERT_EQ((*outputs)[0].data<float>()[i], table[static_cast<size_t>(ids[i / 4]) * 4 + i % 4]);
  }
}

TEST_F(SessionTest, LevelsCanBeForced) {
  writeTableModule(path, table, 4);
  auto session = openSession(path, 1, "x86-64-v3");
  ASSERT_TRUE(session);
  EXPECT_EQ(session->code(), "host:x86-64-v3");
  auto unknown = Session::create(*Module::open(path), {.hostLevel = "x86-64-v9"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "host level 'x86-64-v9' is not known; there are x86-64-v4 and x86-64-v3");
}

TEST_F(SessionTest, ModulesWithoutCodeForThisMachine) {
  ASSERT_TRUE(ModuleWriter::write(path, {}, {}, {}));
  auto session = Session::create(*Module::open(path));
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().message, "the module has no code for a CPU");
}

TEST_F(SessionTest, InputsAreChecked) {
  writeTableModule(path, table, 4, {}, 64, /*withMask=*/true);
  auto session = openSession(path);
  ASSERT_TRUE(session);
  Tensor ids = idTensor({1, 2}, {0, 1});
  EXPECT_EQ(errorOf(*session, "forward", {ids}), "entry point 'forward' expected 2 inputs, but got 1");
  EXPECT_EQ(errorOf(*session, "backward", {ids}), "the module has no entry point 'backward'");
  EXPECT_EQ(errorOf(*session, "forward", {ids, Tensor(ElementType::F32, {1, 2})}),
            "input 'attention_mask': expected i64 [batch, seq], but got f32 [1, 2]");
  EXPECT_EQ(errorOf(*session, "forward", {ids, idTensor({2}, {1, 1})}),
            "input 'attention_mask': expected i64 [batch, seq], but got i64 [2]");
  EXPECT_EQ(errorOf(*session, "forward", {ids, idTensor({1, 3}, {1, 1, 1})}),
            "input 'attention_mask': expected 2 for dimension 'seq' as in 'input_ids', but got 3");
  EXPECT_EQ(errorOf(*session, "forward", {ids, idTensor({1, 2}, {1, 1})}), "");
}

TEST_F(SessionTest, ErrorsOfTheCodeBecomeText) {
  std::vector<TensorInfo> vector = {{"x", ElementType::F32, {{-1, "n"}}}};
  std::vector<EntryPoint> entries;
  for (const char *name : {"alias", "too_small", "other_shape", "no_output", "greedy", "mismatch"})
    entries.push_back({name, vector, vector});
  writeTableModule(path, table, 4, entries);
  auto session = openSession(path);
  ASSERT_TRUE(session);
  EXPECT_EQ(errorOf(*session, "forward", {idTensor({1, 3}, {0, 999, -1})}),
            "token id 999 is beyond the vocabulary of 4");
  std::vector<Tensor> input = {Tensor(ElementType::F32, {100})};
  EXPECT_EQ(errorOf(*session, "alias", input),
            "the code of the module returned memory that it did not allocate as output 0");
  EXPECT_EQ(errorOf(*session, "too_small", input),
            "the code of the module returned a shape of 400 bytes in 100 bytes of memory as output 0");
  EXPECT_EQ(errorOf(*session, "other_shape", input),
            "output 'x': expected 100 for dimension 'n' as in 'x', but got 101");
  EXPECT_EQ(errorOf(*session, "no_output", input), "the code of the module returned element type 0 as output 0");
  EXPECT_EQ(errorOf(*session, "greedy", input), "out of memory: 1152921504606846976 bytes were needed");
  EXPECT_EQ(errorOf(*session, "mismatch", input), "sizes 3 and 4 should be equal");
}

TEST_F(SessionTest, KeysBeyondTheTypeOfTheCacheAreErrors) {
  auto entry = [](const char *name, const Dimension &length) {
    return EntryPoint{
        name,
        {{"input_ids", ElementType::I64, {{-1, "batch"}, length}, Role::TokenIds},
         {"past", ElementType::I64, {{1, ""}}, Role::PastLength},
         {"key.0", ElementType::F16, {{-1, "batch"}, {1, ""}, {-1, "capacity"}, {1, ""}}, Role::KeyCache}},
        {{"logits", ElementType::F32, {{-1, "batch"}, {1, ""}, {4, ""}}, Role::LastLogits}}};
  };
  writeTableModule(path, table, 4, {entry("prefill", {-1, "seq"}), entry("decode", {1, ""})});
  auto session = openSession(path);
  ASSERT_TRUE(session);
  auto decoder = session->makeDecoder(2, 4);
  ASSERT_TRUE(decoder) << decoder.error().message;
  auto append = [&](std::vector<int32_t> ids) {
    auto logits = (*decoder)->append(ids);
    return logits ? "" : logits.error().message;
  };
  const std::string beyond =
      "cache 'key.0': a key or value is beyond 65504, the largest float16: compile with --cache-type=f32";
  EXPECT_EQ(append({0, 1, 1, 3}), beyond);
  EXPECT_EQ((*decoder)->length(), 0) << "the texts are as before";
  EXPECT_EQ(append({0, 1, 1, 2}), "");
  EXPECT_EQ(append({3, 0}), beyond);
  EXPECT_EQ(append({0, 3}), beyond);
  EXPECT_EQ(append({0, 2}), "");
  EXPECT_EQ((*decoder)->length(), 3);
}

TEST_F(SessionTest, MissingEntryPointsAreFoundWhenLoading) {
  writeTableModule(path, table, 4, {{"absent", {}, {}}});
  auto session = Session::create(*Module::open(path));
  ASSERT_FALSE(session);
  EXPECT_NE(session.error().message.find("lacks the entry point 'absent'"), std::string::npos);
}

TEST(HostCode, WhatIsNotCodeIsRefused) {
  const std::string good = testCode();
  ASSERT_GT(good.size(), 1000u);
  auto errorOf = [](const std::string &elf) {
    auto code = HostCode::load(elf);
    return code ? std::string() : code.error().message;
  };
  EXPECT_EQ(errorOf(good), "");
  EXPECT_NE(errorOf("").find("not an ELF"), std::string::npos);
  EXPECT_NE(errorOf(std::string(500, 'x')).find("not a 64-bit"), std::string::npos);
  std::string otherMachine = good;
  otherMachine[18] = '\xb7'; // AArch64
  EXPECT_NE(errorOf(otherMachine).find("ELF machine 183"), std::string::npos);
  EXPECT_NE(errorOf(good.substr(0, 64)).find("is cut"), std::string::npos);
}

// Two objects at once, and one after another, must not be taken for each other.
TEST(HostCode, EachLoadIsItsOwn) {
  const std::string good = testCode();
  auto first = HostCode::load(good), second = HostCode::load(good);
  ASSERT_TRUE(first && second);
  EXPECT_NE((*first)->entry("forward"), (*second)->entry("forward"));
  EXPECT_EQ((*first)->entry("absent"), nullptr);
}
