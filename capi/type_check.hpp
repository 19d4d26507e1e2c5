// Whether a loaded object is what its class says.
#pragma once

#include "compat.hpp"

#include <string>

namespace neurotap {

// Every object and tuple inside must be of the type that its place is declared with: libtorch puts
// in whatever the file holds, and then reads attributes by their numbers in the declared class.
// Throws a Failure (NTAP_ERROR_FILE).
void check_types(const c10::intrusive_ptr<c10::ivalue::Object> &root, const std::string &name);

} // namespace neurotap
