// The operators that a program runs at its sites.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Who is told of what a program does at its sites.
class SiteObserver : public torch::CustomClassHolder {
  public:
    // One of the values at the site that is reached next.
    virtual void hand(c10::IValue value) = 0;
    // A site is reached, with the values that were handed.
    virtual void reach(size_t site) = 0;
    // What the program goes on with in place of value number `index` of that site.
    virtual c10::IValue take(size_t index, c10::IValue value) = 0;
};

// The program's first operator makes a list of the observer, which all others take: it orders them,
// and keeps them alive in libtorch's passes. Values are handed one by one, and with schemas that do
// not say that anything is kept, so that libtorch's alias analysis still tells whether anything
// else writes to them: what is put into a list or a tuple is lost to it.
c10::Symbol begin_symbol();     // neurotap::begin(Any observer) -> Any[]
c10::Symbol hand_symbol();      // neurotap::hand(Any[](a!) run, Any value) -> ()
c10::Symbol hand_copy_symbol(); // the same with a deep copy, through which gradients flow
c10::Symbol reach_symbol();     // neurotap::reach(Any[](a!) run, int site) -> ()
c10::Symbol take_symbol();      // neurotap::take(Any[](a!) run, int index, t(b) value) -> t(b)

// Makes them known to libtorch; once for the process.
void register_site_operators();

c10::IValue deep_copy(const c10::IValue &value);

} // namespace neurotap
