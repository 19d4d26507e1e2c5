// Values: making, looking into, describing.
#include "handles.hpp"
#include "tree_limits.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>

using namespace neurotap;

namespace neurotap {
namespace {

ntap_value leaf_value(ntap_value_kind kind, c10::IValue leaf) {
    ntap_value value;
    value.kind = kind;
    value.leaf = std::move(leaf);
    return value;
}

ntap_value tensor_value(at::Tensor tensor) {
    ntap_value value;
    value.kind = NTAP_VALUE_TENSOR;
    value.tensor.tensor = std::move(tensor);
    return value;
}

class Converter {
  public:
    ntap_value convert(const c10::IValue &value) {
        limits_.enter();
        ntap_value converted = convert_kind(value);
        limits_.leave();
        return converted;
    }

  private:
    ntap_value convert_kind(const c10::IValue &value) {
        if (value.isTensor() && value.toTensor().defined())
            return value.toTensor().is_nested() ? leaf_value(NTAP_VALUE_OTHER, value)
                                                : tensor_value(value.toTensor());
        if (value.isInt())
            return leaf_value(NTAP_VALUE_INT, value);
        if (value.isDouble())
            return leaf_value(NTAP_VALUE_DOUBLE, value);
        if (value.isBool())
            return leaf_value(NTAP_VALUE_BOOL, value);
        if (value.isString())
            return leaf_value(NTAP_VALUE_STRING, value);
        if (value.isTuple())
            return sequence(NTAP_VALUE_TUPLE, value.toTupleRef().elements());
        if (value.isList())
            return sequence(NTAP_VALUE_LIST, value.toList().vec());
        if (value.isGenericDict())
            return dict(value);
        // Operators give an undefined tensor for a result that is left out; where the value goes on
        // to another one, it has to be that again.
        const bool nothing = value.isNone() || value.isTensor();
        return leaf_value(nothing ? NTAP_VALUE_NONE : NTAP_VALUE_OTHER, value);
    }

    template <typename Items> ntap_value sequence(ntap_value_kind kind, const Items &items) {
        ntap_value value;
        value.kind = kind;
        value.items.reserve(items.size());
        for (const c10::IValue &item : items)
            value.items.push_back(convert(item));
        return value;
    }

    ntap_value dict(const c10::IValue &source) {
        ntap_value value;
        value.kind = NTAP_VALUE_DICT;
        for (const auto &entry : source.toGenericDict()) {
            value.keys.push_back(convert(entry.key()));
            value.items.push_back(convert(entry.value()));
        }
        return value;
    }

    TreeLimits limits_;
};

} // namespace

ntap_value from_ivalue(const c10::IValue &value) { return Converter().convert(value); }

namespace {

// Shared by all constructors: check the output, build, hand over.
template <typename Build>
ntap_status make_value(ntap_value **value, ntap_error *err, const Build &build) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(value, "value");
        *value = new ntap_value(build());
    });
}

std::vector<ntap_value> copy_items(const ntap_value *const *items, size_t count, const char *name) {
    std::vector<ntap_value> copies;
    if (count > 0)
        require_not_null(items, name);
    for (size_t i = 0; i < count; ++i) {
        if (items[i] == nullptr)
            fail(NTAP_ERROR_INVALID_ARGUMENT, name, "[", i, "] is NULL");
        copies.push_back(*items[i]);
    }
    return copies;
}

ntap_status make_sequence(ntap_value_kind kind, const ntap_value *const *items, size_t count,
                          ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] {
        ntap_value sequence;
        sequence.kind = kind;
        sequence.items = copy_items(items, count, "items");
        return sequence;
    });
}

void describe(const ntap_value &value, std::ostream &out);

void describe_items(const ntap_value &value, const char *open, const char *close,
                    std::ostream &out) {
    out << open;
    for (size_t i = 0; i < value.items.size(); ++i) {
        out << (i == 0 ? "" : ", ");
        if (value.kind == NTAP_VALUE_DICT) {
            describe(value.keys[i], out);
            out << ": ";
        }
        describe(value.items[i], out);
    }
    out << (value.kind == NTAP_VALUE_TUPLE && value.items.size() == 1 ? "," : "") << close;
}

void describe_tensor(const at::Tensor &tensor, std::ostream &out) {
    const ntap_dtype dtype = from_torch(tensor.scalar_type());
    if (dtype == NTAP_DTYPE_NONE)
        out << tensor.scalar_type();
    else
        out << ntap_dtype_name(dtype);
    out << tensor.sizes();
}

// As Python: 2.0 is not 2.
void describe_double(double number, std::ostream &out) {
    std::ostringstream text;
    text << number;
    out << text.str();
    if (text.str().find_first_not_of("-0123456789") == std::string::npos)
        out << ".0";
}

void describe(const ntap_value &value, std::ostream &out) {
    switch (value.kind) {
    case NTAP_VALUE_NONE:
        out << "None";
        break;
    case NTAP_VALUE_TENSOR:
        describe_tensor(value.tensor.tensor, out);
        break;
    case NTAP_VALUE_INT:
        out << value.leaf.toInt();
        break;
    case NTAP_VALUE_DOUBLE:
        describe_double(value.leaf.toDouble(), out);
        break;
    case NTAP_VALUE_BOOL:
        out << (value.leaf.toBool() ? "True" : "False");
        break;
    case NTAP_VALUE_STRING:
        out << '"' << value.leaf.toStringRef() << '"';
        break;
    case NTAP_VALUE_LIST:
        describe_items(value, "[", "]", out);
        break;
    case NTAP_VALUE_TUPLE:
        describe_items(value, "(", ")", out);
        break;
    case NTAP_VALUE_DICT:
        describe_items(value, "{", "}", out);
        break;
    case NTAP_VALUE_OTHER:
        out << '<' << value.leaf.type()->repr_str() << '>';
        break;
    }
}

} // namespace

std::string describe(const ntap_value &value) {
    std::ostringstream out;
    describe(value, out);
    return out.str();
}

namespace {

void require_kind(const ntap_value *value, ntap_value_kind kind) {
    require_not_null(value, "value");
    if (value->kind != kind)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "value is of kind ", ntap_value_kind_name(value->kind),
             "; expected ", ntap_value_kind_name(kind));
}

} // namespace
} // namespace neurotap

ntap_status ntap_value_new_none(ntap_value **value, ntap_error *err) {
    return make_value(value, err, [] { return ntap_value(); });
}

ntap_status ntap_value_new_tensor(const ntap_tensor *tensor, ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] { return tensor_value(unwrap(tensor, "tensor")); });
}

ntap_status ntap_value_new_int(int64_t number, ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] { return leaf_value(NTAP_VALUE_INT, number); });
}

ntap_status ntap_value_new_double(double number, ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] { return leaf_value(NTAP_VALUE_DOUBLE, number); });
}

ntap_status ntap_value_new_bool(int truth, ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] { return leaf_value(NTAP_VALUE_BOOL, truth != 0); });
}

ntap_status ntap_value_new_string(const char *text, ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] {
        require_not_null(text, "text");
        return leaf_value(NTAP_VALUE_STRING, std::string(text));
    });
}

ntap_status ntap_value_new_list(const ntap_value *const *items, size_t count, ntap_value **value,
                                ntap_error *err) {
    return make_sequence(NTAP_VALUE_LIST, items, count, value, err);
}

ntap_status ntap_value_new_tuple(const ntap_value *const *items, size_t count, ntap_value **value,
                                 ntap_error *err) {
    return make_sequence(NTAP_VALUE_TUPLE, items, count, value, err);
}

ntap_status ntap_value_new_dict(const ntap_value *const *keys, const ntap_value *const *items,
                                size_t count, ntap_value **value, ntap_error *err) {
    return make_value(value, err, [&] {
        ntap_value dict;
        dict.kind = NTAP_VALUE_DICT;
        dict.keys = copy_items(keys, count, "keys");
        dict.items = copy_items(items, count, "items");
        for (size_t i = 0; i < count; ++i)
            if (dict.keys[i].kind < NTAP_VALUE_TENSOR || dict.keys[i].kind > NTAP_VALUE_STRING)
                fail(NTAP_ERROR_INVALID_ARGUMENT, "keys[", i, "] is of kind ",
                     ntap_value_kind_name(dict.keys[i].kind),
                     "; expected an int, double, bool, string or tensor");
        return dict;
    });
}

ntap_status ntap_value_clone(const ntap_value *value, ntap_value **clone, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(value, "value");
        require_not_null(clone, "clone");
        *clone = new ntap_value(*value);
    });
}

void ntap_value_free(ntap_value *value) { delete value; }

ntap_value_kind ntap_value_get_kind(const ntap_value *value) {
    return value == nullptr ? NTAP_VALUE_NONE : value->kind;
}

const char *ntap_value_kind_name(ntap_value_kind kind) {
    static const char *const names[] = {"none",   "tensor", "int",   "double", "bool",
                                        "string", "list",   "tuple", "dict",   "other"};
    const auto index = static_cast<size_t>(kind);
    return index < sizeof(names) / sizeof(*names) ? names[index] : "unknown";
}

const ntap_tensor *ntap_value_get_tensor(const ntap_value *value) {
    return ntap_value_get_kind(value) == NTAP_VALUE_TENSOR ? &value->tensor : nullptr;
}

ntap_status ntap_value_get_int(const ntap_value *value, int64_t *number, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_kind(value, NTAP_VALUE_INT);
        require_not_null(number, "number");
        *number = value->leaf.toInt();
    });
}

ntap_status ntap_value_get_double(const ntap_value *value, double *number, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        if (ntap_value_get_kind(value) != NTAP_VALUE_INT)
            require_kind(value, NTAP_VALUE_DOUBLE);
        require_not_null(number, "number");
        *number =
            value->leaf.isInt() ? static_cast<double>(value->leaf.toInt()) : value->leaf.toDouble();
    });
}

ntap_status ntap_value_get_bool(const ntap_value *value, int *truth, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_kind(value, NTAP_VALUE_BOOL);
        require_not_null(truth, "truth");
        *truth = value->leaf.toBool() ? 1 : 0;
    });
}

const char *ntap_value_get_string(const ntap_value *value) {
    return ntap_value_get_kind(value) == NTAP_VALUE_STRING ? value->leaf.toStringRef().c_str()
                                                           : nullptr;
}

size_t ntap_value_count(const ntap_value *value) {
    return value == nullptr ? 0 : value->items.size();
}

const ntap_value *ntap_value_item(const ntap_value *value, size_t index) {
    return index < ntap_value_count(value) ? &value->items[index] : nullptr;
}

const ntap_value *ntap_value_key(const ntap_value *value, size_t index) {
    return value != nullptr && index < value->keys.size() ? &value->keys[index] : nullptr;
}

size_t ntap_value_describe(const ntap_value *value, char *buffer, size_t size) {
    size_t length = 0;
    (void)guarded(nullptr, NTAP_ERROR_INTERNAL, [&] {
        const std::string text = value == nullptr ? "" : describe(*value);
        length = text.size();
        if (buffer == nullptr || size == 0)
            return;
        const size_t copied = std::min(length, size - 1);
        std::memcpy(buffer, text.data(), copied);
        buffer[copied] = '\0';
    });
    return length;
}
