// A file that is written is neither one that is read nor another output, by whatever name, and nothing is changed.

// RUN: rm -rf %t && mkdir -p %t && cd %t
// RUN: cp %inputs/stories260K/model.onnx %inputs/stories260K/tokenizer.json . && ln -s model.onnx link.json
// RUN: %python %S/fails.py 1 'link.json: is to be written, but it is also read: as model.onnx' qopt model.onnx -o new.qmod --report=link.json
// RUN: %python %S/fails.py 1 './a.qmod: is to be written twice: also as a.qmod' qopt model.onnx -o a.qmod --report=./a.qmod
// RUN: cmp model.onnx %inputs/stories260K/model.onnx && not test -e a.qmod
// Of external data only the model knows.
// RUN: cp %inputs/bad-inputs/onnx/ext/ok.onnx . && head -c 32 /dev/zero > w.bin && cp w.bin before.bin
// RUN: %python %S/fails.py 1 'w.bin: is to be written, but it is also read: as ./w.bin' qopt ok.onnx -o new.qmod --log=w.bin
// RUN: cmp w.bin before.bin && not test -e new.qmod

// RUN: qopt model.onnx -o m.qmod --cpu=x86-64-v3 --quiet && cp m.qmod before.qmod
// RUN: %python %S/fails.py 1 'm.qmod: is to be written, but it is also read: as m.qmod' qrun m.qmod --info --json=m.qmod
// RUN: %python %S/fails.py 1 'before.qmod: is to be written, but it is also read: as before.qmod' qrun m.qmod --perplexity=%inputs/tokens.npy --compare=before.qmod --json=before.qmod
// RUN: %python %S/fails.py 1 'm.qmod: is to be written, but it is also read: as m.qmod' qrun m.qmod --extract=tokenizer -o m.qmod
// RUN: cmp m.qmod before.qmod

// Outputs whose names differ only in what cannot be in a file's name have files of their own.
// RUN: qopt %s -o two.qmod --cpu=x86-64-v3 --quiet
// RUN: qrun two.qmod --input=x=%inputs/tokens.npy --output=out --quiet && ls out | FileCheck %s
// CHECK: a_b.npy
// CHECK-NEXT: a_b_2.npy
func.func @forward(%x: tensor<?x?xi64> {onnx.name = "x", onnx.dims = ["n", "m"]}) -> (tensor<?x?xi64> {onnx.name = "a/b", onnx.dims = ["n", "m"]}, tensor<?x?xi64> {onnx.name = "a_b", onnx.dims = ["n", "m"]}) {
  %y = onnx.Add %x, %x : (tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  %z = onnx.Mul %x, %x : (tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  return %y, %z : tensor<?x?xi64>, tensor<?x?xi64>
}
