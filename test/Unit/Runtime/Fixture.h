//===- Fixture.h - Modules made of HostCode.c -----------------------------===//
#ifndef QOPT_TEST_RUNTIME_FIXTURE_H
#define QOPT_TEST_RUNTIME_FIXTURE_H

#include "qopt/Runtime/Runtime.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

inline std::string testCode() {
  std::ifstream stream(QRT_TEST_CODE, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A folder that lives as long as the test.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qrt-test-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string &name) const { return (path / name).string(); }

private:
  std::filesystem::path path;
};

/// Writes a module whose logits after token i are row i of `table` [n, n].
inline void writeTableModule(const std::string &path, const std::vector<float> &table, int64_t vocabulary,
                             std::vector<qopt::EntryPoint> moreEntries = {}, int64_t contextLength = 64,
                             bool withMask = false, const std::string &tokenizer = {}) {
  using namespace qopt;
  ModuleInfo info;
  info.producer = "test";
  info.model = "table";
  info.contextLength = contextLength;
  info.vocabularySize = vocabulary;
  std::vector<Dimension> tokens = {{-1, "batch"}, {-1, "seq"}};
  EntryPoint forward = {"forward",
                        {{"input_ids", ElementType::I64, tokens, Role::TokenIds}},
                        {{"logits", ElementType::F32, {{-1, "batch"}, {-1, "seq"}, {vocabulary, ""}}, Role::Logits}}};
  if (withMask)
    forward.inputs.push_back({"attention_mask", ElementType::I64, tokens, Role::AttentionMask});
  info.entryPoints = {forward};
  info.entryPoints.insert(info.entryPoints.end(), moreEntries.begin(), moreEntries.end());
  int64_t tableBytes = static_cast<int64_t>(table.size() * sizeof(float));
  info.parameters = {{"table", ElementType::F32, {vocabulary, vocabulary}, 0, tableBytes},
                     {"vocabulary", ElementType::I64, {}, 0, static_cast<int64_t>(sizeof vocabulary)}};
  std::string code = testCode();
  ModuleWriter::Payload sections[] = {{"host:x86-64-v3", code}, {"host:x86-64-v4", code}, {"tokenizer", tokenizer}};
  std::span<const char> weights[] = {{reinterpret_cast<const char *>(table.data()), static_cast<size_t>(tableBytes)},
                                     {reinterpret_cast<const char *>(&vocabulary), sizeof vocabulary}};
  Status status = ModuleWriter::write(path, info, std::span(sections).first(tokenizer.empty() ? 2 : 3), weights);
  ASSERT_TRUE(status) << status.error().message;
}

inline std::unique_ptr<qrt::Session> openSession(const std::string &path, int threads = 1,
                                                 const std::string &level = {}) {
  auto module = qopt::Module::open(path);
  EXPECT_TRUE(module) << module.error().message;
  if (!module)
    return nullptr;
  auto session = qrt::Session::create(*module, {.threads = threads, .hostLevel = level});
  EXPECT_TRUE(session) << session.error().message;
  return session ? std::move(*session) : nullptr;
}

inline qrt::Tensor idTensor(std::vector<int64_t> dims, const std::vector<int64_t> &values) {
  qrt::Tensor tensor(qopt::ElementType::I64, std::move(dims));
  std::copy(values.begin(), values.end(), tensor.data<int64_t>());
  return tensor;
}

#endif // QOPT_TEST_RUNTIME_FIXTURE_H
