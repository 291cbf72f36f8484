// RUN: qopt-opt %s --split-input-file --verify-diagnostics
//
// The grammar of groups, in the order of Group.cpp.

func.func @norm_behind_quantization(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage preparation {
      kernel.dynamic_quantize ins(%X : memref<?x4xf32>) outs(%C, %T : memref<?x4xi8>, memref<?xf32>)
      // expected-error @below {{expected a norm, a quantization, or both in this order, as preparation}}
      kernel.rms_norm ins(%X, %G : memref<?x4xf32>, memref<4xf32>) outs(%N : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
    } products {
      kernel.matmul_float ins(%N, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func @product_as_preparation(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage preparation {
      // expected-error @below {{expected a norm, a quantization, or both in this order, as preparation}}
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    } products {
      kernel.matmul_float ins(%Y, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Z : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func @quantization_of_another_row(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage preparation {
      kernel.rms_norm ins(%X, %G : memref<?x4xf32>, memref<4xf32>) outs(%N : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
      // expected-error @below {{expected to quantize what the norm before makes}}
      kernel.dynamic_quantize ins(%X : memref<?x4xf32>) outs(%C, %T : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%C, %T, %D, %K, %G : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%Y : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func @no_product(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    // expected-error @below {{expected at least one product}}
    kernel.stage preparation {
      kernel.rms_norm ins(%X, %G : memref<?x4xf32>, memref<4xf32>) outs(%N : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
    } products {
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @loop_among_products(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
      // expected-error @below {{expected a product among the products of a stage}}
linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%Y : memref<?x4xf32>) outs(%Z : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    }
  }
  return
}

// -----

func.func @products_of_two_kinds(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
      // expected-error @below {{expected products of one kind, but the first one is kernel.matmul_float}}
      kernel.matmul_w8a8 ins(%C, %T, %D, %K, %G : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%Z : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func @product_of_another_row(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage preparation {
      kernel.rms_norm ins(%X, %G : memref<?x4xf32>, memref<4xf32>) outs(%N : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
    } products {
      // expected-error @below {{expected a product of what the preparation makes}}
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func @products_of_two_inputs(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
      // expected-error @below {{expected products of one input}}
      kernel.matmul_float ins(%N, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Z : memref<?x4xf32>)
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#turned = affine_map<(d0, d1) -> (d1, d0)>
func.func @transposition_as_epilogue(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    } epilogue {
      // expected-error @below {{expected an elementwise loop or kernel as epilogue}}
      linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]} ins(%Y : memref<?x4xf32>) outs(%Z : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @epilogue_of_something_else(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    } epilogue {
      // expected-error @below {{expected to work on what products, or steps before it, have made}}
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%N : memref<?x4xf32>) outs(%Z : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @epilogue_writes_the_input(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    } epilogue {
      // expected-error @below {{expected no operation of a stage to write what another one reads as a whole, but kernel.matmul_float reads what this one writes}}
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%Y : memref<?x4xf32>) outs(%X : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @stage_without_quantization(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    } epilogue {
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%Y : memref<?x4xf32>) outs(%Z : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    }
    // expected-error @below {{expected to begin with the quantization of what the last loop of the stage before makes}}
    kernel.stage products {
      kernel.matmul_float ins(%Z, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%N : memref<?x4xf32>)
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @stage_of_something_else(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    kernel.stage preparation {
      kernel.dynamic_quantize ins(%X : memref<?x4xf32>) outs(%C, %T : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%C, %T, %D, %K, %G : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%Y : memref<?x4xf32>)
    } epilogue {
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%Y : memref<?x4xf32>) outs(%Z : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    }
    // expected-error @below {{expected to begin with the quantization of what the last loop of the stage before makes}}
    kernel.stage preparation {
      kernel.dynamic_quantize ins(%N : memref<?x4xf32>) outs(%C, %T : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%C, %T, %D, %K, %G : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%Y : memref<?x4xf32>)
    }
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @other_operations(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
    // expected-error @below {{expected a group to hold constants and reshapes, then stages}}
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%X : memref<?x4xf32>) outs(%Y : memref<?x4xf32>) {
      ^bb0(%l: f32, %o: f32):
        %0 = arith.negf %l : f32
        linalg.yield %0 : f32
      }
    kernel.stage products {
      kernel.matmul_float ins(%X, %W : memref<?x4xf32>, memref<1x4x16xf32>) outs(%Y : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func @no_stage(%x: memref<?x4xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %d: memref<1x1x64xi8>, %k: memref<16xi32>) {
  // expected-error @below {{expected at least one stage}}
  kernel.group(%X = %x : memref<?x4xf32>, %N = %n : memref<?x4xf32>, %Y = %y : memref<?x4xf32>, %Z = %z : memref<?x4xf32>, %G = %g : memref<4xf32>, %W = %w : memref<1x4x16xf32>, %C = %c : memref<?x4xi8>, %T = %t : memref<?xf32>, %D = %d : memref<1x1x64xi8>, %K = %k : memref<16xi32>) {
  }
  return
}

// -----

func.func @scratch(%n: index) {
  // expected-error @below {{expected memory among the inputs as scratch, but got number 0}}
  kernel.group(%N = %n scratch : index) {
  }
  return
}

// -----

func.func @arguments(%x: memref<?x4xf32>) {
  // expected-error @below {{expected a body with an argument for each of 1 inputs, of its type, but got 0}}
  "kernel.group"(%x) <{scratch = array<i64>}> ({
  ^bb0:
  }) : (memref<?x4xf32>) -> ()
  return
}

// -----

func.func @stage_alone(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{expects parent op 'kernel.group'}}
  kernel.stage products {
    kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  }
  return
}
