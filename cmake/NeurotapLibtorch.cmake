# Finds libtorch and makes the target neurotap_libtorch: Debian's libtorch-dev, a libtorch in
# CMAKE_PREFIX_PATH, or the one inside an installed Python torch. Sets NEUROTAP_CXX_STANDARD.

find_package(Torch QUIET)
if(NOT Torch_FOUND)
  find_program(NEUROTAP_PYTHON NAMES python3 python)
  if(NEUROTAP_PYTHON)
    execute_process(
      COMMAND ${NEUROTAP_PYTHON} -c "import torch; print(torch.utils.cmake_prefix_path)"
      OUTPUT_VARIABLE neurotap_python_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(neurotap_python_prefix)
      find_package(Torch QUIET PATHS ${neurotap_python_prefix})
    endif()
  endif()
endif()
if(NOT Torch_FOUND)
  message(FATAL_ERROR
    "libtorch is missing. One of these provides it:\n"
    "  Debian, Ubuntu:        apt install libtorch-dev\n"
    "  a libtorch download:   cmake -DCMAKE_PREFIX_PATH=/path/to/libtorch ...\n"
    "  an installed PyTorch:  cmake -DCMAKE_PREFIX_PATH=\"$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')\" ...")
endif()

# Its warnings are not ours: system headers.
add_library(neurotap_libtorch INTERFACE)
target_include_directories(neurotap_libtorch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(neurotap_libtorch INTERFACE ${TORCH_LIBRARIES})
separate_arguments(neurotap_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(neurotap_libtorch INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${neurotap_torch_flags}>")

# C++17 as libtorch itself; from 2.14 on its headers demand C++20.
set(NEUROTAP_CXX_STANDARD 17)
if(Torch_VERSION VERSION_GREATER_EQUAL 2.14)
  set(NEUROTAP_CXX_STANDARD 20)
endif()
message(STATUS "neurotap: libtorch ${Torch_VERSION}, C++${NEUROTAP_CXX_STANDARD}")
