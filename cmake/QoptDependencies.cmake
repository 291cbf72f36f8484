# Libraries that bring no CMake package of their own, as imported targets. qopt's build includes this file,
# and so does qoptConfig.cmake, beside which it is installed.

# qopt_find_library(NAME HEADER [SUFFIXES folders...]): the target qopt::NAME of the library NAME and the folder of
# HEADER, which may be in one of the folders below the usual ones. Appends to QOPT_MISSING what is not found.
function(qopt_find_library name header)
  cmake_parse_arguments(ARG "" "" "SUFFIXES" ${ARGN})
  if(TARGET qopt::${name})
    return()
  endif()
  string(MAKE_C_IDENTIFIER ${name} variable)
  string(TOUPPER QOPT_${variable} variable)
  find_path(${variable}_INCLUDE_DIR ${header} PATH_SUFFIXES ${ARG_SUFFIXES})
  find_library(${variable}_LIBRARY ${name})
  mark_as_advanced(${variable}_INCLUDE_DIR ${variable}_LIBRARY)
  if(NOT ${variable}_INCLUDE_DIR OR NOT ${variable}_LIBRARY)
    set(QOPT_MISSING ${QOPT_MISSING} "${name} (${header})" PARENT_SCOPE)
    return()
  endif()
  add_library(qopt::${name} UNKNOWN IMPORTED)
  set_target_properties(qopt::${name} PROPERTIES
    IMPORTED_LOCATION ${${variable}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${${variable}_INCLUDE_DIR})
endfunction()

# What the static libraries of the runtime link.
macro(qopt_find_runtime_dependencies)
  qopt_find_library(pcre2-8 pcre2.h)
endmacro()

# What those of the compiler link besides.
macro(qopt_find_compiler_dependencies)
  qopt_find_library(openblas openblas_config.h
                    SUFFIXES openblas-pthread x86_64-linux-gnu/openblas-pthread openblas)
  qopt_find_library(lapacke lapacke.h)
  qopt_find_library(protobuf-lite google/protobuf/message_lite.h)
endmacro()
