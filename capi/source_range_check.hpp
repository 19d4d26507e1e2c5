// What is checked of the records that say where a model's code came from.
#pragma once

#include <string>

namespace neurotap {

// libtorch reads such a record (.debug_pkl) only to report an error, where it can report none: what
// is amiss in it would end the program. The pickle itself has been checked. Throws a Failure
// (NTAP_ERROR_FILE).
void check_source_ranges(const std::string &bytes, const std::string &name);

} // namespace neurotap
