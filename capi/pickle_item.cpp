#include "pickle_item.hpp"

#include <algorithm>

namespace neurotap {
namespace {

constexpr uint64_t kDeepest = 200;          // nesting; real models stay below 20
constexpr uint64_t kLargestExpansion = 100; // objects per byte, shared ones counted repeatedly

struct StorageType {
    const char *name;
    int64_t element_size;
};

const StorageType kStorageTypes[] = {
    {"torch FloatStorage", 4},        {"torch DoubleStorage", 8},
    {"torch HalfStorage", 2},         {"torch BFloat16Storage", 2},
    {"torch LongStorage", 8},         {"torch IntStorage", 4},
    {"torch ShortStorage", 2},        {"torch CharStorage", 1},
    {"torch ByteStorage", 1},         {"torch BoolStorage", 1},
    {"torch ComplexFloatStorage", 8}, {"torch ComplexDoubleStorage", 16},
    {"torch ComplexHalfStorage", 4},  {"torch QInt8Storage", 1},
    {"torch QUInt8Storage", 1},       {"torch QInt32Storage", 4},
    {"torch QUInt4x2Storage", 1},     {"torch QUInt2x4Storage", 1},
};

// Adds up depth and size of its elements, which have theirs.
std::string finish(PickleItemPtr item, size_t n_bytes) {
    for (const PickleItem *element : item->elements) {
        item->depth = std::max(item->depth, element->depth + 1);
        item->expanded += element->expanded; // each is below the limit: no overflow
        if (item->depth > kDeepest)
            return "it nests deeper than " + std::to_string(kDeepest);
        if (item->expanded > kLargestExpansion * n_bytes)
            return "its shared objects expand without bound";
    }
    item->visit = PickleItem::kVisited;
    return "";
}

// The place of the last element that an offset, sizes and strides lead to.
struct Reach {
    int64_t last;
    bool overflows, is_empty;

    explicit Reach(int64_t offset) : last(offset), overflows(offset < 0), is_empty(false) {}

    void add(int64_t size, int64_t stride) {
        int64_t step = 0;
        is_empty = is_empty || size == 0;
        overflows = overflows || (size > 0 && (__builtin_mul_overflow(size - 1, stride, &step) ||
                                               __builtin_add_overflow(last, step, &last)));
    }
};

bool describes_tensor(const PickleItem &arguments) {
    if (arguments.kind != PickleItem::kTuple || arguments.elements.size() < 4)
        return false;
    const PickleItems &parts = arguments.elements;
    return parts[0]->kind == PickleItem::kStorage && parts[1]->kind == PickleItem::kInt &&
           parts[2]->kind == PickleItem::kTuple && parts[3]->kind == PickleItem::kTuple &&
           parts[2]->elements.size() == parts[3]->elements.size();
}

} // namespace

// Without recursion. Tuples may be as deep as the file is long, and lists go on growing when others
// refer to them already.
std::string check_nesting(PickleItemPtr root, size_t n_bytes) {
    PickleItems path;
    PickleItems pending{root};
    while (!pending.empty()) {
        const PickleItemPtr item = pending.back();
        if (item->visit != PickleItem::kNotVisited) {
            pending.pop_back();
            if (item->visit == PickleItem::kInProgress && !path.empty() && path.back() == item) {
                path.pop_back();
                if (std::string wrong = finish(item, n_bytes); !wrong.empty())
                    return wrong;
            }
            continue;
        }
        item->visit = PickleItem::kInProgress;
        path.push_back(item);
        for (const PickleItemPtr element : item->elements) {
            if (element->visit == PickleItem::kInProgress)
                return "an object contains itself";
            if (element->visit == PickleItem::kNotVisited)
                pending.push_back(element);
        }
    }
    return "";
}

int64_t storage_element_size(const std::string &type) {
    for (const StorageType &known : kStorageTypes)
        if (type == known.name)
            return known.element_size;
    return 0;
}

std::string check_tensor(const PickleItem &arguments) {
    if (!describes_tensor(arguments))
        return "a tensor is not described as (storage, offset, sizes, strides)";
    const PickleItems &parts = arguments.elements;
    Reach reach(parts[1]->number);
    for (size_t dim = 0; dim < parts[2]->elements.size(); ++dim) {
        const PickleItem &size = *parts[2]->elements[dim];
        const PickleItem &stride = *parts[3]->elements[dim];
        if (size.kind != PickleItem::kInt || stride.kind != PickleItem::kInt || size.number < 0 ||
            stride.number < 0)
            return "a tensor has a size or stride that is no number, or negative";
        reach.add(size.number, stride.number);
    }
    if (reach.overflows || (!reach.is_empty && reach.last >= parts[0]->number))
        return "a tensor reaches beyond its storage of " + std::to_string(parts[0]->number) +
               " elements";
    return "";
}

std::string check_quantized(const PickleItem &arguments) {
    const PickleItem *quantizer = arguments.elements.size() < 5 ? nullptr : arguments.elements[4];
    if (quantizer == nullptr || quantizer->kind != PickleItem::kTuple ||
        quantizer->elements.size() < 3)
        return "a quantized tensor has no quantizer";
    const PickleItems &parts = quantizer->elements;
    if (parts[0]->text == "torch per_tensor_affine")
        return "";
    const PickleItems &sizes = arguments.elements[2]->elements;
    const bool has_axis = parts.size() > 3 && parts[3]->kind == PickleItem::kInt &&
                          parts[3]->number >= 0 &&
                          static_cast<uint64_t>(parts[3]->number) < sizes.size();
    const auto fits = [&](const PickleItem *tensor) {
        return tensor->kind == PickleItem::kTensor && tensor->elements.size() == 1 &&
               tensor->elements[0]->number == sizes[static_cast<size_t>(parts[3]->number)]->number;
    };
    return has_axis && fits(parts[1]) && fits(parts[2])
               ? ""
               : "a quantized tensor's scales do not fit its channels";
}

} // namespace neurotap
