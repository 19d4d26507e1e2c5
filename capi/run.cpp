#include "run.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_set>

using namespace neurotap;

namespace neurotap {
namespace {

using torch::jit::Stack;

// ---- the caller's tensors, as a run may see them ----

// Autograd cannot save inference tensors for its backward pass.
at::Tensor without_graph(const at::Tensor &tensor) {
    return tensor.is_inference() ? tensor.clone() : tensor.detach();
}

at::Tensor private_copy(const at::Tensor &tensor) { return tensor.detach().clone(); }

// How the run sees the tensors of an additional argument: what the program may write to is copied,
// like everything that the caller must not see change.
TensorView view_for(const Program &program, size_t argument) {
    const auto &writes = program.writes_argument;
    return argument < writes.size() && writes[argument] ? private_copy : without_graph;
}

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

// ---- random numbers ----

using Devices = std::unordered_set<at::Device>;

// Restores the generators that a run may draw from. Such runs take turns: each is to start from the
// state that the caller left.
class KeepRandomState {
  public:
    explicit KeepRandomState(const Devices &devices) : turn_(turns()) {
        for (const at::Device &device : devices) {
            at::Generator generator = at::globalContext().defaultGenerator(device);
            const std::lock_guard<std::mutex> lock(generator.mutex());
            states_.emplace_back(generator, generator.get_state());
        }
    }
    KeepRandomState(const KeepRandomState &) = delete;
    KeepRandomState &operator=(const KeepRandomState &) = delete;
    ~KeepRandomState() {
        for (auto &saved : states_) {
            const std::lock_guard<std::mutex> lock(saved.first.mutex());
            saved.first.set_state(saved.second);
        }
    }

  private:
    static std::mutex &turns() {
        static std::mutex mutex;
        return mutex;
    }

    std::unique_lock<std::mutex> turn_;
    std::vector<std::pair<at::Generator, at::Tensor>> states_;
};

void add_devices(const c10::IValue &value, Devices &devices) {
    const auto add = [&](const at::Tensor &tensor) {
        if (tensor.defined() && (tensor.is_cpu() || tensor.is_cuda()))
            devices.insert(tensor.device());
    };
    value.visit([&](const c10::IValue &part) {
        if (part.isTensor())
            add(part.toTensor());
        return false; // and look inside
    });
}

Devices devices_of(const Stack &stack) {
    Devices devices{at::Device(at::kCPU)};
    for (const c10::IValue &value : stack)
        add_devices(value, devices);
    return devices;
}

void execute(const Program &program, Stack &stack) {
    torch::jit::InterpreterState(program.code).run(stack);
}

// As execute(), but neither the module nor a generator is different afterwards.
void execute_without_effects(const Program &program, Stack &stack) {
    if (program.writes_module) {
        const at::NoGradGuard no_grad; // the copies are values, not results
        stack[0] = program.self->deepcopy();
    }
    if (!program.draws_random)
        return execute(program, stack);
    const KeepRandomState keep(devices_of(stack));
    execute(program, stack);
}

// ---- arguments ----

void push_self(const Program &program, Stack &stack) { stack.emplace_back(program.self); }

// The inputs as leaves that autograd tracks. A leaf may not be written in place: a program that
// does so gets a copy of it.
void push_inputs(const Program &program, const ntap_tensor *const *inputs, size_t n_inputs,
                 std::vector<at::Tensor> &leaves, Stack &stack) {
    require_not_null(inputs, "inputs");
    for (size_t i = 0; i < n_inputs; ++i) {
        const at::Tensor leaf = without_graph(checked_input(inputs[i], i)).requires_grad_();
        leaves.push_back(leaf);
        const bool written = i < program.writes_argument.size() && program.writes_argument[i];
        ntap_value value;
        value.kind = NTAP_VALUE_TENSOR;
        value.tensor.tensor = written ? leaf.clone() : leaf;
        coerce_argument(program.schema, 1 + i, value, same_tensor, stack);
    }
}

void push_arguments(const Program &program, size_t n_inputs, const ntap_value *const *args,
                    size_t n_args, Stack &stack) {
    if (n_args > 0)
        require_not_null(args, "args");
    for (size_t i = 0; i < n_args; ++i) {
        if (args[i] == nullptr)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "args[", i, "] is NULL");
        coerce_argument(program.schema, 1 + n_inputs + i, *args[i], view_for(program, n_inputs + i),
                        stack);
    }
    coerce_defaults(program.schema, stack);
}

void take_calls(const Stack &stack, ntap_layer_side side, capi_run &run) {
    for (const c10::IValue &layer : stack) {
        std::vector<c10::IValue> values;
        for (const c10::IValue &call : layer.toList().vec()) {
            auto recorded = call.toList().vec();
            values.push_back(side == NTAP_LAYER_OUTPUT
                                 ? recorded.at(0)
                                 : c10::IValue(c10::ivalue::Tuple::create(std::move(recorded))));
        }
        run.calls.push_back(std::move(values));
    }
}

} // namespace

c10::IValue run_forward(const Program &program, const ntap_value *const *args, size_t n_args) {
    const c10::InferenceMode no_inference(false);
    const at::NoGradGuard no_grad;
    Stack stack;
    push_self(program, stack);
    push_arguments(program, 0, args, n_args, stack);
    execute(program, stack);
    return stack.at(0);
}

} // namespace neurotap

ntap_status capi_run_new(const capi_program *program, const ntap_tensor *const *inputs,
                         size_t n_inputs, const ntap_value *const *args, size_t n_args,
                         capi_run **run, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        const Program &to_run = *program->program;
        const c10::InferenceMode no_inference(false);
        const at::AutoGradMode grad(n_inputs > 0);
        auto made = std::make_unique<capi_run>();
        Stack stack;
        push_self(to_run, stack);
        if (n_inputs > 0)
            push_inputs(to_run, inputs, n_inputs, made->inputs, stack);
        push_arguments(to_run, n_inputs, args, n_args, stack);
        execute_without_effects(to_run, stack);
        take_calls(stack, program->side, *made);
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
