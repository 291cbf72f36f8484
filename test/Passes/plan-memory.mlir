// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-plan-memory))' | FileCheck %s
//
// Buffers that do not live at the same time share memory; outputs have their own.

func.func private @use(memref<?x4xf32>, memref<?x4xf32>)
func.func private @fixed(memref<8xf32>, memref<?x4xf32>)

// Three buffers of 16 bytes per row, padded to 64, of which two live at a time.
// CHECK-LABEL: func.func @shares(
// CHECK-SAME:    %[[S:.*]]: index, %[[X:.*]]: memref<?x4xf32>
func.func @shares(%s: index, %x: memref<?x4xf32>) -> memref<?x4xf32> {
  // CHECK: %[[ARENA:.*]] = memref.alloc(%[[S]]) : memref<?x128xi8>
  // CHECK: %[[BYTES:.*]] = memref.collapse_shape %[[ARENA]] {{.*}} into memref<?xi8>
  // CHECK: %[[C0:.*]] = arith.constant 0 : index
  // CHECK: %[[A:.*]] = memref.view %[[BYTES]][%[[C0]]][%[[S]]]
  // CHECK: call @use(%[[X]], %[[A]])
  %a = memref.alloc(%s) : memref<?x4xf32>
  call @use(%x, %a) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  // CHECK: %[[C64:.*]] = arith.constant 64 : index
  // CHECK: %[[SHIFT:.*]] = arith.muli %[[S]], %[[C64]]
  // CHECK: %[[B:.*]] = memref.view %[[BYTES]][%[[SHIFT]]][%[[S]]]
  // CHECK: call @use(%[[A]], %[[B]])
  %b = memref.alloc(%s) : memref<?x4xf32>
  call @use(%a, %b) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  // CHECK: %[[ZERO:.*]] = arith.constant 0 : index
  // CHECK: memref.view %[[BYTES]][%[[ZERO]]][%[[S]]]
  %c = memref.alloc(%s) : memref<?x4xf32>
  call @use(%b, %c) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  // CHECK: %[[Y:.*]] = memref.alloc(%[[S]]) {qopt.output} : memref<?x4xf32>
  // CHECK: return %[[Y]]
  %y = memref.alloc(%s) : memref<?x4xf32>
  call @use(%c, %y) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  return %y : memref<?x4xf32>
}

// A view keeps its buffer alive: %b may not take the place of %a.
// CHECK-LABEL: func.func @follows_views(
func.func @follows_views(%s: index, %x: memref<?x4xf32>) {
  // CHECK: memref.alloc(%{{.*}}) : memref<?x128xi8>
  %a = memref.alloc(%s) : memref<?x2x2xf32>
  %view = memref.collapse_shape %a [[0], [1, 2]] : memref<?x2x2xf32> into memref<?x4xf32>
  %b = memref.alloc(%s) : memref<?x4xf32>
  call @use(%x, %b) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  call @use(%view, %x) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  return
}

// Sizes known now make an arena of their own; a buffer that nothing uses has no place.
// CHECK-LABEL: func.func @arena_per_factor(
func.func @arena_per_factor(%s: index, %t: index, %x: memref<?x4xf32>) {
  // CHECK-DAG: memref.alloc() : memref<64xi8>
  // CHECK-DAG: memref.alloc(%arg0, %arg1) : memref<?x?x64xi8>
  // CHECK-NOT: memref.alloc
  %a = memref.alloc() : memref<8xf32>
  %unused = memref.alloc() : memref<1024xf32>
  %n = arith.muli %t, %s : index
  %b = memref.alloc(%n) : memref<?x4xf32>
  call @fixed(%a, %x) : (memref<8xf32>, memref<?x4xf32>) -> ()
  call @use(%b, %x) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  return
}

// An argument, and a buffer that is returned twice, are copied.
// CHECK-LABEL: func.func @copies(
func.func @copies(%s: index, %x: memref<?x4xf32>) -> (memref<?x4xf32>, memref<?x4xf32>, memref<?x4xf32>) {
  // CHECK: %[[Y:.*]] = memref.alloc(%arg0) {qopt.output}
  // CHECK: call @use(%arg1, %[[Y]])
  %y = memref.alloc(%s) : memref<?x4xf32>
  call @use(%x, %y) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  // CHECK: %[[ARGUMENT:.*]] = memref.alloc(%{{.*}}) {qopt.output}
  // CHECK: linalg.copy ins(%arg1 : {{.*}}) outs(%[[ARGUMENT]] :
  // CHECK: %[[AGAIN:.*]] = memref.alloc(%{{.*}}) {qopt.output}
  // CHECK: linalg.copy ins(%[[Y]] : {{.*}}) outs(%[[AGAIN]] :
  // CHECK: return %[[Y]], %[[ARGUMENT]], %[[AGAIN]]
  return %y, %x, %y : memref<?x4xf32>, memref<?x4xf32>, memref<?x4xf32>
}

// CHECK-LABEL: func.func private @skips_private(
func.func private @skips_private(%x: memref<?x4xf32>) {
  // CHECK-NEXT: memref.alloc() : memref<8xf32>
  %a = memref.alloc() : memref<8xf32>
  call @fixed(%a, %x) : (memref<8xf32>, memref<?x4xf32>) -> ()
  return
}

// More bytes than an index can count: allocating it fails at run time.
func.func private @huge(memref<?x4611686018427387904xf32>)
// CHECK-LABEL: func.func @skips_overflow(
func.func @skips_overflow(%s: index) {
  // CHECK-NEXT: memref.alloc(%{{.*}}) : memref<?x4611686018427387904xf32>
  %a = memref.alloc(%s) : memref<?x4611686018427387904xf32>
  call @huge(%a) : (memref<?x4611686018427387904xf32>) -> ()
  return
}

// What a layer needs for itself shares memory, and is allocated once, before the loop; %a, from
// outside, lives as long as the loop. (64 bytes per row each.)
// CHECK-LABEL: func.func @layers(
// CHECK-SAME:    %[[S:.*]]: index, %[[X:.*]]: memref<?x4xf32>)
// CHECK:         %[[ARENA:.*]] = memref.alloc(%[[S]]) : memref<?x192xi8>
// CHECK:         %[[BYTES:.*]] = memref.collapse_shape %[[ARENA]]
// CHECK:         %[[A:.*]] = memref.view %[[BYTES]]
// CHECK:         call @use(%[[X]], %[[A]])
// CHECK:         qopt.repeat 3 as
// CHECK-NOT:       memref.alloc
// CHECK:           %[[SECOND:.*]] = arith.constant 64 : index
// CHECK:           %[[SHIFT:.*]] = arith.muli %[[S]], %[[SECOND]]
// CHECK:           memref.view %[[BYTES]][%[[SHIFT]]]
// CHECK:           memref.view %[[BYTES]]
// CHECK:           %[[AGAIN:.*]] = arith.constant 64 : index
// CHECK:           %[[AS:.*]] = arith.muli %[[S]], %[[AGAIN]]
// CHECK:           memref.view %[[BYTES]][%[[AS]]]
// CHECK:           call @use(%{{.*}}, %[[A]])
// CHECK:         }
func.func @layers(%s: index, %x: memref<?x4xf32>) {
  %a = memref.alloc(%s) : memref<?x4xf32>
  call @use(%x, %a) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  qopt.repeat 3 as %layer {
    %b = memref.alloc(%s) : memref<?x4xf32>
    func.call @use(%a, %b) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
    %c = memref.alloc(%s) : memref<?x4xf32>
    func.call @use(%b, %c) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
    %d = memref.alloc(%s) : memref<?x4xf32>
    func.call @use(%c, %d) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
    func.call @use(%d, %a) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  }
  return
}

// What is returned in memory of the caller is copied; a size that is known is none of an operand,
// with which canonicalization would make another allocation, without the flag.
// CHECK-LABEL: func.func @known_sizes(
// CHECK:         %[[COPY:.*]] = memref.alloc() {qopt.output} : memref<1xi64>
// CHECK:         linalg.copy {{.*}} outs(%[[COPY]] : memref<1xi64>)
// CHECK:         %[[RESULT:.*]] = memref.cast %[[COPY]] : memref<1xi64> to memref<?xi64>
// CHECK:         return %[[RESULT]]
func.func @known_sizes(%x: memref<i64>) -> memref<?xi64> {
  %y = memref.expand_shape %x [] output_shape [1] : memref<i64> into memref<1xi64>
  %z = memref.cast %y : memref<1xi64> to memref<?xi64>
  return %z : memref<?xi64>
}
