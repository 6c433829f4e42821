# What `cmake --install` puts below the prefix, and the Debian package that `cpack -G DEB` makes of it. The manual page
# and the completions come from the program itself.
if(CMAKE_CROSSCOMPILING OR AGAVE_FUZZ)
  return()
endif()
# Only the program is installed: no need of the tests.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(made ${CMAKE_BINARY_DIR}/package)
install(TARGETS agave DESTINATION bin)
install(CODE "
  file(MAKE_DIRECTORY ${made})
  foreach(kind man bash zsh fish)
    if(kind STREQUAL man)
      set(words help --man)
    else()
      set(words completion \${kind})
    endif()
    execute_process(COMMAND ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/agave \${words} OUTPUT_FILE ${made}/\${kind}
                    COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  execute_process(COMMAND gzip -9nc ${made}/man OUTPUT_FILE ${made}/man.gz COMMAND_ERROR_IS_FATAL ANY)")
install(FILES ${made}/man.gz DESTINATION share/man/man1 RENAME agave.1.gz)
install(FILES ${made}/bash DESTINATION share/bash-completion/completions RENAME agave)
install(FILES ${made}/zsh DESTINATION share/zsh/vendor-completions RENAME _agave)
install(FILES ${made}/fish DESTINATION share/fish/vendor_completions.d RENAME agave.fish)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/debian-copyright DESTINATION share/doc/agave RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME agave)
set(CPACK_PACKAGE_CONTACT "The agave developers <agave@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "runs large language models on this machine")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "One small program that runs language models from GGUF files and Hugging Face
folders on the CPU: one-shot text, conversations at the terminal, downloads,
quantisation and measurements.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.36)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libcurl4 | libcurl4t64, ca-certificates")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
include(CPack)
