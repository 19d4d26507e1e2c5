// A simulation of the pickle machine, to check a pickle before libtorch's unpickler runs it.
//
// libtorch's unpickler trusts its input: it pops an empty stack, lays tensors over storages, and
// storages over records, without comparing their sizes, and makes room for as many memos as the
// largest number asks for. What it makes is then visited, hashed and released recursively, shared
// objects once for every place that refers to them.
// The machine: https://github.com/python/cpython/blob/main/Lib/pickletools.py
#include "archive.hpp"
#include "boundary.hpp"
#include "pickle_item.hpp"

#include <cstring>
#include <deque>
#include <unordered_map>
#include <vector>

namespace neurotap {
namespace {

class PickleChecker {
  public:
    PickleChecker(const std::string &bytes, const std::string &name, const RecordSize &record_size)
        : bytes_(bytes), name_(name), record_size_(record_size) {
        scalar_.kind = PickleItem::kScalar;
    }

    void run() {
        while (step()) {
        }
        for (PickleItem &item : items_)
            require_sound(check_nesting(&item, bytes_.size()));
    }

  private:
    [[noreturn]] void bad(const std::string &why) const {
        fail(NTAP_ERROR_FILE, "'", name_, "' is malformed at byte ", position_, ": ", why);
    }

    void require_sound(const std::string &wrong) const {
        if (!wrong.empty())
            bad(wrong);
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
    PickleItemPtr push_new(PickleItem::Kind kind) {
        items_.emplace_back();
        items_.back().kind = kind;
        stack_.push_back(&items_.back());
        return stack_.back();
    }

    void push_int(int64_t number) { push_new(PickleItem::kInt)->number = number; }

    void push_text(PickleItem::Kind kind, std::string text) {
        push_new(kind)->text = std::move(text);
    }

    void require_items(size_t count) const {
        const size_t floor = marks_.empty() ? 0 : marks_.back();
        if (stack_.size() < floor + count)
            bad("an operation finds too few objects");
    }

    PickleItemPtr pop() {
        require_items(1);
        const PickleItemPtr item = stack_.back();
        stack_.pop_back();
        return item;
    }

    // The objects above the latest mark, which goes too.
    PickleItems pop_to_mark() {
        if (marks_.empty())
            bad("a mark is missing");
        const auto start = static_cast<std::ptrdiff_t>(marks_.back());
        PickleItems items(stack_.begin() + start, stack_.end());
        stack_.resize(marks_.back());
        marks_.pop_back();
        return items;
    }

    void push_tuple(PickleItems elements) {
        push_new(PickleItem::kTuple)->elements = std::move(elements);
    }

    void push_tuple_of(size_t count) {
        require_items(count);
        const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
        PickleItems elements(first, stack_.end());
        stack_.erase(first, stack_.end());
        push_tuple(std::move(elements));
    }

    // Adds to the list or dictionary on top of the stack.
    void extend_top(const PickleItems &items, size_t multiple) {
        require_items(1);
        if (items.size() % multiple != 0)
            bad("a key has no value");
        const PickleItemPtr container = stack_.back();
        if (container->kind != PickleItem::kOther)
            bad("only a list or a dictionary can be added to");
        container->elements.insert(container->elements.end(), items.begin(), items.end());
    }

    void extend_top_by(size_t count) {
        PickleItems items;
        for (size_t i = 0; i < count; ++i)
            items.push_back(pop());
        extend_top(items, count);
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
    // ('storage', torch.FloatStorage, '0', 'cpu', 12): 12 floats in the record '0'.
    void persistent_storage() {
        const PickleItemPtr id = pop();
        const auto &parts = id->elements;
        if (id->kind != PickleItem::kTuple || parts.size() < 5 || parts[0]->text != "storage" ||
            parts[1]->kind != PickleItem::kGlobal || parts[2]->kind != PickleItem::kText ||
            parts[4]->kind != PickleItem::kInt)
            bad("a storage is not described as ('storage', type, key, device, size)");
        const int64_t size = storage_element_size(parts[1]->text);
        if (size == 0)
            fail(NTAP_ERROR_UNSUPPORTED, "'", name_, "' holds a tensor of type '", parts[1]->text,
                 "', which this library does not know");
        const int64_t numel = parts[4]->number;
        const uint64_t record = record_size_(parts[2]->text);
        if (numel < 0 || static_cast<uint64_t>(numel) > record / static_cast<uint64_t>(size))
            bad("storage '" + parts[2]->text + "' claims " + std::to_string(numel) +
                " elements of " + std::to_string(size) + " bytes, but its record has " +
                std::to_string(record) + " bytes");
        push_new(PickleItem::kStorage)->number = numel;
    }

    // What a global stands for, called or built; NEWOBJ leaves it on the stack as it is.
    void call() {
        const PickleItemPtr arguments = pop();
        const PickleItemPtr function = pop();
        if (function->kind == PickleItem::kInt) // libtorch numbers what has a name
            bad("a number is called");
        const bool named = function->kind == PickleItem::kGlobal;
        const bool quantized = named && function->text == "torch._utils _rebuild_qtensor";
        const bool plain = named && function->text == "torch._utils _rebuild_tensor_v2";
        if (!quantized && !plain) {
            push_new(PickleItem::kOther)->elements = {function, arguments};
            return;
        }
        require_sound(check_tensor(*arguments));
        if (quantized)
            require_sound(check_quantized(*arguments));
        push_new(PickleItem::kTensor)->elements = arguments->elements[2]->elements;
    }

    // libtorch rebuilds these without a check of what it is given.
    void push_global(const std::string &name) {
        for (const char *refused :
             {"torch._utils _rebuild_sparse_tensor", "torch._tensor _rebuild_from_type_v2",
              "torch.distributed.rpc rref"})
            if (name == refused)
                fail(NTAP_ERROR_UNSUPPORTED, "'", name_, "' holds an object of '", name,
                     "', which cannot be checked");
        push_text(PickleItem::kGlobal, name);
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
            push_text(PickleItem::kText, std::string(take(length), length));
            return true;
        }
        case 'U': { // SHORT_BINSTRING
            const auto length = static_cast<unsigned char>(*take(1));
            push_text(PickleItem::kText, std::string(take(length), length));
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
            push_new(PickleItem::kOther);
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
    std::deque<PickleItem> items_; // its addresses stay
    PickleItem scalar_;
    PickleItems stack_;
    std::vector<size_t> marks_;
    std::unordered_map<uint32_t, PickleItemPtr> memo_;
};

} // namespace

void check_pickle(const std::string &bytes, const std::string &name,
                  const RecordSize &record_size) {
    PickleChecker(bytes, name, record_size).run();
}

} // namespace neurotap
