// A module for the CPU and for GPUs: its sections, its kernels, and the same numbers in the simulator.
//
// RUN: rm -rf %t && mkdir -p %t && cd %t
// RUN: %python -c "import numpy as np; np.save('x.npy', np.linspace(-3, 3, 40, dtype=np.float32).reshape(5, 8))"
// RUN: qopt %s --target=cpu,cuda,sim --cpu=x86-64-v3 -o both.qmod --quiet
// RUN: qrun both.qmod --info | FileCheck %s --check-prefix=INFO
// INFO: kernels:
// INFO: B shared
// INFO: sections:
// INFO-NEXT: host:x86-64-v3
// INFO-NEXT: host:cuda
// INFO-NEXT: ptx
// INFO-NEXT: sim
// RUN: qrun both.qmod --extract=ptx -o x.ptx && FileCheck --input-file=x.ptx --check-prefix=PTX %s
// PTX: .target sm_80
// PTX: .entry
// RUN: qrun both.qmod --device=cpu --input x=x.npy --output=cpu --quiet
// RUN: qrun both.qmod --device=sim --input x=x.npy --output=sim --json=sim.json --quiet
// RUN: FileCheck --input-file=sim.json --check-prefix=JSON %s
// JSON: "device": "sim"
// RUN: %check array sim/y.npy cpu/y.npy --abs=1e-6
//
// The same bytes twice; only one target.
// RUN: qopt %s --target=cpu,cuda,sim --cpu=x86-64-v3 -o again.qmod --quiet
// RUN: cmp both.qmod again.qmod
// RUN: qopt %s --target=cuda -o cuda.qmod --quiet
// RUN: qrun cuda.qmod --info | FileCheck %s --check-prefix=CUDA --implicit-check-not='sim '
// CUDA: sections:
// CUDA-NEXT: host:cuda
// CUDA-NEXT: ptx
// RUN: %python %S/fails.py 1 'the module has no code for a CPU' qrun cuda.qmod --device=cpu --input x=x.npy --quiet
// RUN: %python %S/fails.py 1 'the module has no code for device sim; compile the model with --target=sim (or cuda,sim)' qrun cuda.qmod --device=sim --input x=x.npy --quiet
// RUN: qopt %s --target=sim -o sim.qmod --quiet
// RUN: qrun sim.qmod --info | FileCheck %s --check-prefix=SIM --implicit-check-not='ptx '
// SIM: sections:
// SIM-NEXT: host:cuda
// SIM-NEXT: sim
// RUN: qrun sim.qmod --device=sim --input x=x.npy --output=alone --quiet && cmp alone/y.npy sim/y.npy
// RUN: %python %S/fails.py 1 'the module has no code for device cuda; run with --device=cpu' qrun sim.qmod --device=cuda --input x=x.npy --quiet
// RUN: qopt %s --target=cpu -o cpu.qmod --quiet
// RUN: %python %S/fails.py 1 'the module has no code for device cuda; run with --device=cpu' qrun cpu.qmod --device=cuda --input x=x.npy --quiet
// RUN: %python %S/fails.py 1 'the module has no code for device sim' qrun cpu.qmod --device=sim --input x=x.npy --quiet
//
// Command lines that make no sense.
// RUN: %python %S/fails.py 2 '--target=gpu: expected a list of cpu, cuda and sim but got "gpu"' qopt %s --target=gpu
// RUN: %python %S/fails.py 2 '--target=cpu,cpu: expected a list of cpu, cuda and sim but got "cpu" twice' qopt %s --target=cpu,cpu
// RUN: %python %S/fails.py 2 '--cuda-arch=sm_80,: expected architectures such as sm_80 or sm_90a but got ""' qopt %s --cuda-arch=sm_80,
// RUN: %python %S/fails.py 2 '--cuda-arch=sm_75: expected' qopt %s --cuda-arch=sm_75
// RUN: %python %S/fails.py 2 '--cuda-arch needs cuda among --target' qopt %s --target=cpu --cuda-arch=sm_80
// RUN: %python %S/fails.py 2 '--cuda-arch needs cuda among --target' qopt %s --target=sim --cuda-arch=sm_80
// RUN: %python %S/fails.py 2 '--cpu needs cpu among --target' qopt %s --target=cuda --cpu=x86-64-v3
// RUN: %python %S/fails.py 2 "--device=gpu: expected cpu, cuda, cuda:N, sim or sim:sm_90a" qrun both.qmod --device=gpu --info

func.func @forward(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", ""]}) -> (tensor<?x8xf32> {onnx.name = "y", onnx.dims = ["n", ""]}) {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>
  %0 = onnx.Mul %x, %w : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %1 = onnx.Exp %0 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %2 = onnx.Add %1, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %2 : tensor<?x8xf32>
}
