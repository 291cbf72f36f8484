#include "lib/Module/Layout.h"
#include "qopt/Runtime/Abi.h"
#include "qopt/Support/Sha256.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <unistd.h>

using namespace qopt;
namespace fs = std::filesystem;

namespace {
class ModuleFile : public ::testing::Test {
protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("qopt-module-test-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    path = (folder / "a.qmod").string();
  }
  void TearDown() override { fs::remove_all(folder); }

  ModuleInfo exampleInfo() const {
    ModuleInfo info;
    info.producer = "qopt 0.1.0";
    info.model = "model \"x\" \xc3\xa4.onnx";
    info.pipeline = "gptq-int4{group-size=32}";
    info.contextLength = 512;
    info.vocabularySize = 2048;
    info.text = {"config.json", 1, "generation_config.json", {2, 7}, "../genai_config.json", "{}", "config.json"};
    info.entryPoints = {{"forward",
                         {{"input_ids", ElementType::I64, {{-1, "batch"}, {-1, "seq"}}, Role::TokenIds}},
                         {{"logits", ElementType::F32, {{-1, "batch"}, {-1, "seq"}, {2048, ""}}, Role::Logits}}}};
    info.parameters = {{"codes", ElementType::U8, {3, 5}, 0, 15},
                       {"scales", ElementType::F16, {3}, 0, 6},
                       {"none", ElementType::F32, {0, 4}, 0, 0}};
    info.kernels = {{"matmul_w8a8$1", 49152, {{"sm_80", 96, 0}, {"sm_90a", 168, 8}}}, {"rms_norm", 0, {}, "sm_90a"}};
    info.layers = {{"model.layers.0.mlp.up_proj", "gptq-int4", 3, 10, 4.6, "int8", 8}};
    return info;
  }
  Status writeExample(const std::string &where) const {
    ModuleWriter::Payload sections[] = {{"host:x86-64-v3", code}, {"tokenizer", tokenizer}};
    std::span<const char> weights[] = {codes, scales, {}};
    return ModuleWriter::write(where, exampleInfo(), sections, weights);
  }
  static std::string read(const std::string &where) {
    std::ifstream stream(where, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void write(std::string_view bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  std::string errorOf(std::string_view bytes) const {
    write(bytes);
    auto module = Module::open(path);
    return module ? "" : module.error().message;
  }
  /// Opens the file and compares all of it.
  Status verify() const {
    auto module = Module::open(path);
    if (!module)
      return module.error();
    (*module)->startVerifying();
    return (*module)->verify();
  }
  /// The bytes with a right hash: what a hostile writer could make.
  static std::string sealed(std::string bytes) {
    std::memset(bytes.data() + 32, 0, 32);
    ModulePreamble preamble;
    std::memcpy(&preamble, bytes.data(), sizeof preamble);
    size_t hashed = bytes.size();
    if (preamble.versionMinor >= firstMinorWithChunks && preamble.headerBytes < hashed)
      hashed = std::min(hashed, static_cast<size_t>(headerEnd(static_cast<int64_t>(preamble.headerBytes))));
    Sha256 hash;
    hash.update(std::as_bytes(std::span(bytes).first(hashed)));
    auto digest = hash.finish();
    std::memcpy(bytes.data() + 32, digest.data(), 32);
    return bytes;
  }
  /// A module of 16384 bytes with this JSON header, of version 1.`minor`.
  static std::string withHeader(const std::string &json, uint32_t minor = 0) {
    ModulePreamble preamble = {};
    std::memcpy(preamble.magic, moduleMagic, 8);
    preamble.versionMajor = 1;
    preamble.versionMinor = minor;
    preamble.headerBytes = json.size();
    preamble.fileBytes = 16384;
    std::string bytes(reinterpret_cast<const char *>(&preamble), sizeof preamble);
    bytes += json;
    bytes.resize(16384);
    return sealed(bytes);
  }
  static std::string header(const std::string &sections, const std::string &parameters = "", int64_t context = 1,
                            const std::string &entries = "", const std::string &layers = "") {
    return R"({"producer":"p","model":"m","pipeline":"","context_length":)" + std::to_string(context) +
           R"(,"vocabulary_size":2,"entry_points":[)" + entries + R"(],"parameters":[)" + parameters +
           R"(],"layers":[)" + layers + R"(],"sections":[)" + sections + "]}";
  }

  fs::path folder;
  std::string path;
  std::string code = std::string(100, 'c'), tokenizer = "{}", codes = "0123456789abcde", scales = "ABCDEF";
};
} // namespace

TEST_F(ModuleFile, RoundTrip) {
  ASSERT_TRUE(writeExample(path));
  auto module = Module::open(path);
  ASSERT_TRUE(module) << module.error().message;
  const ModuleInfo &info = (*module)->info(), expected = exampleInfo();
  EXPECT_EQ(info.producer, expected.producer);
  EXPECT_EQ(info.model, expected.model);
  EXPECT_EQ(info.pipeline, expected.pipeline);
  EXPECT_EQ(info.contextLength, 512);
  EXPECT_EQ(info.vocabularySize, 2048);
  EXPECT_EQ(info.text.contextOrigin, "config.json");
  EXPECT_EQ(info.text.beginOfText, 1);
  EXPECT_EQ(info.text.beginOrigin, "generation_config.json");
  EXPECT_EQ(info.text.endOfText, (std::vector<int32_t>{2, 7}));
  EXPECT_EQ(info.text.endOrigin, "../genai_config.json");
  EXPECT_EQ(info.text.rope, "{}");
  EXPECT_EQ(info.text.ropeOrigin, "config.json");
  ASSERT_EQ(info.entryPoints.size(), 1u);
  ASSERT_EQ(info.entryPoints[0].outputs[0].dims.size(), 3u);
  EXPECT_EQ(info.entryPoints[0].outputs[0].dims[0].symbol, "batch");
  EXPECT_EQ(info.entryPoints[0].outputs[0].dims[2].size, 2048);
  EXPECT_EQ(info.entryPoints[0].inputs[0].type, ElementType::I64);
  EXPECT_EQ(info.entryPoints[0].inputs[0].role, Role::TokenIds);
  EXPECT_EQ(info.entryPoints[0].outputs[0].role, Role::Logits);
  ASSERT_EQ(info.layers.size(), 1u);
  EXPECT_EQ(info.layers[0].bitsPerWeight, 4.6);
  EXPECT_EQ(info.layers[0].activations, "int8");
  EXPECT_EQ(info.layers[0].activationGroupSize, 8);
  ASSERT_EQ(info.kernels.size(), 2u);
  EXPECT_EQ(info.kernels[0].name, "matmul_w8a8$1");
  EXPECT_EQ(info.kernels[0].sharedBytes, 49152);
  ASSERT_EQ(info.kernels[0].resources.size(), 2u);
  EXPECT_EQ(info.kernels[0].resources[1].arch, "sm_90a");
  EXPECT_EQ(info.kernels[0].resources[1].registers, 168);
  EXPECT_EQ(info.kernels[0].resources[1].spillBytes, 8);
  EXPECT_EQ(info.kernels[0].arch, "");
  EXPECT_EQ(info.kernels[1].name, "rms_norm");
  EXPECT_EQ(info.kernels[1].arch, "sm_90a");

  auto text = [](std::span<const char> bytes) { return std::string(bytes.begin(), bytes.end()); };
  EXPECT_EQ(text((*module)->section("host:x86-64-v3")), code);
  EXPECT_EQ(text((*module)->section("tokenizer")), tokenizer);
  EXPECT_TRUE((*module)->section("ptx").empty());
  EXPECT_EQ(text((*module)->parameter(0)), codes);
  EXPECT_EQ(text((*module)->parameter(1)), scales);
  EXPECT_TRUE((*module)->parameter(2).empty());
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*module)->parameter(1).data()) % 64, 0u);
  for (const Section &section : (*module)->sections())
    EXPECT_EQ(section.offset % (section.name == "weights" ? 4096 : 64), 0) << section.name;
  EXPECT_EQ((*module)->fileBytes() % 64, 0);
}

TEST_F(ModuleFile, SameContentSameBytes) {
  ASSERT_TRUE(writeExample(path));
  ASSERT_TRUE(writeExample(path + "2"));
  EXPECT_EQ(read(path), read(path + "2"));
}

TEST_F(ModuleFile, EveryFlippedBitIsFound) {
  ASSERT_TRUE(writeExample(path));
  const std::string good = read(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  auto put = [&](size_t position, int byte) {
    file.seekp(static_cast<std::streamoff>(position)).put(static_cast<char>(byte)).flush();
  };
  for (size_t i = 0; i < good.size(); ++i) {
    put(i, good[i] ^ (1 << i % 8));
    Status status = verify();
    ASSERT_FALSE(status) << "byte " << i;
    ASSERT_EQ(status.error().message.find('\n'), std::string::npos) << status.error().message;
    put(i, good[i]);
  }
  EXPECT_TRUE(verify());
}

TEST_F(ModuleFile, EveryTruncationAndExtensionIsFound) {
  ASSERT_TRUE(writeExample(path));
  const std::string good = read(path);
  for (size_t length = good.size(); length-- > 0;) {
    fs::resize_file(path, length);
    ASSERT_FALSE(Module::open(path)) << length;
  }
  EXPECT_NE(errorOf(good + '\0').find("but its header says"), std::string::npos);
}

TEST_F(ModuleFile, OtherFilesAreNamed) {
  EXPECT_NE(errorOf("").find("only 0 bytes"), std::string::npos);
  EXPECT_NE(errorOf("version https://git-lfs.github.com/spec/v1\n").find("git-lfs"), std::string::npos);
  EXPECT_NE(errorOf(std::string(200, 'x')).find("first 8 bytes"), std::string::npos);
  EXPECT_FALSE(Module::open(folder.string()));
  EXPECT_FALSE(Module::open(path + ".missing"));
}

TEST_F(ModuleFile, VersionsAreCompared) {
  ASSERT_TRUE(writeExample(path));
  std::string newer = read(path);
  newer[12] = 7; // minor
  EXPECT_EQ(errorOf(sealed(newer)), "has format version 1.7, but this program reads 1.0 to 1.6");
  newer[8] = 2; // major
  EXPECT_EQ(errorOf(sealed(newer)), "has format version 2.7, but this program reads 1.0 to 1.6");
}

// From version 1.4 on weights are compared later, but nothing that could do harm is.
TEST_F(ModuleFile, WeightsAreComparedBesideTheWork) {
  ModuleInfo info = exampleInfo();
  const int64_t large = 3 * hashedChunkBytes;
  info.parameters = {{"codes", ElementType::I8, {large}, 0, large},
                     {"columns", ElementType::I32, {16}, 0, 64},
                     {"scales", ElementType::F16, {large / 2}, 0, large}};
  std::string codes(large, 'x'), columns(64, 'y'), scales(large, 'z');
  std::span<const char> weights[] = {codes, columns, scales};
  ModuleWriter::Payload sections[] = {{"host:x86-64-v3", code}};
  ASSERT_TRUE(ModuleWriter::write(path, info, sections, weights));
  const std::string good = read(path);
  EXPECT_TRUE(verify());
  auto damaged = [&](char what, size_t more) {
    std::string bytes = good;
    bytes[bytes.find(std::string(32, what)) + more] ^= 1;
    return bytes;
  };
  const std::string message = "is damaged: its SHA-256 does not match its " + std::to_string(good.size()) + " bytes";
  EXPECT_EQ(errorOf(damaged('c', 0)), message + " in host:x86-64-v3, weights") << "code";
  EXPECT_EQ(errorOf(damaged('y', 3)), message + " in weights") << "integers that may be places";
  for (size_t place : {size_t(hashedChunkBytes), size_t(large) - 1}) {
    EXPECT_EQ(errorOf(damaged('z', place)), "") << "numbers";
    ASSERT_FALSE(verify());
    EXPECT_EQ(verify().error().message, message + " in weights");
  }
  // Nobody waits for what nobody asks for.
  auto module = Module::open(path);
  ASSERT_TRUE(module);
  (*module)->startVerifying();
  module = Error{""};
}

TEST_F(ModuleFile, HostileTablesOfHashes) {
  const std::string zeros(64, '0'), weights = R"({"name":"weights","offset":12288,"bytes":256})";
  auto table = [&](const std::string &bytes, const std::string &hashes, const std::string &sections) {
    std::string json = header(sections);
    return json.insert(json.size() - 1, R"(,"kernels":[],"chunk_bytes":)" + bytes + R"(,"chunk_hashes":)" + hashes);
  };
  auto list = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += (i ? ",\"" : "\"") + zeros + "\"";
    return "[" + text + "]";
  };
  const std::pair<std::string, const char *> cases[] = {
      {header(""), "'kernels' is missing"},
      {table("4096", list(3), weights), "has 3 hashes of chunks of 4096 bytes, but its 16384 bytes need 4"},
      {table("0", list(4), weights), "'chunk_bytes' is 0, not from 4096 to 1073741824"},
      {table("9223372036854775807", list(1), weights), "'chunk_bytes' is 9223372036854775807, not from 4096"},
      {table("-1", list(4), weights), "'chunk_bytes' is not an integer"},
      {table("4096", "3", weights), "'chunk_hashes' is not a list"},
      {table("16384", "[3]", weights), "'chunk_hashes' is not a list of 64 hexadecimal digits each"},
      {table("16384", "[\"" + zeros.substr(1) + "g\"]", weights), "64 hexadecimal digits"},
      {table("16384", "[\"" + zeros.substr(1) + "\"]", weights), "64 hexadecimal digits"},
      {table("4096", list(4), R"({"name":"a","offset":8192,"bytes":1})"), "has no section 'weights' at its end"},
      {table("4096", list(4), weights), "is damaged: its SHA-256 does not match its 16384 bytes"},
  };
  for (const auto &[json, expected] : cases) {
    std::string message = errorOf(withHeader(json, 4));
    EXPECT_NE(message.find(expected), std::string::npos) << json << "\n  gave: " << message;
  }
}

// Version 1.0 had no table of kernels; 1.1 must have one, 1.2 with their architectures.
TEST_F(ModuleFile, KernelsAreThereFromVersion1_1On) {
  EXPECT_EQ(errorOf(withHeader(header(""), 0)), "");
  EXPECT_EQ(errorOf(withHeader(header(""), 1)), "header field 'kernels' is missing");
  auto kernel = [](const std::string &more) {
    std::string json = header("");
    return json.insert(json.size() - 1, R"(,"kernels":[{"name":"a","shared_bytes":0,"resources":[])" + more + "}]");
  };
  EXPECT_EQ(errorOf(withHeader(kernel(""), 1)), "");
  EXPECT_EQ(errorOf(withHeader(kernel(""), 2)), "header field 'arch' is missing");
  EXPECT_EQ(errorOf(withHeader(kernel(R"(,"arch":"")"), 2)), "");
  EXPECT_EQ(errorOf(withHeader(kernel(R"(,"arch":"sm 90")"), 2)), "kernel 'a' has the impossible architecture 'sm 90'");
}

// Up to version 1.2 names and types tell what inputs and outputs are, from 1.3 on their roles.
TEST_F(ModuleFile, RolesAreThereFromVersion1_3On) {
  auto tensor = [](const std::string &name, const std::string &type, const std::string &dims,
                   const std::string &role = "") {
    return R"({"name":")" + name + R"(","type":")" + type + R"(","dims":[)" + dims + "]" +
           (role.empty() ? "" : R"(,"role":")" + role + "\"") + "}";
  };
  auto entry = [](const std::string &inputs, const std::string &outputs) {
    std::string json = header("", "", 1, R"({"name":"f","inputs":[)" + inputs + R"(],"outputs":[)" + outputs + "]}");
    return json.insert(json.size() - 1, R"(,"kernels":[])");
  };
  const std::string table = R"("b","s")", past = R"("b",2,"p",4)", cache = R"("b",2,"c",4)", wide = R"("b","s",8)";
  std::string old = entry(tensor("input_ids", "i64", table) + "," + tensor("position_ids", "i32", table) + "," +
                              tensor("attention_mask", "bool", table) + "," + tensor("token_type_ids", "i64", table) +
                              "," + tensor("x.key", "f16", past) + "," + tensor("x.value", "f16", past) + "," +
                              tensor("cache.0.key", "f32", cache) + "," + tensor("cache.0.value", "f32", cache) + "," +
                              tensor("past_length", "i64", "1"),
                          tensor("states", "f32", wide) + "," + tensor("logits", "f32", wide));
  write(withHeader(old, 2));
  auto module = Module::open(path);
  ASSERT_TRUE(module) << module.error().message;
  std::vector<Role> inputs, outputs;
  for (const TensorInfo &info : (*module)->info().entryPoints[0].inputs)
    inputs.push_back(info.role);
  for (const TensorInfo &info : (*module)->info().entryPoints[0].outputs)
    outputs.push_back(info.role);
  EXPECT_EQ(inputs, (std::vector{Role::TokenIds, Role::PositionIds, Role::AttentionMask, Role::Other, Role::PastKey,
                                 Role::PastValue, Role::KeyCache, Role::ValueCache, Role::PastLength}));
  EXPECT_EQ(outputs, (std::vector{Role::Other, Role::Logits}));
  // Without the name it is the first that could be; with caches the last token's.
  const std::string lastRow = R"("b",1,8)";
  write(withHeader(entry(tensor("cache.0.key", "f32", cache), tensor("y", "f32", lastRow)), 2));
  module = Module::open(path);
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ((*module)->info().entryPoints[0].outputs[0].role, Role::LastLogits);

  EXPECT_EQ(errorOf(withHeader(old, 3)), "header field 'role' is missing");
  EXPECT_EQ(errorOf(withHeader(entry(tensor("x", "i64", table, "token_ids"), ""), 3)), "");
  EXPECT_EQ(errorOf(withHeader(entry(tensor("x", "i64", table, "ids\\n"), ""), 3)),
            "header field 'role' is 'ids\\x0a', which is not known");
  EXPECT_EQ(errorOf(withHeader(entry(tensor("x", "f32", wide, "logits"), ""), 3)),
            "entry point 'f', 'x': has the role logits, which no input has");
  EXPECT_EQ(errorOf(withHeader(entry("", tensor("x", "i64", table, "token_ids")), 3)),
            "entry point 'f', 'x': has the role token_ids, which no output has");
}

TEST_F(ModuleFile, HostileKernelTables) {
  auto table = [](const std::string &kernels) {
    std::string json = header("");
    return json.insert(json.size() - 1, R"(,"kernels":)" + kernels);
  };
  auto kernel = [](const std::string &name, const std::string &shared, const std::string &resources = "") {
    return R"({"name":)" + name + R"(,"shared_bytes":)" + shared + R"(,"resources":[)" + resources + "]}";
  };
  auto resources = [](const std::string &arch, const std::string &registers, const std::string &spills) {
    return R"({"arch":")" + arch + R"(","registers":)" + registers + R"(,"spill_bytes":)" + spills + "}";
  };
  const std::string good = kernel("\"a\"", "49152", resources("sm_80", "255", "0"));
  EXPECT_EQ(errorOf(withHeader(table("[" + good + "]"), 1)), "");
  const std::pair<std::string, const char *> cases[] = {
      {"{}", "'kernels' is not a list"},
      {"[3]", "'name' is missing"},
      {"[" + kernel("3", "0") + "]", "'name' is not a string"},
      {"[" + kernel("\"\"", "0") + "]", "kernel '' has no proper name"},
      {"[" + kernel("\"a\\u0000b\"", "0") + "]", "has no proper name"},
      {"[" + kernel("\"../a\"", "0") + "]", "kernel '../a' has no proper name"},
      {"[" + good + "," + good + "]", "kernel 'a' has no proper name or occurs twice"},
      {"[" + kernel("\"a\"", "-1") + "]", "'shared_bytes' is not an integer from 0"},
      {"[" + kernel("\"a\"", "1048577") + "]", "kernel 'a' needs 1048577 bytes of shared memory, more than 1048576"},
      {"[" + kernel("\"a\"", "0", resources("sm_80", "256", "0")) + "]", "impossible resources for 'sm_80'"},
      {"[" + kernel("\"a\"", "0", resources("", "1", "0")) + "]", "impossible resources for ''"},
      {"[" + kernel("\"a\"", "0", resources("sm_80", "1", "-1")) + "]", "'spill_bytes' is not an integer from 0"},
      {"[" + kernel("\"a\"", "0", resources("sm_80", "1", "0") + "," + resources("sm_80", "1", "0")) + "]",
       "impossible resources for 'sm_80'"},
  };
  for (const auto &[kernels, expected] : cases) {
    std::string message = errorOf(withHeader(table(kernels), 1));
    EXPECT_NE(message.find(expected), std::string::npos) << kernels << "\n  gave: " << message;
  }
}

TEST_F(ModuleFile, HostileHeadersWithTheRightHash) {
  const std::string host = R"({"name":"host","offset":8192,"bytes":100})";
  const std::string weights = R"({"name":"weights","offset":12288,"bytes":256})";
  const std::string layer =
      R"({"name":"l","scheme":"s","out_features":2305843009213693952,"in_features":3,"bits_per_weight":4})";
  EXPECT_EQ(errorOf(withHeader(header(host, "", 1, "", layer))), "");
  const std::string tensor = R"({"name":"t","type":"f32","dims":[-1]})";
  EXPECT_EQ(errorOf(withHeader(header(host + "," + weights))), "");
  const std::pair<std::string, const char *> cases[] = {
      {"{", "is not a JSON object"},
      {"[1]", "is not a JSON object"},
      {"{}", "'producer' is missing"},
      {std::string(3000, '['), "nested more than"},
      {R"({"producer":)" + std::string(3000, '[') + std::string(3000, ']') + "}", "nested more than"},
      {R"({"producer":3})", "'producer' is not a string"},
      {header(host, "", -1), "'context_length' is not an integer from 0"},
      {header(weights + "," + host), "overlaps"},
      {header(host + "," + host), "occurs twice"},
      {header(R"({"name":"a","offset":8192,"bytes":100},{"name":"b","offset":8256,"bytes":1})"), "overlaps"},
      {header(R"({"name":"a","offset":8200,"bytes":100})"), "not aligned to 64"},
      {header(R"({"name":"weights","offset":8256,"bytes":100})"), "not aligned to 4096"},
      {header(R"({"name":"a","offset":0,"bytes":100})"), "overlaps"},
      {header(R"({"name":"a","offset":16384,"bytes":1})"), "does not fit in 16384"},
      {header(R"({"name":"a","offset":64,"bytes":9223372036854775807})"), "does not fit"},
      {header(R"({"name":"a","offset":64,"bytes":9223372036854775808})"), "not an integer from 0"},
      {header(R"({"name":"a","offset":1e3,"bytes":1})"), "not an integer from 0"},
      {header(R"({"name":"","offset":8192,"bytes":1})"), "has no name"},
      {header(weights, R"({"name":"p","type":"f32","dims":[64],"offset":64,"bytes":256})"), "does not fit in 256"},
      {header(weights, R"({"name":"p","type":"f32","dims":[8],"offset":4,"bytes":32})"), "not aligned to 64"},
      {header(weights, R"({"name":"p","type":"f32","dims":[8],"offset":0,"bytes":31})"), "its shape needs 32"},
      {header(weights, R"({"name":"p","type":"f33","dims":[8],"offset":0,"bytes":32})"), "'f33', which is not known"},
      {header(weights, R"({"name":"p","type":"f32","dims":[4294967296,4294967296],"offset":0,"bytes":0})"),
       "impossible shape"},
      {header("", R"({"name":"p","type":"u8","dims":[8],"offset":0,"bytes":8})"), "does not fit in 0"},
      {header(host, "", 1, R"({"name":"f","inputs":[)" + tensor + R"(],"outputs":[]})"), "not an integer from 0"},
      {header(host, "", 1, R"({"name":"","inputs":[],"outputs":[]})"), "no proper name"},
      {header(host, "", 1,
              R"({"name":"f","inputs":[{"name":"t","type":"f32","dims":[1,1,1,1,1,1,1,1,1]}],"outputs":[]})"),
       "9 dimensions"},
      {header(host, "", 1, "", layer + "," + layer), "'l' of 2305843009213693952 x 3 makes more than 92"},
  };
  for (const auto &[json, expected] : cases) {
    std::string message = errorOf(withHeader(json));
    EXPECT_NE(message.find(expected), std::string::npos) << json.substr(0, 300) << "\n  gave: " << message;
  }
}

TEST_F(ModuleFile, HeaderLengthIsChecked) {
  std::string bytes = withHeader(header(""));
  for (uint64_t length : {uint64_t(16384), uint64_t(1) << 63, ~uint64_t(0)}) {
    std::memcpy(bytes.data() + 16, &length, 8);
    EXPECT_NE(errorOf(sealed(bytes)).find("too few for a header"), std::string::npos);
  }
}

TEST_F(ModuleFile, WriterRefusesWhatReaderWould) {
  ASSERT_TRUE(writeExample(path));
  const std::string before = read(path);
  ModuleInfo info = exampleInfo();
  std::span<const char> tooShort[] = {codes, std::span<const char>(scales).first(5), {}};
  EXPECT_FALSE(ModuleWriter::write(path, info, {}, tooShort));
  std::span<const char> right[] = {codes, scales, {}};
  EXPECT_FALSE(ModuleWriter::write(path, info, {}, std::span(right).first(2)));
  info.parameters[1].dims = {4};
  EXPECT_FALSE(ModuleWriter::write(path, info, {}, right));
  ModuleWriter::Payload twice[] = {{"a", code}, {"a", code}};
  EXPECT_FALSE(ModuleWriter::write(path, exampleInfo(), twice, right));
  EXPECT_FALSE(ModuleWriter::write((folder / "missing" / "a.qmod").string(), exampleInfo(), {}, right));
  EXPECT_EQ(read(path), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1) << "a temporary was left";
}

namespace {

/// Makes two parameters of so many bytes, in parts of `step`; part `bad` fails.
class Pattern : public ParameterSource {
public:
  Pattern(size_t first, int64_t bytes, int64_t step, int64_t bad = -1)
      : first(first), bytes(bytes), step(step), bad(bad) {}
  static char at(size_t parameter, int64_t i) {
    return static_cast<char>(i * 7 + i / 1000 + static_cast<int64_t>(parameter));
  }

  std::vector<size_t> parameters() const override { return {first, first + 1}; }
  int64_t numParts() const override { return (bytes + step - 1) / step; }
  Status make(int64_t part, const Put &put) override {
    if (part == bad)
      return Error{"cannot make part " + std::to_string(part)};
    int64_t begin = part * step, end = std::min(bytes, begin + step);
    for (size_t parameter : parameters()) {
      std::vector<char> made;
      for (int64_t i = begin; i < end; ++i)
        made.push_back(at(parameter, i));
      if (Status status = put(parameter, begin, made); !status)
        return status;
    }
    return {};
  }
  void finish() override { ++finished; }
  int finished = 0;

private:
  size_t first;
  int64_t bytes, step, bad;
};

} // namespace

TEST_F(ModuleFile, PartsAreWrittenWhereTheyBelong) {
  // Chunks of hashes end within parts, and parts within chunks.
  constexpr int64_t kBytes = (1 << 20) + 12345;
  ModuleInfo info;
  std::vector<std::vector<char>> data;
  for (size_t i = 0; i < 5; ++i) {
    info.parameters.push_back({"p" + std::to_string(i), ElementType::U8, {kBytes}, 0, kBytes});
    std::vector<char> &bytes = data.emplace_back(kBytes);
    for (int64_t j = 0; j < kBytes; ++j)
      bytes[j] = Pattern::at(i, j);
  }
  ModuleWriter::Payload sections[] = {{"host:x86-64-v3", code}};
  std::vector<std::span<const char>> all(data.begin(), data.end()), some = {{}, {}, data[2], {}, {}};
  ASSERT_TRUE(ModuleWriter::write(path, info, sections, all));
  const std::string expected = read(path);
  ASSERT_TRUE(verify());
  for (int threads : {1, 3})
    for (int64_t step : {1000, 300000, 1 << 24}) {
      Pattern a(0, kBytes, step), b(3, kBytes, step);
      ParameterSource *sources[] = {&a, &b};
      ASSERT_TRUE(ModuleWriter::write(path, info, sections, some, sources, threads));
      EXPECT_EQ(read(path), expected) << threads << " threads, steps of " << step;
      EXPECT_EQ(a.finished + b.finished, 2);
    }

  // What fails leaves the file as it was.
  Pattern a(0, kBytes, 1000), b(3, kBytes, 1000, /*bad=*/7);
  ParameterSource *sources[] = {&a, &b};
  Status status = ModuleWriter::write(path, info, sections, some, sources, 2);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "cannot make part 7");
  EXPECT_EQ(read(path), expected);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1) << "a temporary was left";
  Pattern c(0, kBytes, 1000), d(3, kBytes, 1000);
  ParameterSource *again[] = {&c, &d};
  EXPECT_TRUE(ModuleWriter::write("/dev/null", info, sections, some, again, 2));
}
