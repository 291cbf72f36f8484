//===- Info.cpp - What a module is, holds, and whether it is whole --------===//
//
// Commands that look at a module without running it.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Describe.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"
#include <cstdio>

using namespace qopt;

Status showInfo(const Request &request) {
  auto module = openModule(request.modulePath);
  if (!module)
    return module.error();
  if (Status status = writeJson(request, qrt::describeModuleAsJson(**module)); !status)
    return status;
  if (!request.jsonToStdout())
    std::fputs(qrt::describeModule(**module).c_str(), stdout);
  return {};
}

Status verifyModule(const Request &request) {
  auto module = openModule(request.modulePath);
  if (!module)
    return module.error();
  if (Status status = (*module)->verify(); !status)
    return inFile(request.modulePath, status.error());
  std::string bytes = std::to_string((*module)->fileBytes());
  if (Status status = writeJson(request, "{\n  \"verified_bytes\": " + bytes + "\n}\n"); !status)
    return status;
  if (!request.jsonToStdout())
    std::printf("%s: its %s bytes match their SHA-256\n", printable(request.modulePath).c_str(), bytes.c_str());
  return {};
}

Status extractSection(const Request &request) {
  auto module = openModule(request.modulePath);
  if (!module)
    return module.error();
  std::string names;
  for (const Section &section : (*module)->sections()) {
    if (section.name == request.sectionToExtract) {
      if (Status status = (*module)->verify(); !status)
        return inFile(request.modulePath, status.error());
      std::span<const char> bytes = (*module)->section(section.name);
      Status status = writeFileAtomically(request.outputFile, {bytes.data(), bytes.size()});
      return status ? status : Status(inFile(request.outputFile, status.error()));
    }
    names += (names.empty() ? "" : ", ") + printable(section.name);
  }
  return inFile(request.modulePath, {"has no section '" + printable(request.sectionToExtract) + "', only " + names});
}
