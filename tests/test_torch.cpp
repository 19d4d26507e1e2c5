/* Objects of libtorch that a C++ program holds already: torch_bridge.h, and torch.hpp over it. */
#include <neurotap/torch.hpp>

#include <torch/csrc/autograd/autograd.h>
#include <torch/nn.h>

#if __has_include(<torch/csrc/inductor/aoti_torch/c/shim.h>)
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#define HAS_SHIM 1
#endif

#include "support.h" // last: cmocka.h has a macro `fail`

using c10::IValue;
using neurotap::HookCall;
using neurotap::NeuronGradient;
using neurotap::View;

namespace {

/* The body throws an Error with this status and a message that contains this text. */
template <class Body> void assert_throws(ntap_status status, const char *part, const Body &body) {
    try {
        body();
    } catch (const neurotap::Error &error) {
        assert_string_equal(ntap_status_name(error.status()), ntap_status_name(status));
        assert_contains(error.what(), part);
        return;
    }
    fail_msg("nothing was thrown; expected '%s'", part);
}

void assert_equal(const at::Tensor &actual, const at::Tensor &expected) {
    assert_true(actual.scalar_type() == expected.scalar_type());
    assert_true(actual.sizes() == expected.sizes());
    assert_true(at::allclose(actual, expected, 1e-12, 0));
}

at::Tensor numbers(const std::vector<int64_t> &sizes) {
    at::manual_seed(7);
    return at::randn(sizes, at::kDouble);
}

/* What autograd, asked by hand, says of the sum of the neuron `index`. */
template <class Layer>
at::Tensor by_hand(const at::Tensor &input, int64_t index, const Layer &layer) {
    const at::Tensor leaf = input.detach().clone().requires_grad_();
    return torch::autograd::grad({layer(leaf).select(1, index).sum()}, {leaf})[0];
}

/* ---- tensors ---- */

void tensors_share_their_memory(void **) {
    at::Tensor mine = at::zeros({2, 3}, at::kDouble);
    neurotap::Tensor handle = neurotap::wrap(mine);
    static_cast<double *>(ntap_tensor_mutable_data(handle.get()))[4] = 5;
    assert_true(mine[1][1].item<double>() == 5);
    mine[0][0] = 7;
    assert_true(static_cast<const double *>(ntap_tensor_data(handle.get()))[0] == 7);

    at::Tensor again = neurotap::unwrap(handle.get());
    assert_ptr_equal(again.data_ptr(), mine.data_ptr());
    mine.reset();
    again.reset();
    assert_int_equal(ntap_tensor_numel(handle.get()), 6); /* the handle keeps the memory */
}

void tensors_outlive_their_handles(void **) {
    const double elements[] = {1, 2};
    const int64_t size = 2;
    neurotap::Tensor handle(make_tensor(NTAP_DTYPE_FLOAT32, elements, 1, &size));
    const at::Tensor tensor = neurotap::unwrap(handle.get());
    handle.reset();
    assert_true(tensor[1].item<float>() == 2);
}

void tensors_keep_their_graph(void **) {
    const at::Tensor x = at::ones({2}, at::kDouble).requires_grad_();
    const neurotap::Tensor doubled = neurotap::wrap(x * 2);
    const at::Tensor sum = neurotap::unwrap(doubled.get()).sum();
    assert_equal(torch::autograd::grad({sum}, {x})[0], at::full({2}, 2, at::kDouble));
}

void no_tensor_is_refused(void **) {
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "undefined tensor",
                  [] { neurotap::wrap(at::Tensor()); });
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "tensor is NULL",
                  [] { neurotap::unwrap(static_cast<const ntap_tensor *>(nullptr)); });
}

// Its parts have sizes of their own.
void nested_tensors_are_values_that_cannot_be_looked_into(void **) {
    const at::Tensor nested =
        at::_nested_from_padded(at::ones({2, 3, 3}), at::full({2, 2}, 2, at::kLong));
    assert_throws(NTAP_ERROR_UNSUPPORTED, "nested tensor", [&] { neurotap::wrap(nested); });
    const neurotap::Value value = neurotap::wrap(c10::IValue(nested));
    assert_int_equal(ntap_value_get_kind(value.get()), NTAP_VALUE_OTHER);
    assert_true(neurotap::unwrap(value.get()).toTensor().is_same(nested));
}

void a_handle_of_libtorch_is_the_address_of_a_tensor(void **) {
    const at::Tensor mine = at::ones({2});
    ntap_tensor *tensor = nullptr;
    assert_ok(ntap_tensor_from_aten(reinterpret_cast<const AtenTensorOpaque *>(&mine), &tensor,
                                    &test_err));
    const auto *lent = reinterpret_cast<const at::Tensor *>(ntap_tensor_as_aten(tensor));
    assert_true(lent->is_same(mine));
    assert_ptr_equal(ntap_tensor_as_aten(tensor), lent); /* no new one each time */
    ntap_tensor_free(tensor);
}

#ifdef HAS_SHIM
/* What libtorch's own C interface makes and takes. */
void handles_of_the_shim_are_taken_and_lent(void **) {
    const int64_t sizes[] = {2, 3};
    const int64_t strides[] = {3, 1};
    AtenTensorHandle handle = nullptr;
    assert_int_equal(aoti_torch_empty_strided(2, sizes, strides, aoti_torch_dtype_float32(),
                                              aoti_torch_device_type_cpu(), 0, &handle),
                     AOTI_TORCH_SUCCESS);
    void *data = nullptr;
    assert_int_equal(aoti_torch_get_data_ptr(handle, &data), AOTI_TORCH_SUCCESS);
    ntap_tensor *tensor = nullptr;
    assert_ok(ntap_tensor_from_aten(handle, &tensor, &test_err));
    assert_int_equal(aoti_torch_delete_tensor_object(handle), AOTI_TORCH_SUCCESS);
    assert_ptr_equal(ntap_tensor_data(tensor), data);

    int64_t size = 0;
    assert_int_equal(aoti_torch_get_size(ntap_tensor_as_aten(tensor), 1, &size),
                     AOTI_TORCH_SUCCESS);
    assert_int_equal(size, 3);
    ntap_tensor_free(tensor);
}
#endif

/* ---- values ---- */

IValue through(const IValue &value) { return neurotap::unwrap(neurotap::wrap(value).get()); }

void values_of_every_kind_come_back(void **) {
    assert_true(through(IValue()).isNone());
    assert_int_equal(through(3).toInt(), 3);
    assert_true(through(2.5).toDouble() == 2.5);
    assert_true(through(true).isBool());
    assert_string_equal(through("text").toStringRef().c_str(), "text");
    assert_true(through(at::Device("cpu")).isDevice()); /* what neurotap cannot look into */
    const auto pair = through(std::make_tuple(1, std::string("a"))).toTuple();
    assert_int_equal(pair->elements()[0].toInt(), 1);
    assert_string_equal(pair->elements()[1].toStringRef().c_str(), "a");
}

// As the weights of an attention that does not give any.
void an_undefined_tensor_comes_back_undefined(void **) {
    const auto pair = c10::ivalue::Tuple::create({at::ones({2}), at::Tensor()});
    const c10::IValue back = neurotap::unwrap(neurotap::wrap(c10::IValue(pair)).get());
    const auto &elements = back.toTupleRef().elements();
    assert_true(elements[0].toTensor().defined());
    assert_false(elements[1].toTensor().defined());
}

void lists_and_dictionaries_come_back_with_their_types(void **) {
    const IValue ints = through(std::vector<int64_t>{1, 2});
    assert_true(ints.isIntList());
    assert_int_equal(ints.toIntVector().at(1), 2);
    assert_true(through(std::vector<at::Tensor>{at::ones({1})}).isTensorList());
    assert_true(through(std::vector<double>{}).isTensorList()); /* nothing says otherwise */
    c10::Dict<std::string, at::Tensor> dict;
    dict.insert("x", at::ones({2}));
    const auto same = through(dict).toGenericDict();
    assert_true(same.at("x").toTensor().is_same(dict.at("x")));
}

void lists_are_copied_and_their_tensors_are_not(void **) {
    c10::List<at::Tensor> list;
    list.push_back(at::zeros({2}));
    const neurotap::Value value = neurotap::wrap(IValue(list));
    const at::Tensor first = list.get(0);
    list.push_back(at::ones({2}));
    first.fill_(4);
    assert_int_equal(ntap_value_count(value.get()), 1);
    assert_true(neurotap::unwrap(value.get()).toTensorVector().at(0).is_same(first));
}

/* ---- TorchScript models ---- */

torch::jit::Module load(const char *name) { return torch::jit::load(fixture_path(name)); }

at::Tensor call_layer(const torch::jit::Module &model, const char *layer, const at::Tensor &x) {
    return model.attr(layer).toModule().get_method("forward")({x}).toTensor();
}

void check_first_layer(const torch::jit::Module &model, const NeuronGradient &gradient,
                       const at::Tensor &x) {
    const auto hand =
        by_hand(x, 2, [&](const at::Tensor &leaf) { return call_layer(model, "fc1", leaf); });
    const auto grads = gradient.attribute({x}, "2");
    assert_int_equal(grads.size(), 1);
    assert_equal(grads[0], hand);
    assert_false(grads[0].requires_grad());
}

void a_loaded_model_is_attributed_to(void **) {
    for (const char *name : {"mlp_f64.scripted.pt", "mlp_f64.traced.pt"}) {
        const torch::jit::Module model = load(name);
        const NeuronGradient gradient(neurotap::module(model), "fc1");
        check_first_layer(model, gradient, numbers({3, 6}));
    }
}

/* libtorch rewrites the programs that it has run, and the caller may be in any mode. */
void a_model_that_is_in_use_is_attributed_to(void **) {
    torch::jit::Module model = load("mlp_f64.scripted.pt");
    const at::Tensor x = numbers({3, 6});
    for (int run = 0; run < 4; ++run)
        model.forward({x});
    const auto hand = by_hand(x, 1, [&](const at::Tensor &leaf) {
        return call_layer(model, "fc2", at::relu(call_layer(model, "fc1", leaf)));
    });
    const NeuronGradient gradient(neurotap::module(model), "fc2");
    assert_equal(gradient.attribute({x}, "1")[0], hand);
    const c10::InferenceMode inference;
    assert_equal(gradient.attribute({x.clone()}, "1")[0], hand);
}

void the_input_side_and_selectors_are_there_too(void **) {
    const torch::jit::Module model = load("mlp_f64.scripted.pt");
    const NeuronGradient gradient(neurotap::module(model), "act", NTAP_LAYER_INPUT);
    const at::Tensor x = numbers({3, 6});
    const neurotap::Selector selector = neurotap::selector("2");
    const auto hand =
        by_hand(x, 2, [&](const at::Tensor &leaf) { return call_layer(model, "fc1", leaf); });
    assert_equal(gradient.attribute({x}, selector)[0], hand);
    assert_non_null(gradient.get());
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "expected a number",
                  [] { neurotap::selector("x"); });
}

void errors_carry_status_and_message(void **) {
    const neurotap::Module module = neurotap::module(load("mlp_f64.scripted.pt"));
    assert_throws(NTAP_ERROR_NOT_FOUND, "did you mean 'fc1'",
                  [&] { NeuronGradient(module, "fc_1"); });
    const NeuronGradient gradient(module, "fc1");
    assert_throws(NTAP_ERROR_SHAPE, "", [&] { gradient.attribute({numbers({3, 6})}, "99"); });
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "inputs", [&] { gradient.attribute({}, "1"); });
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "too many arguments", [&] {
        gradient.attribute({numbers({3, 6})}, "1", {1});
    });
}

void a_model_may_be_gone_before_its_module(void **) {
    neurotap::Module module;
    {
        const torch::jit::Module model = load("mlp_f64.scripted.pt");
        module = neurotap::module(model);
    }
    const at::Tensor x = numbers({3, 6});
    assert_equal(neurotap::forward(module, {x}).toTensor(),
                 load("mlp_f64.scripted.pt").forward({x}).toTensor());
}

void b16_a_bridged_model_is_replicated_and_followed(void **) {
    torch::jit::Module model = load("mlp_f64.scripted.pt");
    const neurotap::Module parallel =
        neurotap::data_parallel(neurotap::module(model), {at::kCPU, at::kCPU, at::kCPU});
    const at::Tensor x = numbers({5, 6});
    const NeuronGradient gradient(parallel, "fc2");
    const auto check = [&] {
        assert_true(at::allclose(neurotap::forward(parallel, {x}).toTensor(),
                                 model.forward({x}).toTensor(), 1e-13));
        assert_true(at::allclose(
            gradient.attribute({x}, "1")[0],
            NeuronGradient(neurotap::module(model), "fc2").attribute({x}, "1")[0], 1e-13));
    };
    check();
    const at::NoGradGuard no_grad;
    const auto weight = model.attr("fc1").toModule().attr("weight").toTensor();
    weight.mul_(-2); // in the memory that the replicas share
    check();
    weight.set_data(weight * 3); // in memory of its own
    assert_false(at::allclose(neurotap::forward(parallel, {x}).toTensor(),
                              model.forward({x}).toTensor(), 1e-13));
    neurotap::detail::call(ntap_module_update_replicas, parallel.get());
    check();
    assert_throws(NTAP_ERROR_DEVICE, "no replica can be on meta",
                  [&] { neurotap::data_parallel(neurotap::module(model), {at::kMeta}); });
}

void any_method_may_run_the_model(void **) {
    const torch::jit::Module model = load("methods.scripted.pt");
    const torch::jit::Module encoder = model.attr("encoder").toModule();
    const at::Tensor x = numbers({2, 4}).to(at::kFloat);
    const neurotap::Module module = neurotap::module(encoder, "encode");
    assert_true(at::equal(neurotap::forward(module, {x, 0.5}).toTensor(),
                          encoder.get_method("encode")({x, 0.5}).toTensor()));
    const auto grads = NeuronGradient(module, "lin").attribute({x}, "1", {0.5});
    assert_true(at::allclose(grads[0], by_hand(x, 1, [&](const at::Tensor &leaf) {
                                 return call_layer(encoder, "lin", leaf);
                             })));
    assert_throws(NTAP_ERROR_NOT_FOUND, "no method 'decode'",
                  [&] { neurotap::module(encoder, "decode"); });
}

/* ---- B13: nothing of the caller's changes ---- */

struct Snapshot {
    std::vector<at::Tensor> values;
    std::vector<bool> flags;
};

Snapshot snapshot(const torch::jit::Module &model) {
    Snapshot taken;
    for (const auto &module : model.modules())
        taken.flags.push_back(module.is_training());
    for (const at::Tensor &tensor : model.buffers())
        taken.values.push_back(tensor.clone());
    for (const at::Tensor &tensor : model.parameters()) {
        taken.values.push_back(tensor.detach().clone());
        taken.flags.push_back(tensor.requires_grad());
        taken.flags.push_back(tensor.grad().defined());
    }
    return taken;
}

void assert_unchanged(const Snapshot &before, const Snapshot &after) {
    assert_true(before.flags == after.flags);
    assert_int_equal(before.values.size(), after.values.size());
    for (size_t i = 0; i < before.values.size(); ++i)
        assert_true(at::equal(before.values[i], after.values[i]));
}

void nothing_of_a_model_changes(void **) {
    torch::jit::Module model = load("training_f64.scripted.pt");
    assert_true(model.is_training());
    for (const at::Tensor &parameter : model.attr("fc1").toModule().parameters())
        parameter.set_requires_grad(false);
    const Snapshot before = snapshot(model);
    const neurotap::Module module = neurotap::module(model);
    const at::Tensor x = numbers({5, 4});
    for (const char *layer : {"fc1", "bn", "fc2"})
        NeuronGradient(module, layer).attribute({x}, "1");
    assert_throws(NTAP_ERROR_SHAPE, "",
                  [&] { NeuronGradient(module, "fc2").attribute({x}, "99"); });
    assert_unchanged(before, snapshot(model));
}

void attributes_that_a_model_counts_with_do_not_change(void **) {
    const torch::jit::Module model = load("counter_f64.scripted.pt");
    NeuronGradient(neurotap::module(model), "fc").attribute({numbers({2, 4})}, "1");
    assert_int_equal(model.attr("count").toInt(), 0);
    assert_true(model.attr("total").toTensor().item<double>() == 0);
}

/* ---- what the caller changes is followed ---- */

void check_batch_norm(const torch::jit::Module &model, const NeuronGradient &gradient,
                      const at::Tensor &x) {
    const at::Tensor grads =
        gradient.attribute({x}, "1")[0]; /* first: by hand, statistics change */
    const auto hand = by_hand(x, 1, [&](const at::Tensor &leaf) {
        const torch::jit::Module copy = model.deepcopy();
        return call_layer(copy, "bn", call_layer(copy, "fc1", leaf));
    });
    assert_equal(grads, hand);
}

void training_mode_is_followed(void **) {
    torch::jit::Module model = load("training_f64.scripted.pt");
    const neurotap::Module module = neurotap::module(model);
    const NeuronGradient gradient(module, "bn");
    const at::Tensor x = numbers({5, 4});
    check_batch_norm(model, gradient, x);
    const at::Tensor training = gradient.attribute({x}, "1")[0];
    model.eval();
    check_batch_norm(model, gradient, x);
    assert_equal(neurotap::forward(module, {x}).toTensor(), model.forward({x}).toTensor());
    assert_false(at::allclose(gradient.attribute({x}, "1")[0], training));
    model.train();
    check_batch_norm(model, gradient, x);
    assert_equal(gradient.attribute({x}, "1")[0], training);
}

void weights_that_are_written_to_are_followed(void **) {
    const torch::jit::Module model = load("mlp_f64.scripted.pt");
    const NeuronGradient gradient(neurotap::module(model), "fc1");
    const at::Tensor x = numbers({3, 6});
    const at::Tensor before = gradient.attribute({x}, "2")[0];
    {
        const at::NoGradGuard no_grad;
        model.attr("fc1").toModule().attr("weight").toTensor().mul_(3);
    }
    check_first_layer(model, gradient, x);
    assert_true(at::allclose(gradient.attribute({x}, "2")[0], before * 3));
}

/* As with `parameter.data().copy_(…)`, or a pointer: libtorch's count of writes does not see it. */
void weights_that_are_written_to_unseen_are_followed(void **) {
    for (const char *layer : {"conv1", "bn1", "layer1.0.conv2", "layer2"}) {
        const torch::jit::Module model = load("resnet.scripted.pt");
        const NeuronGradient gradient(neurotap::module(model), layer);
        const at::Tensor x = numbers({1, 1, 32, 32}).to(at::kFloat);
        const at::Tensor before = gradient.attribute({x}, "1,2,2")[0];
        for (const at::Tensor &weight : model.parameters())
            for (int64_t i = 0; i < weight.numel(); ++i)
                weight.data_ptr<float>()[i] *= 1.5F;
        model.attr("bn1").toModule().attr("running_var").toTensor().data_ptr<float>()[0] += 1;
        const at::Tensor after = gradient.attribute({x}, "1,2,2")[0];
        assert_false(at::allclose(after, before));
        assert_true(at::allclose(
            after,
            NeuronGradient(neurotap::module(model.deepcopy()), layer).attribute({x}, "1,2,2")[0],
            1e-4, 1e-7));
    }
}

void weights_that_are_replaced_are_followed(void **) {
    const torch::jit::Module model = load("mlp_f64.scripted.pt");
    const NeuronGradient gradient(neurotap::module(model), "fc1");
    const at::Tensor weight = numbers({8, 6});
    model.attr("fc1").toModule().setattr("weight", weight);
    check_first_layer(model, gradient, numbers({3, 6}));
    assert_equal(gradient.attribute({numbers({1, 6})}, "2")[0], weight.narrow(0, 2, 1));
}

void a_new_dtype_is_followed(void **) {
    torch::jit::Module model = load("mlp.scripted.pt");
    const neurotap::Module module = neurotap::module(model);
    const NeuronGradient gradient(module, "fc1");
    const at::Tensor x = numbers({3, 6});
    assert_throws(NTAP_ERROR_MODEL, "", [&] { gradient.attribute({x}, "2"); });
    model.to(at::kDouble);
    check_first_layer(model, gradient, x);
    assert_equal(neurotap::forward(module, {x}).toTensor(), model.forward({x}).toTensor());
}

/* Autograd never differentiates inference tensors; a tape needs no autograd. */
void a_model_from_inference_mode_is_differentiated_on_a_tape(void **) {
    torch::jit::Module model;
    {
        const c10::InferenceMode inference;
        model = load("mlp_f64.scripted.pt");
    }
    const neurotap::Module module = neurotap::module(model);
    const at::Tensor x = numbers({3, 6});
    assert_int_equal(neurotap::forward(module, {x}).toTensor().size(1), 4);
    const at::Tensor expected =
        NeuronGradient(neurotap::module(load("mlp_f64.scripted.pt")), "fc2").attribute({x}, "2")[0];
    assert_equal(NeuronGradient(module, "fc2").attribute({x}, "2")[0], expected);
}

/* B24 */
void many_neurons_are_the_single_ones_stacked(void **) {
    const NeuronGradient gradient(neurotap::module(load("mlp_f64.scripted.pt")), "fc2");
    const at::Tensor x = numbers({3, 6});
    const at::Tensor many = gradient.attribute_many({x}, {"2", "0:2"})[0];
    const at::Tensor all = gradient.attribute_all({x})[0];
    assert_true(at::allclose(many[0], gradient.attribute({x}, "2")[0]));
    assert_true(at::allclose(many[1], gradient.attribute({x}, "0:2")[0]));
    assert_true(at::allclose(all[2], many[0]));
}

/* ---- functions ---- */

/* Counts how often it was destroyed without having been moved from. */
class Counted {
  public:
    explicit Counted(int *destroyed) : token_(destroyed, [](int *count) { ++*count; }) {}

  private:
    std::shared_ptr<int> token_;
};

void a_function_is_a_module_with_the_layers_it_tells_of(void **) {
    const neurotap::Module module =
        neurotap::module({"square", "sum"}, [](View &view, const std::vector<IValue> &args) {
            const at::Tensor x = args.at(0).toTensor();
            const at::Tensor square = view.tap("square", x * x * args.at(1).toDouble());
            return view.tap("sum", square.sum(1, true));
        });
    assert_string_equal(ntap_module_layer_name(module.get(), 2), "sum");
    const at::Tensor x = numbers({3, 4});
    assert_equal(neurotap::forward(module, {x, 2.0}).toTensor(), (x * x * 2).sum(1, true));
    const auto grads = NeuronGradient(module, "square").attribute({x}, ":2", {2.0});
    assert_equal(grads[0], at::cat({4 * x.narrow(1, 0, 2), at::zeros({3, 2}, at::kDouble)}, 1));
}

void a_function_modifies_a_model(void **) {
    torch::jit::Module model = load("mlp_f64.scripted.pt");
    const neurotap::Module module = neurotap::module(
        {},
        [](View &view, const std::vector<IValue> &args) {
            return view.forward({args.at(0).toTensor() * 2});
        },
        neurotap::module(model).get());
    const at::Tensor x = numbers({3, 6});
    const auto hand =
        by_hand(x, 2, [&](const at::Tensor &leaf) { return call_layer(model, "fc1", leaf * 2); });
    assert_equal(NeuronGradient(module, "fc1").attribute({x}, "2")[0], hand);
    assert_equal(neurotap::forward(module, {x}).toTensor(), model.forward({x * 2}).toTensor());
}

void functions_are_destroyed_once_with_what_was_made_from_them(void **) {
    int destroyed = 0;
    {
        neurotap::Module module = neurotap::module(
            {"a"}, [counted = Counted(&destroyed)](View &view, const std::vector<IValue> &args) {
                return view.tap("a", args.at(0).toTensor() * 2);
            });
        const NeuronGradient gradient(module, "a");
        module.reset();
        assert_int_equal(destroyed, 0);
        gradient.attribute({numbers({1, 2})}, "0");
    }
    assert_int_equal(destroyed, 1);
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "there is a layer 'a' already", [&] {
        neurotap::module({"a", "a"}, [counted = Counted(&destroyed)](
                                         View &, const std::vector<IValue> &) { return IValue(); });
    });
    assert_int_equal(destroyed, 2);
}

neurotap::Module module_that(const std::function<void()> &throws) {
    return neurotap::module({}, [throws](View &, const std::vector<IValue> &) {
        throws();
        return IValue();
    });
}

void what_functions_throw_arrives(void **) {
    const auto run = [](const std::function<void()> &throws) {
        neurotap::forward(module_that(throws), {});
    };
    assert_throws(NTAP_ERROR_MODEL, "out of cheese",
                  [&] { run([] { throw std::runtime_error("out of cheese"); }); });
    assert_throws(NTAP_ERROR_SHAPE, "too long",
                  [&] { run([] { throw neurotap::Error(NTAP_ERROR_SHAPE, "too long"); }); });
    assert_throws(NTAP_ERROR_MODEL, "unknown type", [&] { run([] { throw 42; }); });
    assert_throws(NTAP_ERROR_MODEL, "shape", [&] { run([] { at::ones({2}).view({3}); }); });
}

void what_libtorch_throws_arrives_without_its_backtrace(void **) {
    try {
        neurotap::forward(module_that([] { TORCH_CHECK(false, "no such thing"); }), {});
        fail();
    } catch (const neurotap::Error &error) {
        assert_string_equal(error.what(), "no such thing");
    }
}

/* ---- torch::nn::Modules ---- */

struct BlockImpl : torch::nn::Module {
    explicit BlockImpl(int64_t width)
        : inner(register_module("inner", torch::nn::Linear(width, width))) {}

    at::Tensor forward(const at::Tensor &x, const View &view = {}) {
        return x + at::tanh(view.call("inner", inner, x));
    }

    torch::nn::Linear inner;
};
TORCH_MODULE(Block);

struct NetImpl : torch::nn::Module {
    NetImpl()
        : fc(register_module("fc", torch::nn::Linear(4, 6))),
          block(register_module("block", Block(6))),
          trunk(register_module("trunk",
                                torch::nn::Sequential(torch::nn::Linear(6, 5), torch::nn::Tanh()))),
          lstm(register_module("lstm", torch::nn::LSTM(5, 3))),
          pair(register_module("pair", torch::nn::Bilinear(3, 3, 2))) {
        to(at::kDouble);
    }

    at::Tensor forward(at::Tensor x, double gain, View view = {}) {
        x = view.call("fc", fc, x * gain);
        x = view.call("block", block, x);
        x = view.call("trunk", trunk, x);
        const auto states = view.call("lstm", lstm, x.unsqueeze(0));
        x = std::get<0>(states).squeeze(0);
        return view.tap("pair", pair->forward(x, at::relu(x)));
    }

    torch::nn::Linear fc;
    Block block;
    torch::nn::Sequential trunk;
    torch::nn::LSTM lstm;
    torch::nn::Bilinear pair;
};
TORCH_MODULE(Net);

Net make_net() {
    at::manual_seed(3);
    return Net();
}

void the_layers_of_a_net_are_its_named_modules(void **) {
    const neurotap::Module module = neurotap::module(make_net().ptr());
    const std::vector<std::string> expected = {
        "", "fc", "block", "block.inner", "trunk", "trunk.0", "trunk.1", "lstm", "pair"};
    assert_int_equal(ntap_module_layer_count(module.get()), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
        assert_string_equal(ntap_module_layer_name(module.get(), i), expected[i].c_str());
}

void a_net_runs_the_same_with_and_without_a_run(void **) {
    Net net = make_net();
    const at::Tensor x = numbers({3, 4});
    assert_equal(neurotap::forward(neurotap::module(net.ptr()), {x, 0.5}).toTensor(),
                 net->forward(x, 0.5));
}

void the_gradients_of_a_net_are_those_of_autograd(void **) {
    Net net = make_net();
    const neurotap::Module module = neurotap::module(net.ptr());
    const at::Tensor x = numbers({3, 4});
    const auto check = [&](const char *layer, const std::function<at::Tensor(at::Tensor)> &hand) {
        assert_equal(NeuronGradient(module, layer).attribute({x}, "1", {0.5})[0],
                     by_hand(x, 1, hand));
    };
    const auto fc = [&](const at::Tensor &leaf) { return net->fc->forward(leaf * 0.5); };
    const auto block = [&](const at::Tensor &leaf) { return net->block->forward(fc(leaf)); };
    check("fc", fc);
    check("block.inner", [&](const at::Tensor &leaf) { return net->block->inner(fc(leaf)); });
    check("block", block);
    check("trunk.0", [&](const at::Tensor &leaf) {
        return net->trunk->ptr<torch::nn::LinearImpl>(0)->forward(block(leaf));
    });
    check("trunk", [&](const at::Tensor &leaf) { return net->trunk->forward(block(leaf)); });
    check("", [&](const at::Tensor &leaf) { return net->forward(leaf, 0.5); });
    for (const at::Tensor &parameter : net->parameters())
        assert_false(parameter.grad().defined());
}

void layers_of_a_net_are_told_of_with_their_arguments_and_results(void **) {
    Net net = make_net();
    const neurotap::Module module = neurotap::module(net.ptr());
    const at::Tensor x = numbers({3, 4});
    std::vector<HookCall> calls;
    const auto keep = [&](const HookCall &call) {
        calls.push_back(call);
        return std::nullopt;
    };
    const neurotap::Hook lstm = neurotap::add_forward_hook(module, "lstm", keep);
    const neurotap::Hook tanh = neurotap::add_forward_pre_hook(module, "trunk.1", keep);
    neurotap::forward(module, {x, 1.0});
    assert_int_equal(calls.size(), 2);
    assert_string_equal(calls[0].layer.c_str(), "trunk.1");
    assert_true(calls[0].output.isNone());
    assert_int_equal(calls[1].inputs.size(), 1);
    const auto states =
        calls[1].output.to<std::tuple<at::Tensor, std::tuple<at::Tensor, at::Tensor>>>();
    const auto hand = net->lstm->forward(calls[1].inputs[0].toTensor());
    assert_equal(std::get<0>(states), std::get<0>(hand));
    assert_equal(std::get<1>(std::get<1>(states)), std::get<1>(std::get<1>(hand)));
}

void hooks_change_what_a_net_goes_on_with(void **) {
    Net net = make_net();
    const neurotap::Module module = neurotap::module(net.ptr());
    const at::Tensor x = numbers({3, 4});
    at::Tensor after;
    const neurotap::Hook before =
        neurotap::add_forward_pre_hook(module, "block.inner", [](const HookCall &call) {
            return call.inputs.at(0).toTensor() * 0;
        });
    const neurotap::Hook look =
        neurotap::add_forward_hook(module, "block", [&](const HookCall &call) {
            after = call.output.toTensor();
            return std::nullopt;
        });
    neurotap::forward(module, {x, 1.0});
    assert_equal(after, net->fc->forward(x) + at::tanh(net->block->inner->bias));
}

void a_net_says_what_it_takes(void **) {
    const neurotap::Module module = neurotap::module(make_net().ptr());
    assert_throws(NTAP_ERROR_INVALID_ARGUMENT, "takes 2 arguments and a View, not 1", [&] {
        neurotap::forward(module, {numbers({3, 4})});
    });
    assert_throws(NTAP_ERROR_MODEL, "Tensor", [&] { neurotap::forward(module, {1, 2.0}); });
    assert_throws(NTAP_ERROR_MODEL, "cannot be multiplied", [&] {
        neurotap::forward(module, {numbers({3, 5}), 1.0});
    });
}

/* ---- hooks ---- */

void hooks_see_calls_of_layers(void **) {
    const torch::jit::Module model = load("mlp_f64.scripted.pt");
    const neurotap::Module module = neurotap::module(model);
    const at::Tensor x = numbers({3, 6});
    std::vector<HookCall> calls;
    neurotap::Hook hook = neurotap::add_forward_hook(module, "fc1", [&](const HookCall &call) {
        calls.push_back(call);
        return std::nullopt;
    });
    neurotap::forward(module, {x});
    hook.reset();
    neurotap::forward(module, {x});
    assert_int_equal(calls.size(), 1);
    assert_string_equal(calls[0].layer.c_str(), "fc1");
    assert_int_equal(calls[0].call, 1);
    assert_equal(calls[0].inputs.at(0).toTensor(), x);
    assert_equal(calls[0].output.toTensor(), call_layer(model, "fc1", x));
}

void hooks_replace_what_a_model_goes_on_with(void **) {
    const torch::jit::Module model = load("mlp_f64.scripted.pt");
    const neurotap::Module module = neurotap::module(model);
    const at::Tensor x = numbers({3, 6});
    const NeuronGradient gradient(module, "fc1");
    const at::Tensor plain = gradient.attribute({x}, "2")[0];
    const neurotap::Hook after = neurotap::add_forward_hook(
        module, "fc1", [](const HookCall &call) { return call.output.toTensor() * 2; });
    assert_equal(gradient.attribute({x}, "2")[0], plain * 2); /* gradients flow through */
    const neurotap::Hook before = neurotap::add_forward_pre_hook(
        module, "fc1", [](const HookCall &call) { return call.inputs.at(0).toTensor() * 5; });
    assert_equal(gradient.attribute({x}, "2")[0], plain * 10);
}

void what_hooks_throw_arrives(void **) {
    const neurotap::Module module = neurotap::module(load("mlp_f64.scripted.pt"));
    const at::Tensor x = numbers({3, 6});
    const auto fails = [&](ntap_status status, const char *part,
                           const std::function<void()> &body) {
        const neurotap::Hook hook = neurotap::add_forward_hook(
            module, "fc2", [&](const HookCall &) -> std::optional<IValue> {
                body();
                return std::nullopt;
            });
        assert_throws(status, part, [&] { neurotap::forward(module, {x}); });
        assert_throws(status, part, [&] { NeuronGradient(module, "fc3").attribute({x}, "1"); });
    };
    fails(NTAP_ERROR_STOPPED, "seen enough",
          [] { throw neurotap::Error(NTAP_ERROR_STOPPED, "seen enough"); });
    fails(NTAP_ERROR_MODEL, "out of cheese", [] { throw std::runtime_error("out of cheese"); });
    fails(NTAP_ERROR_MODEL, "invalid for input of size", [] { at::ones({2}).view({3}); });
    fails(NTAP_ERROR_MODEL, "unknown type", [] { throw 42; });
    assert_int_equal(neurotap::forward(module, {x}).toTensor().size(1), 4); /* as before */
}

/* A hook that stops a net's run does so from inside the net's own forward. */
void what_hooks_throw_passes_through_a_net(void **) {
    const neurotap::Module module = neurotap::module(make_net().ptr());
    const neurotap::Hook hook = neurotap::add_forward_hook(
        module, "block.inner", [](const HookCall &) -> std::optional<IValue> {
            throw neurotap::Error(NTAP_ERROR_STOPPED, "seen enough");
        });
    assert_throws(NTAP_ERROR_STOPPED, "seen enough", [&] {
        neurotap::forward(module, {numbers({3, 4}), 1.0});
    });
}

void hooks_are_destroyed_once(void **) {
    int destroyed = 0;
    const auto add = [&](const neurotap::Module &module, const char *layer) {
        return neurotap::add_forward_hook(
            module, layer,
            [counted = Counted(&destroyed)](const HookCall &) { return std::nullopt; });
    };
    neurotap::Module module = neurotap::module(load("mlp_f64.scripted.pt"));
    add(module, "fc1").reset();
    assert_int_equal(destroyed, 1);
    assert_throws(NTAP_ERROR_NOT_FOUND, "fc_1", [&] { add(module, "fc_1").reset(); });
    assert_int_equal(destroyed, 2);
    neurotap::Hook late = add(module, "fc2");
    module.reset();
    assert_int_equal(destroyed, 2);
    late.reset();
    assert_int_equal(destroyed, 3);
}

/* ---- versions ---- */

void another_libtorch_is_refused(void **) {
    assert_true(neurotap::detail::require_torch(ntap_torch_version()));
    assert_throws(NTAP_ERROR_UNSUPPORTED, "compiled with libtorch 0.4.1, neurotap with",
                  [] { neurotap::detail::require_torch("0.4.1"); });
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_share_their_memory),
        cmocka_unit_test(tensors_outlive_their_handles),
        cmocka_unit_test(tensors_keep_their_graph),
        cmocka_unit_test(no_tensor_is_refused),
        cmocka_unit_test(nested_tensors_are_values_that_cannot_be_looked_into),
        cmocka_unit_test(a_handle_of_libtorch_is_the_address_of_a_tensor),
#ifdef HAS_SHIM
        cmocka_unit_test(handles_of_the_shim_are_taken_and_lent),
#endif
        cmocka_unit_test(values_of_every_kind_come_back),
        cmocka_unit_test(an_undefined_tensor_comes_back_undefined),
        cmocka_unit_test(lists_and_dictionaries_come_back_with_their_types),
        cmocka_unit_test(lists_are_copied_and_their_tensors_are_not),
        cmocka_unit_test(a_loaded_model_is_attributed_to),
        cmocka_unit_test(a_model_that_is_in_use_is_attributed_to),
        cmocka_unit_test(the_input_side_and_selectors_are_there_too),
        cmocka_unit_test(errors_carry_status_and_message),
        cmocka_unit_test(a_model_may_be_gone_before_its_module),
        cmocka_unit_test(b16_a_bridged_model_is_replicated_and_followed),
        cmocka_unit_test(any_method_may_run_the_model),
        cmocka_unit_test(nothing_of_a_model_changes),
        cmocka_unit_test(attributes_that_a_model_counts_with_do_not_change),
        cmocka_unit_test(training_mode_is_followed),
        cmocka_unit_test(weights_that_are_written_to_are_followed),
        cmocka_unit_test(weights_that_are_written_to_unseen_are_followed),
        cmocka_unit_test(weights_that_are_replaced_are_followed),
        cmocka_unit_test(a_new_dtype_is_followed),
        cmocka_unit_test(a_model_from_inference_mode_is_differentiated_on_a_tape),
        cmocka_unit_test(many_neurons_are_the_single_ones_stacked),
        cmocka_unit_test(a_function_is_a_module_with_the_layers_it_tells_of),
        cmocka_unit_test(a_function_modifies_a_model),
        cmocka_unit_test(functions_are_destroyed_once_with_what_was_made_from_them),
        cmocka_unit_test(what_functions_throw_arrives),
        cmocka_unit_test(what_libtorch_throws_arrives_without_its_backtrace),
        cmocka_unit_test(the_layers_of_a_net_are_its_named_modules),
        cmocka_unit_test(a_net_runs_the_same_with_and_without_a_run),
        cmocka_unit_test(the_gradients_of_a_net_are_those_of_autograd),
        cmocka_unit_test(layers_of_a_net_are_told_of_with_their_arguments_and_results),
        cmocka_unit_test(hooks_change_what_a_net_goes_on_with),
        cmocka_unit_test(a_net_says_what_it_takes),
        cmocka_unit_test(hooks_see_calls_of_layers),
        cmocka_unit_test(hooks_replace_what_a_model_goes_on_with),
        cmocka_unit_test(what_hooks_throw_arrives),
        cmocka_unit_test(what_hooks_throw_passes_through_a_net),
        cmocka_unit_test(hooks_are_destroyed_once),
        cmocka_unit_test(another_libtorch_is_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
