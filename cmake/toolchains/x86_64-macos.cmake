# SPDX-License-Identifier: Apache-2.0
# macOS on Intel's processors.
set(SOCI_MACOS_CPU x86_64)
include(${CMAKE_CURRENT_LIST_DIR}/macos.cmake)
