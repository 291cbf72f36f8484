//===- Race.h - Telling ThreadSanitizer about fibers ----------------------===//
//
// In the race-detecting build every GPU thread is a thread to ThreadSanitizer, and
// only barriers order what two of them do. Elsewhere these functions are empty.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_RACE_H
#define QOPT_RUNTIME_SIM_RACE_H

#include <cstddef>

#ifdef QRT_SIM_TSAN
extern "C" {
void *__tsan_get_current_fiber();
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void __tsan_read_range(void *address, unsigned long size);
void __tsan_write_range(void *address, unsigned long size);
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}
#endif

namespace qrt::sim::race {

#ifdef QRT_SIM_TSAN
inline constexpr bool isEnabled = true;
inline void *currentFiber() { return __tsan_get_current_fiber(); }
inline void *createFiber() { return __tsan_create_fiber(0); }
inline void destroyFiber(void *fiber) { __tsan_destroy_fiber(fiber); }
/// To be called right before the switch itself; orders nothing.
inline void switchTo(void *fiber) { __tsan_switch_to_fiber(fiber, /*no_sync=*/1); }
inline void acquire(void *address) { __tsan_acquire(address); }
inline void release(void *address) { __tsan_release(address); }
inline void read(const void *address, size_t size) { __tsan_read_range(const_cast<void *>(address), size); }
inline void write(void *address, size_t size) { __tsan_write_range(address, size); }
inline void ignore(bool isBeginning) { isBeginning ? __tsan_ignore_thread_begin() : __tsan_ignore_thread_end(); }
#else
inline constexpr bool isEnabled = false;
inline void *currentFiber() { return nullptr; }
inline void *createFiber() { return nullptr; }
inline void destroyFiber(void *) {}
inline void switchTo(void *) {}
inline void acquire(void *) {}
inline void release(void *) {}
inline void read(const void *, size_t) {}
inline void write(void *, size_t) {}
inline void ignore(bool) {}
#endif

/// Around what the simulator does with memory of its own: containers that several fibers
/// change move and free, which ThreadSanitizer sees. Reads and writes do not count.
struct Bookkeeping {
  Bookkeeping() { ignore(true); }
  ~Bookkeeping() { ignore(false); }
  Bookkeeping(const Bookkeeping &) = delete;
};

} // namespace qrt::sim::race

#endif // QOPT_RUNTIME_SIM_RACE_H
