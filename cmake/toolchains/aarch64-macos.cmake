# SPDX-License-Identifier: Apache-2.0
# macOS on Apple's processors.
set(SOCI_MACOS_CPU aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/macos.cmake)
