# SPDX-License-Identifier: Apache-2.0
# macOS on SOCI_MACOS_CPU (aarch64 or x86_64), for the files beside it: with zig's compiler, which has the headers and
# the stub of libSystem, and nothing else of macOS: no frameworks.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR ${SOCI_MACOS_CPU})

execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../../tools/fetch-zig --path
                OUTPUT_VARIABLE zig OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE missing)
if(missing)
  message(FATAL_ERROR "no compiler for macOS: run ./tools/fetch-zig")
endif()
set(CMAKE_C_COMPILER ${zig}/${SOCI_MACOS_CPU}-macos-cc)
set(CMAKE_AR ${zig}/${SOCI_MACOS_CPU}-macos-ar CACHE FILEPATH "")
set(CMAKE_RANLIB ${zig}/${SOCI_MACOS_CPU}-macos-ranlib CACHE FILEPATH "")
set(CMAKE_OSX_SYSROOT "" CACHE STRING "")           # the compiler has its own
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "") # and says for which macOS (tools/fetch-zig)
set(CMAKE_INSTALL_NAME_TOOL /bin/false CACHE FILEPATH "")
