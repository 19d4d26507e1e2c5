# Run by cpack on the files that go into the packages: adds copyright and changelog to each, and
# compresses what Debian has compressed.
function(neurotap_compress file)
  execute_process(COMMAND gzip -9 -n -f "${file}" RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "cannot compress ${file}")
  endif()
endfunction()

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH, if that is set
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(root "${CPACK_TEMPORARY_DIRECTORY}/${component}/usr")
  set(doc "${root}/share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME}")
  file(COPY "${CPACK_NEUROTAP_DEBIAN_DIR}/copyright" DESTINATION "${doc}"
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  file(WRITE "${doc}/changelog.Debian"
    "neurotap (${CPACK_NEUROTAP_VERSION}) unstable; urgency=medium\n\n"
    "  * Built from the sources of this version.\n\n"
    " -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
  neurotap_compress("${doc}/changelog.Debian")
  file(GLOB manuals "${root}/share/man/man1/*.1")
  foreach(manual IN LISTS manuals)
    neurotap_compress("${manual}")
  endforeach()
endforeach()
