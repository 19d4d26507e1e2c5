/**
 * @file torch.hpp
 * @brief neurotap for C++ programs that hold libtorch objects: header-only, C++17.
 *
 * What drives neuron 3 of a layer, in a program that runs a TorchScript model anyway:
 *
 * @code
 * torch::jit::Module model = torch::jit::load("model.pt");
 * neurotap::NeuronGradient gradient(neurotap::module(model), "layer2.0.conv1");
 * std::vector<at::Tensor> grads = gradient.attribute({image}, "3,4,5");
 * @endcode
 *
 * And in one whose model is C++, as a `torch::nn::Module` that tells of its layers:
 *
 * @code
 * struct NetImpl : torch::nn::Module {
 *     ...
 *     at::Tensor forward(at::Tensor x, neurotap::View view = {}) {
 *         x = torch::relu(view.call("fc1", fc1, x)); // instead of fc1->forward(x)
 *         return view.call("fc2", fc2, x);
 *     }
 * };
 * neurotap::NeuronGradient gradient(neurotap::module(net.ptr()), "fc1");
 * @endcode
 *
 * - **Objects.** Tensors, values and models are shared, never copied, and nothing of the caller's
 * is changed. Handles are `std::unique_ptr`s; `handle.get()` is for the functions of the C headers,
 *   which say what there is beyond this one, and who may use what in which thread.
 * - **Errors** are thrown: Error, or std::bad_alloc. What a function of the caller's throws while
 *   neurotap runs it ends the run, and the call that began the run throws an Error with its
 * message. To fail with a status of its choice a function throws an Error itself.
 * - **Versions.** Program and neurotap must use the same libtorch. The first call checks.
 */
#ifndef NEUROTAP_TORCH_HPP
#define NEUROTAP_TORCH_HPP

#include <neurotap/neurotap.h>

#include <torch/script.h>
#include <torch/version.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace neurotap {
inline namespace bridge { // apart from the names inside a static libneurotap

/** @defgroup cpp C++
 *  @brief Header-only, for programs that hold libtorch objects: torch.hpp.
 *  @{ */

// ---- errors ----

/** A call failed. */
class Error : public std::runtime_error {
  public:
    /** @param status   not NTAP_OK
     *  @param message  for what() */
    Error(ntap_status status, const std::string &message)
        : std::runtime_error(message), status_(status) {}
    /** Which kind of failure. */
    ntap_status status() const noexcept { return status_; }

  private:
    ntap_status status_;
};

namespace detail {

inline bool require_torch(const std::string &version) {
    if (version != ntap_torch_version())
        throw Error(NTAP_ERROR_UNSUPPORTED, "this program was compiled with libtorch " + version +
                                                ", neurotap with " + ntap_torch_version());
    return true;
}

/** Before the first object crosses. */
inline void require_same_torch() {
    static const bool same = require_torch(std::to_string(TORCH_VERSION_MAJOR) + "." +
                                           std::to_string(TORCH_VERSION_MINOR) + "." +
                                           std::to_string(TORCH_VERSION_PATCH));
    static_cast<void>(same);
}

/** Calls a function of the C headers; `err`, its last argument, is added. */
template <class Function, class... Arguments> void call(Function function, Arguments... arguments) {
    require_same_torch();
    ntap_error err;
    const ntap_status status = function(arguments..., &err);
    if (status != NTAP_OK)
        throw Error(status, err.message);
}

/** Calls a function whose last output is a new object. */
template <class Handle, class Function, class... Arguments>
Handle make(Function function, Arguments... arguments) {
    typename Handle::pointer made = nullptr;
    call(function, arguments..., &made);
    return Handle(made);
}

/** Runs what C called: no exception gets out. */
template <class Body> ntap_status guarded(ntap_error *err, const Body &body) noexcept {
    try {
        body();
        return NTAP_OK;
    } catch (const Error &error) {
        return ntap_error_set(err, error.status(), "%s", error.what());
    } catch (const c10::Error &error) {
        return ntap_error_set(err, NTAP_ERROR_MODEL, "%s", error.what_without_backtrace());
    } catch (const std::exception &error) {
        return ntap_error_set(err, NTAP_ERROR_MODEL, "%s", error.what());
    } catch (...) {
        return ntap_error_set(err, NTAP_ERROR_MODEL, "an exception of unknown type was thrown");
    }
}

/** Releases a handle; a finalizer too. */
template <auto release> struct Release {
    template <class Handle> void operator()(Handle *handle) const { release(handle); }
};
template <class Function> void destroy(void *context) { delete static_cast<Function *>(context); }

} // namespace detail

// ---- handles ----

/** A tensor; unwrap() gives libtorch's. */
using Tensor = std::unique_ptr<ntap_tensor, detail::Release<ntap_tensor_free>>;
/** A value; unwrap() gives libtorch's. */
using Value = std::unique_ptr<ntap_value, detail::Release<ntap_value_free>>;
/** What is made from a module keeps working when the module is gone. */
using Module = std::unique_ptr<ntap_module, detail::Release<ntap_module_free>>;
/** Which neuron; from selector(), or from a function of selector.h. */
using Selector = std::unique_ptr<ntap_selector, detail::Release<ntap_selector_free>>;
/** The hook is removed when this goes. */
using Hook = std::unique_ptr<ntap_hook, detail::Release<ntap_hook_remove>>;

/** A tensor as neurotap's: the same memory, and the same autograd graph. */
inline Tensor wrap(const at::Tensor &tensor) {
    return detail::make<Tensor>(ntap_tensor_from_aten,
                                reinterpret_cast<const AtenTensorOpaque *>(&tensor));
}

/** A tensor as libtorch's: the same memory, and the same autograd graph. */
inline at::Tensor unwrap(const ntap_tensor *tensor) {
    detail::require_same_torch();
    if (tensor == nullptr)
        throw Error(NTAP_ERROR_INVALID_ARGUMENT, "tensor is NULL");
    return *reinterpret_cast<const at::Tensor *>(ntap_tensor_as_aten(tensor));
}

/** A value as neurotap's: ntap_value_from_ivalue(). */
inline Value wrap(const c10::IValue &value) {
    return detail::make<Value>(ntap_value_from_ivalue, &value);
}

/** A value as libtorch's: ntap_value_to_ivalue(), also on lists and dictionaries. */
inline c10::IValue unwrap(const ntap_value *value) {
    c10::IValue made;
    detail::call(ntap_value_to_ivalue, value, &made);
    return made;
}

namespace detail {

template <class Handle, class Object> std::vector<Handle> wrap_all(const std::vector<Object> &all) {
    std::vector<Handle> handles;
    for (const Object &object : all)
        handles.push_back(wrap(object));
    return handles;
}

template <class Handle>
std::vector<const typename Handle::element_type *> pointers(const std::vector<Handle> &handles) {
    std::vector<const typename Handle::element_type *> result;
    for (const Handle &handle : handles)
        result.push_back(handle.get());
    return result;
}

/** Runs a module, or what is behind a view. */
template <class Function, class Subject>
c10::IValue run(Function function, Subject *subject, const std::vector<c10::IValue> &args) {
    const std::vector<Value> values = wrap_all<Value>(args);
    return unwrap(make<Value>(function, subject, pointers(values).data(), values.size()).get());
}

} // namespace detail

// ---- modules ----

/** A TorchScript model of the caller's, who may change it later: see ntap_module_from_jit(). */
inline Module module(const torch::jit::Module &model, const std::string &method = "forward") {
    return detail::make<Module>(ntap_module_from_jit, &model, method.c_str());
}

/** The module on several devices, each with a part of the batch: ntap_module_new_data_parallel().
 */
inline Module data_parallel(const Module &module, const std::vector<at::Device> &devices,
                            int num_threads = 0) {
    std::vector<ntap_device> named;
    for (const at::Device &device : devices) {
        if (!device.is_cpu() && !device.is_cuda())
            throw Error(NTAP_ERROR_DEVICE, "no replica can be on " + device.str());
        named.push_back(ntap_device{device.is_cuda() ? NTAP_DEVICE_CUDA : NTAP_DEVICE_CPU,
                                    device.has_index() ? device.index() : 0});
    }
    ntap_data_parallel_options options = NTAP_DATA_PARALLEL_OPTIONS_INIT;
    options.num_threads = num_threads;
    return detail::make<Module>(ntap_module_new_data_parallel, module.get(), named.data(),
                                named.size(), &options);
}

/** Runs a module without recording gradients: ntap_module_forward(). */
inline c10::IValue forward(const Module &module, const std::vector<c10::IValue> &args) {
    return detail::run(ntap_module_forward, module.get(), args);
}

class View;

namespace detail {

/** What a member function takes, and whether the last of it is a View. */
template <class Method> struct Signature;
template <class Result, class Net, class... Args> struct Signature<Result (Net::*)(Args...)> {
    using Values = std::tuple<std::decay_t<Args>...>;
};
template <class Result, class Net, class... Args>
struct Signature<Result (Net::*)(Args...) const> : Signature<Result (Net::*)(Args...)> {};

template <class Values> struct EndsInView : std::false_type {};
template <> struct EndsInView<std::tuple<View>> : std::true_type {};
template <class First, class Second, class... Rest>
struct EndsInView<std::tuple<First, Second, Rest...>> : EndsInView<std::tuple<Second, Rest...>> {};

template <class Net, class = void> struct TakesView : std::false_type {};
template <class Net>
struct TakesView<Net, std::void_t<typename Signature<decltype(&Net::forward)>::Values>>
    : EndsInView<typename Signature<decltype(&Net::forward)>::Values> {};

/** Whether it is a torch::nn::Sequential. */
template <class Net, class = void> struct IsSequence : std::false_type {};
template <class Net>
struct IsSequence<Net,
                  std::void_t<decltype(std::declval<Net &>().begin()->template forward<at::Tensor>(
                      at::Tensor()))>> : std::true_type {};

} // namespace detail

/**
 * A run of a module made of a C++ function, which tells of its layers through it. Valid until that
 * function returns, in its thread.
 *
 * The default one belongs to no run, and hands everything through: a forward with a parameter
 * `neurotap::View view = {}` is written once, for neurotap and for everything else.
 */
class View {
  public:
    View() = default;
    /** @param view  what C handed to the forward function; NULL belongs to no run */
    explicit View(ntap_view *view) : view_(view) {}

    /** Runs the module that the function's module was made from: ntap_view_forward(). */
    c10::IValue forward(const std::vector<c10::IValue> &args) const {
        return detail::run(ntap_view_forward, view_, args);
    }

    /** Reports what a layer returns: a tensor, or whatever a c10::IValue holds.
     *  @return what to go on with: @p output, or what hooks put in its place */
    template <class Output> Output tap(const std::string &name, Output output) const {
        return view_ == nullptr ? output
                                : report(name, NTAP_LAYER_OUTPUT, output).template to<Output>();
    }

    /**
     * Calls `layer->forward(args...)`, and reports its arguments and its result.
     *
     * If that forward takes a View last, it is given one in which its layers' names follow this
     * layer's, as in `named_modules()`: "block1.conv". The layers in a torch::nn::Sequential are
     * reported too, by their names there; they must take and give one tensor.
     *
     * @param name   the layer's, inside of this view
     * @param layer  a ModuleHolder such as torch::nn::Linear, or a pointer
     * @param args   tensors, or whatever a c10::IValue holds
     */
    template <class Layer, class... Args>
    auto call(const std::string &name, Layer &&layer, Args... args) const {
        using Net = std::decay_t<decltype(*layer)>;
        enter(name, args...);
        if constexpr (detail::TakesView<Net>::value)
            return tap(name, layer->forward(args..., inside(name)));
        else if constexpr (detail::IsSequence<Net>::value && sizeof...(args) == 1)
            return tap(name, view_ == nullptr ? layer->forward(args...)
                                              : inside(name).each(*layer, args...));
        else
            return tap(name, layer->forward(args...));
    }

  private:
    View inside(const std::string &name) const {
        View view(*this);
        if (view_ != nullptr)
            view.prefix_ += name + ".";
        return view;
    }

    c10::IValue report(const std::string &name, ntap_layer_side side,
                       const c10::IValue &value) const {
        return unwrap(
            detail::make<Value>(ntap_tap, view_, (prefix_ + name).c_str(), side, wrap(value).get())
                .get());
    }

    template <class... Args> void enter(const std::string &name, Args &...args) const {
        if (view_ == nullptr)
            return;
        const c10::IValue tapped =
            report(name, NTAP_LAYER_INPUT,
                   c10::ivalue::Tuple::create(std::vector<c10::IValue>{c10::IValue(args)...}));
        size_t next = 0;
        ((args = tapped.toTupleRef().elements()[next++].template to<Args>()), ...);
    }

    template <class Sequence> at::Tensor each(Sequence &layers, at::Tensor x) const {
        const std::vector<std::string> names = layers.named_children().keys();
        size_t next = 0;
        for (auto &layer : layers) {
            const std::string &name = names[next++];
            enter(name, x);
            x = tap(name, layer.template forward<at::Tensor>(x));
        }
        return x;
    }

    ntap_view *view_ = nullptr;
    std::string prefix_; // of the layers' names
};

/** A forward function. Runs on the thread that runs the module, in a neuron gradient with grad mode
 *  on; with the module used by several threads, in several at once. */
using Forward = std::function<c10::IValue(View &, std::vector<c10::IValue>)>;

namespace detail {

inline ntap_status run_forward(ntap_view *view, const ntap_value *const *args, size_t n_args,
                               void *context, ntap_value **result, ntap_error *err) noexcept {
    return guarded(err, [&] {
        std::vector<c10::IValue> values;
        for (size_t i = 0; i < n_args; ++i)
            values.push_back(unwrap(args[i]));
        View run(view);
        *result = wrap((*static_cast<Forward *>(context))(run, std::move(values))).release();
    });
}

template <class Net, class Method, size_t... index>
c10::IValue run_net(Net &net, Method forward, const View &view,
                    const std::vector<c10::IValue> &args, std::index_sequence<index...>) {
    using Values = typename Signature<Method>::Values;
    if (args.size() != sizeof...(index))
        throw Error(NTAP_ERROR_INVALID_ARGUMENT,
                    "the net's forward takes " + std::to_string(sizeof...(index)) +
                        " arguments and a View, not " + std::to_string(args.size()));
    return (net.*forward)(args[index].template to<std::tuple_element_t<index, Values>>()..., view);
}

} // namespace detail

/**
 * A module of a C++ function: ntap_module_new_callback().
 * @param layers   the names that the function reports with View::tap() and View::call()
 * @param forward  destroyed with the module and everything made from it
 * @param base     what View::forward() runs; may be NULL, and may be freed before the result
 */
inline Module module(const std::vector<std::string> &layers, Forward forward,
                     const ntap_module *base = nullptr) {
    std::vector<const char *> names;
    for (const std::string &layer : layers)
        names.push_back(layer.c_str());
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    options.layers = names.data();
    options.n_layers = names.size();
    options.finalizer = detail::destroy<Forward>;
    auto context = std::make_unique<Forward>(std::move(forward));
    Module made = detail::make<Module>(ntap_module_new_callback, base, detail::run_forward,
                                       context.get(), &options);
    static_cast<void>(context.release());
    return made;
}

/**
 * A module of a torch::nn::Module. It is the caller's net that runs, with the weights and in the
 * mode that it has then: in training mode, for example, its batch norms follow every run.
 *
 * Its layers are those in `named_modules()`; only those that its forward tells of are ever reached.
 * @param net  `net->forward(args..., neurotap::View)`, not overloaded, runs it; of a ModuleHolder
 *             the `ptr()`
 */
template <class Net> Module module(std::shared_ptr<Net> net) {
    static_assert(detail::TakesView<Net>::value,
                  "the net needs one function forward, which takes a neurotap::View last");
    using Values = typename detail::Signature<decltype(&Net::forward)>::Values;
    const std::vector<std::string> layers = net->named_modules("", /*include_self=*/false).keys();
    return module(layers, [net](View &view, const std::vector<c10::IValue> &args) {
        return detail::run_net(*net, &Net::forward, view, args,
                               std::make_index_sequence<std::tuple_size_v<Values> - 1>());
    });
}

// ---- hooks ----

/** One call of a layer: ntap_hook_call. The values share the memory of the running model. */
struct HookCall {
    std::string layer;               ///< the path that the hook was added for
    int64_t call;                    ///< which call of the layer in this run, from 1
    std::vector<c10::IValue> inputs; ///< all arguments of the layer
    c10::IValue output;              ///< None in a pre-hook
};

/** A hook: looks, and returns std::nullopt; or returns what takes the place of the output, in a
 *  pre-hook of the first argument, or as a tuple of all. To stop the run it throws
 *  Error(NTAP_ERROR_STOPPED, ...). Threads as for ntap_hook_callback. */
using HookFunction = std::function<std::optional<c10::IValue>(const HookCall &)>;

namespace detail {

inline ntap_status run_hook(const ntap_hook_call *call, void *context, ntap_value **replacement,
                            ntap_error *err) noexcept {
    return guarded(err, [&] {
        const c10::IValue inputs = unwrap(call->inputs);
        const HookCall seen{call->layer, call->call, inputs.toTupleRef().elements().vec(),
                            call->output == nullptr ? c10::IValue() : unwrap(call->output)};
        if (const auto given = (*static_cast<HookFunction *>(context))(seen))
            *replacement = wrap(*given).release();
    });
}

template <class Add>
Hook add_hook(Add add, const Module &module, const std::string &layer, HookFunction hook) {
    auto context = std::make_unique<HookFunction>(std::move(hook));
    Hook made = make<Hook>(add, module.get(), layer.c_str(), run_hook, context.get(),
                           destroy<HookFunction>);
    static_cast<void>(context.release());
    return made;
}

} // namespace detail

/** Adds a hook that runs after a layer: ntap_module_add_forward_hook(). The function is destroyed
 *  when the hook is removed and no run can call it any more. */
[[nodiscard]] inline Hook add_forward_hook(const Module &module, const std::string &layer,
                                           HookFunction hook) {
    return detail::add_hook(ntap_module_add_forward_hook, module, layer, std::move(hook));
}

/** Adds a hook that runs before a layer. */
[[nodiscard]] inline Hook add_forward_pre_hook(const Module &module, const std::string &layer,
                                               HookFunction hook) {
    return detail::add_hook(ntap_module_add_forward_pre_hook, module, layer, std::move(hook));
}

// ---- neuron gradients ----

/** Python's notation, such as "4,1:3,:"; see selector.h for other ways. */
inline Selector selector(const std::string &text) {
    return detail::make<Selector>(ntap_selector_parse, text.c_str());
}

/** The neuron gradients of one layer: neuron_gradient.h. */
class NeuronGradient {
  public:
    /** Prepares a layer, or a value: ntap_neuron_gradient_new(). */
    NeuronGradient(const Module &module, const std::string &layer,
                   ntap_layer_side side = NTAP_LAYER_OUTPUT) {
        ntap_neuron_gradient_options options = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
        options.side = side;
        gradient_ =
            detail::make<Handle>(ntap_neuron_gradient_new, module.get(), layer.c_str(), &options);
    }

    /** The gradient of a neuron with respect to each input: ntap_neuron_gradient_attribute(). */
    std::vector<at::Tensor>
    attribute(const std::vector<at::Tensor> &inputs, const Selector &selector,
              const std::vector<c10::IValue> &additional_arguments = {}) const {
        return run(inputs, additional_arguments, ntap_neuron_gradient_attribute, selector.get());
    }

    /** Those of several neurons, one after the other along a new first dimension:
     *  ntap_neuron_gradient_attribute_many(). */
    std::vector<at::Tensor>
    attribute_many(const std::vector<at::Tensor> &inputs, const std::vector<std::string> &selectors,
                   const std::vector<c10::IValue> &additional_arguments = {}) const {
        std::vector<Selector> made;
        for (const std::string &selector : selectors)
            made.push_back(bridge::selector(selector));
        return run(inputs, additional_arguments, ntap_neuron_gradient_attribute_many,
                   detail::pointers(made).data(), made.size());
    }

    /** Those of all neurons of the layer: ntap_neuron_gradient_attribute_all(). */
    std::vector<at::Tensor>
    attribute_all(const std::vector<at::Tensor> &inputs,
                  const std::vector<c10::IValue> &additional_arguments = {}) const {
        return run(inputs, additional_arguments, ntap_neuron_gradient_attribute_all);
    }

    /** As above, with a selector in Python's notation, such as "4,14,14". */
    std::vector<at::Tensor>
    attribute(const std::vector<at::Tensor> &inputs, const std::string &selector,
              const std::vector<c10::IValue> &additional_arguments = {}) const {
        return attribute(inputs, bridge::selector(selector), additional_arguments);
    }

    /** For the functions of neuron_gradient.h; lent. */
    ntap_neuron_gradient *get() const noexcept { return gradient_.get(); }

  private:
    using Handle =
        std::unique_ptr<ntap_neuron_gradient, detail::Release<ntap_neuron_gradient_free>>;

    template <typename Function, typename... Neurons>
    std::vector<at::Tensor> run(const std::vector<at::Tensor> &inputs,
                                const std::vector<c10::IValue> &additional_arguments,
                                Function function, const Neurons &...neurons) const {
        const auto tensors = detail::wrap_all<Tensor>(inputs);
        const auto values = detail::wrap_all<Value>(additional_arguments);
        const auto arguments = detail::pointers(values);
        ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
        options.additional_arguments = arguments.data();
        options.n_additional_arguments = arguments.size();
        std::vector<ntap_tensor *> grads(inputs.size());
        detail::call(function, gradient_.get(), detail::pointers(tensors).data(), tensors.size(),
                     neurons..., &options, grads.data());
        std::vector<at::Tensor> result;
        result.reserve(grads.size());
        for (ntap_tensor *grad : grads)
            result.push_back(unwrap(Tensor(grad).get()));
        return result;
    }

    Handle gradient_;
};

/** @} */

} // namespace bridge
} // namespace neurotap

#endif // NEUROTAP_TORCH_HPP
