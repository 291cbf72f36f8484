// Each error that a CUDA driver can give has its own line, and the program ends.
#include "Fixture.h"

namespace {
struct Fault {
  const char *function; // "NAME=CODE[@N]"
  const char *message;
};
} // namespace

static constexpr Fault faults[] = {
    {"cuInit=34", "cannot start the CUDA driver: the libcuda.so.1 that was found is the stub of a CUDA toolkit, not a "
                  "driver; take its folder out of LD_LIBRARY_PATH (CUDA_ERROR_STUB_LIBRARY, 34)"},
    {"cuInit=35",
     "cannot start the CUDA driver: the CUDA driver is too old; install a newer one (it supports CUDA 12.4) "
     "(CUDA_ERROR_INSUFFICIENT_DRIVER, 35)"},
    {"cuInit=36",
     "cannot start the CUDA driver: the CUDA driver is too old; install a newer one (it supports CUDA 12.4) "
     "(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, 36)"},
    {"cuInit=802",
     "cannot start the CUDA driver: the system is not ready; is the fabric manager (nvidia-fabricmanager) "
     "running? (CUDA_ERROR_SYSTEM_NOT_READY, 802)"},
    {"cuInit=803",
     "cannot start the CUDA driver: libcuda.so.1 and the kernel's driver have different versions; reboot, "
     "or reinstall the driver (it supports CUDA 12.4) (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803)"},
    {"cuInit=804", "cannot start the CUDA driver: the compatibility libcuda.so.1 that was found does not support this "
                   "device; take its folder out of LD_LIBRARY_PATH (it supports CUDA 12.4) "
                   "(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, 804)"},
    {"cuInit=999", "cannot start the CUDA driver: the driver does not know why; its kernel log (dmesg) may "
                   "(CUDA_ERROR_UNKNOWN, 999)"},
    {"cuDevicePrimaryCtxRetain=46",
     "cannot open cuda:0: the device is in use by another process (exclusive mode) or was lost; nvidia-smi shows its "
     "state (CUDA_ERROR_DEVICE_UNAVAILABLE, 46)"},
    {"cuDevicePrimaryCtxRetain=2",
     "cannot open cuda:0: the device has not enough free memory (CUDA_ERROR_OUT_OF_MEMORY, 2)"},
    {"cuModuleLoadDataEx=200",
     "cannot load the section ptx on cuda:0 (Fake GPU 0, sm_90): the driver does not know this "
     "kind of code (CUDA_ERROR_INVALID_IMAGE, 200)"},
    {"cuModuleLoadDataEx=209",
     "cannot load the section ptx on cuda:0 (Fake GPU 0, sm_90): the code is not for this kind "
     "of device (CUDA_ERROR_NO_BINARY_FOR_GPU, 209)"},
    {"cuModuleLoadDataEx=218",
     "cannot load the section ptx on cuda:0 (Fake GPU 0, sm_90): the driver's compiler refuses the PTX "
     "(CUDA_ERROR_INVALID_PTX, 218): ptxas application ptx input, line 7; error : unknown symbol 'q'"},
    {"cuModuleLoadDataEx=221",
     "cannot load the section ptx on cuda:0 (Fake GPU 0, sm_90): the driver's compiler (libnvidia-ptxjitcompiler.so.1) "
     "is missing; install it, or compile with --cuda-arch (CUDA_ERROR_JIT_COMPILER_NOT_FOUND, 221)"},
    {"cuModuleLoadDataEx=222", "cannot load the section ptx on cuda:0 (Fake GPU 0, sm_90): the CUDA driver is too old "
                               "for the PTX; install a newer "
                               "one (it supports CUDA 12.4) (CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222)"},
    {"cuMemcpyHtoDAsync=214@2",
     "cannot copy 1048584 bytes to cuda:0: the memory of the device has an uncorrectable fault "
     "(ECC); the device needs a reset (CUDA_ERROR_ECC_UNCORRECTABLE, 214)"},
    {"cuLaunchKernel=701",
     "cannot launch kernel look_up with 3x1x1 blocks of 64x1x1 threads and 256 bytes of shared memory on cuda:0: too "
     "many threads, registers or too much shared memory for the device (CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701)"},
    {"cuStreamSynchronize=700@2",
     "cannot run kernel look_up on cuda:0: illegal memory access (CUDA_ERROR_ILLEGAL_ADDRESS, 700)"},
    {"cuStreamSynchronize=702@2",
     "cannot run kernel look_up on cuda:0: it ran longer than the device allows (a display "
     "is attached) (CUDA_ERROR_LAUNCH_TIMEOUT, 702)"},
    {"cuStreamSynchronize=715@2",
     "cannot run kernel look_up on cuda:0: illegal instruction (CUDA_ERROR_ILLEGAL_INSTRUCTION, 715)"},
    {"cuStreamSynchronize=716@2",
     "cannot run kernel look_up on cuda:0: misaligned memory access (CUDA_ERROR_MISALIGNED_ADDRESS, 716)"},
    {"cuStreamSynchronize=718@2",
     "cannot run kernel look_up on cuda:0: jump to an address that is no code (CUDA_ERROR_INVALID_PC, 718)"},
    {"cuStreamSynchronize=719@2",
     "cannot run kernel look_up on cuda:0: the kernel failed for an unknown reason (CUDA_ERROR_LAUNCH_FAILED, 719)"},
    {"cuMemcpyDtoHAsync=46",
     "cannot run kernel look_up on cuda:0: the device is in use by another process (exclusive mode) or was lost; "
     "nvidia-smi shows its state (CUDA_ERROR_DEVICE_UNAVAILABLE, 46)"},
    {"cuStreamCreate=900", "cannot open cuda:0: error 900 of the CUDA driver (CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)"},
    {"cuStreamCreate=12345", "cannot open cuda:0: error 12345 of the CUDA driver, which does not name it"},
};

TEST_F(DeviceTest, EveryDriverErrorHasItsLine) {
  writeModule();
  for (const Fault &fault : faults) {
    SCOPED_TRACE(fault.function);
    expectError(run("--device=cuda --input input_ids=ids.npy --quiet", std::string("FAKE_CUDA_FAIL=") + fault.function),
                std::string("m.qmod: ") + fault.message);
  }
}
