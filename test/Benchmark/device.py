"""The NVIDIA GPU of this machine, and cuBLAS on it, through ctypes."""
import ctypes, glob, os

# Dense operations (two per fused multiply-add, sums in f32 or i32) of the tensor cores
# of one multiprocessor in one clock: f16, int8.
TENSOR_OPS = {
    (8, 0): (2048, 4096), (8, 6): (512, 2048), (8, 9): (512, 2048), (9, 0): (4096, 8192),
    (10, 0): (8192, 16384), (10, 3): (8192, 16384), (12, 0): (512, 2048),
}
CLOCK, MULTIPROCESSORS, MEMORY_CLOCK, BUS_WIDTH, MAJOR, MINOR = 13, 16, 36, 37, 75, 76  # CUdevice_attribute


class NoDevice(Exception):
    """There is none; says why."""


def open_library(*names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    return None


class Device:
    """Makes the primary context of device `index` current."""

    def __init__(self, index=0):
        self.cuda = open_library("libcuda.so.1")
        if not self.cuda:
            raise NoDevice("libcuda.so.1 is not installed")
        self.call("cuInit", 0)
        count, self.handle, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        if index >= count.value:
            raise NoDevice(f"the driver knows {count.value} devices")
        self.call("cuDeviceGet", ctypes.byref(self.handle), index)
        name = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", name, 256, self.handle)
        self.name = name.value.decode()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self.handle)
        self.call("cuCtxSetCurrent", context)

    def call(self, function, *arguments):
        error = getattr(self.cuda, function)(*arguments)
        if error:
            raise NoDevice(f"{function} failed with error {error}")

    def attribute(self, which):
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), which, self.handle)
        return value.value

    @property
    def capability(self):
        return self.attribute(MAJOR), self.attribute(MINOR)

    @property
    def arch(self):
        """As --cuda-arch wants it."""
        major, minor = self.capability
        return f"sm_{major}{minor}" + ("a" if major in (9, 10) else "")

    @property
    def bandwidth(self):
        """Bytes/s."""
        return 2 * self.attribute(MEMORY_CLOCK) * 1e3 * self.attribute(BUS_WIDTH) / 8

    def peak(self, is_integer):
        """Operations/s; None for a GPU that the table lacks."""
        ops = TENSOR_OPS.get(self.capability)
        return ops and ops[is_integer] * self.attribute(MULTIPROCESSORS) * self.attribute(CLOCK) * 1e3

    def allocate(self, size):
        pointer = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        self.call("cuMemsetD8_v2", pointer, ctypes.c_ubyte(0), ctypes.c_size_t(size))
        return pointer

    def free(self, pointer):
        self.call("cuMemFree_v2", pointer)

    def seconds(self, launch, repeat):
        """Of one launch, the mean of `repeat` in a row."""
        begin, end, milliseconds = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_float()
        for event in (begin, end):
            self.call("cuEventCreate", ctypes.byref(event), 0)
        launch(0)
        self.call("cuEventRecord", begin, None)
        for i in range(repeat):
            launch(i)
        self.call("cuEventRecord", end, None)
        self.call("cuEventSynchronize", end)
        self.call("cuEventElapsedTime", ctypes.byref(milliseconds), begin, end)
        return milliseconds.value / 1e3 / repeat


def open_cublas():
    """cublasLt; None where the toolkit is not installed."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    installed = sorted(glob.glob(os.path.join(home, "lib64", "libcublasLt.so.*")), reverse=True)
    return open_library("libcublasLt.so.13", "libcublasLt.so.12", *installed)


F32, F16, I8, I32 = 0, 2, 3, 10  # cudaDataType
COMPUTE_F32, COMPUTE_I32 = 68, 72  # cublasComputeType_t
TRANSPOSE_A, OP_TRANSPOSE = 3, 1  # cublasLtMatmulDescAttributes_t, cublasOperation_t
WORKSPACE = 32 << 20


def cublas_seconds(device, cublas, rows, n, k, is_integer, repeat=100):
    """Of the product of [rows, k] and [n, k] transposed; None where cuBLAS has none. The
    weights of 16 products take turns, so that they do not stay in the cache."""
    element = 1 if is_integer else 2
    weights = [device.allocate(n * k * element) for _ in range(16)]
    x, y, workspace = device.allocate(rows * k * element), device.allocate(rows * n * 4), device.allocate(WORKSPACE)
    handle, description = ctypes.c_void_p(), ctypes.c_void_p()
    cublas.cublasLtCreate(ctypes.byref(handle))
    result = I32 if is_integer else F16
    cublas.cublasLtMatmulDescCreate(ctypes.byref(description), COMPUTE_I32 if is_integer else COMPUTE_F32,
                                    I32 if is_integer else F32)
    operation = ctypes.c_int32(OP_TRANSPOSE)
    cublas.cublasLtMatmulDescSetAttribute(description, TRANSPOSE_A, ctypes.byref(operation), ctypes.c_size_t(4))

    def layout(kind, height, width):  # column-major
        value = ctypes.c_void_p()
        cublas.cublasLtMatrixLayoutCreate(ctypes.byref(value), kind, ctypes.c_uint64(height), ctypes.c_uint64(width),
                                          ctypes.c_int64(height))
        return value

    kind = I8 if is_integer else F16
    a, b, c = layout(kind, k, n), layout(kind, k, rows), layout(result, n, rows)
    scalar = ctypes.c_int32 if is_integer else ctypes.c_float
    one, zero = scalar(1), scalar(0)
    status = []

    def launch(i):
        status.append(cublas.cublasLtMatmul(handle, description, ctypes.byref(one), weights[i % 16], a, x, b,
                                            ctypes.byref(zero), y, c, y, c, None, workspace,
                                            ctypes.c_size_t(WORKSPACE), None))

    seconds = device.seconds(launch, repeat)
    for memory in [*weights, x, y, workspace]:
        device.free(memory)
    cublas.cublasLtDestroy(handle)
    return None if any(status) else seconds
