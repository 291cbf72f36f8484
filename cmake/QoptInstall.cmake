# What `cmake --install` puts where, and what other projects find as the package qopt.
#
# Each file belongs to one of four components, and each of these becomes a Debian package:
#   runtime       qrt       qrun and libqrt.so; no LLVM
#   runtime-dev   qrt-dev   to link the runtime: headers, static libraries, the CMake package
#   compiler      qopt      the compiler's tools and shared libraries
#   compiler-dev  qopt-dev  to link the compiler: headers, TableGen files, static libraries
#
# A new tool or library is one more name in the lists below the functions; headers and pages are taken by folder.
include(CMakePackageConfigHelpers)

set(QOPT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qopt)
add_custom_target(man ALL) # and what shells complete

# install_qopt_tools(COMPONENT NAMES...): programs, with a manual page of what each prints for --help.
function(install_qopt_tools component)
  install(TARGETS ${ARGN} RUNTIME COMPONENT ${component})
  foreach(name ${ARGN})
    set(page ${PROJECT_BINARY_DIR}/man/${name}.1)
    set(script ${PROJECT_SOURCE_DIR}/cmake/man.awk)
    add_custom_command(OUTPUT ${page}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
      COMMAND $<TARGET_FILE:${name}> --help > ${page}.help
      COMMAND awk -v name=${name} -v version=${PROJECT_VERSION} -f ${script} ${page}.help > ${page}
      DEPENDS ${name} ${script} VERBATIM)
    add_custom_target(man-${name} DEPENDS ${page})
    add_dependencies(man man-${name})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${component})
  endforeach()
endfunction()

# install_qopt_completions(COMPONENT NAMES...): scripts where bash and zsh of Debian look for them.
function(install_qopt_completions component)
  foreach(name ${ARGN})
    set(script ${PROJECT_BINARY_DIR}/man/${name})
    add_custom_command(OUTPUT ${script}.bash ${script}.zsh
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
      COMMAND $<TARGET_FILE:${name}> --completion=bash > ${script}.bash
      COMMAND $<TARGET_FILE:${name}> --completion=zsh > ${script}.zsh
      DEPENDS ${name} VERBATIM)
    add_custom_target(completion-${name} DEPENDS ${script}.bash ${script}.zsh)
    add_dependencies(man completion-${name})
    install(FILES ${script}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
      RENAME ${name} COMPONENT ${component})
    install(FILES ${script}.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
      RENAME _${name} COMPONENT ${component})
  endforeach()
endfunction()

# export_qopt_libraries(SET COMPONENT TARGETS...): libraries that a project links as qopt::NAME once find_package(qopt)
# has loaded SET. To run programs only shared libraries are needed; the rest is to link them.
function(export_qopt_libraries set component)
  set(QOPT_SETS ${QOPT_SETS} ${set} PARENT_SCOPE)
  foreach(library ${ARGN})
    get_target_property(name ${library} EXPORT_NAME)
    if(NOT name)
      string(REGEX REPLACE "^Qopt" "" name ${library})
      set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
    endif()
    target_include_directories(${library} INTERFACE
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
      $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    get_target_property(type ${library} TYPE)
    if(type STREQUAL STATIC_LIBRARY)
      target_compile_features(${library} INTERFACE cxx_std_20)
    else() # interfaces in C, which only grow
      set_target_properties(${library} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    endif()
    install(TARGETS ${library} EXPORT qopt${set}Targets
      LIBRARY COMPONENT ${component} NAMELINK_COMPONENT ${component}-dev
      ARCHIVE COMPONENT ${component}-dev)
  endforeach()
  install(EXPORT qopt${set}Targets NAMESPACE qopt:: DESTINATION ${QOPT_PACKAGE_DIR} COMPONENT ${component}-dev)
  export(EXPORT qopt${set}Targets NAMESPACE qopt::
    FILE ${PROJECT_BINARY_DIR}/${QOPT_PACKAGE_DIR}/qopt${set}Targets.cmake)
endfunction()

install_qopt_tools(runtime qrun)
install_qopt_tools(compiler qopt qopt-opt qopt-reduce qopt-translate qopt-lsp-server)
install_qopt_completions(runtime qrun)
install_qopt_completions(compiler qopt qopt-reduce)
install(TARGETS qopt-plugin LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT compiler) # for mlir-opt

set_target_properties(qrt-c PROPERTIES EXPORT_NAME Runtime)
set_target_properties(qopt-c PROPERTIES EXPORT_NAME Compiler)
set_target_properties(qrt PROPERTIES EXPORT_NAME RuntimeStatic)
export_qopt_libraries(Runtime runtime qrt-c)
export_qopt_libraries(Compiler compiler qopt-c)
export_qopt_libraries(RuntimeStatic runtime QoptSupport QoptTokenizer QoptModule qrt)
export_qopt_libraries(CompilerStatic compiler
  QoptOnnxProto QoptDialect QoptImport QoptNumerics QoptReference QoptCodegen QoptCalibration QoptPasses QoptPlugins QoptDriver)

# Headers: those of the runtime's libraries, and all others with what TableGen made for them.
set(header_kinds FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.h.inc" PATTERN CMakeFiles EXCLUDE)
foreach(folder Module Runtime Support Tokenizer)
  install(DIRECTORY include/qopt/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qopt COMPONENT runtime-dev ${header_kinds})
  list(APPEND header_kinds PATTERN ${PROJECT_SOURCE_DIR}/include/qopt/${folder} EXCLUDE)
endforeach()
install(DIRECTORY include/qopt ${PROJECT_BINARY_DIR}/include/qopt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT compiler-dev ${header_kinds})
install(DIRECTORY include/qopt-c DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT compiler-dev)

# The package file, to be installed and for the build tree.
foreach(place ${PROJECT_BINARY_DIR}/cmake ${PROJECT_BINARY_DIR}/${QOPT_PACKAGE_DIR})
  set(QOPT_SOURCE_INCLUDE_DIR)
  set(prefix)
  if(NOT place STREQUAL ${PROJECT_BINARY_DIR}/cmake)
    set(QOPT_SOURCE_INCLUDE_DIR ${PROJECT_SOURCE_DIR}/include)
    set(prefix INSTALL_PREFIX ${PROJECT_BINARY_DIR})
  endif()
  configure_package_config_file(cmake/qoptConfig.cmake.in ${place}/qoptConfig.cmake ${prefix}
    INSTALL_DESTINATION ${QOPT_PACKAGE_DIR} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
  write_basic_package_version_file(${place}/qoptConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  configure_file(cmake/QoptDependencies.cmake ${place}/QoptDependencies.cmake COPYONLY)
endforeach()
install(DIRECTORY ${PROJECT_BINARY_DIR}/cmake/ DESTINATION ${QOPT_PACKAGE_DIR} COMPONENT runtime-dev
  FILES_MATCHING PATTERN "*.cmake")

# Documents, and the licence where Debian looks for it.
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT compiler)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT compiler
  FILES_MATCHING PATTERN "*.md" PATTERN "*.json")
foreach(package IN ITEMS runtime:qrt runtime-dev:qrt-dev compiler:qopt compiler-dev:qopt-dev)
  string(REPLACE ":" ";" package ${package})
  list(GET package 0 component)
  list(GET package 1 name)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} RENAME copyright COMPONENT ${component})
endforeach()

include(cmake/QoptPackages.cmake)
