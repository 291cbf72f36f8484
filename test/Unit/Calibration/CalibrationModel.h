//===- CalibrationModel.h - A small model to calibrate --------------------===//
//
// A two-layer model of small integers, so that every sum is exact whatever its
// order, run by the reference evaluator.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_CALIBRATION_CALIBRATIONMODEL_H
#define QOPT_TEST_UNIT_CALIBRATION_CALIBRATIONMODEL_H

#include "ParseModule.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "qopt/Calibration/Calibrator.h"
#include <random>

namespace qopt::test {

using namespace mlir;

inline constexpr int64_t kVocabulary = 11, kHidden = 6, kMiddle = 10;

/// Integers in [-9, 9].
inline Matrix<float> integers(int64_t rows, int64_t cols, unsigned seed) {
  std::mt19937 random(seed);
  Matrix<float> matrix(rows, cols);
  for (float &value : matrix.values)
    value = static_cast<float>(int(random() % 19) - 9);
  return matrix;
}

inline std::string literal(const Matrix<float> &matrix) {
  std::string text = "dense<[";
  for (int64_t r = 0; r < matrix.rows; ++r) {
    text += r ? ", [" : "[";
    for (int64_t c = 0; c < matrix.cols; ++c)
      text += (c ? ", " : "") + std::to_string(matrix(r, c));
    text += "]";
  }
  return text + "]> : tensor<" + std::to_string(matrix.rows) + "x" + std::to_string(matrix.cols) + "xf32>";
}

inline Matrix<float> transposed(const Matrix<float> &matrix) {
  Matrix<float> result(matrix.cols, matrix.rows);
  for (int64_t r = 0; r < matrix.rows; ++r)
    for (int64_t c = 0; c < matrix.cols; ++c)
      result(c, r) = matrix(r, c);
  return result;
}

struct Calibration : Fixture {
  Matrix<float> embedding = integers(kVocabulary, kHidden, 1), up = integers(kHidden, kMiddle, 2),
                down = integers(kMiddle, kHidden, 3);
  std::vector<std::vector<int32_t>> windows;
  CalibrationOptions options;
  std::vector<LayerReport> reports;

  Calibration() {
    std::mt19937 random(4);
    for (int i = 0; i < 5; ++i) {
      windows.emplace_back();
      for (int j = 0; j < 7; ++j)
        windows.back().push_back(random() % kVocabulary);
    }
    options.onLayer = [this](LayerReport layer) { reports.push_back(std::move(layer)); };
  }

  /// down(relu(up(x))), x being embeddings, observed as `statistic` before each linear. With `beside`, x + beside(x)
  /// stands for x, and is added to the result.
  func::FuncOp model(const std::string &statistic, const std::string &scheme, const Matrix<float> *beside = nullptr) {
    const std::string rows = "tensor<?x?x6xf32>", sum = " : (" + rows + ", " + rows + ") -> " + rows + "\n";
    auto linear = [&](const std::string &result, const std::string &input, const std::string &layer,
                      const Matrix<float> &weights) {
      auto values = [](int64_t size) { return "tensor<?x?x" + std::to_string(size) + "xf32>"; };
      std::string matrix = "tensor<" + std::to_string(weights.rows) + "x" + std::to_string(weights.cols) + "xf32>";
      return "%" + layer + " = onnx.Constant " + literal(weights) + "\n%" + layer + "_x = qopt.observe " + input +
             " \"" + layer + "\" [\"" + statistic + "\"] : " + values(weights.rows) + "\n" + result +
             " = onnx.MatMul %" + layer + "_x, %" + layer + " {qopt.layer = \"" + layer +
             "\", qopt.scheme = #qopt.scheme<" + scheme + ">} : (" + values(weights.rows) + ", " + matrix + ") -> " +
             values(weights.cols) + "\n";
    };
    std::string text = "func.func @f(%ids: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>}) -> " + rows +
                       " {\n%e = onnx.Constant " + literal(embedding) +
                       "\n%x = onnx.Gather %e, %ids : (tensor<11x6xf32>, tensor<?x?xi64>) -> " + rows + "\n";
    if (beside)
      text += linear("%p", "%x", "beside", *beside) + "%s = onnx.Add %x, %p" + sum;
    text += linear("%a", beside ? "%s" : "%x", "up", up) +
            "%b = onnx.Relu %a : (tensor<?x?x10xf32>) -> tensor<?x?x10xf32>\n" + linear("%c", "%b", "down", down);
    if (beside)
      text += "%y = onnx.Add %c, %s" + sum;
    return parse(text + "return " + (beside ? "%y" : "%c") + " : " + rows + "\n}");
  }

  bool calibrate(func::FuncOp function) {
    return succeeded(qopt::calibrate(function, windows, options, createReferenceRunner));
  }

  /// The inputs of `up`: one row per token.
  Matrix<float> inputs() const {
    Matrix<float> x(0, kHidden);
    for (const auto &window : windows)
      for (int32_t token : window) {
        x.values.insert(x.values.end(), embedding.row(token), embedding.row(token) + kHidden);
        ++x.rows;
      }
    return x;
  }
};

/// The codes, packed, and scales that `function` holds for `layer`.
inline std::pair<std::vector<char>, std::vector<char>> stored(func::FuncOp function, StringRef layer) {
  std::pair<std::vector<char>, std::vector<char>> result;
  function.walk([&](ParameterOp op) {
    ArrayRef<char> data = cast<DenseResourceElementsAttr>(op.getValue()).getRawHandle().getBlob()->getData();
    if (op.getName() == (layer + ".weight.codes").str())
      result.first.assign(data.begin(), data.end());
    if (op.getName() == (layer + ".weight.scale").str())
      result.second.assign(data.begin(), data.end());
  });
  return result;
}

inline const char *const kGptq = R"(kind = "gptq-int4", groupSize = 3)";

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CALIBRATION_CALIBRATIONMODEL_H
