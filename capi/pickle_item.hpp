// The objects that the simulated pickle machine makes, and whether libtorch can be given them.
#pragma once

#include "compat.hpp"

#include <string>
#include <vector>

namespace neurotap {

struct PickleItem;
// The machine owns them all: lists and dictionaries may form cycles.
using PickleItemPtr = PickleItem *;
using PickleItems = std::vector<PickleItemPtr>;

// What the check has to know of an object; everything else is kOther.
struct PickleItem {
    enum Kind { kOther, kScalar, kInt, kText, kGlobal, kTuple, kStorage, kTensor };
    enum Visit { kNotVisited, kInProgress, kVisited };
    Kind kind = kOther;
    Visit visit = kNotVisited;
    uint64_t depth = 0;    // of what is inside, known when visited
    uint64_t expanded = 1; // objects inside, known when visited
    int64_t number = 0;    // an int; a storage's number of elements
    std::string text;      // a string, or "module name" of a global
    PickleItems elements;  // of a tuple, a list, a dictionary, a call; sizes of a tensor
};

// Those that check say what is wrong, or nothing.

// How deep everything inside nests, and how much it is if shared objects count at every place, for
// a pickle of so many bytes.
std::string check_nesting(PickleItemPtr root, size_t n_bytes);

// In bytes; 0 for a type that is not known.
int64_t storage_element_size(const std::string &type);

// The arguments (storage, offset, sizes, strides, …) of torch._utils._rebuild_tensor_v2 and its
// kin: the last element must lie inside the storage.
std::string check_tensor(const PickleItem &arguments);

// (…, quantizer, …): scales and zero points for each channel must be as many as there are.
std::string check_quantized(const PickleItem &arguments);

} // namespace neurotap
