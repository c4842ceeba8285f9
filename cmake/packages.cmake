# SPDX-License-Identifier: Apache-2.0
# Libraries as pkg-config finds them: the system's, or those that packaging/build-host-libraries has built.
if(SOCI_HOST_LIBRARIES)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/packaging/build-host-libraries --path ${SOCI_HOST_LIBRARIES}
                  OUTPUT_VARIABLE libraries OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "no libraries for ${SOCI_HOST_LIBRARIES} yet: run packaging/build-host-libraries ${SOCI_HOST_LIBRARIES}")
  endif()
  set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/lib/pkgconfig)
  set(ENV{PKG_CONFIG_PATH} "")
  list(APPEND CMAKE_FIND_ROOT_PATH ${libraries})
endif()

# soci_need(TARGET MODULE PACKAGE): PkgConfig::TARGET, what pkg-config knows as MODULE.
function(soci_need target module package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET ${module})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "missing library ${module}: apt-get install ${package} (or run ./tools/test, which installs what it needs)")
  endif()
  set_property(GLOBAL APPEND PROPERTY SOCI_FEATURES "${module} ${${target}_VERSION}")
  # PkgConfig::X must be visible where the libraries are declared.
  set_target_properties(PkgConfig::${target} PROPERTIES IMPORTED_GLOBAL TRUE)
endfunction()
