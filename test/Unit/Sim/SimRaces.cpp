//===- SimRaces.cpp - One simulated launch under ThreadSanitizer -----------===//
//
//   SimRaces CODE.so KERNEL GRID BLOCK SHARED-BYTES [ROWS ROW-BYTES]
//
// The kernel gets two arrays of 64 KiB; before them, with ROWS, the tensor map of the first
// one, in boxes of eight rows. ThreadSanitizer reports races on stderr and
// makes the exit status 66.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Sim.h"
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

int main(int argc, char **argv) {
  if (argc != 6 && argc != 8)
    return 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<char> elf{std::istreambuf_iterator<char>(file), {}};
  auto code = qrt::HostCode::load(elf);
  if (!code) {
    std::fprintf(stderr, "%s\n", code.error().message.c_str());
    return 2;
  }
  void *in = std::aligned_alloc(64, 65536), *out = std::aligned_alloc(64, 65536);
  for (int i = 0; i < 65536; ++i)
    static_cast<char *>(in)[i] = static_cast<char>(i);
  struct alignas(64) {
    char bytes[QRT_TENSOR_MAP_BYTES];
  } map;
  std::vector<void *> arguments{&in, &out};
  if (argc == 8) {
    if (!qrt::simTensorMap(&map, in, std::atoi(argv[6]), std::atoi(argv[7]), /*boxRows=*/8))
      return 2;
    arguments.insert(arguments.begin(), &map);
  }
  auto kernel = reinterpret_cast<QrtSimKernel>((*code)->symbol(argv[2]));
  if (!kernel)
    return 2;
  qrt::SimLaunch launch{
      kernel, argv[2], {std::atoi(argv[3]), 1, 1}, {std::atoi(argv[4]), 1, 1}, std::atoi(argv[5]), arguments.data()};
  // ThreadSanitizer does not see the synchronization of the pool: one thread.
  qrt::ThreadPool threads(1);
  qrt::Status status = qrt::simLaunch(launch, threads);
  if (!status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
