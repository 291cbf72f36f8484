# Copies of our libraries that are built with a sanitizer beside the others, linked to the unit tests: only what is
# looked at is compiled once more, and stands on the compiler's other libraries as they are. A build in which everything is
# instrumented is a preset (docs/Testing.md), and there the copies are the targets themselves.

set(QOPT_SANITIZED_LIBRARIES QoptSupport QoptTokenizer QoptNumerics QoptModule qrt QoptImport QoptPch)
# With coverage, for fuzzers. UBSan's check of vptr needs type information, which LLVM has not.
set(QOPT_SANITIZE_address -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize=vptr -fno-sanitize-recover=undefined)
set(QOPT_SANITIZE_thread -fsanitize=thread)
add_custom_target(sanitized)

# sanitize_target(NAME SANITIZER): its own files, and its link.
function(sanitize_target name sanitizer)
  if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    set(flags ${QOPT_SANITIZE_${sanitizer}} -fno-omit-frame-pointer)
    target_compile_options(${name} PRIVATE -O1 -gline-tables-only -UNDEBUG ${flags})
    target_link_options(${name} PUBLIC ${flags})
  endif()
endfunction()

# sanitized_names(RESULT SANITIZER NAMES...): the copies of those that have one, all others as they are. The C
# interface is in qrt as well.
function(sanitized_names result sanitizer)
  set(names)
  foreach(name ${ARGN})
    if(name STREQUAL qrt-c)
      set(name qrt)
    endif()
    if(name IN_LIST QOPT_SANITIZED_LIBRARIES AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
      if(NOT TARGET ${name}-${sanitizer})
        add_library(${name}-${sanitizer} STATIC EXCLUDE_FROM_ALL)
        copy_sanitized(${name} ${sanitizer})
      endif()
      string(APPEND name -${sanitizer})
    endif()
    list(APPEND names ${name})
  endforeach()
  set(${result} ${names} PARENT_SCOPE)
endfunction()

# copy_sanitized(NAME SANITIZER): gives the target NAME-SANITIZER the sources of NAME and what it is built with.
function(copy_sanitized name sanitizer)
  set(copy ${name}-${sanitizer})
  foreach(property SOURCES SOURCE_DIR LINK_LIBRARIES INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS
                   PRECOMPILE_HEADERS PRECOMPILE_HEADERS_REUSE_FROM POSITION_INDEPENDENT_CODE MANUALLY_ADDED_DEPENDENCIES)
    get_target_property(value ${name} ${property})
    set(${property})
    if(NOT value MATCHES "-NOTFOUND$")
      set(${property} "${value}")
    endif()
  endforeach()

  # Objects of another target are made of its sources.
  set(sources)
  foreach(source ${SOURCES})
    if(source MATCHES "^\\$<TARGET_OBJECTS:(.*)>$")
      get_target_property(source ${CMAKE_MATCH_1} SOURCES)
    endif()
    list(TRANSFORM source PREPEND ${SOURCE_DIR}/ REGEX "^[^/]")
    list(APPEND sources ${source})
  endforeach()
  foreach(path ${sources})
    target_sources(${copy} PRIVATE ${path})
    get_source_file_property(options ${path} TARGET_DIRECTORY ${name} COMPILE_OPTIONS)
    if(options)
      set_source_files_properties(${path} PROPERTIES COMPILE_OPTIONS "${options}")
    endif()
  endforeach()
  sanitized_names(libraries ${sanitizer} ${LINK_LIBRARIES})
  target_link_libraries(${copy} PUBLIC ${libraries})
  target_include_directories(${copy} PRIVATE ${INCLUDE_DIRECTORIES})
  target_compile_definitions(${copy} PRIVATE ${COMPILE_DEFINITIONS})
  target_compile_options(${copy} PRIVATE ${COMPILE_OPTIONS})
  sanitize_target(${copy} ${sanitizer})
  target_precompile_headers(${copy} PRIVATE ${PRECOMPILE_HEADERS})
  if(PRECOMPILE_HEADERS_REUSE_FROM)
    sanitized_names(header ${sanitizer} ${PRECOMPILE_HEADERS_REUSE_FROM})
    target_precompile_headers(${copy} REUSE_FROM ${header})
  endif()
  # clang-tidy reads a source as the product builds it, not once for each copy.
  set_target_properties(${copy} PROPERTIES POSITION_INDEPENDENT_CODE ${POSITION_INDEPENDENT_CODE} EXPORT_COMPILE_COMMANDS OFF)
  if(MANUALLY_ADDED_DEPENDENCIES)
    add_dependencies(${copy} ${MANUALLY_ADDED_DEPENDENCIES})
  endif()
endfunction()

# add_sanitized_test(NAME TARGET COMMAND...): a test that runs what the target `sanitized` builds, TARGET among it:
# ctest -C sanitized -L sanitized
function(add_sanitized_test name target)
  add_dependencies(sanitized ${target})
  add_test(NAME ${name} COMMAND ${ARGN} CONFIGURATIONS sanitized)
  set_tests_properties(${name} PROPERTIES LABELS sanitized ENVIRONMENT
    "ASAN_OPTIONS=detect_container_overflow=0:allocator_may_return_null=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# add_sanitized_unittest(SANITIZER NAME [ARGUMENTS...]): the objects of a program of unit tests, which are not what is
# looked at, once more with the copies of its libraries, as NAME-SANITIZER.
function(add_sanitized_unittest sanitizer name)
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    return()
  endif()
  set(copy ${name}-${sanitizer})
  add_executable(${copy} EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${name}>)
  get_target_property(libraries ${name} LINK_LIBRARIES)
  sanitized_names(libraries ${sanitizer} ${libraries})
  target_link_libraries(${copy} PRIVATE ${libraries})
  target_link_options(${copy} PRIVATE ${QOPT_SANITIZE_${sanitizer}})
  set_target_properties(${copy} PROPERTIES LINKER_LANGUAGE CXX RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/Unit)
  get_target_property(needed ${name} MANUALLY_ADDED_DEPENDENCIES)
  if(needed)
    add_dependencies(${copy} ${needed})
  endif()
  if(sanitizer STREQUAL address) # the others are made by name
    add_sanitized_test(${copy} ${copy} ${copy} ${ARGN})
  endif()
endfunction()
