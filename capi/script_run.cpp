#include "script_run.hpp"

#include "site_operators.hpp"
#include "tape_inputs.hpp"
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Stack;

bool is_same(const c10::IValue &a, const c10::IValue &b);

bool all_same(c10::ArrayRef<c10::IValue> a, c10::ArrayRef<c10::IValue> b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), is_same);
}

// Whether two values hold the very same tensors.
bool is_same(const c10::IValue &a, const c10::IValue &b) {
    if (a.isTensor() && b.isTensor())
        return a.toTensor().is_same(b.toTensor());
    if (a.isTuple() && b.isTuple())
        return all_same(a.toTupleRef().elements(), b.toTupleRef().elements());
    if (a.isList() && b.isList()) // the very same list may contain itself
        return a.internalToPointer() == b.internalToPointer() ||
               all_same(a.toList().vec(), b.toList().vec());
    return a.isNone() && b.isNone();
}

// Tells the run what its program does.
class RunObserver final : public SiteObserver {
  public:
    RunObserver(const Program &program, const Taps &taps, RunContext &context, HookRun *hooks)
        : program_(program), taps_(taps), context_(context), hooks_(hooks) {}

    void hand(c10::IValue value) override {
        end_run_on_failure([&] { values_.push_back(std::move(value)); });
    }

    void reach(size_t site) override {
        taken_ = std::move(values_);
        values_.clear();
        const ProgramSite &at = program_.sites[site];
        end_run_on_failure([&] {
            if (at.purpose.kind == Purpose::Kind::kTap)
                record(at.purpose.index);
            else
                call_hooks(at);
        });
    }

    c10::IValue take(size_t index, c10::IValue value) override {
        return replaced_[index] ? std::move(taken_[index]) : std::move(value);
    }

  private:
    // Past the interpreter, which would make an error of the model's of it.
    template <typename Body> void end_run_on_failure(const Body &body) {
        try {
            context_.remember_failure(body);
        } catch (...) {
            throw HookFailed();
        }
    }

    void record(size_t tap) {
        const bool arguments = taps_.side == NTAP_LAYER_INPUT;
        context_.calls[taps_.slots[tap]].push_back(
            arguments ? c10::IValue(c10::ivalue::Tuple::create(std::move(taken_)))
                      : as_one(std::move(taken_)));
    }

    void call_hooks(const ProgramSite &site) {
        const auto handed = site.copies ? taken_ : std::vector<c10::IValue>();
        const bool enters = site.purpose.kind == Purpose::Kind::kEnter;
        const bool replaced = enters ? hooks_->enter(site.purpose.index, taken_, site.types)
                                     : hooks_->leave(site.purpose.index, taken_, site.types);
        replaced_.assign(taken_.size(), replaced);
        for (size_t i = 0; site.copies && replaced && i < taken_.size(); ++i) {
            // Who hands a copy back means the value that it is a copy of.
            replaced_[i] = !is_same(taken_[i], handed[i]);
            taken_[i] = deep_copy(taken_[i]);
        }
    }

    const Program &program_;
    const Taps &taps_;
    RunContext &context_;
    HookRun *hooks_;
    std::vector<c10::IValue> values_; // of the site that is reached next
    std::vector<c10::IValue> taken_;  // of the site that was reached last
    std::vector<bool> replaced_;      // which of them a hook replaced
};

// ---- arguments ----

at::Tensor private_copy(const at::Tensor &tensor) { return tensor.detach().clone(); }

at::Tensor copy_with_graph(const at::Tensor &tensor) { return tensor.clone(); }

bool writes(const Program &program, size_t argument) {
    const auto &written = program.effects.writes_argument;
    return argument < written.size() && written[argument];
}

// How the run sees the tensors of an argument: what the program may write to is copied, like
// everything that the caller must not see change.
TensorView view_for(const Program &program, size_t argument, bool with_graph) {
    if (writes(program, argument))
        return with_graph ? copy_with_graph : private_copy;
    return with_graph ? same_tensor : without_graph;
}

void push_arguments(const Program &program, const Arguments &arguments, Stack &stack) {
    const size_t n_leaves = arguments.leaves.size();
    for (size_t i = 0; i < n_leaves; ++i) {
        // A leaf may not be written in place.
        ntap_value value;
        value.kind = NTAP_VALUE_TENSOR;
        value.tensor.tensor = arguments.leaves[i];
        coerce_argument(program.schema, 1 + i, value, view_for(program, i, true), stack);
    }
    coerce_arguments(
        program.schema, arguments.values, arguments.n_values,
        [&](size_t i) { return view_for(program, n_leaves + i, arguments.with_graph); }, stack);
}

// The model itself, or what the run may change in its place.
ObjectPtr model_for(const Program &program, RunContext &context) {
    return context.keeps_model() && program.effects.writes_module ? context.copy_of(program.self)
                                                                  : program.self;
}

std::string describe(const Arguments &arguments) {
    std::string given;
    for (const at::Tensor &leaf : arguments.leaves)
        given += (given.empty() ? "" : ", ") + neurotap::describe(from_ivalue(leaf));
    for (size_t i = 0; i < arguments.n_values; ++i)
        given += (given.empty() ? "" : ", ") + neurotap::describe(*arguments.values[i]);
    return given;
}

// An operator rarely says what of the inputs it cannot take.
void execute(const Program &program, RunContext &context, const Arguments &arguments,
             Stack &stack) {
    try {
        torch::jit::InterpreterState(program.code).run(stack);
    } catch (const HookFailed &) {
        std::rethrow_exception(context.failure);
    } catch (const Failure &) {
        throw;
    } catch (const torch::jit::JITException &) { // raised by the model, in its own words
        throw;
    } catch (const std::exception &error) {
        if (is_out_of_memory(error))
            throw;
        fail(NTAP_ERROR_MODEL, message_of(error), " (the model was given ", describe(arguments),
             ")");
    }
}

} // namespace

std::shared_ptr<const Program> ScriptRun::program_for(const HookRun *hooks) const {
    if (hooks == nullptr && model_->still_holds(*plain_))
        return plain_;
    return model_->program(taps_, whole_, hooks == nullptr ? nullptr : hooks->hooks().get());
}

Runnable::FoundTape ScriptRun::tape(const Arguments &arguments) const {
    if (model_->hooks().current() || !model_->still_holds(*plain_))
        return {};
    const auto inputs = read_tape_inputs(plain_->schema, arguments);
    if (!inputs)
        return {};
    return {plain_->tapes.find(inputs->key,
                               [&] {
                                   return TapeRecorder::record(*plain_, inputs->key,
                                                               model_->weight_copies());
                               }),
            inputs->arguments};
}

c10::IValue ScriptRun::run(RunContext &context, const Arguments &arguments) const {
    HookRun *hooks = context.hooks_of(model_->hooks());
    const auto program = program_for(hooks);
    Stack stack;
    stack.emplace_back(model_for(*program, context));
    push_arguments(*program, arguments, stack);
    if (context.keeps_random() && program->effects.draws_random)
        context.draw_random(devices_of(stack));
    if (program->observed)
        stack.push_back(c10::IValue::make_capsule(
            c10::make_intrusive<RunObserver>(*program, taps_, context, hooks)));
    execute(*program, context, arguments, stack);
    return whole_ ? stack.at(0) : c10::IValue();
}

} // namespace neurotap
