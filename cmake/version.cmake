# SPDX-License-Identifier: Apache-2.0
# The version that programs print: `soci version v0.15.0 <revision>`; nerdctl insists on a number of at least 0.10.0.
execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} rev-parse --short=12 HEAD
                OUTPUT_VARIABLE SOCI_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT SOCI_REVISION)
  set(SOCI_REVISION unreleased)
endif()
# The day of that revision, for the manual's pages.
execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} log -1 --format=%cs
                OUTPUT_VARIABLE SOCI_DATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
configure_file(${PROJECT_SOURCE_DIR}/cmake/version.h.in ${PROJECT_BINARY_DIR}/generated/version.h @ONLY)
target_include_directories(soci_flags INTERFACE ${PROJECT_BINARY_DIR}/generated)
