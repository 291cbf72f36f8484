#include "Fixture.h"
#include "qopt/Runtime/qrt.h"

extern "C" double runFromC(const char *path);

namespace {
class CApi : public ::testing::Test {
protected:
  void SetUp() override {
    if (qrt::hostLevel().empty())
      GTEST_SKIP() << "this machine has no AVX2";
    path = folder / "table.qmod";
    writeTableModule(path, {1, 2, 3, 4}, 2);
  }
  TemporaryFolder folder;
  std::string path;
};
} // namespace

TEST_F(CApi, Runs) { EXPECT_EQ(runFromC(path.c_str()), 10); }

TEST_F(CApi, Describes) {
  EXPECT_EQ(qrt_api_version(), QRT_API_VERSION);
  qrt_module *module = qrt_open(path.c_str(), 0);
  ASSERT_TRUE(module) << qrt_last_error();
  EXPECT_STREQ(qrt_device(module), "cpu");
  EXPECT_EQ(qrt_code(module), "host:" + qrt::hostLevel());
  EXPECT_STREQ(qrt_entry_name(module, 0), "forward");
  EXPECT_EQ(qrt_entry_name(module, 1), nullptr);
  EXPECT_EQ(qrt_num_inputs(module, "forward"), 1u);
  EXPECT_EQ(qrt_num_outputs(module, "forward"), 1u);
  EXPECT_EQ(qrt_num_inputs(module, "backward"), 0u);
  qrt_tensor_info info;
  ASSERT_EQ(qrt_output(module, "forward", 0, &info), 0);
  EXPECT_STREQ(info.name, "logits");
  EXPECT_EQ(info.type, QRT_F32);
  ASSERT_EQ(info.rank, 3);
  EXPECT_EQ(info.dims[0], -1);
  EXPECT_STREQ(info.symbols[0], "batch");
  EXPECT_EQ(info.dims[2], 2);
  EXPECT_EQ(info.symbols[2], nullptr);
  EXPECT_STREQ(qrt_input_role(module, "forward", 0), "token_ids");
  EXPECT_STREQ(qrt_output_role(module, "forward", 0), "logits");
  EXPECT_EQ(qrt_input_role(module, "forward", 1), nullptr);
  EXPECT_EQ(qrt_output_role(module, "backward", 0), nullptr);
  EXPECT_NE(qrt_input(module, "forward", 1, &info), 0);
  EXPECT_NE(std::string(qrt_last_error()).find("number 1"), std::string::npos);
  qrt_close(module);
}

TEST_F(CApi, FailuresAreReported) {
  EXPECT_EQ(qrt_open((path + ".missing").c_str(), 1), nullptr);
  EXPECT_EQ(qrt_last_error(), path + ".missing: cannot open: No such file or directory");
  EXPECT_EQ(qrt_open("/dev/null", 1), nullptr);
  EXPECT_STREQ(qrt_last_error(), "/dev/null: is not a regular file");
  EXPECT_EQ(qrt_open(nullptr, 1), nullptr);
  EXPECT_EQ(qrt_open(path.c_str(), -1), nullptr);
  EXPECT_EQ(qrt_open_on(path.c_str(), "cuda", 1), nullptr);
  EXPECT_STREQ(qrt_last_error(), "the module has no code for device cuda; run with --device=cpu");
  EXPECT_EQ(qrt_open_on(path.c_str(), nullptr, 1), nullptr);
  qrt_module *module = qrt_open(path.c_str(), 1);
  ASSERT_TRUE(module);
  EXPECT_STREQ(qrt_last_error(), "");
  int64_t id = 9;
  QrtTensor ids = {&id, QRT_I64, 2, {1, 1}};
  EXPECT_EQ(qrt_run(module, "forward", &ids, 1), nullptr);
  EXPECT_STREQ(qrt_last_error(), "token id 9 is beyond the vocabulary of 2");
  EXPECT_EQ(qrt_run(module, "forward", &ids, 0), nullptr);
  ids.dims[0] = -1;
  EXPECT_EQ(qrt_run(module, "forward", &ids, 1), nullptr);
  EXPECT_STREQ(qrt_last_error(), "input 0 has an impossible shape or no data");
  ids.rank = 99;
  EXPECT_EQ(qrt_run(module, "forward", &ids, 1), nullptr);
  EXPECT_EQ(qrt_run(module, nullptr, nullptr, 0), nullptr);
  qrt_close(module);
  qrt_close(nullptr);
  qrt_result_free(nullptr);
}
