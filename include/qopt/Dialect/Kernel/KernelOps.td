//===- KernelOps.td - How the heavy operators are computed ----------------===//
//
// One operation per hand-shaped kernel. The operation is the contract: who makes one
// and who generates code of it rely on its verifier.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_KERNEL_KERNELOPS_TD
#define QOPT_DIALECT_KERNEL_KERNELOPS_TD

include "qopt/Dialect/Kernel/KernelInterfaces.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let summary = "Kernels that the code generators write by hand";
  let description = [{
    How the heavy operators are computed: one operation per kernel, on tensors until
    bufferization and on memory after it. Operands come first, destinations last; a
    destination is written as a whole and does not overlap what is read, but for
    caches, which are memory from the beginning and are written in part.

    Sizes that a kernel's code depends on are known (K and N of a product, heads and
    their size); the number of rows is not. R are the tokens of all sequences, and
    names in square brackets are sizes: x [R, K].

    Weights are packed: cut into blocks of 16 output columns (`kColumns`), so that one
    vector holds the same input k of all columns of a block; the last block is filled
    with zeros. `blocks` is ceil(N / 16). The layout is the same for all targets.

    `qopt-convert-to-kernels` makes these operations, `qopt-group-kernels` puts
    sequences of them into a `kernel.group`, and `qopt-outline-kernels` gives each a
    function of its own, which the generators of a target fill.
  }];
  let cppNamespace = "::qopt::kernel";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class Kernel_ElementIs<list<Type> elements> : Or<!foreach(
    e, elements, SubstLeaves<"$_self", "::llvm::cast<::mlir::ShapedType>($_self).getElementType()", e.predicate>)>;
class Kernel_RankIs<list<int> ranks> : Or<!foreach(
    r, ranks, CPred<"::llvm::cast<::mlir::ShapedType>($_self).getRank() == " # r>)>;

def Kernel_IsContiguousMemory : And<[CPred<"::llvm::isa<::mlir::MemRefType>($_self)">,
                                     CPred<"::llvm::cast<::mlir::MemRefType>($_self).getLayout().isIdentity()">]>;
def Kernel_IsArray : Or<[CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">, Kernel_IsContiguousMemory]>;

/// A tensor, or memory in row-major order without gaps.
class Kernel_Array<list<int> ranks, list<Type> elements>
    : Type<And<[Kernel_IsArray, Kernel_RankIs<ranks>, Kernel_ElementIs<elements>]>,
           "tensor or contiguous memref of rank " # !interleave(ranks, " or ") # " of " #
               !interleave(!foreach(e, elements, e.summary), " or "),
           "::mlir::ShapedType">;
/// [batch, heads, capacity, head size].
def Kernel_Cache
    : Type<And<[Kernel_IsContiguousMemory, Kernel_RankIs<[4]>, Kernel_ElementIs<[F32, F16]>]>,
           "contiguous memref of rank 4 of 32-bit float or 16-bit float", "::mlir::MemRefType">;

class Kernel_Rows<Type element> : Kernel_Array<[2], [element]>;
class Kernel_Vector<Type element> : Kernel_Array<[1], [element]>;
class Kernel_Packed<list<Type> elements> : Kernel_Array<[3], elements>;
def Kernel_Heads : Kernel_Array<[4], [F32]>;
/// How many tokens a cache holds.
def Kernel_Past : Kernel_Array<[1], [I64]>;

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// `inits`: how many of the last operands are destinations.
class Kernel_Op<string mnemonic, string role, list<Trait> traits = [], int inits = 1, code methods = "">
    : Op<Kernel_Dialect, mnemonic, !listconcat([
        DestinationStyleOpInterface, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>, Kernel_KernelOpInterface],
        traits)> {
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::qopt::kernel::KernelRole getRole() { return ::qopt::kernel::KernelRole::}] # role # [{; }
    std::string getFunctionName();
    ::llvm::SmallVector<::qopt::kernel::OperandShape> getOperandShapes();
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return ::mlir::MutableOperandRange(getOperation(), getNumOperands() - }] # inits # ", " # inits # [{);
    }
  }] # methods;
  let extraClassDefinition = [{
    void $cppClass::getEffects(
        ::mlir::SmallVectorImpl<::mlir::SideEffects::EffectInstance<::mlir::MemoryEffects::Effect>> &effects) {
      ::qopt::kernel::detail::getKernelEffects(*this, effects);
    }
  }];
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

class Kernel_ProductOp<string mnemonic, list<Trait> traits = [], code methods = "">
    : Kernel_Op<mnemonic, "Product", !listconcat([Kernel_ProductOpInterface], traits), 1, methods>;

def Kernel_MatmulFloatOp : Kernel_ProductOp<"matmul_float"> {
  let summary = "float activations times float weights";
  let description = [{
    y[r, n] = sum_k x[r, k] w[n, k]. Constraints: x [R, K], weights [blocks, K, 16] of f32,
    f16 or bf16, y [R, N].

    ```mlir
    kernel.matmul_float ins(%x, %w : memref<?x256xf32>, memref<48x256x16xf32>) outs(%y : memref<?x768xf32>)
    ```
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Packed<[F32, F16, BF16]>:$weights, Kernel_Rows<F32>:$y);
  let assemblyFormat = [{`ins` `(` $x `,` $weights `:` type($x) `,` type($weights) `)` `outs` `(` $y `:` type($y) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_MatmulW8A16Op : Kernel_ProductOp<"matmul_w8a16", [], [{
    /// Whether sums of `groupSize()` inputs are scaled by themselves.
    bool isByGroups() { return getGroupSize().has_value(); }
    /// Inputs of a group; K without groups.
    int64_t groupSize();
    int64_t groups();
  }]> {
  let summary = "float activations times weights of eight bits";
  let description = [{
    y[r, n] = scales[n] * sum_k x[r, k] w[n, k], where w are int8 or, with `float8`, the bits
    of f8E4M3FN. With `group_size`, y[r, n] = sum_g scales[n, g] * sum_{k in g} x[r, k]
    (w[n, k] - zeros[n, g]), where zeros are 0 if there are none. Groups have `group_size`
    inputs, the last one the rest; a size below 1 means K.
    Constraints: x [R, K], weights [blocks, K, 16], scales [N] of f32 or, in groups, [blocks,
    groups, 16] of f16 or f32, zeros [blocks, groups, 16], y [R, N]; zeros only in groups and
    not with float8.
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Packed<[I8]>:$weights, Kernel_Array<[1, 3], [F16, F32]>:$scales,
                       Optional<Kernel_Packed<[I8]>>:$zeros, Kernel_Rows<F32>:$y, OptionalAttr<I64Attr>:$group_size,
                       UnitAttr:$float8);
  let assemblyFormat = [{`ins` `(` $x `,` $weights `,` $scales `:` type($x) `,` type($weights) `,` type($scales) `)`
                         (`zeros` `(` $zeros^ `:` type($zeros) `)`)? `outs` `(` $y `:` type($y) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_MatmulW4A16Op : Kernel_ProductOp<"matmul_w4a16", [], [{
    /// Inputs of a group; K where one group has all.
    int64_t groupSize();
    int64_t groups();
    /// Steps of `kInt4Step` inputs in which the codes are stored; each group begins a new one.
    int64_t steps();
  }]> {
  let summary = "float activations times group-wise int4 weights";
  let description = [{
    y[r, n] = sum_g scales[n, g] * sum_{k in g} x[r, k] (w[n, k] - zeros[n, g]), where zeros
    are 8 if there are none. With a `table` of 16 numbers, table[w[n, k]] takes the place of
    w[n, k] - zeros[n, g]. Groups have `group_size` inputs, the last one the rest; a size
    below 1 means K.

    Groups are stored in steps of eight inputs, the last step of a group filled up; byte b
    of the four of a column and step holds inputs b (low nibble) and b + 4 (high).
    Constraints: x [R, K], weights [blocks, steps, 64], scales and zeros [blocks, groups, 16]
    with scales of f16 or f32 and zeros of i8 or f32, y [R, N]; zeros or a table, not both.

    ```mlir
    kernel.matmul_w4a16 ins(%x, %w, %s : memref<?x256xf32>, memref<4x32x64xi8>, memref<4x2x16xf16>)
        outs(%y : memref<?x64xf32>) {group_size = 128 : i64}
    ```
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Packed<[I8]>:$weights, Kernel_Packed<[F16, F32]>:$scales,
                       Optional<Kernel_Packed<[I8, F32]>>:$zeros, Kernel_Rows<F32>:$y, I64Attr:$group_size,
                       OptionalAttr<ConfinedAttr<DenseF32ArrayAttr, [DenseArrayCount<16>]>>:$table);
  let assemblyFormat = [{`ins` `(` $x `,` $weights `,` $scales `:` type($x) `,` type($weights) `,` type($scales) `)`
                         (`zeros` `(` $zeros^ `:` type($zeros) `)`)? `outs` `(` $y `:` type($y) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_MatmulW4A8Op : Kernel_ProductOp<"matmul_w4a8", [], [{
    /// Of the weights, as of `matmul_w4a16`.
    int64_t groupSize();
    int64_t groups();
    int64_t steps();
    /// Inputs that share a scale of x, and how many of them there are.
    int64_t xGroupSize();
    int64_t xGroups();
  }]> {
  let summary = "int8 activations times group-wise int4 weights, summed in int32 by groups";
  let description = [{
    y[r, n] = sum_g x_scale[r, g] * scales[n, g] * sum_{k in g} x[r, k] (w[n, k] - zeros[n, g]):
    the inner sums are exact, and their products with x_scale and then scales are added in the
    order of g. `group_size`, zeros and the packing of the weights are those of
    `matmul_w4a16`. Groups of x have `x_group_size` inputs: as many as those of the weights,
    or a multiple of eight that divides their size. A size below 1 means K.
    Constraints: x [R, K], x_scale [R, x groups], weights [blocks, steps, 64], scales and zeros
    [blocks, groups, 16] with scales of f16 or f32, y [R, N].

    ```mlir
    kernel.matmul_w4a8 ins(%x, %xs, %w, %s : memref<?x256xi8>, memref<?x2xf32>, memref<4x32x64xi8>, memref<4x2x16xf16>)
        outs(%y : memref<?x64xf32>) {group_size = 128 : i64, x_group_size = 128 : i64}
    ```
  }];
  let arguments = (ins Kernel_Rows<I8>:$x, Kernel_Rows<F32>:$x_scale, Kernel_Packed<[I8]>:$weights,
                       Kernel_Packed<[F16, F32]>:$scales, Optional<Kernel_Packed<[I8]>>:$zeros, Kernel_Rows<F32>:$y,
                       I64Attr:$group_size, I64Attr:$x_group_size);
  let assemblyFormat = [{`ins` `(` $x `,` $x_scale `,` $weights `,` $scales `:`
                             type($x) `,` type($x_scale) `,` type($weights) `,` type($scales) `)`
                         (`zeros` `(` $zeros^ `:` type($zeros) `)`)? `outs` `(` $y `:` type($y) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_MatmulW8A8Op : Kernel_ProductOp<"matmul_w8a8", [AttrSizedOperandSegments], [{
    /// Whether every row has a scale of its own.
    bool isPerToken() { return getXScale().getType().getRank() == 1; }
    OutlierForm outlierForm() {
      return getOutlierColumns() ? OutlierForm::Listed : getOutlierWeights() ? OutlierForm::Kept : OutlierForm::None;
    }
  }]> {
  let summary = "int8 activations times int8 weights, summed in int32";
  let description = [{
    y[r, n] = x_scale[r] * scales[n] * sum_k x[r, k] w[n, k]; x_scale is one number [] or
    one per row [R]. Four consecutive inputs of a column share an int32 lane of the weights,
    as vpdpbusd wants them, and `correction` is 128 times the sum of a column's codes: what
    x + 128 instead of x adds.

    Outlier columns of x may be multiplied in float:

    - `columns`: `outliers` [R, K] is all of x, and the inputs c in the list of outlier columns
      [K], which ends at the first -1, add sum_c outliers[r, c] * (w[n, c] * scales[n]);
    - `weights`: outliers [R, M] have their own weights [blocks, M, 16] and add
      sum_i outliers[r, i] * weights[n, i]. The count [1] is M, so that layers share a kernel
      however many outliers they have.

    Constraints: x [R, K], weights [blocks, ceil(K / 4), 64], correction [blocks * 16], scales
    [N], y [R, N]; the two forms of outliers exclude each other.

    ```mlir
    kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x256xi8>, memref<?xf32>, memref<4x64x64xi8>, memref<64xi32>, memref<64xf32>)
        outliers(%o : memref<?x?xf32>) weights(%ow, %n : memref<4x?x16xf16>, memref<1xi32>) outs(%y : memref<?x64xf32>)
    ```
  }];
  let arguments = (ins Kernel_Rows<I8>:$x, Kernel_Array<[0, 1], [F32]>:$x_scale, Kernel_Packed<[I8]>:$weights,
                       Kernel_Vector<I32>:$correction, Kernel_Vector<F32>:$scales,
                       Optional<Kernel_Rows<F32>>:$outliers, Optional<Kernel_Vector<I32>>:$outlier_columns,
                       Optional<Kernel_Packed<[F16, F32]>>:$outlier_weights,
                       Optional<Kernel_Vector<I32>>:$outlier_count, Kernel_Rows<F32>:$y);
  let assemblyFormat = [{
    `ins` `(` $x `,` $x_scale `,` $weights `,` $correction `,` $scales `:`
              type($x) `,` type($x_scale) `,` type($weights) `,` type($correction) `,` type($scales) `)`
    (`outliers` `(` $outliers^ `:` type($outliers) `)`)?
    (`columns` `(` $outlier_columns^ `:` type($outlier_columns) `)`)?
    (`weights` `(` $outlier_weights^ `,` $outlier_count `:` type($outlier_weights) `,` type($outlier_count) `)`)?
    `outs` `(` $y `:` type($y) `)` attr-dict (`->` type($results)^)?}];
}

//===----------------------------------------------------------------------===//
// Quantization of activations
//===----------------------------------------------------------------------===//

class Kernel_QuantizationOp<string mnemonic, int inits, code methods = "">
    : Kernel_Op<mnemonic, "Quantization", [], inits, [{
        ::mlir::Value getCodesInit() { return getCodes(); }
        /// K.
        int64_t width() { return getX().getType().getDimSize(1); }
      }] # methods>;

def Kernel_QuantizeOp : Kernel_QuantizationOp<"quantize", 1> {
  let summary = "float rows to int8 codes with one given scale";
  let description = [{
    clamp(rne(x / scale), -128, 127). Constraints: x and codes [R, K], scale [].
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Array<[0], [F32]>:$scale, Kernel_Rows<I8>:$codes);
  let assemblyFormat = [{`ins` `(` $x `,` $scale `:` type($x) `,` type($scale) `)` `outs` `(` $codes `:` type($codes) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_DynamicQuantizeOp : Kernel_QuantizationOp<"dynamic_quantize", 2, [{
    bool isByGroups() { return getGroupSize().has_value(); }
    /// Inputs that share a scale; K where the row has one.
    int64_t groupSize();
    int64_t groups();
  }]> {
  let summary = "float rows to int8 codes and a scale per row or group";
  let description = [{
    scale = absmax / 127, code = rne(x * 127 / absmax); a row of zeros has scale 0 and codes
    0. With `group_size` each group of so many inputs, the last of a row being the rest, is
    treated as a row. Constraints: x and codes [R, K], scale [R] or, by groups, [R, groups].
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Rows<I8>:$codes, Kernel_Array<[1, 2], [F32]>:$scale,
                       ConfinedAttr<OptionalAttr<I64Attr>, [IntPositive]>:$group_size);
  let assemblyFormat = [{`ins` `(` $x `:` type($x) `)` `outs` `(` $codes `,` $scale `:` type($codes) `,` type($scale) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_SplitColumnsOp : Kernel_QuantizationOp<"split_columns", 3> {
  let summary = "int8 codes of the ordinary columns and the list of outlier columns";
  let description = [{
    As `dynamic_quantize`, but magnitudes of at least `threshold` take no part in a row's
    absmax, and the columns that hold one in any row have codes 0. `columns` lists them in
    rising order, then -1. A threshold that is not above 0 means: no outliers. Constraints:
    x and codes [R, K], scale [R], columns [K].
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Rows<I8>:$codes, Kernel_Vector<F32>:$scale,
                       Kernel_Vector<I32>:$columns, F32Attr:$threshold);
  let assemblyFormat = [{`ins` `(` $x `:` type($x) `)`
                         `outs` `(` $codes `,` $scale `,` $columns `:` type($codes) `,` type($scale) `,` type($columns) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_SplitColumnsAtOp : Kernel_QuantizationOp<"split_columns_at", 3> {
  let summary = "int8 codes of the ordinary columns, and the given columns as they are";
  let description = [{
    As `dynamic_quantize`, but the listed columns take no part in a row's absmax and their
    codes are 0; `outliers` holds them in the order of the list. Constraints: x and codes
    [R, K], columns [M], scale [R], outliers [R, M].
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Vector<I32>:$columns, Kernel_Rows<I8>:$codes,
                       Kernel_Vector<F32>:$scale, Kernel_Rows<F32>:$outliers);
  let assemblyFormat = [{`ins` `(` $x `,` $columns `:` type($x) `,` type($columns) `)`
                         `outs` `(` $codes `,` $scale `,` $outliers `:` type($codes) `,` type($scale) `,` type($outliers) `)`
                         attr-dict (`->` type($results)^)?}];
}

//===----------------------------------------------------------------------===//
// The other parts of a decoder
//===----------------------------------------------------------------------===//

def Kernel_RmsNormOp : Kernel_Op<"rms_norm", "Norm", [], 1, [{
    /// K.
    int64_t width() { return getX().getType().getDimSize(1); }
  }]> {
  let summary = "rows divided by their root mean square, times a weight";
  let description = [{
    y = x / sqrt(mean(x^2) + epsilon) * weight. Constraints: x and y [R, K], weight [K].
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Vector<F32>:$weight, Kernel_Rows<F32>:$y, F32Attr:$epsilon);
  let assemblyFormat = [{`ins` `(` $x `,` $weight `:` type($x) `,` type($weight) `)` `outs` `(` $y `:` type($y) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_LayerNormOp : Kernel_Op<"layer_norm", "None", [], 1, [{
    /// K.
    int64_t width() { return getX().getType().getDimSize(1); }
  }]> {
  let summary = "rows less their mean, divided by their standard deviation, times a weight";
  let description = [{
    y = (x - m) / sqrt(mean((x - m)^2) + epsilon) * weight + bias with m = mean(x); no bias is
    0. Constraints: x and y [R, K], weight and bias [K].

    ```mlir
    kernel.layer_norm ins(%x, %w : memref<?x64xf32>, memref<64xf32>) bias(%b : memref<64xf32>)
        outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
    ```
  }];
  let arguments = (ins Kernel_Rows<F32>:$x, Kernel_Vector<F32>:$weight, Optional<Kernel_Vector<F32>>:$bias,
                       Kernel_Rows<F32>:$y, F32Attr:$epsilon);
  let assemblyFormat = [{`ins` `(` $x `,` $weight `:` type($x) `,` type($weight) `)`
                         (`bias` `(` $bias^ `:` type($bias) `)`)? `outs` `(` $y `:` type($y) `)`
                         attr-dict (`->` type($results)^)?}];
}

def Kernel_RotaryOp : Kernel_Op<"rotary", "Epilogue", [], 1, [{
    int64_t heads() { return getX().getType().getDimSize(getHeadsFirst() ? 1 : 2); }
    int64_t headSize() { return getX().getType().getDimSize(3); }
    /// The dimension of x that counts tokens.
    unsigned tokenDim() { return getHeadsFirst() ? 2 : 1; }
    /// Elements of a head that are turned.
    int64_t rotated() { return getRotaryDim(); }
  }]> {
  let summary = "rotary position embedding";
  let description = [{
    Turns the first `rotary_dim` elements of each head in pairs: element i with i +
    rotary_dim / 2, or, `interleaved`, 2 i with 2 i + 1. Constraints: x and y are
    [B, S, heads, head size] or, with `heads_first`, [B, heads, S, head size]; rotary_dim is
    even and within a head. With positions [B or 1, S] the tables are [max, rotary_dim / 2],
    and a position beyond them is an error of the program (QRT_INDEX_OUT_OF_RANGE); without,
    they are [B or 1, S, rotary_dim / 2].
  }];
  let arguments = (ins Kernel_Heads:$x, Kernel_Array<[2, 3], [F32]>:$cos, Kernel_Array<[2, 3], [F32]>:$sin,
                       Optional<Kernel_Array<[2], [I32, I64]>>:$positions, Kernel_Heads:$y, I64Attr:$rotary_dim,
                       UnitAttr:$interleaved, UnitAttr:$heads_first);
  let assemblyFormat = [{`ins` `(` $x `,` $cos `,` $sin `:` type($x) `,` type($cos) `,` type($sin) `)`
                         (`positions` `(` $positions^ `:` type($positions) `)`)?
                         `outs` `(` $y `:` type($y) `)` attr-dict (`->` type($results)^)?}];
}

def Kernel_GatherOp : Kernel_Op<"gather", "None", [], 1, [{
    /// K.
    int64_t width() { return getY().getType().getDimSize(1); }
    /// Whether the table is the weight of a product with the transposed table.
    bool isPacked() { return getRows().has_value(); }
    /// Inputs of a column that lie side by side in a packed table: 1, or 4 where the
    /// product takes four at once.
    int64_t packedInputs() {
      ::mlir::ShapedType data = getData().getType();
      return data.getRank() == 3 && data.getDimSize(2) == 4 * kColumns ? 4 : 1;
    }
  }]> {
  let summary = "rows of a table";
  let description = [{
    y[r] = data[indices[r]], where negative indices count from the end; one out of range is
    an error of the program (QRT_INDEX_OUT_OF_RANGE). Constraints: data [V, K], indices [R],
    y [R, K] of data's element type. With `scales` [V], data are codes of i8, and y, f32, is
    data[i] * scales[i].

    With `rows` = V, data is [ceil(V / 16), K, 16] or, of codes, [ceil(V / 16), ceil(K / 4), 64]:
    the weight of a product with the transposed table, which is stored only once.
  }];
  let arguments = (ins Kernel_Array<[2, 3], [AnyFloat, AnyInteger]>:$data, Kernel_Array<[1], [I32, I64]>:$indices,
                       Optional<Kernel_Vector<F32>>:$scales, Kernel_Array<[2], [AnyFloat, AnyInteger]>:$y,
                       ConfinedAttr<OptionalAttr<I64Attr>, [IntPositive]>:$rows);
  let assemblyFormat = [{`ins` `(` $data `,` $indices `:` type($data) `,` type($indices) `)`
                         (`scales` `(` $scales^ `:` type($scales) `)`)?
                         `outs` `(` $y `:` type($y) `)` attr-dict (`->` type($results)^)?}];
}

def Kernel_AttentionOp : Kernel_Op<"attention", "None", [], 1, [{
    unsigned queryDim() { return getQHeadsFirst() ? 2 : 1; }
    unsigned keyDim() { return getKvHeadsFirst() ? 2 : 1; }
    int64_t heads() { return getQ().getType().getDimSize(3 - queryDim()); }
    int64_t keyHeads() { return getKeys().getType().getDimSize(3 - keyDim()); }
    int64_t headSize() { return getQ().getType().getDimSize(3); }
    int64_t valueSize() { return getValues().getType().getDimSize(3); }
    /// What scores are multiplied by; by default 1 / sqrt(head size).
    float scaleFactor();
    /// 0: scores are not capped.
    float softcapLimit() { return getSoftcap().convertToFloat(); }
  }]> {
  let summary = "softmax(q k^T * scale + mask) v";
  let description = [{
    Query heads come in groups that share a key head. With `softcap` scores become
    softcap * tanh(score / softcap). `causal`: query i sees keys up to i, or, with `offset`,
    up to i + T - S. `in_order`: sums should have the CPU's order where that costs little,
    as the result becomes codes.

    Constraints: q and y [B, S, heads, head size] or, with `q_heads_first`, [B, heads, S,
    head size]; keys and values [B, T, key heads, head size], or heads first with
    `kv_heads_first`; the head size of values and y may be another one. A mask is
    [B or 1, heads or 1, S or 1, T or 1] of i1 (false: hidden) or f32 (added).
  }];
  let arguments = (ins Kernel_Heads:$q, Kernel_Heads:$keys, Kernel_Heads:$values,
                       Optional<Kernel_Array<[4], [I1, F32]>>:$mask, Kernel_Heads:$y, OptionalAttr<F32Attr>:$scale,
                       DefaultValuedAttr<F32Attr, "0.0f">:$softcap, UnitAttr:$causal, UnitAttr:$offset,
                       UnitAttr:$q_heads_first, UnitAttr:$kv_heads_first, UnitAttr:$in_order);
  let assemblyFormat = [{`ins` `(` $q `,` $keys `,` $values `:` type($q) `,` type($keys) `,` type($values) `)`
                         (`mask` `(` $mask^ `:` type($mask) `)`)?
                         `outs` `(` $y `:` type($y) `)` attr-dict (`->` type($results)^)?}];
}

def Kernel_CachedAttentionOp : Kernel_Op<"cached_attention", "None", [AttrSizedOperandSegments], 1, [{
    int64_t heads() { return getQ().getType().getDimSize(2); }
    int64_t keyHeads() { return getKeys().getType().getDimSize(1); }
    int64_t headSize() { return getQ().getType().getDimSize(3); }
    int64_t valueSize() { return getValues().getType().getDimSize(3); }
    /// What scores are multiplied by; by default 1 / sqrt(head size).
    float scaleFactor();
    /// 0: scores are not capped.
    float softcapLimit() { return getSoftcap().convertToFloat(); }
    bool isCache(::mlir::OpOperand &operand) {
      return operand.getOperandNumber() == 1 || operand.getOperandNumber() == 2;
    }
  }]> {
  let summary = "attention to the keys and values in a cache";
  let description = [{
    As `attention` with `causal`; the caches hold the S new tokens, too (`cache_append`), and
    query i sees keys up to past + i, with a `window` only the last of them. `slopes` times
    the distance of a key from the last one are taken from its score; `sinks` are scores
    of one more key, whose value is 0. No launch depends on `past`, so recorded ones can be
    repeated when only its memory has changed.

    Constraints: q and y [B, S, heads, head size], caches [B, key heads, capacity, head
    size], past [B] or [1], slopes and sinks [heads]. Caches of f16 have a generator for CPUs
    only.
  }];
  let arguments = (ins Kernel_Heads:$q, Kernel_Cache:$keys, Kernel_Cache:$values, Kernel_Past:$past,
                       Optional<Kernel_Vector<F32>>:$slopes, Optional<Kernel_Vector<F32>>:$sinks, Kernel_Heads:$y,
                       OptionalAttr<F32Attr>:$scale, DefaultValuedAttr<F32Attr, "0.0f">:$softcap,
                       OptionalAttr<I64Attr>:$window, UnitAttr:$in_order);
  let assemblyFormat = [{`ins` `(` $q `,` $keys `,` $values `,` $past `:`
                                   type($q) `,` type($keys) `,` type($values) `,` type($past) `)`
                         (`slopes` `(` $slopes^ `:` type($slopes) `)`)? (`sinks` `(` $sinks^ `:` type($sinks) `)`)?
                         `outs` `(` $y `:` type($y) `)` attr-dict (`->` type($results)^)?}];
}

def Kernel_CacheAppendOp : Kernel_Op<"cache_append", "Epilogue", [], 1, [{
    int64_t heads() { return getX().getType().getDimSize(2); }
    int64_t headSize() { return getX().getType().getDimSize(3); }
    bool isCache(::mlir::OpOperand &operand) { return operand.getOperandNumber() == 2; }
  }]> {
  let summary = "new keys or values to a cache";
  let description = [{
    Writes the tokens past .. past + S of the cache; to one of f16 the nearest numbers, at
    most its largest. Where they do not fit, nothing is written, and the program fails (QRT_INDEX_OUT_OF_RANGE: past + S - 1, capacity).
    Constraints: x [B, S, heads, head size], past [B] or [1], cache [B, heads, capacity, head size].
  }];
  let arguments = (ins Kernel_Heads:$x, Kernel_Past:$past, Kernel_Cache:$cache);
  let assemblyFormat = [{`ins` `(` $x `,` $past `:` type($x) `,` type($past) `)` `outs` `(` $cache `:` type($cache) `)`
                         attr-dict (`->` type($results)^)?}];
}

include "qopt/Dialect/Kernel/KernelGroup.td"

#endif // QOPT_DIALECT_KERNEL_KERNELOPS_TD
