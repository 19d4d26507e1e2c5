// A simulation of the pickle machine, to check a pickle before libtorch's unpickler runs it.
//
// libtorch's unpickler trusts its input: it pops an empty stack, lays tensors over storages, and
// storages over records, without comparing their sizes, and makes room for as many memos as the
// largest number asks for. What it makes is then visited, hashed and released recursively, shared
// objects once for every place that refers to them.
// The machine: https://github.com/python/cpython/blob/main/Lib/pickletools.py
#include "archive.hpp"
#include "boundary.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <vector>

namespace neurotap {
namespace {

constexpr uint64_t kDeepest = 200;          // nesting; real models stay below 20
constexpr uint64_t kLargestExpansion = 100; // objects per byte, shared ones counted repeatedly

struct Item;
using ItemPtr = Item *; // the checker owns them all: lists and dictionaries may form cycles

// What the check has to know of an object; everything else is kOther.
struct Item {
    enum Kind { kOther, kScalar, kInt, kText, kGlobal, kTuple, kStorage, kTensor };
    enum Visit { kNotVisited, kInProgress, kVisited };
    Kind kind = kOther;
    Visit visit = kNotVisited;
    uint64_t depth = 0;            // of what is inside, known when visited
    uint64_t expanded = 1;         // objects inside, known when visited
    int64_t number = 0;            // an int; a storage's number of elements
    std::string text;              // a string, or "module name" of a global
    std::vector<ItemPtr> elements; // of a tuple, a list, a dictionary, a call; sizes of a tensor
};

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

class PickleChecker {
  public:
    PickleChecker(const std::string &bytes, const std::string &name, const RecordSize &record_size)
        : bytes_(bytes), name_(name), record_size_(record_size) {
        scalar_.kind = Item::kScalar;
    }

    void run() {
        while (step()) {
        }
        for (Item &item : items_)
            measure(&item);
    }

  private:
    [[noreturn]] void bad(const std::string &why) const {
        fail(NTAP_ERROR_FILE, "'", name_, "' is malformed at byte ", position_, ": ", why);
    }

    // ---- bytes ----
    const char *take(size_t count) {
        if (count > bytes_.size() - position_)
            bad("it ends too early");
        position_ += count;
        return bytes_.data() + position_ - count;
    }

    template <typename Number> Number little_endian() {
        Number number;
        std::memcpy(&number, take(sizeof number), sizeof number);
        return number;
    }

    std::string line() {
        const size_t end = bytes_.find('\n', position_);
        if (end == std::string::npos)
            bad("it ends too early");
        std::string text = bytes_.substr(position_, end - position_);
        position_ = end + 1;
        return text;
    }

    // ---- stack ----
    ItemPtr push_new(Item::Kind kind) {
        items_.emplace_back();
        items_.back().kind = kind;
        stack_.push_back(&items_.back());
        return stack_.back();
    }

    void push_int(int64_t number) { push_new(Item::kInt)->number = number; }

    void push_text(Item::Kind kind, std::string text) { push_new(kind)->text = std::move(text); }

    void require_items(size_t count) const {
        const size_t floor = marks_.empty() ? 0 : marks_.back();
        if (stack_.size() < floor + count)
            bad("an operation finds too few objects");
    }

    ItemPtr pop() {
        require_items(1);
        const ItemPtr item = stack_.back();
        stack_.pop_back();
        return item;
    }

    // The objects above the latest mark, which goes too.
    std::vector<ItemPtr> pop_to_mark() {
        if (marks_.empty())
            bad("a mark is missing");
        const auto start = static_cast<std::ptrdiff_t>(marks_.back());
        std::vector<ItemPtr> items(stack_.begin() + start, stack_.end());
        stack_.resize(marks_.back());
        marks_.pop_back();
        return items;
    }

    void push_tuple(std::vector<ItemPtr> elements) {
        push_new(Item::kTuple)->elements = std::move(elements);
    }

    void push_tuple_of(size_t count) {
        require_items(count);
        const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
        std::vector<ItemPtr> elements(first, stack_.end());
        stack_.erase(first, stack_.end());
        push_tuple(std::move(elements));
    }

    // Adds to the list or dictionary on top of the stack.
    void extend_top(const std::vector<ItemPtr> &items, size_t multiple) {
        require_items(1);
        if (items.size() % multiple != 0)
            bad("a key has no value");
        const ItemPtr container = stack_.back();
        if (container->kind != Item::kOther)
            bad("only a list or a dictionary can be added to");
        container->elements.insert(container->elements.end(), items.begin(), items.end());
    }

    void extend_top_by(size_t count) {
        std::vector<ItemPtr> items;
        for (size_t i = 0; i < count; ++i)
            items.push_back(pop());
        extend_top(items, count);
    }

    // ---- nesting ----
    void finish(ItemPtr item) const {
        for (const ItemPtr element : item->elements) {
            item->depth = std::max(item->depth, element->depth + 1);
            item->expanded += element->expanded; // each is below the limit: no overflow
            if (item->depth > kDeepest)
                bad("it nests deeper than " + std::to_string(kDeepest));
            if (item->expanded > kLargestExpansion * bytes_.size())
                bad("its shared objects expand without bound");
        }
        item->visit = Item::kVisited;
    }

    // Depth and size of everything inside, without recursion. Tuples may be as deep as the file is
    // long, and lists go on growing when others refer to them already.
    void measure(ItemPtr root) const {
        std::vector<ItemPtr> path;
        std::vector<ItemPtr> pending{root};
        while (!pending.empty()) {
            const ItemPtr item = pending.back();
            if (item->visit != Item::kNotVisited) {
                pending.pop_back();
                if (item->visit == Item::kInProgress && !path.empty() && path.back() == item) {
                    path.pop_back();
                    finish(item);
                }
                continue;
            }
            item->visit = Item::kInProgress;
            path.push_back(item);
            for (const ItemPtr element : item->elements) {
                if (element->visit == Item::kInProgress)
                    bad("an object contains itself");
                if (element->visit == Item::kNotVisited)
                    pending.push_back(element);
            }
        }
    }

    // ---- memo ----
    void memoize(uint32_t key) {
        require_items(1);
        if (key > bytes_.size()) // they are counted from 0
            bad("it numbers its objects up to " + std::to_string(key));
        memo_[key] = stack_.back();
    }

    void recall(uint32_t key) {
        const auto found = memo_.find(key);
        if (found == memo_.end())
            bad("it refers to an object that it has not stored");
        stack_.push_back(found->second);
    }

    // ---- tensors ----
    static int64_t element_size(const std::string &type) {
        for (const StorageType &known : kStorageTypes)
            if (type == known.name)
                return known.element_size;
        return 0;
    }

    // ('storage', torch.FloatStorage, '0', 'cpu', 12): 12 floats in the record '0'.
    void persistent_storage() {
        const ItemPtr id = pop();
        const auto &parts = id->elements;
        if (id->kind != Item::kTuple || parts.size() < 5 || parts[0]->text != "storage" ||
            parts[1]->kind != Item::kGlobal || parts[2]->kind != Item::kText ||
            parts[4]->kind != Item::kInt)
            bad("a storage is not described as ('storage', type, key, device, size)");
        const int64_t size = element_size(parts[1]->text);
        if (size == 0)
            fail(NTAP_ERROR_UNSUPPORTED, "'", name_, "' holds a tensor of type '", parts[1]->text,
                 "', which this library does not know");
        const int64_t numel = parts[4]->number;
        const uint64_t record = record_size_(parts[2]->text);
        if (numel < 0 || static_cast<uint64_t>(numel) > record / static_cast<uint64_t>(size))
            bad("storage '" + parts[2]->text + "' claims " + std::to_string(numel) +
                " elements of " + std::to_string(size) + " bytes, but its record has " +
                std::to_string(record) + " bytes");
        push_new(Item::kStorage)->number = numel;
    }

    // The arguments (storage, offset, sizes, strides, …) of torch._utils._rebuild_tensor_v2 and its
    // kin: the last element must lie inside the storage.
    void check_tensor(const std::vector<ItemPtr> &arguments) const {
        if (arguments.size() < 4 || arguments[0]->kind != Item::kStorage ||
            arguments[1]->kind != Item::kInt || arguments[2]->kind != Item::kTuple ||
            arguments[3]->kind != Item::kTuple ||
            arguments[2]->elements.size() != arguments[3]->elements.size())
            bad("a tensor is not described as (storage, offset, sizes, strides)");
        int64_t last = arguments[1]->number;
        bool overflow = last < 0;
        bool empty = false;
        for (size_t dim = 0; dim < arguments[2]->elements.size(); ++dim) {
            const Item &size = *arguments[2]->elements[dim];
            const Item &stride = *arguments[3]->elements[dim];
            if (size.kind != Item::kInt || stride.kind != Item::kInt || size.number < 0 ||
                stride.number < 0)
                bad("a tensor has a size or stride that is no number, or negative");
            empty = empty || size.number == 0;
            int64_t step = 0;
            overflow =
                overflow || (size.number > 0 &&
                             (__builtin_mul_overflow(size.number - 1, stride.number, &step) ||
                              __builtin_add_overflow(last, step, &last)));
        }
        if (overflow || (!empty && last >= arguments[0]->number))
            bad("a tensor reaches beyond its storage of " + std::to_string(arguments[0]->number) +
                " elements");
    }

    // (…, quantizer, …): scales and zero points for each channel must be as many as there are.
    void check_quantized(const std::vector<ItemPtr> &arguments) const {
        const ItemPtr quantizer = arguments.size() < 5 ? nullptr : arguments[4];
        if (quantizer == nullptr || quantizer->kind != Item::kTuple ||
            quantizer->elements.size() < 3)
            bad("a quantized tensor has no quantizer");
        const auto &parts = quantizer->elements;
        if (parts[0]->text == "torch per_tensor_affine")
            return;
        const auto &sizes = arguments[2]->elements;
        const bool has_axis = parts.size() > 3 && parts[3]->kind == Item::kInt &&
                              parts[3]->number >= 0 &&
                              static_cast<uint64_t>(parts[3]->number) < sizes.size();
        const auto fits = [&](ItemPtr tensor) {
            return tensor->kind == Item::kTensor && tensor->elements.size() == 1 &&
                   tensor->elements[0]->number ==
                       sizes[static_cast<size_t>(parts[3]->number)]->number;
        };
        if (!has_axis || !fits(parts[1]) || !fits(parts[2]))
            bad("a quantized tensor's scales do not fit its channels");
    }

    // What a global stands for, called or built; NEWOBJ leaves it on the stack as it is.
    void call() {
        const ItemPtr arguments = pop();
        const ItemPtr function = pop();
        if (function->kind == Item::kInt) // libtorch numbers what has a name
            bad("a number is called");
        const bool named = function->kind == Item::kGlobal;
        const bool quantized = named && function->text == "torch._utils _rebuild_qtensor";
        const bool plain = named && function->text == "torch._utils _rebuild_tensor_v2";
        if (!quantized && !plain) {
            push_new(Item::kOther)->elements = {function, arguments};
            return;
        }
        if (arguments->kind != Item::kTuple)
            bad("a tensor is not described as (storage, offset, sizes, strides)");
        check_tensor(arguments->elements);
        if (quantized)
            check_quantized(arguments->elements);
        push_new(Item::kTensor)->elements = arguments->elements[2]->elements;
    }

    // libtorch rebuilds these without a check of what it is given.
    void push_global(const std::string &name) {
        for (const char *refused :
             {"torch._utils _rebuild_sparse_tensor", "torch._tensor _rebuild_from_type_v2",
              "torch.distributed.rpc rref"})
            if (name == refused)
                fail(NTAP_ERROR_UNSUPPORTED, "'", name_, "' holds an object of '", name,
                     "', which cannot be checked");
        push_text(Item::kGlobal, name);
    }

    // ---- operations ----
    int64_t long_integer() {
        const size_t count = static_cast<unsigned char>(*take(1));
        const char *digits = take(count);
        if (count > sizeof(int64_t))
            bad("an integer has more than 64 bits");
        int64_t number = count > 0 && (digits[count - 1] & 0x80) != 0 ? -1 : 0;
        std::memcpy(&number, digits, count);
        return number;
    }

    bool step() {
        const unsigned char operation = static_cast<unsigned char>(*take(1));
        return step_constants(operation) || step_containers(operation) || step_objects(operation);
    }

    bool step_constants(unsigned char operation) {
        switch (operation) {
        case 0x80: // PROTO
            (void)take(1);
            return true;
        case 'N':  // NONE
        case 0x88: // NEWTRUE
        case 0x89: // NEWFALSE
            stack_.push_back(&scalar_);
            return true;
        case 'K': // BININT1
            push_int(static_cast<unsigned char>(*take(1)));
            return true;
        case 'M': // BININT2
            push_int(little_endian<uint16_t>());
            return true;
        case 'J': // BININT
            push_int(little_endian<int32_t>());
            return true;
        case 0x8a: // LONG1
            push_int(long_integer());
            return true;
        case 'G': // BINFLOAT
            (void)take(8);
            stack_.push_back(&scalar_);
            return true;
        case 'X': { // BINUNICODE
            const auto length = little_endian<uint32_t>();
            push_text(Item::kText, std::string(take(length), length));
            return true;
        }
        case 'U': { // SHORT_BINSTRING
            const auto length = static_cast<unsigned char>(*take(1));
            push_text(Item::kText, std::string(take(length), length));
            return true;
        }
        default:
            return false;
        }
    }

    bool step_containers(unsigned char operation) {
        switch (operation) {
        case ')': // EMPTY_TUPLE
            push_tuple({});
            return true;
        case 0x85: // TUPLE1
        case 0x86: // TUPLE2
        case 0x87: // TUPLE3
            push_tuple_of(operation - 0x84u);
            return true;
        case 't': // TUPLE
            push_tuple(pop_to_mark());
            return true;
        case ']': // EMPTY_LIST
        case '}': // EMPTY_DICT
            push_new(Item::kOther);
            return true;
        case 'a': // APPEND
            extend_top_by(1);
            return true;
        case 's': // SETITEM
            extend_top_by(2);
            return true;
        case 'e': // APPENDS
            extend_top(pop_to_mark(), 1);
            return true;
        case 'u': // SETITEMS
            extend_top(pop_to_mark(), 2);
            return true;
        case '(': // MARK
            marks_.push_back(stack_.size());
            return true;
        default:
            return false;
        }
    }

    // Returns false at STOP; throws at what it does not know.
    bool step_objects(unsigned char operation) {
        switch (operation) {
        case 'q': // BINPUT
            memoize(static_cast<unsigned char>(*take(1)));
            return true;
        case 'r': // LONG_BINPUT
            memoize(little_endian<uint32_t>());
            return true;
        case 'h': // BINGET
            recall(static_cast<unsigned char>(*take(1)));
            return true;
        case 'j': // LONG_BINGET
            recall(little_endian<uint32_t>());
            return true;
        case 'c': { // GLOBAL
            const std::string module = line();
            push_global(module + " " + line());
            return true;
        }
        case 'R': // REDUCE
        case 'b': // BUILD, which libtorch takes for the same
            call();
            return true;
        case 0x81: // NEWOBJ
            (void)pop();
            require_items(1);
            return true;
        case 'Q': // BINPERSID
            persistent_storage();
            return true;
        case '.': // STOP
            require_items(1);
            if (stack_.size() != 1 || !marks_.empty())
                bad("it leaves more than one object");
            return false;
        default:
            bad("operation " + std::to_string(operation) + " is not used by PyTorch");
        }
    }

    const std::string &bytes_;
    const std::string &name_;
    const RecordSize &record_size_;
    size_t position_ = 0;
    std::deque<Item> items_; // its addresses stay
    Item scalar_;
    std::vector<ItemPtr> stack_;
    std::vector<size_t> marks_;
    std::unordered_map<uint32_t, ItemPtr> memo_;
};

} // namespace

void check_pickle(const std::string &bytes, const std::string &name,
                  const RecordSize &record_size) {
    PickleChecker(bytes, name, record_size).run();
}

} // namespace neurotap
