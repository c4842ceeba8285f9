# SPDX-License-Identifier: Apache-2.0
# One line per feature, so that a build that lost one is seen.
get_property(features GLOBAL PROPERTY SOCI_FEATURES)
message(STATUS "finch-soci ${PROJECT_VERSION} (${SOCI_REVISION}), ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}")
foreach(feature IN LISTS features)
  message(STATUS "feature: ${feature}")
endforeach()
foreach(option IN ITEMS SOCI_GUEST SOCI_TESTS SOCI_COMPILE_ONLY SOCI_WERROR SOCI_FUZZ SOCI_COVERAGE SOCI_SANITIZE)
  message(STATUS "option: ${option} = ${${option}}")
endforeach()
