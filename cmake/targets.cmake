# SPDX-License-Identifier: Apache-2.0
# How a folder becomes a library, a program or a test. Flags live here and nowhere else.

add_library(soci_flags INTERFACE)
target_compile_definitions(soci_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(soci_flags INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wcast-qual -Wundef -Wvla -Wframe-larger-than=32768
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>
  -fno-common -fvisibility=hidden)
target_include_directories(soci_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/snapshotter
                           ${PROJECT_SOURCE_DIR}/finch-soci)
target_link_libraries(soci_flags INTERFACE Threads::Threads)
if(WIN32)
  # Windows 10; printf() as C99 has it.
  target_compile_definitions(soci_flags INTERFACE _WIN32_WINNT=0x0A00 __USE_MINGW_ANSI_STDIO=1 WIN32_LEAN_AND_MEAN)
  target_compile_options(soci_flags INTERFACE -include ${PROJECT_SOURCE_DIR}/base/windows_libc.h)
  target_link_options(soci_flags INTERFACE -static -fstack-protector-strong)
endif()
if(APPLE) # what the oldest macOS does not have
  target_compile_options(soci_flags INTERFACE -Wunguarded-availability)
endif()
if(SOCI_WERROR)
  target_compile_options(soci_flags INTERFACE -Werror)
endif()
if(SOCI_SANITIZE)
  target_compile_options(soci_flags INTERFACE -fsanitize=${SOCI_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(soci_flags INTERFACE -fsanitize=${SOCI_SANITIZE})
endif()
if(SOCI_FUZZ)
  # Coverage for libFuzzer in every library; the fuzzer's main comes in with soci_fuzzer() alone.
  target_compile_options(soci_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(soci_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SOCI_COVERAGE)
  target_compile_options(soci_flags INTERFACE --coverage)
  target_link_options(soci_flags INTERFACE --coverage)
endif()

# soci_library(NAME SOURCES … [DEPS soci::x …] [PUBLIC_DEPS soci::y …])
# The folder's static library, as soci::NAME. DEPS are used in .c files, PUBLIC_DEPS in the header too.
function(soci_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PUBLIC_DEPS" ${ARGN})
  add_library(soci_${name} STATIC ${ARG_SOURCES})
  add_library(soci::${name} ALIAS soci_${name})
  target_link_libraries(soci_${name} PUBLIC soci_flags ${ARG_PUBLIC_DEPS} PRIVATE ${ARG_DEPS})
endfunction()

# soci_text(OUT SYMBOL HEADER FILE…): `const char SYMBOL[]`, the files one after the other, as the source OUT in the build's
# folder; HEADER declares it.
function(soci_text out symbol header)
  set(bytes "")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} hex HEX)
    string(APPEND bytes ${hex})
  endforeach()
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${out} @ONLY
       CONTENT "/* made by cmake */\n#include \"${header}\"\nconst char ${symbol}[] = {${bytes}0};\n")
endfunction()

# soci_executable(NAME SOURCES …): add_executable(), or its objects alone where nothing can be linked.
function(soci_executable name)
  if(SOCI_COMPILE_ONLY)
    add_library(${name} OBJECT ${ARGN})
  else()
    add_executable(${name} ${ARGN})
  endif()
endfunction()

# soci_program(NAME SOURCES … DEPS …): lands in build/<preset>/bin/ and is installed.
function(soci_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  soci_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE soci_flags soci_release_flags ${ARG_DEPS})
  if(NOT SOCI_COMPILE_ONLY)
    install(TARGETS ${name} RUNTIME)
  endif()
endfunction()

# soci_unit_test(NAME [SOURCES NAME.c …] DEPS soci::folder …): a cmocka program, ctest label "unit". It ends with its
# first failure: a test that failed leaves threads behind, on a stack that the next test would use.
function(soci_unit_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}.c)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(CMAKE_CROSSCOMPILING OR SOCI_SANITIZE) # what emulates another processor takes its time, and so do sanitizers
    math(EXPR ARG_TIMEOUT "4 * ${ARG_TIMEOUT}")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE soci_flags ${ARG_DEPS} PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE VECTORS_DIR="${PROJECT_SOURCE_DIR}/tests/vectors")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/unit)
  if(name IN_LIST SOCI_NOT_EMULATED)
    return()
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT CMOCKA_TEST_ABORT=1)
endfunction()

# soci_fuzzer(NAME CORPUS dir DEPS …): tests/fuzz/NAME.c with LLVMFuzzerTestOneInput. Always built and run over
# its corpus as an ordinary test (label "fuzz"); with SOCI_FUZZ it is the libFuzzer program too.
function(soci_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "DEPS" ${ARGN})
  add_executable(${name} ${name}.c)
  target_link_libraries(${name} PRIVATE soci_flags ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/fuzz)
  if(SOCI_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME ${name}_replay COMMAND ${name} -runs=0 ${ARG_CORPUS})
    add_test(NAME ${name}_10s COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/run $<TARGET_FILE:${name}> ${ARG_CORPUS} 10)
    set_tests_properties(${name}_10s PROPERTIES LABELS fuzz10s TIMEOUT 120)
    add_test(NAME ${name}_10min COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/run $<TARGET_FILE:${name}> ${ARG_CORPUS} 600)
    set_tests_properties(${name}_10min PROPERTIES LABELS fuzz10min TIMEOUT 1200)
  else()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME ${name}_replay COMMAND ${name} ${ARG_CORPUS})
  endif()
  set_tests_properties(${name}_replay PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

# PIE, RELRO and fortify for what is shipped.
include(CheckPIESupported)
check_pie_supported()
add_library(soci_release_flags INTERFACE)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  target_compile_options(soci_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
                         -ffunction-sections -fdata-sections)
  if(WIN32) # addresses that change, and data that is not run, are the linker's default there
    target_link_options(soci_release_flags INTERFACE -Wl,--gc-sections -s)
  elseif(APPLE) # so are they there
    target_link_options(soci_release_flags INTERFACE -Wl,-dead_strip -s)
  else()
    target_link_options(soci_release_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--gc-sections -s)
  endif()
endif()
