# A program without any library of the system: PyPI's ziglang (clang, lld, musl and libc++ in one wheel) as the
# compiler. AGAVE_ZIG is its `zig` program, AGAVE_ZIG_CPU x86_64 or aarch64; scripts/build-static.sh gives both.
set(AGAVE_ZIG zig CACHE FILEPATH "the zig program of PyPI's ziglang")
set(AGAVE_ZIG_CPU x86_64 CACHE STRING "x86_64 or aarch64")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AGAVE_ZIG AGAVE_ZIG_CPU)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${AGAVE_ZIG_CPU})
set(CMAKE_CXX_COMPILER ${AGAVE_ZIG} c++ -target ${AGAVE_ZIG_CPU}-linux-musl)
# The archives hold LLVM's bitcode, which the system's ar does not know.
foreach(mode "" _IPO)
  set(CMAKE_CXX_ARCHIVE_CREATE${mode} "${AGAVE_ZIG} ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
  set(CMAKE_CXX_ARCHIVE_APPEND${mode} "${AGAVE_ZIG} ar q <TARGET> <LINK_FLAGS> <OBJECTS>")
  set(CMAKE_CXX_ARCHIVE_FINISH${mode} "${AGAVE_ZIG} ranlib <TARGET>")
endforeach()
# Of /usr/include only RapidJSON: the rest belongs to the system's C library.
foreach(prefix /usr/local/include /usr/include)
  if(EXISTS ${prefix}/rapidjson AND NOT EXISTS ${CMAKE_BINARY_DIR}/include/rapidjson)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include)
    file(CREATE_LINK ${prefix}/rapidjson ${CMAKE_BINARY_DIR}/include/rapidjson SYMBOLIC)
  endif()
endforeach()
set(CMAKE_CXX_FLAGS_INIT "-isystem ${CMAKE_BINARY_DIR}/include")
