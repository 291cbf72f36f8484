# The Debian packages that `cpack` makes of the components: dpkg-shlibdeps finds what programs and shared libraries
# need; those for linking have none, and need what their headers include and qoptConfig.cmake looks for.
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

# qopt_package(COMPONENT NAME SECTION SUMMARY DESCRIPTION [LIBRARY name] [DEPENDS packages...] [RECOMMENDS packages...])
# With LIBRARY, a shared library of that name and programs. cpack would look for them with two processes per file of
# all packages if it were to write the file shlibs, so that stands here.
macro(qopt_package component name section summary description)
  cmake_parse_arguments(ARG "" "LIBRARY" "DEPENDS;RECOMMENDS" ${ARGN})
  string(TOUPPER ${component} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${summary}\n${description}")
  if(ARG_LIBRARY)
    set(CPACK_DEBIAN_${key}_PACKAGE_SHLIBDEPS ON)
    set(shlibs ${PROJECT_BINARY_DIR}/debian/${name}/shlibs)
    file(WRITE ${shlibs} "${ARG_LIBRARY} ${PROJECT_VERSION_MAJOR} ${name} (= ${PROJECT_VERSION})\n")
    set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA ${shlibs})
  endif()
  list(JOIN ARG_DEPENDS ", " CPACK_DEBIAN_${key}_PACKAGE_DEPENDS)
  list(JOIN ARG_RECOMMENDS ", " CPACK_DEBIAN_${key}_PACKAGE_RECOMMENDS)
endmacro()

string(REGEX MATCH "^[0-9]+" llvm ${LLVM_VERSION_MAJOR})
set(same "(= ${PROJECT_VERSION})")
qopt_package(runtime qrt misc "runs quantized language models"
  "qrun and libqrt.so run the modules that qopt writes: on a CPU, on a GPU where the driver of CUDA is installed, or in a simulator of one."
  LIBRARY libqrt)
qopt_package(runtime-dev qrt-dev libdevel "runs quantized language models - development files"
  "Headers, static libraries and the CMake package to run the modules of qopt from programs in C and C++."
  DEPENDS "qrt ${same}" libpcre2-dev libicu-dev)
qopt_package(compiler qopt devel "quantizing compiler for language models"
  "qopt reads a language model as ONNX, calibrates and quantizes it, and writes one module of code and weights that qrun of the package qrt runs."
  LIBRARY libqopt
  DEPENDS libllvm${llvm} # which dpkg-shlibdeps may leave out: libMLIR's folder has a link to it that is llvm-22-dev's
  RECOMMENDS qrt)
qopt_package(compiler-dev qopt-dev libdevel "quantizing compiler for language models - development files"
  "Headers, TableGen files and libraries of qopt's MLIR dialects, passes and driver."
  DEPENDS "qopt ${same}" "qrt-dev ${same}" llvm-${llvm}-dev libmlir-${llvm}-dev mlir-${llvm}-tools liblld-${llvm}-dev
          libopenblas-pthread-dev liblapacke-dev libprotobuf-dev libzstd-dev zlib1g-dev)
include(CPack)
