#include "replicate.hpp"

#include <unordered_set>

namespace neurotap {

c10::IValue Replicator::replicate_list(const c10::IValue &value) {
    const auto source = value.toList();
    c10::impl::GenericList copy(source.elementType());
    for (size_t i = 0; i < source.size(); ++i)
        copy.push_back(replicate(source.get(i)));
    return copy;
}

c10::IValue Replicator::replicate_dict(const c10::IValue &value) {
    const auto source = value.toGenericDict();
    c10::impl::GenericDict copy(source.keyType(), source.valueType());
    for (const auto &entry : source)
        copy.insert(entry.key(), replicate(entry.value()));
    return copy;
}

c10::IValue Replicator::replicate_parts(const c10::IValue &value) {
    if (value.isTensor())
        return value.toTensor().detach().to(device_);
    if (value.isObject())
        return replicate(value.toObject());
    return value.isGenericDict() ? replicate_dict(value) : replicate_list(value);
}

// What has no identity of its own, or is none of those that hold tensors, is the same everywhere.
c10::IValue Replicator::replicate(const c10::IValue &value) {
    if (value.isTuple()) {
        std::vector<c10::IValue> items;
        for (const c10::IValue &item : value.toTupleRef().elements())
            items.push_back(replicate(item));
        return c10::ivalue::Tuple::createNamed(std::move(items),
                                               value.toTupleRef().type<c10::TupleType>());
    }
    const bool holds_tensors = value.isTensor()
                                   ? value.toTensor().defined()
                                   : value.isObject() || value.isList() || value.isGenericDict();
    if (!holds_tensors)
        return value;
    const void *identity = value.isTensor()
                               ? static_cast<const void *>(value.toTensor().unsafeGetTensorImpl())
                               : value.internalToPointer();
    const auto known = known_.find(identity);
    if (known != known_.end())
        return known->second;
    c10::IValue copy = replicate_parts(value);
    known_[identity] = copy;
    return copy;
}

ObjectPtr Replicator::replicate(const ObjectPtr &object) {
    const size_t n_slots = object->slots().size();
    auto copy = c10::ivalue::Object::create(
        c10::StrongTypePtr(object->compilation_unit(), object->type()), n_slots);
    known_[object.get()] = copy; // it may hold itself
    for (size_t i = 0; i < n_slots; ++i)
        copy->setSlot(i, replicate(object->getSlot(i)));
    return copy;
}

void Replicator::update_slot(const c10::IValue &value, size_t slot, const ObjectPtr &copy) {
    const c10::IValue &old = copy->getSlot(slot);
    if (value.isObject() && old.isObject() && value.toObject()->type() == old.toObject()->type())
        return update(value.toObject(), old.toObject());
    if (!value.isTensor() || !old.isTensor() || !value.toTensor().defined() ||
        !old.toTensor().defined())
        return copy->setSlot(slot, replicate(value));
    old.toTensor().set_data(value.toTensor().detach().to(device_));
}

void Replicator::update(const ObjectPtr &object, const ObjectPtr &copy) {
    if (!known_.emplace(object.get(), copy).second)
        return;
    for (size_t i = 0; i < object->slots().size(); ++i)
        update_slot(object->getSlot(i), i, copy);
}

ntap_value map_tensors(const ntap_value &value,
                       c10::function_ref<at::Tensor(const at::Tensor &)> change) {
    ntap_value mapped = value;
    if (mapped.kind == NTAP_VALUE_TENSOR)
        mapped.tensor.tensor = change(value.tensor.tensor);
    for (ntap_value &item : mapped.items)
        item = map_tensors(item, change);
    return mapped;
}

} // namespace neurotap
