# The compiler is the first reviewer.
function(neurotap_set_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<BOOL:${NEUROTAP_WARNINGS_AS_ERRORS}>:-Werror>)
endfunction()
option(NEUROTAP_WARNINGS_AS_ERRORS "Fail on compiler warnings" OFF)
