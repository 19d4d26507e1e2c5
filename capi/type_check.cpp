#include "type_check.hpp"

#include "boundary.hpp"

#include <unordered_set>

namespace neurotap {
namespace {

class TypeChecker {
  public:
    explicit TypeChecker(const std::string &name) : name_(name) {}

    void check_object(const c10::ivalue::Object &object) {
        if (!visited_.insert(&object).second)
            return;
        const auto type = object.type();
        if (object.slots().size() < type->numAttributes())
            bad(type->repr_str(), "has too few attributes");
        for (size_t i = 0; i < type->numAttributes(); ++i)
            check(object.getSlot(i), *type->getAttribute(i));
    }

  private:
    [[noreturn]] void bad(const std::string &type, const std::string &why) const {
        fail(NTAP_ERROR_FILE, "'", name_, "' is malformed: a ", type, " ", why);
    }

    // Numbers, texts and tensors carry their own types, which libtorch does check.
    void check(const c10::IValue &value, const c10::Type &type) {
        if (value.isNone())
            return;
        switch (type.kind()) {
        case c10::TypeKind::OptionalType:
            check(value, *type.containedTypes()[0]);
            return;
        case c10::TypeKind::TupleType:
            check_tuple(value, type);
            return;
        case c10::TypeKind::ListType:
            if (value.isList() && holds_objects(*type.containedTypes()[0]))
                for (const c10::IValue &item : value.toListRef())
                    check(item, *type.containedTypes()[0]);
            return;
        case c10::TypeKind::DictType:
            if (value.isGenericDict() && holds_objects(*type.containedTypes()[1]))
                for (const auto &entry : value.toGenericDict())
                    check(entry.value(), *type.containedTypes()[1]);
            return;
        default:
            if (value.isObject())
                check_class(value, type);
        }
    }

    static bool holds_objects(const c10::Type &type) {
        return type.kind() == c10::TypeKind::ClassType || !type.containedTypes().empty() ||
               type.kind() == c10::TypeKind::InterfaceType || type.kind() == c10::TypeKind::AnyType;
    }

    void check_tuple(const c10::IValue &value, const c10::Type &type) {
        if (!value.isTuple())
            return;
        const auto &elements = value.toTupleRef().elements();
        const auto types = type.containedTypes();
        if (elements.size() != types.size())
            bad(type.repr_str(), "has " + std::to_string(elements.size()) + " elements");
        for (size_t i = 0; i < elements.size(); ++i)
            check(elements[i], *types[i]);
    }

    void check_class(const c10::IValue &value, const c10::Type &type) {
        const auto object = value.toObject();
        if (!object->type()->isSubtypeOf(type))
            bad(type.repr_str(), "is expected where a " + object->type()->repr_str() + " is");
        check_object(*object);
    }

    const std::string &name_;
    std::unordered_set<const c10::ivalue::Object *> visited_;
};

} // namespace

void check_types(const c10::intrusive_ptr<c10::ivalue::Object> &root, const std::string &name) {
    TypeChecker(name).check_object(*root);
}

} // namespace neurotap
