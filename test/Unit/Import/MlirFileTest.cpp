//===- MlirFileTest.cpp - MLIR that nobody should have to survive ---------===//
#include "qopt/Import/MlirFile.h"
#include "../Support/TemporaryDirectory.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Import/Import.h"
#include "qopt/Support/Sha256.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt;

namespace {

class MlirFile : public ::testing::Test {
protected:
  MlirFile() : context(registry()) {}

  static DialectRegistry registry() {
    DialectRegistry registry;
    registry.insert<onnx::OnnxDialect, func::FuncDialect, tensor::TensorDialect>();
    return registry;
  }
  /// The message for a file with these bytes; empty where it is read.
  std::string errorOf(const std::string &name, const std::string &bytes) {
    std::string path = directory.write(name, bytes), error;
    if (loadModel(path, context, {}, error))
      return "";
    EXPECT_TRUE(error.starts_with(path)) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
    return error.substr(path.size());
  }
  void expectError(const std::string &name, const std::string &bytes, const std::string &part) {
    std::string error = errorOf(name, bytes);
    EXPECT_NE(error.find(part), std::string::npos) << bytes.substr(0, 200) << "\n  gave: " << error;
  }
  std::string bytecode() {
    std::string error, text = "func.func @forward(%a: tensor<4xf32>) -> tensor<4xf32> {\n"
                              "  %w = onnx.Constant dense_resource<w> : tensor<4xf32>\n"
                              "  %b = onnx.Add %a, %w : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>\n"
                              "  return %b : tensor<4xf32>\n}\n"
                              "{-# dialect_resources: { builtin: { w: \"0x04000000" +
                              std::string(32, '0') + "\" } } #-}\n";
    OwningOpRef<ModuleOp> module = loadModel(directory.write("m.mlir", text), context, {}, error);
    EXPECT_TRUE(module) << error;
    EXPECT_TRUE(bool(writeMlir(*module, directory.file("m.mlirbc"), OpPrintingFlags())));
    return directory.read("m.mlirbc");
  }
  /// With the right digits for what is in it.
  static std::string sealed(std::string bytes) {
    size_t begin = bytes.find("sha256:") + 7;
    bytes.replace(begin, 64, std::string(64, '0'));
    Sha256 hash;
    hash.update(std::as_bytes(std::span(bytes)));
    Sha256::Digest digest = hash.finish();
    return bytes.replace(begin, 64, llvm::toHex(llvm::ArrayRef(reinterpret_cast<uint8_t *>(&digest), 32), true));
  }

  ::TemporaryDirectory directory;
  MLIRContext context;
};

} // namespace

TEST_F(MlirFile, DamagedBytecodeIsFound) {
  const std::string good = bytecode();
  EXPECT_EQ(errorOf("good.mlirbc", good), "");
  EXPECT_EQ(sealed(good), good);
  for (size_t size = 4; size < good.size(); ++size)
    EXPECT_NE(errorOf("cut.mlirbc", good.substr(0, size)), "") << size;
  for (size_t at = 4; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] ^= 4;
    EXPECT_NE(errorOf("flipped.mlirbc", bad), "") << at;
  }
  expectError("cut.mlirbc", good.substr(0, good.size() - 1), "is damaged: its SHA-256 does not match its");
  expectError("unsealed.mlirbc", std::string("ML\xefR\x0dqopt 0.1\0....", 18), "lacks the SHA-256");
}

TEST_F(MlirFile, NewerDialectsAreNamed) {
  const std::string good = bytecode();
  // The version 1.0 of a dialect, as the numbers of bytecode are written, somewhere in it.
  bool isFound = false;
  for (size_t at = 0; (at = good.find("\x03\x01", at)) != std::string::npos && !isFound; ++at) {
    std::string newer = good;
    newer[at] = '\x0b';
    isFound = errorOf("newer.mlirbc", sealed(newer)).find("is of version 5.0, but this program reads 1.0 to 1.0") !=
              std::string::npos;
  }
  EXPECT_TRUE(isFound);
}

TEST_F(MlirFile, BytecodeOfMlirIsReadAndSealed) {
  (void)bytecode();
  std::string error, bytes;
  OwningOpRef<ModuleOp> module = loadModel(directory.file("m.mlirbc"), context, {}, error);
  ASSERT_TRUE(module) << error;
  llvm::raw_string_ostream stream(bytes);
  ASSERT_TRUE(succeeded(writeBytecodeToFile(*module, stream)));
  EXPECT_EQ(errorOf("foreign.mlirbc", bytes), "");
  const std::string good = sealBytecode(bytes);
  EXPECT_EQ(errorOf("sealed.mlirbc", good), "");
  EXPECT_EQ(sealed(good), good);
}

TEST_F(MlirFile, TypesThatNobodySurvives) {
  auto constant = [](const std::string &value) {
    return "func.func @forward() -> tensor<?xf32> {\n  %w = onnx.Constant " + value +
           "\n  %c = tensor.cast %w : tensor<1000000000000xf32> to tensor<?xf32>\n  return %c : tensor<?xf32>\n}\n";
  };
  expectError("splat.mlir", constant("dense<1.0> : tensor<1000000000000xf32>"),
              ":2:8: a constant of type tensor<1000000000000xf32> needs 4000000000000 bytes; expected at most");
  expectError("wraps.mlir", "func.func @forward(%a: tensor<4294967296x4294967296xf32>) { return }\n",
              "needs more bytes than 63 bits can count");
  expectError("wraps.mlir",
              "func.func @forward() {\n  %w = onnx.Constant dense<1> : tensor<4294967296x4294967296xi8>\n  return\n}\n",
              "more than");
  expectError("short.mlir",
              "func.func @forward() {\n  %w = onnx.Constant dense_resource<w> : tensor<4xf32>\n  return\n}\n"
              "{-# dialect_resources: { builtin: { w: \"0x0400000000000000\" } } #-}\n",
              ":2:8: dense resource \"w\" has 4 bytes but tensor<4xf32> needs 16");
  expectError("empty.mlir", "", "holds no operations");
}
