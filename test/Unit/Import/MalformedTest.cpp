//===- MalformedTest.cpp - Files that are no models -----------------------===//
#include "ModelBuilder.h"
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace qopt;

namespace {
class MalformedTest : public ImportTest {
protected:
  /// A good model: y = x w.
  static ModelBuilder good() {
    ModelBuilder model;
    model.raw<float>("w", 1, {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    model.node("MatMul", {"x", "w"}, {"y"});
    return model;
  }
  /// The message that `change` of a good model earns.
  std::string errorOf(const std::function<void(ModelBuilder &)> &change) {
    ModelBuilder model = good();
    change(model);
    return importModel(model);
  }
  static pb::TensorProto &w(ModelBuilder &model) { return *model.graph().mutable_initializer(0); }
  /// The good model with its weights elsewhere, where these entries say.
  static ModelBuilder goodWithData(const std::vector<std::pair<std::string, std::string>> &entries) {
    ModelBuilder model = good();
    w(model).clear_raw_data();
    w(model).set_data_location(1);
    for (auto &[key, value] : entries) {
      pb::StringStringEntryProto *entry = w(model).add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return model;
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

TEST_F(MalformedTest, TruncatedAtEveryByte) {
  std::string bytes = good().bytes();
  expectIn(importFile(write("whole.onnx", bytes)), "onnx.MatMul");
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_TRUE(importFile(write("cut.onnx", bytes.substr(0, size))).starts_with("error: ")) << size;
}

TEST_F(MalformedTest, EveryByteChanged) {
  std::string bytes = good().bytes();
  for (size_t i = 0; i < bytes.size(); ++i)
    for (unsigned char change : {0x01, 0x02, 0x04, 0x08, 0x10, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ change);
      importFile(write("changed.onnx", changed)); // any answer but a crash
    }
}

TEST_F(MalformedTest, OtherFormats) {
  expectIn(importFile(write("a", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")), "git-LFS pointer");
  expectIn(importFile(write("a", "GGUF\x03")), "is a GGUF file, not an ONNX model: export");
  expectIn(importFile(write("a", std::string("\x09\0\0\0\0\0\0\0{\"a\":{}} ", 17))), "is a safetensors file");
  expectIn(importFile(write("a", std::string("\x08\0\0\0\0\0\0\0{\"a\":{}}", 16))), "is a safetensors file");
  expectIn(importFile(write("a", "\x80\x04\x95\x01")), "is a Python pickle");
  expectIn(importFile(write("a", "\x80\x02\x8a\x0a")), "is a Python pickle");
  expectIn(importFile(write("a", "PK\x03\x04 archive/data.pkl")), "is a PyTorch checkpoint");
  expectIn(importFile(write("a", "PK\x03\x04 model.onnx")), "is a zip archive, not an ONNX model: unpack it");
  expectIn(importFile(write("a", "\x1f\x8b\x08")), "is compressed by gzip");
  expectIn(importFile(write("a", std::string(257, 'm') + "ustar")), "is a tar archive");
  expectIn(importFile(write("a", "QMOD\r\n\x1a\n")), "is a module that qopt has made");
  expectIn(importFile(write("a", std::string("\x1c\0\0\0ORTM", 8))), "onnxruntime's own format");
  expectIn(importFile(write("a", "\xef\xbb\xbf\n{\"model_type\": 1}")), "is JSON text");
  expectIn(importFile(write("a", "<!DOCTYPE HTML>")), "is an HTML page, not an ONNX model");
  expectIn(importFile(write("a", "\x63\x2b\x11\x3d")), "not an ONNX model: protobuf group in field 12 at byte 0; if it "
                                                       "holds the weights of a model, give the .onnx file");
  // A model whose producer has such a name is one.
  expectIn(importFile(write("a", "\x08\x08\x12\x04ORTM")), "model has no graph");
  expectIn(importFile(write("a", "ir_version: 8\n")), "not an ONNX model");
  expectIn(importFile(write("a", "")), "model has no graph");
  expectIn(importFile(directory.file("absent")), "cannot open");
  expectIn(importFile(directory.file("")), "is a directory: give the .onnx file in it");
  ASSERT_EQ(::mkfifo(directory.file("pipe").c_str(), 0600), 0);
  expectIn(importFile(directory.file("pipe")), "is not a regular file");
}

TEST_F(MalformedTest, OverlongNumbers) {
  expectIn(importFile(write("a", std::string("\x08") + std::string(10, '\xff') + "\x01")),
           "number of more than 64 bits at byte 1");
  expectIn(importFile(write("a", good().bytes() + good().bytes())), "second graph");
}

TEST_F(MalformedTest, Versions) {
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.model.set_ir_version(2); }),
            "error: ir_version 2 is not supported: expected 3 to 14");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.model.mutable_opset_import(0)->set_version(0); }),
            "error: operator set 0 is not supported: expected 1 to 28");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.model.add_opset_import()->set_version(20); }),
            "error: model imports the operator set of domain \"\" twice");
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

TEST_F(MalformedTest, Names) {
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.node("Relu", {"x"}, {"y"}); }),
            "error: Relu1: output \"y\" is already defined by node \"MatMul0\"");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.node("Relu", {"x"}, {"w"}); }),
            "error: Relu1: output \"w\" is already defined by an input or initializer");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.graph().mutable_output(0)->set_name("z"); }),
            "error: z: is a graph output that nothing computes");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { ModelBuilder::addValue(m.graph().add_input(), "x", 1, {}); }),
            "error: x: is a graph input twice");
  EXPECT_EQ(errorOf([](ModelBuilder &m) {
              m.graph().mutable_node(0)->set_name("a\n\x1b\xff");
              m.graph().mutable_node(0)->set_op_type("No");
            }),
            "error: a\\x0a\\x1b\\xff: operator No of domain \"\", operator set 21, is not supported");
}

TEST_F(MalformedTest, CycleNamesItsNodes) {
  EXPECT_EQ(errorOf([](ModelBuilder &m) {
              m.node("Add", {"x", "c"}, {"a"});
              m.node("Relu", {"a"}, {"b"});
              m.node("Neg", {"b"}, {"c"});
            }),
            "error: Add1: is part of a cycle of 3 nodes: Add1 -> Relu2 -> Neg3 -> Add1");
}

TEST_F(MalformedTest, Inputs) {
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.graph().mutable_node(0)->add_input("x"); }),
            "error: MatMul0 (MatMul): expected at most 2 inputs but got 3");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.graph().mutable_node(0)->set_input(0, ""); }),
            "error: MatMul0 (MatMul): input 0 is left out");
  EXPECT_EQ(errorOf([](ModelBuilder &m) {
              m.graph().mutable_node(0)->clear_output();
              m.graph().mutable_output(0)->set_name("x");
            }),
            "error: MatMul0 (MatMul): has no outputs");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { ModelBuilder::attribute(*m.graph().mutable_node(0), "odd", int64_t(1)); }),
            "error: MatMul0 (MatMul): attribute odd is not supported");
  EXPECT_EQ(errorOf([](ModelBuilder &m) { m.node("Concat", {"x", "x"}, {"z"}); }),
            "error: Concat1 (Concat): requires the attribute axis");
  expectIn(
      errorOf([](ModelBuilder &m) { ModelBuilder::add(m.node("Concat", {"x", "x"}, {"z"}), "axis", 3)->set_s("0"); }),
      "error: Concat1 (Concat): ");
  EXPECT_EQ(errorOf([](ModelBuilder &m) {
              m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
            }),
            "error: x: has no shape: at least the number of dimensions must be known");
}

TEST_F(MalformedTest, OutputsMustBeAsDeclared) {
  EXPECT_EQ(errorOf([](ModelBuilder &m) {
              m.graph().mutable_output(0)->Clear();
              ModelBuilder::addValue(m.graph().mutable_output(0), "y", 1, {-1, 3});
            }),
            "error: y: is declared as tensor<?x3xf32> but computed as tensor<?x2xf32>");
}

TEST_F(MalformedTest, UnsupportedStructure) {
  expectIn(errorOf([](ModelBuilder &m) { m.node("If", {"x"}, {"z"}); }),
           "error: If1 (If): requires a condition and two branches");
  expectIn(errorOf([](ModelBuilder &m) {
             m.model.add_functions()->set_name("F");
             m.node("F", {"x"}, {"z"});
           }),
           "error: F1 (F): gives 1 inputs and takes 1 outputs of a function that has 0 and 0");
  expectIn(errorOf([](ModelBuilder &m) { m.graph().add_sparse_initializer()->mutable_values()->set_name("s"); }),
           "error: s: sparse initializers");
}

TEST_F(MalformedTest, InitializerThatIsAnInputIsConstant) {
  ModelBuilder model = good();
  ModelBuilder::addValue(model.graph().add_input(), "w", 1, {4, 2});
  std::string text = importModel(model);
  expectIn(text, "@forward(%arg0: tensor<?x4xf32>");
  EXPECT_EQ(text.find("%arg1"), std::string::npos);
}

/// 100 000 nodes: neither quadratic nor recursive, on a small stack.
TEST_F(MalformedTest, LongChain) {
  ModelBuilder model;
  std::string previous = "x";
  constexpr int kNodes = 100000;
  for (int i = 0; i < kNodes; ++i) {
    std::string next = i + 1 == kNodes ? "y" : "v" + std::to_string(i);
    model.node("Relu", {previous}, {next});
    previous = next;
  }
  // The other way round, so that it must be sorted.
  for (int i = 0; i < kNodes / 2; ++i)
    model.graph().mutable_node()->SwapElements(i, kNodes - 1 - i);
  std::string path = write("chain.onnx", model.bytes());
  struct Work {
    std::string path;
    bool good = false;
  } work{path};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  pthread_t thread;
  auto run = [](void *data) -> void * {
    auto *work = static_cast<Work *>(data);
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string error;
    auto module = importOnnx(work->path, context, {}, error);
    work->good = module && error.empty();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &work), 0);
  pthread_join(thread, nullptr);
  EXPECT_TRUE(work.good);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

TEST_F(MalformedTest, TensorData) {
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).add_float_data(1); }), "error: w: has data in two places");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).clear_raw_data(); }),
            "error: w: the shape needs 32 bytes but it has no data");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).clear_raw_data(), w(m).add_float_data(1); }),
            "error: w: the shape needs 8 elements but the data has 1");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).clear_raw_data(), w(m).add_int64_data(1); }),
            "error: w: has 1 elements in a field that is not for FLOAT");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).set_raw_data(std::string(33, 0)); }),
            "error: w: the shape needs 32 bytes but raw_data has 33");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).set_dims(0, int64_t(1) << 40); }),
            "error: w: the shape needs 8796093022208 bytes but raw_data has 32");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).set_data_type(99); }), "error: w: element type 99 is not supported");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).set_data_type(8); }), "error: w: element type STRING is not supported");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) { w(m).set_data_location(2); }), "error: w: unknown data location 2");
  EXPECT_EQ(errorOf([&](ModelBuilder &m) {
              for (int i = 0; i < 70; ++i)
                w(m).add_dims(1);
            }),
            "error: w: has 72 dimensions; expected at most 64");
}

TEST_F(MalformedTest, ValuesMustBeFinite) {
  auto with = [&](int type, auto value) {
    return errorOf([&](ModelBuilder &m) {
      w(m).set_data_type(type);
      std::vector<decltype(value)> values(8, 0);
      values[5] = value;
      w(m).set_raw_data(values.data(), values.size() * sizeof(value));
      m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(type);
      m.graph().mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    });
  };
  EXPECT_EQ(with(1, NAN), "error: w: element 5 of 8 is NaN");
  EXPECT_EQ(with(1, -INFINITY), "error: w: element 5 of 8 is infinite");
  EXPECT_EQ(with(11, double(NAN)), "error: w: element 5 of 8 is NaN");
  EXPECT_EQ(with(10, uint16_t(0x7c00)), "error: w: element 5 of 8 is infinite");
  EXPECT_EQ(with(16, uint16_t(0xffc0)), "error: w: element 5 of 8 is NaN");

  // A mask is infinite for good reason.
  ModelBuilder mask;
  mask.raw<float>("m", 1, {4}, {0, -INFINITY, 0, 0});
  mask.node("Add", {"x", "m"}, {"y"});
  expectIn(importModel(mask), "onnx.Add");
}

//===----------------------------------------------------------------------===//
// External data
//===----------------------------------------------------------------------===//

TEST_F(MalformedTest, ExternalData) {
  write("w.bin", std::string(32, '\0'));
  auto external = [&](const std::vector<std::pair<std::string, std::string>> &entries) {
    return importModel(goodWithData(entries));
  };
  expectIn(external({{"location", "w.bin"}}), "onnx.MatMul");
  expectIn(external({{"location", "./w.bin"}, {"checksum", "0"}}), "onnx.MatMul");
  expectIn(external({}), "there is no location");
  expectIn(external({{"location", "w.bin"}, {"offset", "1"}}), "(32 bytes at offset 1): the file has 32 bytes");
  expectIn(external({{"location", "w.bin"}, {"offset", " 0"}}), "as offset but got \" 0\"");
  expectIn(external({{"location", "w.bin"}, {"offset", "0"}, {"offset", "0"}}), "two entries \"offset\"");
  expectIn(external({{"location", "w.bin"}, {"colour", "red"}}), "unknown entry \"colour\"");
  expectIn(external({{"location", "w.bin"}, {"length", "99999999999999999999"}}), "as length but got");
  expectIn(external({{"location", "/dev/zero"}}), "the path is absolute");
  expectIn(external({{"location", "../" + directory.file("w.bin")}}), "leaves the model's directory");
  ASSERT_EQ(::mkfifo(directory.file("pipe").c_str(), 0600), 0);
  expectIn(external({{"location", "pipe"}}), "is not a regular file");
  ASSERT_EQ(::symlink("/dev/zero", directory.file("zero").c_str()), 0);
  expectIn(external({{"location", "zero"}}), "leaves the model's directory");
}

TEST_F(MalformedTest, DataMayLieInADirectoryThatTheUserNames) {
  ModelBuilder model = goodWithData({{"location", "model.data"}});
  for (const char *folder : {"model", "data"})
    ASSERT_EQ(::mkdir(directory.file(folder).c_str(), 0700), 0);
  std::string path = write("model/model.onnx", model.bytes());
  auto errorWith = [&](const std::string &dataDirectory) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string error;
    (void)importOnnx(path, context, {.dataDirectory = dataDirectory}, error);
    return error;
  };
  expectIn(errorWith(directory.file("data")), "cannot open");
  write("data/model.data", std::string(32, '\0'));
  EXPECT_EQ(errorWith(directory.file("data")), "");
  expectIn(errorWith(""), "cannot open");
  // Not out of that directory, though; and what is beside the model is found with it, too.
  ASSERT_EQ(::rename(directory.file("data/model.data").c_str(), directory.file("outside").c_str()), 0);
  ASSERT_EQ(::symlink("../outside", directory.file("data/model.data").c_str()), 0);
  EXPECT_NE(errorWith(directory.file("data")), "");
  write("model/model.data", std::string(32, '\0'));
  EXPECT_EQ(errorWith(directory.file("data")), "");
}

/// Hugging Face's cache: snapshots/X/model.onnx -> ../../blobs/HASH, the data likewise.
TEST_F(MalformedTest, ModelAndDataMayBeLinksIntoOneDirectory) {
  ModelBuilder model = goodWithData({{"location", "model.data"}});
  ASSERT_EQ(::mkdir(directory.file("blobs").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir(directory.file("snapshot").c_str(), 0700), 0);
  write("blobs/0123", model.bytes());
  write("blobs/4567", std::string(32, '\0'));
  ASSERT_EQ(::symlink("../blobs/0123", directory.file("snapshot/model.onnx").c_str()), 0);
  ASSERT_EQ(::symlink("../blobs/4567", directory.file("snapshot/model.data").c_str()), 0);
  expectIn(importFile(directory.file("snapshot/model.onnx")), "onnx.MatMul");
  // Not out of that directory, though.
  ASSERT_EQ(::unlink(directory.file("snapshot/model.data").c_str()), 0);
  write("outside", std::string(32, '\0'));
  ASSERT_EQ(::symlink("../outside", directory.file("snapshot/model.data").c_str()), 0);
  expectIn(importFile(directory.file("snapshot/model.onnx")), "leaves the model's directory");
}
