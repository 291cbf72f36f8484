//===- SymbolsTest.cpp - Polynomials of dimensions ------------------------===//
//
// What shape resolution may prove rests on these: equal polynomials have one number, and
// what is not certain is unknown.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Onnx/SymbolicShapes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt::onnx;

namespace {

class SymbolsTest : public testing::Test {
protected:
  Extent number(int64_t value) { return Extent::constant(value); }

  Symbols symbols;
  // No value of a function is needed to tell dimensions apart: their positions differ.
  Extent batch = symbols.dimension(Value(), 0), length = symbols.dimension(Value(), 1),
         past = symbols.dimension(Value(), 2);
};

TEST_F(SymbolsTest, NamesMakeDimensionsEqual) {
  EXPECT_FALSE(batch.isSameAs(length));
  EXPECT_EQ(symbols.dimension(Value(), 0), batch);
  Extent first = symbols.dimension(Value(), 3, "heads"), second = symbols.dimension(Value(), 4, "heads");
  EXPECT_TRUE(first.isSameAs(second));
  EXPECT_FALSE(first.isSameAs(symbols.dimension(Value(), 5, "other")));
}

TEST_F(SymbolsTest, OrderDoesNotMatter) {
  EXPECT_EQ(symbols.add(batch, length), symbols.add(length, batch));
  EXPECT_EQ(symbols.mul(symbols.mul(batch, length), past), symbols.mul(past, symbols.mul(length, batch)));
  Extent distributed = symbols.add(symbols.mul(batch, length), symbols.mul(batch, past));
  EXPECT_EQ(symbols.mul(batch, symbols.add(length, past)), distributed);
}

TEST_F(SymbolsTest, TermsCancel) {
  Extent total = symbols.add(past, length);
  EXPECT_EQ(symbols.add(total, length, -1), past);
  EXPECT_EQ(symbols.add(total, total, -1), number(0));
  EXPECT_EQ(symbols.mul(total, number(0)), number(0));
  EXPECT_EQ(symbols.add(symbols.add(batch, number(5)), batch, -1), number(5));
}

TEST_F(SymbolsTest, DividesOnlyWhatHasNoRemainder) {
  Extent elements = symbols.mul(symbols.mul(batch, length), number(256));
  EXPECT_EQ(symbols.divideExactly(elements, number(32)), symbols.mul(symbols.mul(batch, length), number(8)));
  EXPECT_EQ(symbols.divideExactly(elements, symbols.mul(length, number(256))), batch);
  EXPECT_EQ(symbols.divideExactly(elements, number(3)), std::nullopt);
  EXPECT_EQ(symbols.divideExactly(elements, past), std::nullopt);
  EXPECT_EQ(symbols.divideExactly(elements, number(0)), std::nullopt);
}

TEST_F(SymbolsTest, DividesBySums) {
  Extent total = symbols.add(past, length);
  EXPECT_EQ(symbols.divideExactly(symbols.mul(batch, total), total), batch);
  EXPECT_EQ(symbols.divideExactly(symbols.add(symbols.mul(batch, total), number(1)), total), std::nullopt);
}

TEST_F(SymbolsTest, KnowsWhatIsNeverNegative) {
  EXPECT_TRUE(symbols.isNonNegative(batch));
  EXPECT_TRUE(symbols.isNonNegative(symbols.add(symbols.mul(batch, length), number(1))));
  EXPECT_FALSE(symbols.isNonNegative(symbols.add(batch, number(1), -1)));
  EXPECT_FALSE(symbols.isNonNegative(symbols.add(batch, length, -1)));
  EXPECT_FALSE(symbols.isNonNegative(Extent()));
}

TEST_F(SymbolsTest, OperationsOfTheSameOperandsAreEqual) {
  EXPECT_EQ(symbols.operation(Atom::Minimum, batch, length), symbols.operation(Atom::Minimum, length, batch));
  Extent quotient = symbols.operation(Atom::Quotient, batch, length);
  EXPECT_FALSE(quotient.isSameAs(symbols.operation(Atom::Quotient, length, batch)));
  EXPECT_FALSE(quotient.isSameAs(symbols.operation(Atom::Maximum, batch, length)));
  // An operand that may be negative would make an atom that may be.
  EXPECT_FALSE(symbols.operation(Atom::Maximum, symbols.add(batch, length, -1), past).isKnown());
}

TEST_F(SymbolsTest, WhatOverflowsIsUnknown) {
  Extent large = symbols.mul(batch, number(std::numeric_limits<int64_t>::max()));
  EXPECT_TRUE(large.isKnown());
  EXPECT_FALSE(symbols.add(large, large).isKnown());
  EXPECT_FALSE(symbols.mul(large, number(2)).isKnown());
  EXPECT_FALSE(symbols.add(batch, Extent()).isKnown());
}

TEST_F(SymbolsTest, WhatHasManyTermsIsUnknown) {
  Extent sum = number(1);
  for (int64_t i = 0; i < 100; ++i)
    sum = symbols.add(sum, symbols.dimension(Value(), 100 + i));
  EXPECT_FALSE(sum.isKnown());
}

} // namespace
