//===- Runtime.h - Load and run host code ---------------------------------===//
//
// The C++ face of the runtime; generated code sees only Abi.h. No LLVM, no
// Python, no CUDA toolkit. qopt itself calibrates with it, so what is measured
// is what will run.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_RUNTIME_H
#define QOPT_RUNTIME_RUNTIME_H

#include "qopt/Module/Module.h"
#include "qopt/Runtime/Abi.h"
#include "qopt/Support/Result.h"
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace qrt {

using qopt::ElementType;
using qopt::Result;
using qopt::Status;

/// A dense row-major tensor that owns its memory (64-byte aligned).
class Tensor {
public:
  Tensor() = default;
  /// Uninitialised. `dims` must be non-negative with a product that fits. Throws
  /// std::bad_alloc when there is no memory.
  Tensor(ElementType type, std::vector<int64_t> dims);
  /// Takes over memory that the runtime allocated for an output.
  static Tensor adopt(const QrtTensor &raw);

  ElementType type() const { return elementType; }
  const std::vector<int64_t> &dims() const { return shape; }
  /// The same memory with other dimensions, of at most as many elements.
  Tensor seenAs(std::vector<int64_t> dims) const;
  /// Entry `row` of the first dimension, which becomes 1, in the same memory.
  Tensor rowOf(int64_t row) const;
  int64_t numElements() const;
  int64_t bytes() const { return numElements() * qopt::elementBytes(elementType); }
  template <typename T>
  T *data() const {
    return static_cast<T *>(memory.get());
  }
  QrtTensor raw() const;

private:
  ElementType elementType = ElementType::None;
  std::vector<int64_t> shape;
  std::shared_ptr<void> memory;
};

/// Threads that run QrtTasks. Each begins with neighbouring indices of its own; a task's
/// result must not depend on which thread runs it.
class ThreadPool {
public:
  /// `threads` >= 1, counting the caller; fewer when the system gives no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  int size() const;
  /// As QrtApi::parallelFor. A task may call it again: that part then runs in the
  /// calling thread.
  void parallelFor(QrtTask task, void *args, int64_t count, int64_t grain);
  /// The same for a C++ function of (begin, end).
  template <typename Function>
  void parallelFor(int64_t count, int64_t grain, Function &&function) {
    QrtTask task = [](void *args, int64_t begin, int64_t end) {
      (*static_cast<std::remove_reference_t<Function> *>(args))(begin, end);
    };
    parallelFor(task, const_cast<void *>(static_cast<const void *>(&function)), count, grain);
  }

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Host code mapped into this process: an ELF shared object without imports,
/// loaded from memory (never by a path).
class HostCode {
public:
  static Result<std::shared_ptr<const HostCode>> load(std::span<const char> elf);
  virtual ~HostCode() = default;
  /// The address of an exported function; null when there is none of that name.
  virtual void *symbol(const std::string &name) const = 0;
  /// An entry point; null when there is none of that name.
  QrtEntry entry(const std::string &name) const { return reinterpret_cast<QrtEntry>(symbol(name)); }
};

/// Calls `entry` once. `parameters[i]` must be 64-byte aligned.
Result<std::vector<Tensor>> call(QrtEntry entry, ThreadPool &threads, std::span<const void *const> parameters,
                                 std::span<const Tensor> inputs, size_t numOutputs);

/// The best x86-64 level of this machine for which code can be chosen:
/// "x86-64-v4" (AVX-512 with VNNI) or "x86-64-v3" (AVX2, FMA, F16C); empty when
/// the machine has less.
std::string hostLevel();

struct SessionOptions {
  int threads = 1; ///< of the CPU; the simulator uses them too
  /// "cpu"; "cuda" or "cuda:N"; "sim", the simulator of a GPU with what all have,
  /// or "sim:sm_90a" with what that one has; "auto": CUDA where a driver and
  /// a device are found and the module has code for it, else the CPU.
  std::string device = "cpu";
  /// Forces the code for one level of CPU, e.g. "x86-64-v3" (tests compare levels on
  /// one machine); an error when the module or the machine does not have it.
  std::string hostLevel = {};
  /// Bytes of the weights that are in the device's memory.
  std::function<void(int64_t done, int64_t total)> onUpload = {};
  /// Why "auto" does not use the device that there is.
  std::function<void(const std::string &)> onWarning = {};
};

/// Whether code that is yet to be made can run on a device of SessionOptions, "auto" not
/// among them. Errors: no such device, no driver, a GPU older than what code is made for.
Status checkDevice(const std::string &name);

struct CacheEntries;

/// Texts that grow together, a row for each. What is known of their tokens stays where
/// the code runs, so that only new ones are computed.
class Decoder {
public:
  virtual ~Decoder() = default;
  int64_t batch() const { return static_cast<int64_t>(used.size()); }
  /// The most tokens of a row, and how many there are, of the longest row or of one.
  int64_t capacity() const { return room; }
  int64_t length() const;
  int64_t length(int64_t row) const { return used[static_cast<size_t>(row)]; }
  /// Whether rows may have different lengths. Not where the code computes something of all rows
  /// together, as the outlier columns of llm-int8, or takes one number of rows only.
  bool areRowsAlone() const { return alone; }

  /// Appends tokens [batch, n], n >= 1, and gives the logits behind the last one,
  /// [batch, 1, vocabulary]. After an error the texts are as before. Errors: an id that
  /// is not in [0, vocabulary), more than `capacity`, what the module's code reports.
  Result<Tensor> append(std::span<const int32_t> ids);
  /// Appends tokens to one row, as if there were no other; logits [1, 1, vocabulary]. An error,
  /// too, where rows are not alone.
  Result<Tensor> appendTo(int64_t row, std::span<const int32_t> ids);
  /// Forgets the tokens of a row behind the first `length`, of which there must be so many.
  void cut(int64_t row, int64_t length);
  /// Forgets all tokens.
  void clear();

protected:
  Decoder(const CacheEntries &entries, int64_t batch, int64_t capacity);
  /// Calls `entry` once with these `ids` [n, tokens] for n rows from the first one on.
  virtual Result<Tensor> call(const qopt::EntryPoint &entry, const Tensor &ids, int64_t firstRow) = 0;
  /// What `past_length` is for n rows from this one on: as many numbers, or one for all.
  std::span<const int64_t> lengths(int64_t firstRow, int64_t n) const;

private:
  Result<Tensor> append(std::span<const int32_t> ids, int64_t firstRow, int64_t n);

  const qopt::EntryPoint &prefill, &decode;
  int64_t room;
  bool alone;
  std::vector<int64_t> used; ///< tokens of each row
};

/// A module ready to run.
class Session {
public:
  /// On a CPU the best host code of the module that this machine can run is taken, on
  /// a GPU the cubin made for it, else PTX. Errors: no such device, the module has
  /// no code for it or its code does not fit its header.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const qopt::Module> module,
                                                 const SessionOptions &options = {});
  virtual ~Session() = default;
  virtual const qopt::Module &module() const = 0;
  /// Where it runs: "cpu", "cuda:0", "sim" or "sim:sm_90a".
  virtual const std::string &device() const = 0;
  /// The same for people: "cpu (x86-64-v3, 2 threads)".
  virtual std::string description() const = 0;
  /// Which section of the module runs: "host:x86-64-v3", "ptx", "cubin:sm_90a", "sim".
  virtual const std::string &code() const = 0;
  /// Bytes of weights that it has copied: to its device, or on a CPU to huge pages.
  virtual int64_t copiedWeightBytes() const = 0;
  /// The threads that CPU code runs on; idle between calls of run().
  virtual ThreadPool &threads() = 0;
  /// Runs entry point `name`; inputs in declared order. Checks types, ranks,
  /// constant dimensions and that equal symbols have equal sizes. One call at a
  /// time per session, those of its decoders included. Not for entry points with caches.
  virtual Result<std::vector<Tensor>> run(const std::string &name, std::span<const Tensor> inputs) = 0;
  /// Empty texts, a row for each of `batch`, of at most `capacity` tokens. The session
  /// must outlive them. Null where the module has no entry points for it. Errors:
  /// entry points of another form, a batch that they do not take, more tokens than the
  /// context, too little memory.
  virtual Result<std::unique_ptr<Decoder>> makeDecoder(int64_t batch, int64_t capacity) = 0;
};

} // namespace qrt

#endif // QOPT_RUNTIME_RUNTIME_H
