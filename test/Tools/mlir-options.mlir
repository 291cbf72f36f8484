// MLIR's own options reach every pass of a compilation, also behind the first link, and say what takes time.
//
// RUN: rm -rf %t && mkdir -p %t && cd %t
// RUN: qopt %s --target=cpu,cuda,sim -o x.qmod --quiet --mlir-print-ir-after-all 2>&1 | grep 'IR Dump After' > passes.txt
// RUN: FileCheck --input-file=passes.txt --check-prefix=PASSES %s
// PASSES: (qopt-fold-constants)
// PASSES: (qopt-outline-kernels)
// The two levels of host code.
// PASSES: (qopt-emit-cpu-kernels)
// PASSES: (convert-func-to-llvm)
// PASSES: (qopt-emit-cpu-kernels)
// PASSES: (qopt-outline-tasks)
// PASSES: (convert-func-to-llvm)
// GPUs.
// PASSES: (qopt-emit-cuda-kernels)
// PASSES: (qopt-lower-launches)
// PASSES: (convert-func-to-llvm)
// PASSES: (qopt-convert-kernels-to-llvm)
// PASSES: (convert-nvvm-to-llvm)
// PASSES: (qopt-convert-kernels-to-sim)
// PASSES: (qopt-lower-sim-ops)
//
// One pass, ours or MLIR's, in each of the pipelines that have it.
// RUN: qopt %s -o x.qmod --quiet --mlir-print-ir-before=qopt-lower-host-abi 2>&1 | grep -c 'IR Dump Before LowerHostAbi' | FileCheck %s --check-prefix=TWO
// RUN: qopt %s -o x.qmod --quiet --mlir-print-ir-before=convert-func-to-llvm 2>&1 | grep -c 'IR Dump Before ConvertFuncToLLVMPass' | FileCheck %s --check-prefix=TWO
// TWO: {{^2$}}
//
// RUN: qopt %s --target=cpu,cuda --cpu=x86-64-v4 -o x.qmod --quiet --mlir-timing 2>&1 | FileCheck %s --check-prefix=TIMING
// TIMING: Execution time report
// TIMING: import
// TIMING: raise
// TIMING: lower
// TIMING: PlanMemory
// TIMING: host:x86-64-v4
// TIMING: EmitCpuKernels
// TIMING: emit object
// TIMING: link
// TIMING: host:cuda
// TIMING: LowerLaunches
// TIMING: lower kernels
// TIMING: ConvertKernelsToLlvm
// TIMING: ptx:sm_80
// TIMING: emit PTX
// TIMING: write
// TIMING: Total
//
// A pipeline that fails leaves what qopt-opt can run again.
// RUN: not qopt %s --pass-pipeline='int8-weights{overrides=x=rtn-int4,nope=skip}' -o x.qmod --quiet --mlir-pass-pipeline-crash-reproducer=repro.mlir 2>&1 | FileCheck %s --check-prefix=FAILS
// RUN: not qopt-opt repro.mlir --run-reproducer 2>&1 | FileCheck %s --check-prefix=FAILS
// FAILS: the pattern matches none of 0 linear layers

func.func @forward(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", ""]}) -> (tensor<?x8xf32> {onnx.name = "y", onnx.dims = ["n", ""]}) {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>
  %0 = onnx.Mul %x, %w : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
