//===- OtherFormats.h - Files that are taken for models -------------------===//
//
// What a file is that is no model, so that an error can tell it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_IMPORT_OTHERFORMATS_H
#define QOPT_IMPORT_OTHERFORMATS_H

#include <string>
#include <string_view>

namespace qopt {

/// What a file with these bytes is, as the end of a sentence about it, with what to do;
/// empty where it may be an ONNX model.
std::string describeOtherFormat(std::string_view bytes);

} // namespace qopt

#endif // QOPT_IMPORT_OTHERFORMATS_H
