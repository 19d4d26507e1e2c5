#include "run.hpp"

using namespace neurotap;

namespace {

at::Tensor checked_input(const ntap_tensor *input, size_t index) {
    if (input == nullptr)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "inputs[", index, "] is NULL");
    const at::Tensor &tensor = input->tensor;
    if (!tensor.is_floating_point() && !tensor.is_complex())
        fail(NTAP_ERROR_DTYPE, "inputs[", index, "] has dtype ",
             ntap_dtype_name(from_torch(tensor.scalar_type())),
             ", which has no gradient; expected a floating-point or complex type (pass other "
             "tensors as additional arguments)");
    return tensor;
}

// The inputs as leaves that autograd tracks.
std::vector<at::Tensor> make_leaves(const ntap_tensor *const *inputs, size_t n_inputs) {
    std::vector<at::Tensor> leaves;
    if (n_inputs > 0)
        require_not_null(inputs, "inputs");
    for (size_t i = 0; i < n_inputs; ++i)
        leaves.push_back(without_graph(checked_input(inputs[i], i)).requires_grad_());
    return leaves;
}

} // namespace

ntap_status capi_program_new(const ntap_module *module, const char *const *layers, size_t n_layers,
                             ntap_layer_side side, capi_program **program, ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] {
        Taps taps{{layers, layers + n_layers}, side, {}};
        for (size_t i = 0; i < n_layers; ++i)
            taps.slots.push_back(i);
        const auto runnable = module->model->prepare(taps, false);
        *program = new capi_program{runnable, runnable->site_counts(),
                                    runnable->operator_without_gradient(), module->replica};
    });
}

void capi_program_free(capi_program *program) { delete program; }

size_t capi_program_site_count(const capi_program *program, size_t layer) {
    return program->site_counts[layer];
}

const char *capi_program_operator_without_gradient(const capi_program *program) {
    return program->no_gradient.empty() ? nullptr : program->no_gradient.c_str();
}

ntap_status capi_run_new(const capi_program *program, const ntap_tensor *const *inputs,
                         size_t n_inputs, const ntap_value *const *args, size_t n_args,
                         capi_run **run, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::AutoGradMode grad(n_inputs > 0);
        auto made = std::make_unique<capi_run>();
        made->inputs = make_leaves(inputs, n_inputs);
        RunContext context(program->site_counts.size(), Keeps::kModelAndRandom, program->replica);
        program->runnable->run(context, Arguments{made->inputs, args, n_args, false});
        made->calls = std::move(context.calls);
        *run = made.release();
    });
}

void capi_run_free(capi_run *run) { delete run; }

size_t capi_run_call_count(const capi_run *run, size_t layer) { return run->calls[layer].size(); }

ntap_status capi_run_value(const capi_run *run, size_t layer, size_t call, ntap_value **value,
                           ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL,
                   [&] { *value = new ntap_value(from_ivalue(run->calls.at(layer).at(call))); });
}

ntap_status capi_run_calls(const capi_run *run, size_t layer, ntap_value **calls, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        auto list = std::make_unique<ntap_value>();
        list->kind = NTAP_VALUE_LIST;
        for (const c10::IValue &value : run->calls.at(layer))
            list->items.push_back(from_ivalue(value));
        *calls = list.release();
    });
}
