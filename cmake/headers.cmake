# SPDX-License-Identifier: Apache-2.0
# Libraries of which there are headers alone: those of this system's packages, which are the same for every system but for
# what OpenSSL was configured with, and that changes nothing of what we call. They are copied into a folder of their own,
# since a compiler for another system must not see the others of this one.
set(headers ${PROJECT_BINARY_DIR}/headers)
file(REMOVE_RECURSE ${headers})

set(headers_of_ZLIB zlib.h zconf.h)
set(headers_of_CRYPTO openssl x86_64-linux-gnu/openssl aarch64-linux-gnu/openssl) # the machine's part of it
set(headers_of_CJSON cjson)
set(headers_of_YAML yaml.h)
set(headers_of_SSH2 libssh2.h libssh2_publickey.h libssh2_sftp.h)
set(headers_of_CMOCKA cmocka.h)

# soci_need(TARGET MODULE PACKAGE): PkgConfig::TARGET, with nothing to link.
function(soci_need target module package)
  set(found "")
  foreach(header IN LISTS headers_of_${target})
    if(EXISTS /usr/include/${header})
      list(APPEND found /usr/include/${header})
    endif()
  endforeach()
  if(found STREQUAL "")
    message(FATAL_ERROR "missing headers of ${module}: apt-get install ${package} (or run ./tools/test, which installs what it needs)")
  endif()
  file(COPY ${found} DESTINATION ${headers})
  set_property(GLOBAL APPEND PROPERTY SOCI_FEATURES "${module}: headers alone")
  add_library(PkgConfig::${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(PkgConfig::${target} SYSTEM INTERFACE ${headers})
endfunction()
