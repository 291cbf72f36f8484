# One precompiled header for everything that includes MLIR: it takes a
# translation unit from ten seconds to one.
file(WRITE ${PROJECT_BINARY_DIR}/QoptPch.cpp.in "")
configure_file(${PROJECT_BINARY_DIR}/QoptPch.cpp.in ${PROJECT_BINARY_DIR}/QoptPch.cpp COPYONLY)
add_library(QoptPch STATIC ${PROJECT_BINARY_DIR}/QoptPch.cpp)
target_precompile_headers(QoptPch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/Pch.h)
target_compile_options(QoptPch PRIVATE -Xclang -fno-pch-timestamp)

# add_qopt_library(NAME SOURCES... [DEPENDS targets...] [LINK_LIBS targets...])
# A static library of the compiler side: sees MLIR, linked to the shared libMLIR.
function(add_qopt_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK_LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK_LIBS} MLIR LLVM)
  target_precompile_headers(${name} REUSE_FROM QoptPch)
  target_compile_options(${name} PRIVATE -Xclang -fno-pch-timestamp)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# use_qopt_pch(NAME): the precompiled header for a program or an object library.
function(use_qopt_pch name)
  target_precompile_headers(${name} REUSE_FROM QoptPch)
  # -fPIC instead of CMake's -fPIE: the precompiled header must match.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC -Xclang -fno-pch-timestamp)
endfunction()

# add_qopt_tool(NAME SOURCES... [LINK_LIBS targets...])
function(add_qopt_tool name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} MLIR LLVM)
  use_qopt_pch(${name})
endfunction()

# export_qopt_symbols(NAME): plugins that the program loads can use qopt's own classes.
function(export_qopt_symbols name)
  target_link_options(${name} PRIVATE "LINKER:--export-dynamic-symbol=*4qopt*")
endfunction()
