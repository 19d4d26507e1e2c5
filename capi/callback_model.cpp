#include "callback_model.hpp"

#include "capi.h"
#include "replicate.hpp"
#include "site_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

std::vector<c10::IValue> as_arguments(const c10::IValue &value) {
    return value.isTuple() ? value.toTupleRef().elements().vec() : std::vector<c10::IValue>{value};
}

c10::IValue untyped(const ntap_value &value) {
    return coerce(value, c10::AnyType::get(), "value", same_tensor);
}

std::vector<c10::IValue> untyped_arguments(const Arguments &arguments) {
    std::vector<c10::IValue> values(arguments.leaves.begin(), arguments.leaves.end());
    if (arguments.n_values > 0)
        require_not_null(arguments.values, "args");
    for (size_t i = 0; i < arguments.n_values; ++i) {
        if (arguments.values[i] == nullptr)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "args[", i, "] is NULL");
        const ntap_value &value = *arguments.values[i];
        values.push_back(untyped(arguments.with_graph ? value : map_tensors(value, without_graph)));
    }
    return values;
}

} // namespace

// ---- the model ----

CallbackModel::CallbackModel(std::shared_ptr<Model> base, ntap_forward_function forward,
                             void *context, const std::vector<std::string> &own_layers)
    : base_(std::move(base)), forward_(forward), context_(context) {
    layers_.push_back(Layer{"", ""});
    for (const std::string &path : own_layers)
        add_own(path);
    for (size_t i = 1; base_ != nullptr && i < base_->layers().size(); ++i)
        layers_.push_back(base_->layers()[i]);
    signature_ = base_ == nullptr ? "forward(...)" : base_->signature();
}

CallbackModel::~CallbackModel() {
    if (finalizer_ != nullptr)
        finalizer_(context_);
}

void CallbackModel::add_own(const std::string &path) {
    if (has(path))
        fail(NTAP_ERROR_INVALID_ARGUMENT, "options.layers: there is a layer '", path, "' already");
    own_.push_back(path);
    layers_.push_back(Layer{path, ""});
}

const std::vector<std::string> &CallbackModel::values() const {
    static const std::vector<std::string> none;
    return base_ == nullptr ? none : base_->values();
}

bool CallbackModel::is_own(const std::string &name) const {
    return name.empty() || std::find(own_.begin(), own_.end(), name) != own_.end();
}

bool CallbackModel::has(const std::string &name) const {
    return is_own(name) || (base_ != nullptr && base_->has(name));
}

bool CallbackModel::reaches(const std::string &name) const {
    return is_own(name) || (base_ != nullptr && base_->reaches(name));
}

// The function decides how far it goes.
std::shared_ptr<const Runnable> CallbackModel::prepare(const Taps &taps, bool /*whole*/) const {
    return std::make_shared<CallbackRun>(
        std::static_pointer_cast<const CallbackModel>(shared_from_this()), taps);
}

const std::shared_ptr<HookRegistry> &CallbackModel::registry_of(const std::string &layer) const {
    return is_own(layer) ? hooks_ : base_->registry_of(layer);
}

void CallbackModel::move(const at::Device * /*device*/, const at::ScalarType * /*dtype*/) {
    fail(NTAP_ERROR_UNSUPPORTED, "a callback module has nothing of its own to move; move the "
                                 "module that it was made from");
}

CallbackModel::CallbackModel(std::shared_ptr<const CallbackModel> source,
                             std::shared_ptr<Model> base)
    : source_(std::move(source)), base_(std::move(base)), forward_(source_->forward_),
      context_(source_->context_), own_(source_->own_), hooks_(source_->hooks_) {
    layers_ = source_->layers_;
    signature_ = source_->signature_;
}

std::shared_ptr<Model> CallbackModel::replicate(const at::Device &device) const {
    const auto self = std::static_pointer_cast<const CallbackModel>(shared_from_this());
    return std::shared_ptr<CallbackModel>(
        new CallbackModel(self, base_ == nullptr ? nullptr : base_->replicate(device)));
}

void CallbackModel::update() {
    if (base_ != nullptr)
        base_->update();
}

// ---- a run ----

CallbackRun::CallbackRun(std::shared_ptr<const CallbackModel> model, const Taps &taps)
    : model_(std::move(model)), own_{{}, taps.side, {}}, site_counts_(taps.layers.size(), 1) {
    Taps of_base{{}, taps.side, {}};
    for (size_t i = 0; i < taps.layers.size(); ++i) {
        Taps &owner = model_->is_own(taps.layers[i]) ? own_ : of_base;
        owner.layers.push_back(taps.layers[i]);
        owner.slots.push_back(taps.slots[i]);
    }
    if (model_->base() == nullptr)
        return;
    base_ = model_->base()->prepare(of_base, /*whole=*/true);
    const auto counts = base_->site_counts();
    for (size_t i = 0; i < counts.size(); ++i)
        site_counts_[of_base.slots[i]] = counts[i];
}

// B9: what the function does to the value later is not seen.
void CallbackRun::record(RunContext &context, const std::string &layer, ntap_layer_side side,
                         const std::vector<c10::IValue> &values) const {
    for (size_t i = 0; i < own_.layers.size(); ++i)
        if (own_.side == side && own_.layers[i] == layer)
            context.calls[own_.slots[i]].push_back(deep_copy(
                side == NTAP_LAYER_INPUT ? c10::ivalue::Tuple::create(values) : values.at(0)));
}

c10::IValue CallbackRun::tap(RunContext &context, const std::string &layer, ntap_layer_side side,
                             const c10::IValue &value) const {
    const bool input = side == NTAP_LAYER_INPUT;
    auto values = input ? as_arguments(value) : std::vector<c10::IValue>{value};
    HookRun *hooks = context.hooks_of(model_->hooks());
    const size_t index = hooks == nullptr ? 0 : hooks->index_of(layer);
    if (hooks != nullptr && index < hooks->hooks()->size())
        context.remember_failure(
            [&] { input ? hooks->enter(index, values, {}) : hooks->leave(index, values, {}); });
    record(context, layer, side, values);
    return input && value.isTuple() ? c10::IValue(c10::ivalue::Tuple::create(std::move(values)))
                                    : values.at(0);
}

c10::IValue CallbackRun::run(RunContext &context, const Arguments &arguments) const {
    const auto given = c10::ivalue::Tuple::create(untyped_arguments(arguments));
    const ntap_value args = from_ivalue(tap(context, "", NTAP_LAYER_INPUT, given));
    std::vector<const ntap_value *> lent;
    for (const ntap_value &item : args.items)
        lent.push_back(&item);
    ntap_view view{*this, context};
    ntap_value *returned = nullptr;
    ntap_error err;
    err.message[0] = '\0';
    const ntap_status status = model_->call(&view, lent, &returned, &err);
    for (const ntap_value *arg : lent)
        if (returned != nullptr && is_part_of(returned, arg))
            refuse_lent("the result of the module's forward function");
    const std::unique_ptr<ntap_value> result(returned);
    if (context.failure) // also if the function took no notice of it
        std::rethrow_exception(context.failure);
    if (status != NTAP_OK)
        callback_failed("the module's forward function", status, err);
    if (result == nullptr)
        fail(NTAP_ERROR_INVALID_ARGUMENT,
             "the module's forward function succeeded without giving a result");
    return tap(context, "", NTAP_LAYER_OUTPUT, untyped(*result));
}

} // namespace neurotap

using namespace neurotap;

ntap_status capi_module_new_callback(const ntap_module *base, ntap_forward_function forward,
                                     void *context, const ntap_callback_module_options *options,
                                     ntap_module **module, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const std::vector<std::string> layers(options->layers, options->layers + options->n_layers);
        *module = new ntap_module(std::make_shared<CallbackModel>(
            base == nullptr ? nullptr : base->model, forward, context, layers));
    });
}

// In a data-parallel module the replicas' models keep the one that releases the context.
void capi_module_finalize_with(ntap_module *module, ntap_finalizer finalizer) {
    static_cast<CallbackModel &>(*module->model).finalize_with(finalizer);
}

ntap_status ntap_view_forward(ntap_view *view, const ntap_value *const *args, size_t n_args,
                              ntap_value **result, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        require_not_null(view, "view");
        require_not_null(result, "result");
        if (view->run.base() == nullptr)
            fail(NTAP_ERROR_INVALID_ARGUMENT,
                 "the callback module was made without a module that could be run");
        const auto returned =
            view->run.base()->run(view->context, Arguments{{}, args, n_args, true});
        *result = new ntap_value(from_ivalue(returned));
    });
}

ntap_status ntap_tap(ntap_view *view, const char *layer, ntap_layer_side side,
                     const ntap_value *value, ntap_value **tapped, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        require_not_null(view, "view");
        require_not_null(layer, "layer");
        require_not_null(value, "value");
        require_not_null(tapped, "tapped");
        if (side != NTAP_LAYER_INPUT && side != NTAP_LAYER_OUTPUT)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "side is ", static_cast<int>(side),
                 "; expected NTAP_LAYER_OUTPUT or NTAP_LAYER_INPUT");
        if (*layer == '\0' || !view->run.model().is_own(layer))
            fail(NTAP_ERROR_INVALID_ARGUMENT, "layer '", layer,
                 "' is not one of those that the callback module was made with");
        *tapped =
            new ntap_value(from_ivalue(view->run.tap(view->context, layer, side, untyped(*value))));
    });
}
