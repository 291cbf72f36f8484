//===- ContribOperators.h - Rules of onnxruntime's operators --------------===//
//
// One function per operator of com.microsoft, by family. Each replaces its node by
// standard operators.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_CONTRIBOPERATORS_H
#define QOPT_LIB_IMPORT_CONTRIBOPERATORS_H

#include "Operators.h"

namespace qopt::contrib {

// ContribNorms.cpp
Status importSimplifiedLayerNorm(NodeImport &node);
Status importSkipSimplifiedLayerNorm(NodeImport &node);
Status importSkipLayerNorm(NodeImport &node);

// ContribAttention.cpp
Status importAttention(NodeImport &node);
Status importMultiHeadAttention(NodeImport &node);

// GroupQueryAttention.cpp
Status importGroupQueryAttention(NodeImport &node);
Status importRotaryEmbedding(NodeImport &node);

} // namespace qopt::contrib

#endif // QOPT_LIB_IMPORT_CONTRIBOPERATORS_H
