// Values as instances of static types: what a model's or an operator's schema asks for.
#include "handles.hpp"

#include <sstream>

namespace neurotap {
namespace {

using c10::TypeKind;

std::string described(const ntap_value &value) {
    const std::string text = describe(value);
    constexpr size_t kLongest = 80;
    return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

[[noreturn]] void mismatch(const ntap_value &value, const c10::TypePtr &type,
                           const std::string &what) {
    fail(NTAP_ERROR_INVALID_ARGUMENT, what, ": expected ", type->annotation_str(), ", got ",
         ntap_value_kind_name(value.kind), " ", described(value));
}

class Coercion {
  public:
    Coercion(const std::string &what, TensorView tensor_view)
        : what_(what), tensor_view_(tensor_view) {}

    c10::IValue to(const ntap_value &value, const c10::TypePtr &type) const {
        switch (type->kind()) {
        case TypeKind::OptionalType:
            return value.kind == NTAP_VALUE_NONE
                       ? c10::IValue()
                       : to(value, type->expectRef<c10::OptionalType>().getElementType());
        case TypeKind::ListType:
            return to_list(value, type);
        case TypeKind::TupleType:
            return to_tuple(value, type);
        case TypeKind::DictType:
            return to_dict(value, type);
        case TypeKind::UnionType:
            return to_union(value, type);
        case TypeKind::AnyType:
        case TypeKind::VarType:
            return untyped(value);
        default:
            return to_leaf(value, type);
        }
    }

  private:
    c10::IValue to_leaf(const ntap_value &value, const c10::TypePtr &type) const {
        const auto kind = type->kind();
        const bool number = value.kind == NTAP_VALUE_INT || value.kind == NTAP_VALUE_DOUBLE;
        if (kind == TypeKind::TensorType && value.kind == NTAP_VALUE_TENSOR)
            return tensor_view_(value.tensor.tensor);
        if (kind == TypeKind::TensorType && value.leaf.isTensor()) // an undefined one
            return value.leaf;
        if (kind == TypeKind::FloatType && number)
            return as_double(value);
        if (kind == TypeKind::ComplexType && number)
            return c10::complex<double>(as_double(value), 0);
        if (kind == TypeKind::NumberType && (number || value.kind == NTAP_VALUE_BOOL))
            return value.leaf;
        if (kind == TypeKind::DeviceObjType && value.kind == NTAP_VALUE_STRING)
            return to_device(value, type);
        const bool same = (kind == TypeKind::IntType && value.kind == NTAP_VALUE_INT) ||
                          (kind == TypeKind::BoolType && value.kind == NTAP_VALUE_BOOL) ||
                          (kind == TypeKind::StringType && value.kind == NTAP_VALUE_STRING) ||
                          (kind == TypeKind::NoneType && value.kind == NTAP_VALUE_NONE) ||
                          (value.kind == NTAP_VALUE_OTHER && value.leaf.type()->isSubtypeOf(*type));
        if (!same)
            mismatch(value, type, what_);
        return kind == TypeKind::NoneType ? c10::IValue() : value.leaf;
    }

    c10::IValue to_device(const ntap_value &value, const c10::TypePtr &type) const {
        try {
            return at::Device(value.leaf.toStringRef());
        } catch (const c10::Error &) {
            mismatch(value, type, what_);
        }
    }

    static double as_double(const ntap_value &value) {
        return value.kind == NTAP_VALUE_INT ? static_cast<double>(value.leaf.toInt())
                                            : value.leaf.toDouble();
    }

    Coercion inside(const std::string &place) const { return {what_ + place, tensor_view_}; }

    Coercion inside(size_t index) const { return inside("[" + std::to_string(index) + "]"); }

    c10::IValue to_list(const ntap_value &value, const c10::TypePtr &type) const {
        if (value.kind != NTAP_VALUE_LIST && value.kind != NTAP_VALUE_TUPLE)
            mismatch(value, type, what_);
        const auto element = type->expectRef<c10::ListType>().getElementType();
        c10::impl::GenericList list(element);
        for (size_t i = 0; i < value.items.size(); ++i)
            list.push_back(inside(i).to(value.items[i], element));
        return list;
    }

    c10::IValue to_tuple(const ntap_value &value, const c10::TypePtr &type) const {
        const auto elements = type->expectRef<c10::TupleType>().elements();
        const bool sequence = value.kind == NTAP_VALUE_LIST || value.kind == NTAP_VALUE_TUPLE;
        if (!sequence || value.items.size() != elements.size())
            mismatch(value, type, what_);
        std::vector<c10::IValue> items;
        for (size_t i = 0; i < elements.size(); ++i)
            items.push_back(inside(i).to(value.items[i], elements[i]));
        if (type->expectRef<c10::TupleType>().schema() != nullptr)
            return c10::ivalue::Tuple::createNamed(std::move(items),
                                                   type->expect<c10::TupleType>());
        return c10::ivalue::Tuple::create(std::move(items));
    }

    c10::IValue to_dict(const ntap_value &value, const c10::TypePtr &type) const {
        if (value.kind != NTAP_VALUE_DICT)
            mismatch(value, type, what_);
        const auto &dict_type = type->expectRef<c10::DictType>();
        c10::impl::GenericDict dict(dict_type.getKeyType(), dict_type.getValueType());
        for (size_t i = 0; i < value.items.size(); ++i)
            dict.insert_or_assign(inside("'s key " + described(value.keys[i]))
                                      .to(value.keys[i], dict_type.getKeyType()),
                                  inside("[" + described(value.keys[i]) + "]")
                                      .to(value.items[i], dict_type.getValueType()));
        return dict;
    }

    c10::IValue to_union(const ntap_value &value, const c10::TypePtr &type) const {
        for (const auto &member : type->expectRef<c10::UnionType>().containedTypes()) {
            try {
                return to(value, member);
            } catch (const Failure &) {
                continue; // the next member may fit
            }
        }
        mismatch(value, type, what_);
    }

    // Where the schema says nothing, a list's or dictionary's own items decide.
    c10::IValue untyped(const ntap_value &value) const {
        switch (value.kind) {
        case NTAP_VALUE_TENSOR:
            return tensor_view_(value.tensor.tensor);
        case NTAP_VALUE_LIST:
            return to_list(value, c10::ListType::create(common_type(value.items)));
        case NTAP_VALUE_DICT:
            return to_dict(
                value, c10::DictType::create(common_type(value.keys), common_type(value.items)));
        case NTAP_VALUE_TUPLE: {
            std::vector<c10::IValue> items;
            for (const ntap_value &item : value.items)
                items.push_back(untyped(item));
            return c10::ivalue::Tuple::create(std::move(items));
        }
        default:
            return value.leaf;
        }
    }

    c10::TypePtr common_type(const std::vector<ntap_value> &items) const {
        c10::TypePtr common;
        for (const ntap_value &item : items) {
            const auto value = untyped(item);
            const c10::TypePtr type =
                value.isTensor() ? c10::TypePtr(c10::TensorType::get()) : value.type();
            if (common && *common != *type)
                return c10::AnyType::get();
            common = type;
        }
        return common ? common : c10::TypePtr(c10::TensorType::get());
    }

    std::string what_;
    TensorView tensor_view_;
};

at::ScalarType named_dtype(const ntap_value &value, const std::string &what) {
    for (int number = NTAP_DTYPE_BOOL; number <= NTAP_DTYPE_COMPLEX128; ++number) {
        const auto dtype = static_cast<ntap_dtype>(number);
        if (value.leaf.toStringRef() == ntap_dtype_name(dtype))
            return to_torch(dtype);
    }
    fail(NTAP_ERROR_INVALID_ARGUMENT, what, ": expected a dtype such as \"float32\", got ",
         described(value));
}

// libtorch indexes its tables with these numbers without looking.
void check_enumerator(const ntap_value &value, const c10::TypePtr &type, const std::string &what) {
    int64_t count = INT64_MAX;
    if (type->kind() == TypeKind::ScalarTypeType)
        count = static_cast<int64_t>(at::ScalarType::NumOptions);
    else if (type->kind() == TypeKind::LayoutType)
        count = static_cast<int64_t>(at::Layout::NumOptions);
    else if (type->kind() == TypeKind::MemoryFormatType)
        count = static_cast<int64_t>(at::MemoryFormat::NumOptions);
    else
        return;
    if (value.kind == NTAP_VALUE_INT && (value.leaf.toInt() < 0 || value.leaf.toInt() >= count))
        fail(NTAP_ERROR_INVALID_ARGUMENT, what, ": ", value.leaf.toInt(), " is no ", type->str(),
             "; expected 0 to ", count - 1);
}

// Shorthands that only parameters allow: a dtype's name, and one number for a fixed-size list.
c10::IValue expanded(const ntap_value &value, const c10::Argument &parameter,
                     const std::string &what, TensorView tensor_view) {
    c10::TypePtr real = parameter.real_type();
    if (const auto optional = real->cast<c10::OptionalType>())
        real = optional->getElementType();
    if (real->kind() == TypeKind::ScalarTypeType && value.kind == NTAP_VALUE_STRING)
        return static_cast<int64_t>(named_dtype(value, what));
    check_enumerator(value, real, what);
    const bool number = value.kind == NTAP_VALUE_INT || value.kind == NTAP_VALUE_DOUBLE;
    if (number && parameter.N() && parameter.type()->kind() == TypeKind::ListType) {
        ntap_value list;
        list.kind = NTAP_VALUE_LIST;
        list.items.assign(static_cast<size_t>(*parameter.N()), value);
        return Coercion(what, tensor_view).to(list, parameter.type());
    }
    return Coercion(what, tensor_view).to(value, parameter.type());
}

std::string describe_parameter(const c10::FunctionSchema &schema, const c10::Argument &parameter) {
    return schema.name() + ": argument '" + parameter.name() + "'";
}

std::string parameter_names(const c10::FunctionSchema &schema) {
    std::string names;
    for (const c10::Argument &parameter : schema.arguments())
        if (parameter.type()->kind() != TypeKind::ClassType) // the model itself
            names += (names.empty() ? "" : ", ") + parameter.name();
    return names;
}

void coerce_defaults(const c10::FunctionSchema &schema, std::vector<c10::IValue> &stack) {
    const auto &parameters = schema.arguments();
    while (stack.size() < parameters.size()) {
        const c10::Argument &parameter = parameters[stack.size()];
        if (!parameter.default_value())
            fail(NTAP_ERROR_INVALID_ARGUMENT, describe_parameter(schema, parameter), " (",
                 parameter.type()->annotation_str(), ") is missing");
        stack.push_back(*parameter.default_value());
    }
}

} // namespace

at::Tensor same_tensor(const at::Tensor &tensor) { return tensor; }

// Autograd cannot save inference tensors for its backward pass.
at::Tensor without_graph(const at::Tensor &tensor) {
    return tensor.is_inference() ? tensor.clone() : tensor.detach();
}

void coerce_argument(const c10::FunctionSchema &schema, size_t index, const ntap_value &value,
                     TensorView tensor_view, std::vector<c10::IValue> &stack) {
    const auto &parameters = schema.arguments();
    if (index >= parameters.size())
        fail(NTAP_ERROR_INVALID_ARGUMENT, "too many arguments: ", schema.name(), " takes (",
             parameter_names(schema), ")");
    const c10::Argument &parameter = parameters[index];
    if (value.kind == NTAP_VALUE_TENSOR && parameter.type()->kind() == TypeKind::TensorType)
        return static_cast<void>(stack.emplace_back(tensor_view(value.tensor.tensor)));
    stack.push_back(expanded(value, parameter, describe_parameter(schema, parameter), tensor_view));
}

void require_values(const ntap_value *const *values, size_t n_values) {
    if (n_values > 0)
        require_not_null(values, "args");
    for (size_t i = 0; i < n_values; ++i)
        if (values[i] == nullptr)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "args[", i, "] is NULL");
}

void coerce_arguments(const c10::FunctionSchema &schema, const ntap_value *const *values,
                      size_t n_values, c10::function_ref<TensorView(size_t)> view_of,
                      std::vector<c10::IValue> &stack) {
    require_values(values, n_values);
    const size_t first = stack.size();
    for (size_t i = 0; i < n_values; ++i)
        coerce_argument(schema, first + i, *values[i], view_of(i), stack);
    coerce_defaults(schema, stack);
}

c10::IValue coerce(const ntap_value &value, const c10::TypePtr &type, const std::string &what,
                   TensorView tensor_view) {
    return Coercion(what, tensor_view).to(value, type);
}

} // namespace neurotap
