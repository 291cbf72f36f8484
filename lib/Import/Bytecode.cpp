//===- Bytecode.cpp - The seal of bytecode --------------------------------===//
//
// What the reader of MLIR does with damaged bytecode is not ours to decide, so it gets none
// that we wrote. Bytecode of other programs has no hash and is taken as it is.
//
//===----------------------------------------------------------------------===//
#include "Bytecode.h"
#include "mlir/Bytecode/Encoding.h"
#include "qopt/Import/MlirFile.h"
#include "qopt/Support/Sha256.h"

using namespace qopt;
using llvm::StringRef;

/// Versions below 64 take one byte behind the magic: shifted, with a one for "no more bytes".
static constexpr size_t kProducerOffset = 5;
static_assert(mlir::bytecode::kVersion < 64);
static constexpr size_t kNumDigits = 64;
static constexpr StringRef kName = "qopt ", kHashMark = "sha256:";

static std::span<const std::byte> bytesOf(StringRef text) { return std::as_bytes(std::span(text.data(), text.size())); }

std::string qopt::unsealedProducer() {
  return (kName + QOPT_VERSION " " + kHashMark).str() + std::string(kNumDigits, '0');
}

int64_t qopt::sealOffset() { return static_cast<int64_t>(kProducerOffset + unsealedProducer().size() - kNumDigits); }

Status qopt::checkSeal(StringRef bytecode) {
  if (bytecode.size() <= kProducerOffset)
    return Error{"ends within its header, after " + std::to_string(bytecode.size()) + " bytes"};
  // What is newer MLIR itself refuses before it reads on.
  auto version = static_cast<uint8_t>(bytecode[kBytecodeMagic.size()]);
  if ((version & 1) && version >> 1 > mlir::bytecode::kVersion)
    return {};
  StringRef producer = bytecode.substr(kProducerOffset, 4096);
  producer = producer.substr(0, producer.find('\0'));
  size_t mark = producer.find(kHashMark);
  // Damage to one of the two leaves the other, so it is not taken for the file of another program.
  if (mark == StringRef::npos && !producer.contains(kName))
    return {};
  StringRef digits = mark == StringRef::npos ? "" : producer.substr(mark + kHashMark.size(), kNumDigits);
  if (digits.size() != kNumDigits)
    return Error{"is damaged: its header lacks the SHA-256 of qopt's bytecode"};
  const auto begin = static_cast<size_t>(digits.data() - bytecode.data());
  Sha256 hash;
  hash.update(bytesOf(bytecode.substr(0, begin)));
  hash.update(bytesOf(std::string(kNumDigits, '0')));
  hash.update(bytesOf(bytecode.substr(begin + kNumDigits)));
  if (toHex(hash.finish()) == digits)
    return {};
  return Error{"is damaged: its SHA-256 does not match its " + std::to_string(bytecode.size()) + " bytes"};
}

std::string qopt::sealBytecode(StringRef bytecode) {
  size_t end = bytecode.find('\0', kProducerOffset);
  std::string producer = unsealedProducer();
  // Data behind it keep their alignment.
  constexpr size_t alignment = 128;
  producer.resize(producer.size() + (alignment - (producer.size() + kProducerOffset - end) % alignment) % alignment,
                  ' ');
  std::string result = (bytecode.substr(0, kProducerOffset) + producer + bytecode.substr(end)).str();
  Sha256 hash;
  hash.update(bytesOf(result));
  result.replace(static_cast<size_t>(sealOffset()), kNumDigits, toHex(hash.finish()));
  return result;
}
