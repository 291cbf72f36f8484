//===- Fixture.h - A module for devices, and qrun beside a fake driver ----===//
#ifndef QOPT_TEST_DEVICE_FIXTURE_H
#define QOPT_TEST_DEVICE_FIXTURE_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/Npy.h"
#include <cmath>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

struct Outcome {
  int exitCode; // -signal when one ended it
  std::string out, err;
};

/// What a module is made of beyond its weights.
struct ModuleParts {
  std::string ptx = ptxFor("sm_80"), hopperPtx; ///< "ptx", "ptx:sm_90a"; empty: none
  std::vector<std::string> cubins;              ///< architectures
  bool withHost = true, withSim = true, withCuda = true;
  std::vector<qopt::KernelInfo> kernels = {{"look_up", 256, {}}, {"nothing", 0, {}}, {"trap", 0, {}}};
  std::string entry = "forward"; ///< the only one, or
  bool grows = false;            ///< also prefill and decode, and a tokenizer

  /// A module for a GPU whose texts grow.
  static ModuleParts growing() {
    ModuleParts parts;
    parts.withHost = false;
    parts.grows = true;
    parts.kernels.push_back({"grow", 0, {}});
    parts.ptx += ".visible .entry grow(\n";
    for (const char *parameter : {"u64 .ptr p0,", "u64 .ptr p1,", "u64 .ptr p2,", "u64 .ptr p3,", "u64 .ptr p4,",
                                  "u64 .ptr p5,", "u64 p6,", "u64 p7,", "u32 p8)"})
      parts.ptx += std::string(".param .") + parameter + "\n";
    parts.ptx += "{ ret; }\n";
    return parts;
  }

  static std::string ptxFor(const std::string &target) {
    return ".version 7.0\n.target " + target +
           "\n.address_size 64\n.visible .entry look_up(\n.param .u64 .ptr p0,\n.param .u64 .ptr p1,\n"
           ".param .u64 .ptr p2,\n.param .u64 .ptr p3,\n.param .u64 p4,\n.param .u32 p5,\n.param .f32 p6)\n{ ret; }\n"
           ".visible .entry nothing()\n{ ret; }\n.visible .entry trap()\n{ ret; }\n";
  }
};

class DeviceTest : public ::testing::Test {
protected:
  static constexpr int64_t vocabulary = 512;

  void SetUp() override {
    if (qrt::hostLevel().empty())
      GTEST_SKIP() << "this machine has no AVX2";
    std::string pattern = (std::filesystem::temp_directory_path() / "qrt-device-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    table.resize(vocabulary * vocabulary);
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<float>(std::sin(static_cast<double>(i * i % 1000003)));
    for (const auto &[name, values] :
         {std::pair("ids", std::vector<int64_t>{7, 0, 511}), std::pair("wrong", std::vector<int64_t>{7, 512, 0})}) {
      const int64_t shape[] = {1, 3};
      ASSERT_TRUE(qopt::writeNpy(file(std::string(name) + ".npy"), qopt::NpyType::Int64, shape,
                                 std::as_bytes(std::span(values))));
    }
    const float numbers[] = {1, 2, 3};
    const int64_t shape[] = {3};
    ASSERT_TRUE(qopt::writeNpy(file("x.npy"), qopt::NpyType::Float32, shape, std::as_bytes(std::span(numbers))));
    std::ofstream(file("sim.so"), std::ios::binary) << read(SIM_CODE);
  }
  void TearDown() override {
    if (!folder.empty())
      std::filesystem::remove_all(folder);
  }

  std::string file(const std::string &name) const { return folder + "/" + name; }
  static std::string read(const std::string &path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  /// Writes m.qmod.
  void writeModule(const ModuleParts &parts = {}) const {
    using namespace qopt;
    ModuleInfo info;
    info.producer = "test";
    info.model = "table";
    info.contextLength = 64;
    info.vocabularySize = vocabulary;
    if (parts.entry == "forward") {
      std::vector<Dimension> tokens = {{-1, "batch"}, {-1, "seq"}};
      info.entryPoints = {
          {"forward",
           {{"input_ids", ElementType::I64, tokens, Role::TokenIds}},
           {{"logits", ElementType::F32, {{-1, "batch"}, {-1, "seq"}, {vocabulary, ""}}, Role::Logits}}}};
      if (parts.grows)
        for (const char *name : {"prefill", "decode"}) {
          Dimension length = name[0] == 'p' ? Dimension{-1, "seq"} : Dimension{1, ""};
          info.entryPoints.push_back(
              {name,
               {{"input_ids", ElementType::I64, {{-1, "batch"}, length}, Role::TokenIds},
                {"past_length", ElementType::I64, {{1, ""}}, Role::PastLength},
                {"cache.0.key", ElementType::F32, {{-1, "batch"}, {1, ""}, {-1, "capacity"}, {1, ""}}, Role::KeyCache}},
               {{"logits", ElementType::F32, {{-1, "batch"}, {1, ""}, {vocabulary, ""}}, Role::LastLogits}}});
        }
    } else {
      std::vector<TensorInfo> vector = {{"x", ElementType::F32, {{-1, "n"}}}};
      info.entryPoints = {{parts.entry, vector, vector}};
    }
    int64_t bytes = static_cast<int64_t>(table.size() * sizeof(float));
    info.parameters = {{"table", ElementType::F32, {vocabulary, vocabulary}, 0, bytes},
                       {"vocabulary", ElementType::I64, {}, 0, static_cast<int64_t>(sizeof vocabulary)}};
    info.kernels = parts.kernels;
    std::vector<std::pair<std::string, std::string>> sections;
    if (parts.withHost)
      sections.emplace_back("host:x86-64-v3", read(HOST_CODE));
    if (parts.withCuda)
      sections.emplace_back("host:cuda", read(CUDA_HOST_CODE));
    if (!parts.ptx.empty())
      sections.emplace_back("ptx", parts.ptx);
    if (!parts.hopperPtx.empty())
      sections.emplace_back("ptx:sm_90a", parts.hopperPtx);
    for (const std::string &arch : parts.cubins)
      sections.emplace_back("cubin:" + arch, std::string("\x7f"
                                                         "ELF\n.text.look_up\n.text.nothing\n.text.trap\n\0",
                                                         44));
    if (parts.withSim)
      sections.emplace_back("sim", read(SIM_CODE));
    if (parts.grows)
      sections.emplace_back("tokenizer", read(QOPT_TEST_INPUTS "/stories260K/tokenizer.json"));
    std::vector<ModuleWriter::Payload> payloads;
    for (const auto &[name, content] : sections)
      payloads.push_back({name, content});
    const int64_t size = vocabulary;
    std::span<const char> weights[] = {{reinterpret_cast<const char *>(table.data()), static_cast<size_t>(bytes)},
                                       {reinterpret_cast<const char *>(&size), sizeof size}};
    Status status = ModuleWriter::write(file("m.qmod"), info, payloads, weights);
    ASSERT_TRUE(status) << status.error().message;
  }

  /// qrun with these arguments after m.qmod; `settings` are NAME=VALUE for the fake
  /// driver, which is not there without `withDriver`. Its log starts anew.
  Outcome run(const std::string &arguments, const std::string &settings = "", bool withDriver = true) const {
    std::filesystem::remove(file("log"));
    std::string driver =
        withDriver ? "LD_LIBRARY_PATH=" FAKE_CUDA_FOLDER " FAKE_CUDA_LOG=log FAKE_CUDA_SIM=sim.so " : "";
    std::string command = "cd " + folder + " && env -u CUDA_VISIBLE_DEVICES -u CUDA_LAUNCH_BLOCKING " + driver +
                          settings + " " QRUN " m.qmod " + arguments + " 2>err";
    FILE *pipe = ::popen(command.c_str(), "r");
    std::string out;
    for (int c; (c = std::fgetc(pipe)) != EOF;)
      out += static_cast<char>(c);
    int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), out, read(file("err"))};
  }
  std::string log() const { return read(file("log")); }

  /// Lines of the log that begin with `start`.
  int64_t count(const std::string &start) const {
    std::ifstream stream(file("log"));
    int64_t lines = 0;
    for (std::string line; std::getline(stream, line);)
      lines += line.starts_with(start);
    return lines;
  }

  /// Nothing on stdout, one line on stderr.
  static void expectError(const Outcome &outcome, const std::string &message) {
    EXPECT_EQ(outcome.exitCode, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "qrun: error: " + message + "\n");
  }

  /// The logits that --output=. left are rows 7, 0 and 511 of the table.
  void expectLogits() const {
    auto logits = qopt::readNpy(file("logits.npy"));
    ASSERT_TRUE(logits) << logits.error().message;
    ASSERT_EQ(logits->shape, (std::vector<int64_t>{1, 3, vocabulary}));
    const int64_t rows[] = {7, 0, 511};
    for (size_t i = 0; i < 3; ++i)
      for (size_t column = 0; column < vocabulary; ++column)
        ASSERT_EQ(logits->as<float>()[i * vocabulary + column],
                  table[static_cast<size_t>(rows[i]) * vocabulary + column]);
  }

  std::string folder;
  std::vector<float> table;
};

#endif // QOPT_TEST_DEVICE_FIXTURE_H
