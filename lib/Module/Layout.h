//===- Layout.h - Where things are in a .qmod file ------------------------===//
//
// Private to the reader and the writer, so that the numbers stand once.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_MODULE_LAYOUT_H
#define QOPT_LIB_MODULE_LAYOUT_H

#include "ChunkHashes.h"
#include "qopt/Module/Module.h"
#include "qopt/Support/Targets.h"
#include <bit>
#include <cstring>

namespace qopt {

static_assert(std::endian::native == std::endian::little, ".qmod files are read and written as memory is");

inline constexpr char moduleMagic[] = "QMOD\r\n\x1a\n";
inline constexpr uint32_t moduleVersionMajor = 1, moduleVersionMinor = 6;
inline constexpr int64_t sectionAlignment = 64, weightsAlignment = 4096, parameterAlignment = 64;
/// What one hash of the table covers, of files that are written.
inline constexpr int64_t hashedChunkBytes = 256 << 10;
/// From this minor version on files have such a table.
inline constexpr uint32_t firstMinorWithChunks = 4;

/// The first 64 bytes of the file.
struct ModulePreamble {
  char magic[8];
  uint32_t versionMajor, versionMinor;
  uint64_t headerBytes, fileBytes;
  std::byte hash[32];
};
static_assert(sizeof(ModulePreamble) == 64);

/// `value` rounded up to a multiple of `alignment`; both far from overflow.
inline int64_t alignUp(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

/// Where the first section may begin, at a file with such a header.
inline int64_t headerEnd(int64_t headerBytes) {
  return alignUp(static_cast<int64_t>(sizeof(ModulePreamble)) + headerBytes, sectionAlignment);
}

inline int64_t alignmentOf(const Section &section) {
  return section.name == kWeightsSection ? weightsAlignment : sectionAlignment;
}

/// What the JSON header says.
struct ModuleHeader {
  ModuleInfo info;
  std::vector<Section> sections;
  ChunkHashes chunks;
};

std::string writeHeader(const ModuleHeader &header);
/// Checks types, ranges and shapes, and that sections and parameters are sorted,
/// aligned, disjoint and inside [`firstOffset`, `fileBytes`]. `minor`: of the version
/// that the file has.
Result<ModuleHeader> readHeader(std::string_view json, uint32_t minor, int64_t firstOffset, int64_t fileBytes);
/// The checks of readHeader() that do not depend on the file: names present and
/// unique, types known, ranks at most QRT_MAX_RANK, bytes as the shapes need.
Status checkInfo(const ModuleInfo &info);
/// Checks that sections and parameters are sorted, aligned, disjoint and inside
/// [`firstOffset`, `fileBytes`].
Status checkPlaces(const ModuleHeader &header, int64_t firstOffset, int64_t fileBytes);
/// Checks that there is a hash for each chunk of `fileBytes`, and that the weights, whose
/// chunks may be compared later than the others, are last.
Status checkChunks(const ModuleHeader &header, int64_t fileBytes);

/// Gives the inputs and outputs of `entry`, as a module without roles has it, the roles
/// that their names and types tell.
void assignRolesByName(EntryPoint &entry);

} // namespace qopt

#endif // QOPT_LIB_MODULE_LAYOUT_H
