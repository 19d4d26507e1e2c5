// The operators that record a layer's value at its site.
#pragma once

#include "compat.hpp"

namespace neurotap {

// neurotap::open_call(Any[](a!) calls) -> (): appends a new call, a list without values yet.
c10::Symbol open_call_symbol();

// neurotap::record(Any[](a!) calls, Any value) -> (): appends the value to the latest call. Its
// schema does not say that the list then holds the value, unlike aten::append's: so libtorch's
// alias analysis still tells whether anything else writes to the value. For the same reason a
// layer's arguments are recorded one by one: what is put into a tuple is lost to the analysis.
c10::Symbol record_symbol();

// neurotap::record_copy: appends a deep copy, through which gradients flow.
c10::Symbol record_copy_symbol();

// Makes them known to libtorch; once for the process.
void register_record_operators();

} // namespace neurotap
