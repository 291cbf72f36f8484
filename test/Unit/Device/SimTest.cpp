// The simulator as a device.
#include "Fixture.h"

TEST_F(DeviceTest, SimComputesWhatTheKernelsSay) {
  writeModule();
  Outcome outcome = run("--device=sim --input input_ids=ids.npy --output=. --threads=2 --json=j");
  ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "qrun: m.qmod runs on sim (2 threads, sim)\n");
  EXPECT_EQ(count(""), 0) << "the driver was used";
  std::string json = read(file("j"));
  EXPECT_NE(json.find("\"device\": \"sim\""), std::string::npos) << json;
  expectLogits();
}

TEST_F(DeviceTest, SimReportsErrors) {
  writeModule();
  expectError(run("--device=sim --input input_ids=wrong.npy --quiet"),
              "m.qmod: token id 512 is beyond the vocabulary of 512");
  ModuleParts parts;
  parts.kernels[1].name = "absent";
  writeModule(parts);
  expectError(run("--device=sim --input input_ids=ids.npy --quiet"),
              "m.qmod: the section sim lacks the kernel absent of the module's table");
  parts = {};
  parts.kernels[1].sharedBytes = 200000;
  writeModule(parts);
  expectError(run("--device=sim --input input_ids=ids.npy --quiet"),
              "m.qmod: kernel nothing needs 200000 bytes of shared memory, but the simulator has 101376");
  parts = {};
  parts.entry = "trap";
  writeModule(parts);
  Outcome trap = run("--device=sim --input x=x.npy --quiet");
  EXPECT_EQ(trap.exitCode, 1);
  EXPECT_EQ(trap.err.find("qrun: error: m.qmod: kernel trap"), 0u) << trap.err;
  EXPECT_EQ(std::count(trap.err.begin(), trap.err.end(), '\n'), 1);
  parts = {};
  parts.withSim = false;
  writeModule(parts);
  expectError(run("--device=sim --input input_ids=ids.npy --quiet"),
              "m.qmod: the module has no code for device sim; compile the model with --target=sim (or cuda,sim)");
}
