# SPDX-License-Identifier: Apache-2.0
# What a build can choose. The presets set these; packagers may too.
option(SOCI_TESTS "Build the tests" ON)
option(SOCI_WERROR "Warnings are errors" OFF)
option(SOCI_FUZZ "Build libFuzzer targets (needs Clang)" OFF)
option(SOCI_COVERAGE "Measure coverage" OFF)
set(SOCI_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

# The guest programs are Linux's; on every other system there is the host program alone.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  set(SOCI_GUEST_DEFAULT ON)
else()
  set(SOCI_GUEST_DEFAULT OFF)
endif()
option(SOCI_GUEST "Build the guest programs too (Linux only)" ${SOCI_GUEST_DEFAULT})

# Where Debian has no packages for the system that is built for: a target of packaging/build-host-libraries.
set(SOCI_HOST_LIBRARIES "" CACHE STRING "Target whose libraries packaging/build-host-libraries has built; empty: the system's")
# Where those are not built yet: what does not compile is found in seconds, where building them takes minutes.
option(SOCI_COMPILE_ONLY "Compile against the headers of this system's libraries, and link nothing" OFF)
