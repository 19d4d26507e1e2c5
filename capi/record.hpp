// The operators that record a layer's value at its site.
#pragma once

#include "compat.hpp"

namespace neurotap {

// neurotap::record(Any[](a!) calls, Any value) -> (): appends the value to the list. Its schema
// does not say that the list then holds the value, unlike aten::append's: so alias analysis still
// tells whether anything else writes to the value.
c10::Symbol record_symbol();

// neurotap::record_copy: appends a deep copy, through which gradients flow.
c10::Symbol record_copy_symbol();

// Makes both known to libtorch; once for the process.
void register_record_operators();

} // namespace neurotap
