//===- Stacks.cpp - Stacks of fibers, and switching between them ----------===//
//
// Memory comes in large mappings with guard pages, and is placed so that lanes do not
// evict each other.
//
//===----------------------------------------------------------------------===//
#include "Stacks.h"
#include <cstdint>
#include <sys/mman.h>

using namespace qrt::sim;

namespace {
constexpr size_t pageBytes = 4096, stackBytes = 64 << 10, stacksPerMapping = 32;
// The same variable of all lanes of a warp would fall into one set of the cache.
constexpr size_t colourBytes = 192;
} // namespace

char *Stacks::take() {
  if (unused.empty()) {
    size_t each = stackBytes + pageBytes;
    void *memory = ::mmap(nullptr, each * stacksPerMapping, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      return nullptr;
    mappings.push_back(memory);
    for (size_t i = stacksPerMapping; i-- > 0;) {
      char *bottom = static_cast<char *>(memory) + i * each;
      if (::mprotect(bottom, pageBytes, PROT_NONE) != 0)
        return nullptr;
      char *top = bottom + each - i * colourBytes;
      tops.push_back(top);
      unused.push_back(top);
    }
  }
  char *top = unused.back();
  unused.pop_back();
  return top;
}

void Stacks::clear() {
  for (void *memory : mappings)
    ::munmap(memory, (stackBytes + pageBytes) * stacksPerMapping);
  tops.clear();
  unused.clear();
  mappings.clear();
}

// Registers that a function must keep; the others are the caller's business. The
// control words of the floating-point units are the same on all fibers.
asm(R"(
.text
.p2align 4
.globl qrtSimSwitch
.hidden qrtSimSwitch
.type qrtSimSwitch, @function
qrtSimSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
.size qrtSimSwitch, .-qrtSimSwitch
.p2align 4
.hidden qrtSimEnter
.type qrtSimEnter, @function
qrtSimEnter:
  movq %r12, %rdi
  callq *%r13
  ud2
.size qrtSimEnter, .-qrtSimEnter
)");

extern "C" void qrtSimEnter();

void *qrt::sim::prepareStack(char *top, void (*function)(void *), void *argument) {
  // What qrtSimSwitch pops; qrtSimEnter then finds the stack aligned to 16 bytes.
  auto **slots = reinterpret_cast<void **>(top) - 9;
  slots[0] = nullptr;                            // r15
  slots[1] = nullptr;                            // r14
  slots[2] = reinterpret_cast<void *>(function); // r13
  slots[3] = argument;                           // r12
  slots[4] = nullptr;                            // rbx
  slots[5] = nullptr;                            // rbp
  slots[6] = reinterpret_cast<void *>(&qrtSimEnter);
  return slots;
}
