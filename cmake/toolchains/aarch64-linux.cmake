# SPDX-License-Identifier: Apache-2.0
# Linux on arm64, with Debian's cross compiler; headers and libraries are in a tree of their own.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../../tools/arm64-tree --path
                OUTPUT_VARIABLE tree OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE missing)
if(missing)
  message(FATAL_ERROR "no tree of libraries for arm64: run ./tools/arm64-tree")
endif()
set(CMAKE_SYSROOT ${tree})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${tree})
set(ENV{PKG_CONFIG_LIBDIR} ${tree}/usr/lib/aarch64-linux-gnu/pkgconfig:${tree}/usr/share/pkgconfig)
set(CMAKE_SKIP_RPATH ON) # the libraries are elsewhere where the programs run

# ctest runs the tests in it.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${tree})
