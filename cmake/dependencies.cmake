# SPDX-License-Identifier: Apache-2.0
# The libraries that our programs stand on. A missing one is a single line that names Debian's package.
find_package(PkgConfig REQUIRED)
if(SOCI_COMPILE_ONLY)
  include(headers) # soci_need(), for headers alone
else()
  include(packages) # soci_need(), by pkg-config
endif()
find_package(Threads REQUIRED)

soci_need(ZLIB zlib zlib1g-dev)
soci_need(CRYPTO libcrypto libssl-dev)
soci_need(CJSON libcjson libcjson-dev)
soci_need(YAML yaml-0.1 libyaml-dev)
soci_need(SSH2 libssh2 libssh2-1-dev)

if(SOCI_GUEST)
  soci_need(SSL libssl libssl-dev)
  soci_need(CURL libcurl libcurl4-openssl-dev)
  soci_need(NGHTTP2 libnghttp2 libnghttp2-dev)
  soci_need(PROTOBUF_C libprotobuf-c libprotobuf-c-dev)
  soci_need(FUSE3 "fuse3>=3.10" libfuse3-dev)
  soci_need(SQLITE3 sqlite3 libsqlite3-dev)
  soci_need(TOMLPP tomlplusplus libtomlplusplus-dev)

  # zstd layers, which never have a ztoc, are unpacked by us with it and left to containerd without.
  pkg_check_modules(ZSTD QUIET IMPORTED_TARGET libzstd)
  if(ZSTD_FOUND)
    set_target_properties(PkgConfig::ZSTD PROPERTIES IMPORTED_GLOBAL TRUE)
    set_property(GLOBAL APPEND PROPERTY SOCI_FEATURES "libzstd ${ZSTD_VERSION}")
  else()
    set_property(GLOBAL APPEND PROPERTY SOCI_FEATURES "libzstd none: zstd layers are left to containerd")
  endif()

  # Spans and whole layers are inflated by it; Debian has it for x86-64 and arm64.
  pkg_check_modules(ISAL QUIET IMPORTED_TARGET libisal)
  if(ISAL_FOUND)
    set_target_properties(PkgConfig::ISAL PROPERTIES IMPORTED_GLOBAL TRUE)
    set_property(GLOBAL APPEND PROPERTY SOCI_FEATURES "libisal ${ISAL_VERSION}")
  else()
    set_property(GLOBAL APPEND PROPERTY SOCI_FEATURES "libisal none: layers are inflated by zlib, in twice the time")
  endif()

  find_program(PROTOC_C protoc-c)
  if(NOT PROTOC_C)
    message(FATAL_ERROR "missing program protoc-c: apt-get install protobuf-c-compiler")
  endif()
endif()

if(SOCI_TESTS)
  soci_need(CMOCKA cmocka libcmocka-dev)
endif()
