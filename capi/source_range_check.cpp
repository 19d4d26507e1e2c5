#include "source_range_check.hpp"

#include "boundary.hpp"
#include "compat.hpp"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

namespace neurotap {
namespace {

constexpr const char *kWithTable = "FORMAT_WITH_STRING_TABLE"; // since libtorch 1.10

class SourceRangeChecker {
  public:
    explicit SourceRangeChecker(const std::string &name) : name_(name) {}

    // Either a tuple of ranges, whose texts are in them; or the format's name, a table of texts,
    // and that tuple.
    void check(const c10::IValue &record) {
        const auto &parts = tuple(record, 1);
        const bool has_table = parts[0].isString() && parts[0].toStringRef() == kWithTable;
        if (has_table)
            for (const c10::IValue &text : tuple(tuple(record, 3)[1], 0))
                table_.push_back(string(text).size());
        for (const c10::IValue &range : tuple(has_table ? parts[2] : record, 0))
            check_range(range);
    }

  private:
    using Elements = c10::ivalue::TupleElements;

    void require(bool condition) const {
        if (!condition)
            fail(NTAP_ERROR_FILE, "'", name_, "' is malformed: it holds no source positions");
    }

    const Elements &tuple(const c10::IValue &value, size_t least) const {
        require(value.isTuple());
        const Elements &elements = value.toTupleRef().elements();
        require(elements.size() >= least);
        return elements;
    }

    const std::string &string(const c10::IValue &value) const {
        require(value.isString());
        return value.toStringRef();
    }

    uint64_t number(const c10::IValue &value, uint64_t most) const {
        require(value.isInt() && value.toInt() >= 0);
        const auto number = static_cast<uint64_t>(value.toInt());
        require(number <= most);
        return number;
    }

    uint64_t text_at(int64_t index) const {
        require(index >= 0 && static_cast<uint64_t>(index) < table_.size());
        return table_[static_cast<size_t>(index)];
    }

    // (position in the code, (source, start, end), …)
    void check_range(const c10::IValue &range) {
        const auto &parts = tuple(range, 2);
        number(parts[0], INT64_MAX);
        const auto &place = tuple(parts[1], 3);
        require(place.size() == 3);
        // What was made by the compiler is at 0 to 1 of an empty text.
        const uint64_t size = std::max<uint64_t>(1, check_source(place[0]));
        number(place[1], number(place[2], size));
    }

    // (text, file's name, first line); of a text in the table, the numbers of its pieces, and of
    // the name. Many ranges share one. Returns the text's size.
    uint64_t check_source(const c10::IValue &source) {
        const auto &parts = tuple(source, 3);
        const auto found = sources_.find(&source.toTupleRef());
        if (found != sources_.end())
            return found->second;
        require(parts.size() == 3);
        number(parts[2], INT32_MAX);
        uint64_t size = 0;
        if (!table_.empty()) {
            require(parts[0].isIntList() && parts[1].isInt());
            text_at(parts[1].toInt());
            for (const int64_t piece : parts[0].toIntVector())
                size += text_at(piece);
        } else {
            size = string(parts[0]).size();
            require(parts[1].isNone() || parts[1].isString());
        }
        sources_.emplace(&source.toTupleRef(), size);
        return size;
    }

    const std::string &name_;
    std::vector<uint64_t> table_; // sizes of texts
    std::unordered_map<const c10::ivalue::Tuple *, uint64_t> sources_;
};

// Numbers, texts and tuples of them have no types to look up.
c10::TypePtr no_type(const std::string & /*name*/) { throw std::invalid_argument("a type"); }

} // namespace

void check_source_ranges(const std::string &bytes, const std::string &name) {
    c10::IValue record;
    try {
        record = torch::jit::unpickle(bytes.data(), bytes.size(), nullptr, {}, no_type);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &) {
        fail(NTAP_ERROR_FILE, "'", name, "' is malformed: it holds no source positions");
    }
    SourceRangeChecker(name).check(record);
}

} // namespace neurotap
