//===- WarpTest.cpp - Operations of threads, warps and blocks -------------===//
#include "SimTest.h"

using namespace qopt::test;

namespace {

TEST(SimIndices, NameEachThreadOnce) {
  Kernels kernels(R"(
    gpu.func @f(%out: !llvm.ptr, %scale: f32, %count: i64) kernel {
      %tx = gpu.thread_id x
      %ty = gpu.thread_id y
      %tz = gpu.thread_id z
      %bx = gpu.block_id x
      %by = gpu.block_id y
      %bz = gpu.block_id z
      %dx = gpu.block_dim x
      %dy = gpu.block_dim y
      %dz = gpu.block_dim z
      %gx = gpu.grid_dim x
      %gy = gpu.grid_dim y
      %lane = gpu.lane_id
      // Linear thread in block, linear block, linear thread in grid.
      %t0 = arith.muli %tz, %dy : index
      %t1 = arith.addi %t0, %ty : index
      %t2 = arith.muli %t1, %dx : index
      %t = arith.addi %t2, %tx : index
      %b0 = arith.muli %bz, %gy : index
      %b1 = arith.addi %b0, %by : index
      %b2 = arith.muli %b1, %gx : index
      %b = arith.addi %b2, %bx : index
      %s0 = arith.muli %dx, %dy : index
      %s1 = arith.muli %s0, %dz : index
      %i0 = arith.muli %b, %s1 : index
      %i = arith.addi %i0, %t : index
      %i64 = arith.index_cast %i : index to i64
      %inside = arith.cmpi slt, %i64, %count : i64
      scf.if %inside {
        %l = arith.index_cast %lane : index to i32
        %lf = arith.uitofp %l : i32 to f32
        %v = arith.mulf %lf, %scale : f32
        %p = llvm.getelementptr %out[%i64] : (!llvm.ptr, i64) -> !llvm.ptr, f32
        llvm.store %v, %p : f32, !llvm.ptr
      }
      gpu.return
    })");
  Array<float> out(5 * 3 * 2 * 60 + 1, -1);
  ASSERT_EQ(kernels.run("f", {{5, 3, 2}, {4, 5, 3}}, out.data(), 0.5f, int64_t(1790)), "");
  for (int i = 0; i < 1790; ++i)
    ASSERT_EQ(out[i], 0.5f * (i % 60 % 32)) << i;
  EXPECT_EQ(out[1790], -1);
  EXPECT_EQ(kernels.run("f", {{0, 3, 2}, {4, 5, 3}}, out.data(), 0.5f, int64_t(1790)), "");
}

/// in[lane] to out[lane] by an operation on %v (i32); results are stored as i32.
std::string laneKernel(const std::string &body) {
  return R"(gpu.func @f(%in: !llvm.ptr, %out: !llvm.ptr, %x: i32, %y: i32, %members: i32) kernel {
      %id = gpu.thread_id x
      %lane = arith.index_cast %id : index to i32
      %pi = llvm.getelementptr %in[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %v = llvm.load %pi : !llvm.ptr -> i32
      %po = llvm.getelementptr %out[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %bit = arith.shrui %members, %lane : i32
      %isMember = arith.trunci %bit : i32 to i1
      scf.if %isMember {
)" + body +
         R"(
        llvm.store %r, %po : i32, !llvm.ptr
      }
      gpu.return
    })";
}

TEST(SimShuffle, FollowsThePtxDescription) {
  for (std::string kind : {"bfly", "up", "down", "idx"}) {
    Kernels kernels(laneKernel("%q = nvvm.shfl.sync " + kind + R"( %members, %v, %x, %y
          {return_value_and_is_valid} : i32 -> !llvm.struct<(i32, i1)>
        %value = llvm.extractvalue %q[0] : !llvm.struct<(i32, i1)>
        %valid = llvm.extractvalue %q[1] : !llvm.struct<(i32, i1)>
        %minus = arith.constant -1 : i32
        %r = arith.select %valid, %value, %minus : i32)"));
    Array<uint32_t> in = randomBits<uint32_t>(32, 3);
    for (uint32_t packed : {0x1fu, 0u, 0x181fu, 0x1c00u, 0x100fu, 0x1807u})
      for (uint32_t offset : {0u, 1u, 3u, 5u, 16u, 31u}) {
        Array<uint32_t> out(32);
        ASSERT_EQ(kernels.run("f", {}, in.data(), out.data(), offset, packed, ~0u), "");
        for (uint32_t lane = 0; lane < 32; ++lane) {
          // The pseudocode of the PTX ISA.
          int bval = offset, cval = packed & 31, mask = packed >> 8 & 31, j;
          int maxLane = (int(lane) & mask) | (cval & ~mask), minLane = int(lane) & mask;
          bool p;
          if (kind == "up")
            j = int(lane) - bval, p = j >= maxLane;
          else if (kind == "down")
            j = int(lane) + bval, p = j <= maxLane;
          else if (kind == "bfly")
            j = int(lane) ^ bval, p = j <= maxLane;
          else
            j = minLane | (bval & ~mask), p = j <= maxLane;
          ASSERT_EQ(out[lane], p ? in[j] : ~0u) << kind << " " << packed << " " << offset << " lane " << lane;
        }
      }
  }
}

TEST(SimShuffle, KeepsToItsMembers) {
  // Two halves of a warp take different branches with their own members.
  Kernels kernels(R"(gpu.func @f(%out: !llvm.ptr) kernel {
      %lane = gpu.thread_id x
      %c16 = arith.constant 16 : index
      %low = arith.cmpi ult, %lane, %c16 : index
      %f = arith.index_cast %lane : index to i32
      %v = arith.sitofp %f : i32 to f32
      %one = arith.constant 1 : i32
      %clamp = arith.constant 31 : i32
      %r = scf.if %low -> f32 {
        %m = arith.constant 65535 : i32
        %s = nvvm.shfl.sync bfly %m, %v, %one, %clamp : f32 -> f32
        scf.yield %s : f32
      } else {
        %m = arith.constant -65536 : i32
        %two = arith.constant 2 : i32
        %s = nvvm.shfl.sync bfly %m, %v, %two, %clamp : f32 -> f32
        scf.yield %s : f32
      }
      %p = llvm.getelementptr %out[%f] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      llvm.store %r, %p : f32, !llvm.ptr
      gpu.return
    })");
  Array<float> out(32);
  ASSERT_EQ(kernels.run("f", {}, out.data()), "");
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(out[lane], lane < 16 ? lane ^ 1 : lane ^ 2);
}

TEST(SimShuffle, GpuShuffleReduces) {
  Kernels kernels(R"(gpu.func @f(%out: !llvm.ptr) kernel {
      %id = gpu.thread_id x
      %lane = arith.index_cast %id : index to i32
      %width = arith.constant 32 : i32
      %c16 = arith.constant 16 : i32
      %c8 = arith.constant 8 : i32
      %c4 = arith.constant 4 : i32
      %c2 = arith.constant 2 : i32
      %c1 = arith.constant 1 : i32
      %s0, %v0 = gpu.shuffle xor %lane, %c16, %width : i32
      %a0 = arith.addi %lane, %s0 : i32
      %s1, %v1 = gpu.shuffle xor %a0, %c8, %width : i32
      %a1 = arith.addi %a0, %s1 : i32
      %s2, %v2 = gpu.shuffle xor %a1, %c4, %width : i32
      %a2 = arith.addi %a1, %s2 : i32
      %s3, %v3 = gpu.shuffle xor %a2, %c2, %width : i32
      %a3 = arith.addi %a2, %s3 : i32
      %s4, %v4 = gpu.shuffle down %a3, %c1, %width : i32
      %t = arith.select %v4, %s4, %c1 : i32
      %p = llvm.getelementptr %out[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %t, %p : i32, !llvm.ptr
      gpu.return
    })");
  Array<int32_t> out(32);
  ASSERT_EQ(kernels.run("f", {}, out.data()), "");
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(out[lane], lane == 31 ? 1 : (lane + 1) % 2 ? 256 : 240);
}

TEST(SimVote, CountsItsMembers) {
  struct {
    std::string kind, type;
    uint32_t (*want)(uint32_t ballot, uint32_t members);
  } cases[] = {{"any", "i1", [](uint32_t b, uint32_t) { return uint32_t(b != 0); }},
               {"all", "i1", [](uint32_t b, uint32_t m) { return uint32_t(b == m); }},
               {"uni", "i1", [](uint32_t b, uint32_t m) { return uint32_t(b == m || b == 0); }},
               {"ballot", "i32", [](uint32_t b, uint32_t) { return b; }}};
  for (const auto &c : cases) {
    std::string widen = c.type == "i1" ? "%r = arith.extui %q : i1 to i32"
                                       : "%z = arith.constant 0 : i32\n%r = arith.addi %q, %z : i32";
    Kernels kernels(laneKernel("%pred = arith.trunci %v : i32 to i1\n%q = nvvm.vote.sync " + c.kind +
                               " %members, %pred -> " + c.type + "\n" + widen));
    for (uint32_t members : {~0u, 0x00ff00f0u, 1u << 31})
      for (uint32_t bits : {0u, ~0u, 0x12345678u, 0x00ff00f0u, 1u << 31}) {
        Array<uint32_t> in(32), out(32, 77);
        for (int lane = 0; lane < 32; ++lane)
          in[lane] = bits >> lane;
        ASSERT_EQ(kernels.run("f", {}, in.data(), out.data(), 0u, 0u, members), "");
        for (int lane = 0; lane < 32; ++lane)
          EXPECT_EQ(out[lane], members >> lane & 1 ? c.want(bits & members, members) : 77u) << c.kind;
      }
  }
}

TEST(SimReduce, CombinesItsMembers) {
  Kernels kernels(laneKernel("%r = nvvm.redux.sync max %v, %members : i32 -> i32"));
  Array<uint32_t> in = randomBits<uint32_t>(32, 9), out(32);
  ASSERT_EQ(kernels.run("f", {}, in.data(), out.data(), 0u, 0u, 0xffff0000u), "");
  int32_t want = INT32_MIN;
  for (int lane = 16; lane < 32; ++lane)
    want = std::max(want, int32_t(in[lane]));
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(int32_t(out[lane]), lane < 16 ? 0 : want);
}

TEST(SimLoadMatrix, GivesEachLaneItsElements) {
  for (int count : {1, 2, 4})
    for (bool isTransposed : {false, true}) {
      std::string type = count == 1   ? "i32"
                         : count == 2 ? "!llvm.struct<(i32, i32)>"
                                      : "!llvm.struct<(i32, i32, i32, i32)>";
      std::string stores;
      for (int i = 0; i < count; ++i) {
        std::string n = std::to_string(i);
        stores += count == 1 ? "%z = arith.constant 0 : i32\n%e0 = arith.addi %m, %z : i32\n"
                             : "%e" + n + " = llvm.extractvalue %m[" + n + "] : " + type + "\n";
        stores += "%q" + n + " = llvm.getelementptr %out[%lane, " + n +
                  "] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<4 x i32>\n";
        stores += "llvm.store %e" + n + ", %q" + n + " : i32, !llvm.ptr\n";
      }
      // Row r of 16 bytes lies at 48 r.
      Kernels kernels(fill(R"(gpu.func @f(%in: !llvm.ptr, %out: !llvm.ptr) kernel {
        %id = gpu.thread_id x
        %lane = arith.index_cast %id : index to i32
        %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
        %row = llvm.getelementptr %shared[%lane] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<48 x i8>
        %p = llvm.getelementptr %in[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, vector<4xi32>
        %v = llvm.load %p : !llvm.ptr -> vector<4xi32>
        llvm.store %v, %row : vector<4xi32>, !llvm.ptr<3>
        nvvm.barrier0
        %m = nvvm.ldmatrix %row {num = {count} : i32, layout = #nvvm.mma_layout<{layout}>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> {type}
        {stores}
        gpu.return
      })",
                           {{"count", std::to_string(count)},
                            {"layout", isTransposed ? "col" : "row"},
                            {"type", type},
                            {"stores", stores}}));
      Array<uint16_t> in = randomBits<uint16_t>(32 * 8, 5);
      Array<uint16_t> out(32 * 8);
      ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {32, 1, 1}, 32 * 48}, in.data(), out.data()), "");
      for (int lane = 0; lane < 32; ++lane)
        for (int j = 0; j < count; ++j)
          for (int h = 0; h < 2; ++h) {
            int row = lane / 4, column = lane % 4 * 2 + h;
            uint16_t want = isTransposed ? in[(8 * j + column) * 8 + row] : in[(8 * j + row) * 8 + column];
            ASSERT_EQ(out[lane * 8 + 2 * j + h], want) << count << isTransposed << " lane " << lane;
          }
    }
}

} // namespace
