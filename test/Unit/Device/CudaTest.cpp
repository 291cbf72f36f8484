// The whole host path of the CUDA target, with a fake driver.
#include "Fixture.h"
#include <dlfcn.h>

static const std::string forward = "--device=cuda --input input_ids=ids.npy --output=. --quiet ";

TEST_F(DeviceTest, CudaRunsThroughTheDriver) {
  writeModule();
  Outcome outcome = run(forward);
  ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  expectLogits();
  // The arguments of the one launch: addresses of the start of an allocation, the
  // number of tokens, the columns, a float.
  EXPECT_NE(log().find("launch look_up 3x1x1 of 64x1x1 shared 256 args mem+0 mem+0 mem+0 mem+0 3 512 1.000000\n"),
            std::string::npos)
      << log();
  EXPECT_EQ(count("launch"), 1);
  EXPECT_EQ(count("load"), 1);
  EXPECT_NE(log().find("upload 1048584\n"), std::string::npos) << "the weights at once: " << log();
  EXPECT_NE(log().find("upload 24\n"), std::string::npos) << "ids, or the empty error record";
  EXPECT_NE(log().find("download 6144\n"), std::string::npos) << log();
  EXPECT_NE(log().find("context released, 0 allocations left\n"), std::string::npos) << log();
}

TEST_F(DeviceTest, CudaKeepsItsMemoryBetweenCalls) {
  writeModule();
  for (int rows : {1, 6}) {
    std::ofstream ids(file("rows.jsonl"));
    for (int i = 0; i < rows; ++i)
      ids << "{\"input_ids\": [1, 2, " << i << ", 4, 5]}\n";
    ids.close();
    Outcome outcome = run("--device=cuda --perplexity=rows.jsonl --mode=per-text --quiet");
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    EXPECT_EQ(count("launch look_up"), rows);
    // Error record, weights, ids, arena, logits.
    EXPECT_EQ(count("allocate"), 5) << log();
    EXPECT_EQ(count("upload 1048584"), 1) << "the weights";
  }
}

TEST_F(DeviceTest, CudaIsTheDefaultWhereItCanBe) {
  writeModule();
  const std::string arguments = "--input input_ids=ids.npy --output=. --threads=1 --json=j";
  Outcome outcome = run(arguments, "FAKE_CUDA_DEVICES=9.0,8.0");
  ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_90, ptx)\n");
  std::string json = read(file("j"));
  EXPECT_NE(json.find("\"device\": \"cuda:0\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"code\": \"ptx\""), std::string::npos) << json;
  expectLogits();
  Outcome second = run(arguments + " --device=cuda:1", "FAKE_CUDA_DEVICES=9.0,8.0");
  EXPECT_EQ(second.err, "qrun: m.qmod runs on cuda:1 (Fake GPU 1, sm_80, ptx)\n");
  expectLogits();

  // No driver, no device, or no code: the CPU, without a word more.
  const std::string cpu = "qrun: m.qmod runs on cpu (x86-64-v3, 1 threads)\n";
  EXPECT_EQ(run(arguments, "FAKE_CUDA_DEVICES=").err, cpu);
  expectLogits();
  EXPECT_EQ(run(arguments + " --device=cpu").err, cpu);
  EXPECT_EQ(count(""), 0) << "the driver was used";
  EXPECT_EQ(run(arguments + " --host-level=x86-64-v3").err, cpu);
  // A device that cannot be used: the CPU, and why.
  Outcome old = run(arguments, "FAKE_CUDA_DEVICES=7.5");
  EXPECT_EQ(old.exitCode, 0);
  EXPECT_EQ(old.err, "qrun: warning: m.qmod: the module has code for sm_80 and later, but cuda:0 is sm_75; running on "
                     "the CPU\n" +
                         cpu);
  ModuleParts parts;
  parts.ptx = {};
  writeModule(parts);
  EXPECT_EQ(run(arguments).err, cpu);
  EXPECT_EQ(count(""), 0) << "the driver was used";
}

TEST_F(DeviceTest, CudaWithoutDriverOrDevice) {
  writeModule();
  expectError(run(forward, "FAKE_CUDA_DEVICES="),
              "m.qmod: cannot start the CUDA driver: the CUDA driver finds no device (CUDA_ERROR_NO_DEVICE, 100)");
  expectError(run(forward, "FAKE_CUDA_DEVICES= CUDA_VISIBLE_DEVICES=9"),
              "m.qmod: cannot start the CUDA driver: the CUDA driver finds no device; CUDA_VISIBLE_DEVICES is '9' "
              "(CUDA_ERROR_NO_DEVICE, 100)");
  expectError(run("--device=cuda:2 --input input_ids=ids.npy --quiet", "FAKE_CUDA_DEVICES=9.0,8.0"),
              "m.qmod: there is no device cuda:2; this machine has 2 CUDA devices");
  std::ofstream(file("libcuda.so.1")) << "not a library";
  Outcome broken = run(forward, "LD_LIBRARY_PATH=.");
  EXPECT_EQ(broken.exitCode, 1);
  EXPECT_EQ(broken.err.find("qrun: error: m.qmod: cannot load the CUDA driver: "), 0u) << broken.err;
  if (void *real = ::dlopen("libcuda.so.1", RTLD_LAZY))
    ::dlclose(real); // this machine has a driver
  else
    expectError(run(forward, "", /*withDriver=*/false),
                "m.qmod: no CUDA driver (libcuda.so.1) on this machine; run with --device=cpu");
}

TEST_F(DeviceTest, CubinsComeBeforePtx) {
  ModuleParts parts;
  parts.cubins = {"sm_80", "sm_90a"};
  writeModule(parts);
  Outcome outcome = run("--input input_ids=ids.npy --output=.");
  EXPECT_EQ(outcome.err, "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_90, cubin:sm_90a)\n");
  expectLogits();
  EXPECT_EQ(run("--input input_ids=ids.npy", "FAKE_CUDA_DEVICES=12.0").err,
            "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_120, ptx)\n");
  // A driver that is older than the toolkit that made the cubin.
  Outcome refused = run("--input input_ids=ids.npy", "FAKE_CUDA_FAIL=cuModuleLoadDataEx=200@1");
  EXPECT_EQ(refused.err, "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_90, ptx)\n");
  EXPECT_EQ(log().find("load cubin\nload ptx\n") != std::string::npos, true) << log();
}

TEST_F(DeviceTest, CudaOutOfMemory) {
  writeModule();
  expectError(run(forward, "FAKE_CUDA_MEMORY=1000000"),
              "m.qmod: the weights do not fit: out of memory on cuda:0: 1048584 bytes were needed, 995904 are free");
  expectError(run(forward, "FAKE_CUDA_MEMORY=2000000"),
              "m.qmod: out of memory on cuda:0: 1000000 bytes were needed, 812160 are free");
  EXPECT_EQ(count("launch"), 0);
  ModuleParts parts;
  parts.entry = "greedy";
  writeModule(parts);
  Outcome greedy = run("--device=cuda --input x=x.npy --quiet");
  EXPECT_EQ(greedy.err.find("qrun: error: m.qmod: out of memory on cuda:0: 1099511627776 bytes were needed, "), 0u)
      << greedy.err;
}

TEST_F(DeviceTest, ErrorsOfKernelsComeBack) {
  writeModule();
  expectError(run("--device=cuda --input input_ids=wrong.npy --quiet"),
              "m.qmod: token id 512 is beyond the vocabulary of 512");
  auto errorOf = [&](const std::string &entry, const std::string &settings = "") {
    ModuleParts parts;
    parts.entry = entry;
    writeModule(parts);
    Outcome outcome = run("--device=cuda --input x=x.npy --quiet", settings);
    EXPECT_EQ(outcome.out, entry == "empty_grid" ? "x f32 [3]\n" : "");
    return outcome.err;
  };
  const std::string start = "qrun: error: m.qmod: ",
                    reason = "the kernel failed for an unknown reason (CUDA_ERROR_LAUNCH_FAILED, 719)\n";
  EXPECT_EQ(errorOf("trap"), start + "cannot run kernel trap on cuda:0: " + reason);
  EXPECT_EQ(errorOf("two_kernels"), start + "cannot run kernel trap on cuda:0: " + reason)
      << "the second launch tells that the first failed";
  EXPECT_EQ(errorOf("no_such_kernel"), start + "the code of the module launches kernel 3, but its table has 3\n");
  EXPECT_EQ(errorOf("too_many_blocks"),
            start + "the code of the module launches kernel nothing with an impossible number of blocks or threads\n");
  EXPECT_EQ(errorOf("alias"), start + "the code of the module returned memory that it did not allocate as output 0\n");
  EXPECT_EQ(errorOf("empty_grid"), "");
  EXPECT_EQ(count("launch"), 0) << "nothing to do";
  // Without knowing which of two kernels it was, and with.
  const std::string late = "FAKE_CUDA_SIM= FAKE_CUDA_FAIL=cuStreamSynchronize=700@";
  EXPECT_EQ(errorOf("two_kernels", late + "2"),
            start +
                "cannot run one of 2 kernels, nothing last, on cuda:0 (CUDA_LAUNCH_BLOCKING=1 tells which): illegal "
                "memory access (CUDA_ERROR_ILLEGAL_ADDRESS, 700)\n");
  EXPECT_EQ(errorOf("two_kernels", late + "2 CUDA_LAUNCH_BLOCKING=1"),
            start + "cannot run kernel trap on cuda:0: illegal memory access (CUDA_ERROR_ILLEGAL_ADDRESS, 700)\n");
}

TEST_F(DeviceTest, KernelsOfOneArchitecture) {
  ModuleParts parts;
  parts.kernels[2].arch = "sm_90a";
  parts.entry = "by_capability";
  parts.ptx = "/"
              "/ .visible .entry nothing(\n.target sm_80\n"; // has no other kernel
  parts.kernels[0].name = "nothing_else", parts.kernels[0].arch = "sm_120a";
  parts.hopperPtx = ModuleParts::ptxFor("sm_90a");
  writeModule(parts);
  const std::string run90 = "--device=cuda --input x=x.npy", start = "qrun: error: m.qmod: ";
  // Each section has what is said to be in it, and the code launches what the loaded one has.
  EXPECT_EQ(run(run90, "FAKE_CUDA_DEVICES=8.0").err, "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_80, ptx)\n");
  EXPECT_EQ(count("launch nothing"), 1) << log();
  EXPECT_EQ(run(run90, "FAKE_CUDA_SIM=").err, "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_90, ptx:sm_90a)\n");
  EXPECT_EQ(count("launch trap"), 1) << log();
  // A driver that cannot take the newer PTX still gets the older.
  EXPECT_EQ(run(run90, "FAKE_CUDA_FAIL=cuModuleLoadDataEx=222@1").err,
            "qrun: m.qmod runs on cuda:0 (Fake GPU 0, sm_90, ptx)\n");
  EXPECT_EQ(run("--device=sim --input x=x.npy --quiet").err, "");
  EXPECT_NE(run("--device=sim:sm_90a --input x=x.npy --quiet").err.find("kernel trap"), std::string::npos);
  EXPECT_NE(run("--info").out.find("only sm_90a"), std::string::npos);
  // Kernels that are not where the table says, and code that launches what there is not.
  parts.kernels[2].name = "absent";
  writeModule(parts);
  expectError(run(run90 + " --quiet"), "m.qmod: the section ptx:sm_90a lacks the kernel absent of the module's table");
  parts.kernels[2].name = "trap";
  parts.entry = "trap";
  writeModule(parts);
  expectError(run(run90 + " --quiet", "FAKE_CUDA_DEVICES=8.0"),
              "m.qmod: the code of the module launches kernel trap, which the section ptx lacks");
  expectError(run("--device=sim --input x=x.npy --quiet"),
              "m.qmod: the code of the module launches kernel trap, which sim lacks");
}

TEST_F(DeviceTest, TensorsAreDescribed) {
  ModuleParts parts;
  parts.entry = "tensor";
  parts.hopperPtx = ModuleParts::ptxFor("sm_90a");
  writeModule(parts);
  const std::string onCuda = "--device=cuda --input x=x.npy --quiet";
  EXPECT_EQ(run(onCuda).err, "");
  EXPECT_EQ(count("tensor map 1 x 16 in boxes of 8 x 128"), 1) << log();
  expectError(run(onCuda, "FAKE_CUDA_FAIL=cuTensorMapEncodeTiled=1"),
              "m.qmod: cannot describe 1 rows of 16 bytes to cuda:0: the driver was given a wrong value "
              "(CUDA_ERROR_INVALID_VALUE, 1)");
  expectError(run(onCuda, "FAKE_CUDA_DEVICES=8.0"),
              "m.qmod: the code of the module describes tensors for kernels that the section ptx lacks");
  EXPECT_EQ(run("--device=sim:sm_90a --input x=x.npy --quiet").err, "");
  parts.entry = "odd_tensor";
  writeModule(parts);
  expectError(run("--device=sim:sm_90a --input x=x.npy --quiet"),
              "m.qmod: cannot describe 1 rows of 12 bytes in boxes of 8 rows to the simulator");
}

// Damaged or foreign modules: one line, and nothing runs.
TEST_F(DeviceTest, BadModulesDoNotRun) {
  auto expectRefused = [&](const ModuleParts &parts, const std::string &message, const std::string &settings = "") {
    writeModule(parts);
    expectError(run(forward, settings), "m.qmod: " + message);
    EXPECT_EQ(count("launch"), 0);
  };
  ModuleParts missing;
  missing.kernels[1].name = "absent";
  expectRefused(missing, "the section ptx lacks the kernel absent of the module's table");
  missing.cubins = {"sm_90"};
  expectRefused(missing, "the section cubin:sm_90 lacks the kernel absent of the module's table");
  ModuleParts otherGpu;
  otherGpu.ptx = {};
  otherGpu.cubins = {"sm_90a", "sm_120a"};
  expectRefused(otherGpu, "the module has code for sm_90a, sm_120a, but cuda:0 is sm_80", "FAKE_CUDA_DEVICES=8.0");
  ModuleParts later;
  later.ptx = ModuleParts::ptxFor("sm_90a");
  expectRefused(later, "the module has code for sm_90a, but cuda:0 is sm_100", "FAKE_CUDA_DEVICES=10.0");
  ModuleParts greedy;
  greedy.kernels[2].sharedBytes = 200000;
  expectRefused(greedy, "kernel trap needs 200000 bytes of shared memory, but cuda:0 (Fake GPU 0, sm_90) has 101376");
  ModuleParts noHost;
  noHost.withCuda = false;
  expectRefused(noHost, "the module has no code for device cuda; run with --device=cpu");

  ModuleParts both;
  both.cubins = {"sm_90"};
  for (const char *part : {".visible .entry", "ELF\n.text"}) {
    writeModule(both);
    std::string bytes = read(file("m.qmod"));
    bytes[bytes.find(part) + 2] ^= 1;
    std::ofstream(file("m.qmod"), std::ios::binary) << bytes;
    Outcome damaged = run(forward);
    EXPECT_EQ(damaged.exitCode, 1);
    std::string message =
        "m.qmod: is damaged: its SHA-256 does not match its " + std::to_string(bytes.size()) + " bytes in ";
    size_t place = damaged.err.find(message);
    ASSERT_NE(place, std::string::npos) << damaged.err;
    // All that shares a chunk with it.
    EXPECT_NE(damaged.err.find("host:cuda", place + message.size()), std::string::npos) << damaged.err;
    EXPECT_EQ(count(""), 0) << "the driver was used";
  }
}

TEST_F(DeviceTest, SectionsAndKernelsAreShown) {
  ModuleParts parts;
  parts.cubins = {"sm_90a"};
  parts.kernels[0].resources = {{"sm_90a", 128, 0}};
  parts.kernels[1].resources = {{"sm_90a", 255, 40}};
  writeModule(parts);
  Outcome info = run("--info --json=j");
  ASSERT_EQ(info.exitCode, 0) << info.err;
  for (const char *part : {"look_up", "256 B shared", "sm_90a: 128 registers", "sm_90a: 255 registers, 40 B spilled",
                           "host:cuda", "cubin:sm_90a", "ptx", "sim"})
    EXPECT_NE(info.out.find(part), std::string::npos) << part << " in " << info.out;
  std::string json = read(file("j"));
  EXPECT_NE(json.find("\"spill_bytes\": 40"), std::string::npos) << json;
  for (const auto &[section, content] :
       {std::pair("ptx", parts.ptx), std::pair("sim", read(SIM_CODE)), std::pair("host:cuda", read(CUDA_HOST_CODE))}) {
    Outcome outcome = run(std::string("--extract=") + section + " -o part");
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    EXPECT_EQ(read(file("part")), content) << section;
  }
  std::string before = read(file("part"));
  expectError(run("--extract=cubin:sm_80 -o part"),
              "m.qmod: has no section 'cubin:sm_80', only host:x86-64-v3, host:cuda, ptx, cubin:sm_90a, sim, weights");
  EXPECT_EQ(read(file("part")), before);
}
