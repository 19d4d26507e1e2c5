#include "hook.hpp"

#include "capi.h"
#include "model.hpp"

#include <algorithm>

using namespace neurotap;

namespace neurotap {
namespace {

LayerHooks &hooks_of(HookSet &set, const std::string &layer) {
    const auto place =
        std::lower_bound(set.begin(), set.end(), layer,
                         [](const LayerHooks &a, const std::string &b) { return a.layer < b; });
    if (place != set.end() && place->layer == layer)
        return *place;
    return *set.insert(place, LayerHooks{layer, {}, {}});
}

bool drop(HookList &list, const Hook &hook) {
    const auto found =
        std::find_if(list.begin(), list.end(),
                     [&](const std::shared_ptr<Hook> &other) { return other.get() == &hook; });
    if (found == list.end())
        return false;
    list.erase(found);
    return true;
}

std::string described(const LayerHooks &layer, bool after) {
    return std::string(after ? "forward hook" : "forward pre-hook") + " of layer '" + layer.layer +
           "'";
}

// Calls one hook. Returns what it gave, NULL if nothing.
std::unique_ptr<ntap_value> call_hook(const Hook &hook, const ntap_hook_call &call,
                                      const LayerHooks &layer) {
    ntap_value *given = nullptr;
    ntap_error err;
    err.message[0] = '\0';
    const bool after = call.output != nullptr;
    const ntap_status status = hook.call(call, &given, &err);
    if (given != nullptr && (is_part_of(given, call.inputs) || is_part_of(given, call.output)))
        refuse_lent(described(layer, after) + ": its replacement");
    std::unique_ptr<ntap_value> replacement(given);
    if (status != NTAP_OK)
        callback_failed(described(layer, after), status, err);
    return replacement;
}

void put(const ntap_value &value, size_t index, const std::string &what,
         const std::vector<c10::TypePtr> &types, std::vector<c10::IValue> &values) {
    values[index] = coerce(value, types.empty() ? c10::AnyType::get() : types[index],
                           what + ": its replacement", same_tensor);
}

// The parts of a tuple take the place of the first values.
void put_items(const ntap_value &tuple, const std::string &what,
               const std::vector<c10::TypePtr> &types, std::vector<c10::IValue> &values) {
    if (tuple.items.size() > values.size())
        fail(NTAP_ERROR_INVALID_ARGUMENT, what, ": its replacement has ", tuple.items.size(),
             " items, but there are ", values.size(), " to replace");
    for (size_t i = 0; i < tuple.items.size(); ++i)
        put(tuple.items[i], i, what, types, values);
}

void replace(const ntap_value &replacement, bool after, const std::string &what,
             const std::vector<c10::TypePtr> &types, std::vector<c10::IValue> &values) {
    if (after && values.size() == 1)
        return put(replacement, 0, what, types, values);
    if (replacement.kind == NTAP_VALUE_TUPLE)
        return put_items(replacement, what, types, values);
    if (after)
        fail(NTAP_ERROR_INVALID_ARGUMENT, what, ": its replacement is ",
             ntap_value_kind_name(replacement.kind), "; expected a tuple of ", values.size());
    if (values.empty())
        fail(NTAP_ERROR_INVALID_ARGUMENT, what, ": the layer has no arguments to replace");
    put(replacement, 0, what, types, values);
}

c10::IValue as_tuple(std::vector<c10::IValue> values) {
    return c10::ivalue::Tuple::create(std::move(values));
}

struct LayerCall {
    int64_t number;
    size_t replica;
    const c10::IValue *arguments; // NULL before the layer
};

// Calls the hooks one after the other; each sees what the one before it left.
bool call_hooks(const LayerHooks &layer, const LayerCall &which, std::vector<c10::IValue> &values,
                const std::vector<c10::TypePtr> &types) {
    const c10::IValue *arguments = which.arguments;
    const bool after = arguments != nullptr;
    bool replaced = false;
    for (const auto &hook : after ? layer.after : layer.before) {
        if (!hook->active())
            continue;
        const ntap_value inputs = from_ivalue(after ? *arguments : as_tuple(values));
        const ntap_value output = after ? from_ivalue(as_one(values)) : ntap_value();
        const ntap_hook_call call = {layer.layer.c_str(), which.number, which.replica, &inputs,
                                     after ? &output : nullptr};
        if (const auto replacement = call_hook(*hook, call, layer)) {
            replace(*replacement, after, described(layer, after), types, values);
            replaced = true;
        }
    }
    return replaced;
}

} // namespace

c10::IValue as_one(std::vector<c10::IValue> values) {
    return values.size() == 1 ? std::move(values[0]) : as_tuple(std::move(values));
}

bool is_part_of(const ntap_value *part, const ntap_value *whole) {
    if (part == whole)
        return true;
    const auto holds = [&](const ntap_value &item) { return is_part_of(part, &item); };
    return whole != nullptr && (std::any_of(whole->items.begin(), whole->items.end(), holds) ||
                                std::any_of(whole->keys.begin(), whole->keys.end(), holds));
}

void refuse_lent(const std::string &what) {
    fail(NTAP_ERROR_INVALID_ARGUMENT, what,
         " is a value that was only lent to it; expected one of its own (ntap_value_clone() makes "
         "one)");
}

void callback_failed(const std::string &what, ntap_status status, const ntap_error &err) {
    if (err.message[0] != '\0')
        throw Failure(status, err.message);
    if (status == NTAP_ERROR_STOPPED)
        fail(status, what, " stopped the run");
    fail(status, what, " failed with ", ntap_status_name(status), " (", static_cast<int>(status),
         ")");
}

Hook::~Hook() {
    if (finalizer_ != nullptr)
        finalizer_(context_);
}

HookSetPtr HookRegistry::current() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return set_;
}

void HookRegistry::add(const std::string &layer, bool before, const std::shared_ptr<Hook> &hook) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto set = set_ ? std::make_shared<HookSet>(*set_) : std::make_shared<HookSet>();
    LayerHooks &hooks = hooks_of(*set, layer);
    (before ? hooks.before : hooks.after).push_back(hook);
    set_ = set;
}

void HookRegistry::remove(const Hook &hook) {
    HookSetPtr old; // goes after the lock: it may run finalizers
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!set_)
        return;
    const auto set = std::make_shared<HookSet>(*set_);
    for (auto layer = set->begin(); layer != set->end(); ++layer) {
        if (!drop(layer->before, hook) && !drop(layer->after, hook))
            continue;
        if (layer->before.empty() && layer->after.empty())
            set->erase(layer);
        break;
    }
    old = std::move(set_);
    set_ = set->empty() ? nullptr : set;
}

size_t HookRun::index_of(const std::string &layer) const {
    const auto found = std::find_if(hooks_->begin(), hooks_->end(),
                                    [&](const LayerHooks &hooks) { return hooks.layer == layer; });
    return static_cast<size_t>(found - hooks_->begin());
}

bool HookRun::enter(size_t layer, std::vector<c10::IValue> &values,
                    const std::vector<c10::TypePtr> &types) {
    LayerRun &run = layers_[layer];
    const bool replaced =
        call_hooks((*hooks_)[layer], {++run.calls, replica_, nullptr}, values, types);
    run.arguments = as_tuple(values);
    return replaced;
}

bool HookRun::leave(size_t layer, std::vector<c10::IValue> &values,
                    const std::vector<c10::TypePtr> &types) {
    LayerRun &run = layers_[layer];
    if (run.arguments.isNone()) { // nobody said that it began
        ++run.calls;
        run.arguments = as_tuple({});
    }
    const bool replaced =
        call_hooks((*hooks_)[layer], {run.calls, replica_, &run.arguments}, values, types);
    run.arguments = c10::IValue();
    return replaced;
}

} // namespace neurotap

ntap_status capi_hook_add(const ntap_module *module, const char *layer, int before,
                          ntap_hook_callback callback, void *context, ntap_finalizer finalizer,
                          ntap_hook **hook, ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] {
        const auto &registry = module->model->registry_of(layer);
        // Until nothing can fail any more the context is the caller's.
        auto made = std::make_shared<Hook>(callback, context);
        auto handle = hook == nullptr ? nullptr : std::make_unique<ntap_hook>();
        registry->add(layer, before != 0, made);
        made->finalize_with(finalizer);
        if (hook != nullptr) {
            handle->registry = registry;
            handle->hook = std::move(made);
            *hook = handle.release();
        }
    });
}

void ntap_hook_remove(ntap_hook *hook) {
    if (hook == nullptr)
        return;
    const std::unique_ptr<ntap_hook> handle(hook);
    handle->hook->switch_off();
    // Where there is no memory for the registry to do without it, it keeps a hook that is off.
    const ntap_status status = guarded(nullptr, NTAP_ERROR_INTERNAL, [&] {
        if (const auto registry = handle->registry.lock())
            registry->remove(*handle->hook);
    });
    (void)status;
}
