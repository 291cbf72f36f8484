# The Debian packages that `cpack` makes of the components: dpkg-shlibdeps finds what the programs and libraries
# need, and those for linking also need what their headers include and qoptConfig.cmake looks for.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME qopt)
set(CPACK_PACKAGE_CONTACT "The qopt developers")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL runtime runtime-dev compiler compiler-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)

# qopt_package(COMPONENT NAME SECTION SUMMARY DESCRIPTION [DEPENDS packages...] [RECOMMENDS packages...])
macro(qopt_package component name section summary description)
  cmake_parse_arguments(ARG "" "" "DEPENDS;RECOMMENDS" ${ARGN})
  string(TOUPPER ${component} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${summary}\n${description}")
  set(CPACK_DEBIAN_${key}_PACKAGE_SHLIBDEPS ON)
  list(JOIN ARG_DEPENDS ", " CPACK_DEBIAN_${key}_PACKAGE_DEPENDS)
  list(JOIN ARG_RECOMMENDS ", " CPACK_DEBIAN_${key}_PACKAGE_RECOMMENDS)
endmacro()

string(REGEX MATCH "^[0-9]+" llvm ${LLVM_VERSION_MAJOR})
set(same "(= ${PROJECT_VERSION})")
qopt_package(runtime qrt misc "runs quantized language models"
  "qrun and libqrt.so run the modules that qopt writes: on a CPU, on a GPU where the driver of CUDA is installed, or in a simulator of one.")
qopt_package(runtime-dev qrt-dev libdevel "runs quantized language models - development files"
  "Headers, static libraries and the CMake package to run the modules of qopt from programs in C and C++."
  DEPENDS "qrt ${same}" libpcre2-dev libicu-dev)
qopt_package(compiler qopt devel "quantizing compiler for language models"
  "qopt reads a language model as ONNX, calibrates and quantizes it, and writes one module of code and weights that qrun of the package qrt runs."
  DEPENDS libllvm${llvm} # which dpkg-shlibdeps leaves to libmlir
  RECOMMENDS qrt)
qopt_package(compiler-dev qopt-dev libdevel "quantizing compiler for language models - development files"
  "Headers, TableGen files and libraries of qopt's MLIR dialects, passes and driver."
  DEPENDS "qopt ${same}" "qrt-dev ${same}" llvm-${llvm}-dev libmlir-${llvm}-dev mlir-${llvm}-tools liblld-${llvm}-dev
          libopenblas-pthread-dev liblapacke-dev libprotobuf-dev libzstd-dev zlib1g-dev)
include(CPack)
