// Attribution by tapes, for src/.
#include "attributions.hpp"
#include "run.hpp"
#include "seeds.hpp"
#include "tape_run.hpp"

using namespace neurotap;

struct capi_tape {
    std::shared_ptr<const Tape> tape;
    std::vector<at::Tensor> arguments;
};

struct capi_part {
    const capi_tape &tape;
    TapePlan plan;
    double share;
    uint64_t bytes;
    LateSteps late;
};

struct capi_part_run {
    const capi_part &part;
    int64_t first_example;
    TapeRun run;
    size_t late_left, early_left; // neurons that are still to go through the late steps, the others
};

struct capi_part_gradients {
    capi_part_run &run;
    Gradients gradients; // behind the late steps
    size_t count;        // of neurons
};

namespace {

Region positions_of(const Tape &tape, size_t call, const capi_range *positions) {
    Region region;
    for (size_t i = 0; i + 2 < tape.values[tape.calls[call]].size(); ++i) {
        const capi_range &range = positions[i];
        region.push_back(Extent{range.start, (range.count - 1) * range.step + 1});
    }
    return region;
}

// The seeds of neurons at the part: [neurons * examples, channels, positions…].
at::Tensor make_part_seeds(const capi_part_run &run, const capi_range *ranges, size_t count) {
    const at::Tensor &like = run.run.like();
    const Region &region = run.part.plan.regions[run.part.plan.value];
    const size_t ndim = region.size() + 2;
    std::vector<capi_range> inside(ranges, ranges + count * ndim);
    for (size_t i = 0; i < count; ++i) {
        inside[i * ndim] = capi_range{0, run.run.examples(), 1};
        for (size_t dim = 2; dim < ndim; ++dim)
            inside[i * ndim + dim].start -= region[dim - 2].first;
    }
    const at::Tensor seeds = make_seeds(like.sizes(), like.options(), inside.data(), count);
    return count == 1 ? seeds : seeds.flatten(0, 1);
}

// Puts [neurons * examples, …part…] where it belongs.
void put_part(capi_attributions &attributions, size_t input, const capi_part_run &run,
              const at::Tensor &gradient, const size_t *neurons, size_t count) {
    if (!gradient.defined()) {
        attributions.put(input, neurons[0], gradient);
        return;
    }
    const Tape &tape = *run.part.tape.tape;
    const int64_t examples = run.run.examples();
    const auto whole = whole_region(tape.values[input]);
    const auto &part = run.part.plan.regions[input];
    const at::Tensor by_neuron =
        gradient.unflatten(0, at::IntArrayRef{static_cast<int64_t>(count), examples});
    const bool all_examples = examples == tape.values[input][0];
    const bool in_order = neurons[count - 1] - neurons[0] + 1 == count;
    if (in_order && all_examples && part == whole) {
        attributions.put(input, neurons[0], by_neuron);
        return;
    }
    at::Tensor rows = attributions.rows(input).narrow(1, run.first_example, examples);
    for (size_t i = 0; i < count; ++i)
        cut(rows.select(0, static_cast<int64_t>(neurons[i])), whole, part)
            .copy_(by_neuron.select(0, static_cast<int64_t>(i)));
}

// Those of some of the neurons; if that is all of them, they are not kept.
Gradients take(capi_part_gradients &gradients, size_t first, size_t count) {
    if (count == gradients.count)
        return std::move(gradients.gradients);
    const int64_t examples = gradients.run.run.examples();
    Gradients some(gradients.gradients.size());
    for (size_t i = 0; i < some.size(); ++i)
        if (gradients.gradients[i].defined())
            some[i] = gradients.gradients[i].narrow(0, static_cast<int64_t>(first) * examples,
                                                    static_cast<int64_t>(count) * examples);
    return some;
}

} // namespace

ntap_status capi_tape_find(const capi_program *program, const ntap_tensor *const *inputs,
                           size_t n_inputs, const ntap_value *const *args, size_t n_args,
                           capi_tape **tape, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        std::vector<at::Tensor> leaves;
        for (size_t i = 0; i < n_inputs; ++i)
            leaves.push_back(inputs[i] == nullptr ? at::Tensor() : inputs[i]->tensor);
        auto found = program->runnable->tape(Arguments{leaves, args, n_args, false});
        *tape =
            found.tape ? new capi_tape{std::move(found.tape), std::move(found.arguments)} : nullptr;
    });
}

void capi_tape_free(capi_tape *tape) { delete tape; }

size_t capi_tape_call_count(const capi_tape *tape) { return tape->tape->calls.size(); }

size_t capi_tape_sizes(const capi_tape *tape, size_t call, const int64_t **sizes) {
    const Sizes &value = tape->tape->values[tape->tape->calls[call]];
    *sizes = value.data();
    return value.size();
}

uint64_t capi_tape_weight_bytes(const capi_tape *tape) { return tape->tape->weight_bytes; }

ntap_status capi_part_new(const capi_tape *tape, size_t call, const capi_range *positions,
                          uint64_t late_bytes, capi_part **part, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const auto &its = *tape->tape;
        auto plan = plan_part(its, its.calls[call], positions_of(its, call, positions));
        const double share = plan.cost / its.costs[call];
        const uint64_t bytes = 1 + plan.elements * its.element_size;
        const LateSteps late = find_late_steps(its, plan, late_bytes / its.element_size);
        *part = new capi_part{*tape, std::move(plan), share, bytes, late};
    });
}

void capi_part_free(capi_part *part) { delete part; }

double capi_part_share(const capi_part *part) { return part->share; }

uint64_t capi_part_bytes(const capi_part *part) { return part->bytes; }

uint64_t capi_part_late_bytes(const capi_part *part) {
    return part->late.elements * part->tape.tape->element_size;
}

ntap_status capi_part_run_new(const capi_part *part, const ntap_tensor *const *inputs,
                              int64_t first_example, int64_t n_examples, size_t n_neurons,
                              capi_part_run **run, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        std::vector<at::Tensor> given;
        for (size_t i = 0; i < part->tape.tape->n_inputs; ++i)
            given.push_back(inputs[i]->tensor.detach().narrow(0, first_example, n_examples));
        for (const at::Tensor &argument : part->tape.arguments)
            given.push_back(
                argument.narrow(0, first_example, n_examples).to(given[0].scalar_type()));
        *run = new capi_part_run{*part, first_example, TapeRun(part->tape.tape, part->plan, given),
                                 n_neurons, n_neurons};
    });
}

void capi_part_run_free(capi_part_run *run) { delete run; }

ntap_status capi_part_gradients_new(capi_part_run *run, const capi_range *ranges, size_t count,
                                    capi_part_gradients **gradients, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        auto made = run->run.begin(make_part_seeds(*run, ranges, count));
        run->late_left -= count;
        run->run.reverse(made, static_cast<int64_t>(count), run->part.late.first,
                         run->part.tape.tape->steps.size(), run->late_left == 0);
        *gradients = new capi_part_gradients{*run, std::move(made), count};
    });
}

void capi_part_gradients_free(capi_part_gradients *gradients) { delete gradients; }

ntap_status capi_part_differentiate(capi_part_gradients *gradients, size_t first,
                                    const size_t *neurons, size_t count,
                                    capi_attributions *attributions, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        capi_part_run &run = gradients->run;
        Gradients some = take(*gradients, first, count);
        run.early_left -= count;
        run.run.reverse(some, static_cast<int64_t>(count), 0, run.part.late.first,
                        run.early_left == 0);
        for (size_t i = 0; i < run.part.tape.tape->n_inputs; ++i)
            put_part(*attributions, i, run, some[i], neurons, count);
    });
}
