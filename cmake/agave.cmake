# Flags and helpers that every folder uses: agave_library(), agave_test(), agave_fuzz().

add_library(agave_flags INTERFACE)
target_include_directories(agave_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(agave_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -fno-math-errno -fno-trapping-math -ffp-contract=off
  -ffunction-sections -fdata-sections)
# GCC 12 sees overlapping copies in std::string operator+ where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(agave_flags INTERFACE -Wno-restrict)
endif()
if(AGAVE_WERROR)
  target_compile_options(agave_flags INTERFACE -Werror)
endif()
target_link_options(agave_flags INTERFACE -Wl,--gc-sections)
# A tenth of the size of the relocations (60 KB less); the C library must know them (glibc 2.36, musl 1.2.4).
include(CheckLinkerFlag)
check_linker_flag(CXX -Wl,-z,pack-relative-relocs AGAVE_PACKED_RELOCATIONS)
if(AGAVE_PACKED_RELOCATIONS AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
  target_link_options(agave_flags INTERFACE -Wl,-z,pack-relative-relocs)
endif()
if(AGAVE_SANITIZE)
  target_compile_options(agave_flags INTERFACE -fsanitize=${AGAVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(agave_flags INTERFACE -fsanitize=${AGAVE_SANITIZE})
endif()
# The program brings its C++ library along and needs only the system's C library.
if(NOT AGAVE_SANITIZE AND NOT APPLE)
  target_link_options(agave_flags INTERFACE -static-libstdc++ -static-libgcc)
endif()
if(AGAVE_FUZZ)
  # libFuzzer finds its way by the coverage of the libraries.
  target_compile_options(agave_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(agave_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)
target_link_libraries(agave_flags INTERFACE Threads::Threads ${CMAKE_DL_LIBS})

# agave_library(name SOURCES a.cpp ... [USES base quant ...]): the static library agave_<name> of one folder.
# Cold code is built for size, kernels set their own -O3.
function(agave_library name)
  cmake_parse_arguments(A "" "" "SOURCES;USES" ${ARGN})
  add_library(agave_${name} STATIC ${A_SOURCES})
  target_link_libraries(agave_${name} PUBLIC agave_flags)
  foreach(used ${A_USES})
    target_link_libraries(agave_${name} PUBLIC agave_${used})
  endforeach()
  target_compile_options(agave_${name} PRIVATE $<$<CONFIG:Release>:-Os>)
endfunction()

# agave_test(name SOURCES a.cpp ... USES base ...): a GoogleTest binary run by ctest; the folder tests/data and,
# where it exists, ../shared are found through AGAVE_TEST_DATA and AGAVE_SHARED.
function(agave_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  foreach(used ${A_USES})
    target_link_libraries(${name} PRIVATE agave_${used})
  endforeach()
  target_link_libraries(${name} PRIVATE agave_flags GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    AGAVE_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
    AGAVE_SHARED="${PROJECT_SOURCE_DIR}/../shared"
    AGAVE_BINARY="${CMAKE_BINARY_DIR}/bin/agave")
  add_test(NAME ${name} COMMAND ${name})
  if(A_TIMEOUT)
    set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT})
  endif()
endfunction()

# agave_fuzz(name SOURCES a.cpp USES ...): a libFuzzer target; its corpus is fuzz/corpus/<name>.
function(agave_fuzz name)
  cmake_parse_arguments(A "" "" "SOURCES;USES" ${ARGN})
  add_executable(fuzz_${name} ${A_SOURCES})
  foreach(used ${A_USES})
    target_link_libraries(fuzz_${name} PRIVATE agave_${used})
  endforeach()
  target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
