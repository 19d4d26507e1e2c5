/* One attribute call by libtorch's autograd: run to the layer, select, differentiate. */
#include "attribution.h"

#include <stdlib.h>
#include <string.h>

/* ---- neurons ---- */

static int is_callback(const ntapi_attribution *a, size_t neuron) {
    return a->selectors != NULL && ntapi_selector_is_callback(a->selectors[neuron]);
}

/* Of many selectors, the message says which one failed. */
static ntap_status name_selector(const ntapi_attribution *a, size_t neuron, ntap_status status) {
    char message[sizeof a->err->message];
    if (status == NTAP_OK || a->n_selectors < 2 || a->err == NULL)
        return status;
    memcpy(message, a->err->message, sizeof message);
    return ntap_error_set(a->err, status, "selectors[%zu]: %s", neuron, message);
}

/* Neuron number `neuron` of all, in C order. */
static void ranges_in_order(const ntapi_layer_value *value, size_t neuron, capi_range *ranges) {
    int64_t rest = (int64_t)neuron;
    for (size_t dim = value->ndim - 1; dim > 0; --dim) {
        ranges[dim] = (capi_range){rest % value->sizes[dim], 1, 1};
        rest /= value->sizes[dim];
    }
    ranges[0] = (capi_range){0, value->sizes[0], 1};
}

ntap_status ntapi_attribution_ranges(const ntapi_attribution *a, const ntapi_layer_value *value,
                                     size_t neuron, capi_range *ranges) {
    if (a->selectors != NULL)
        return name_selector(a, neuron, ntapi_selector_ranges(a->selectors[neuron], value, ranges));
    ranges_in_order(value, neuron, ranges);
    return NTAP_OK;
}

/* ---- results ---- */

size_t ntapi_attribution_count(const ntapi_attribution *a, const ntapi_layer_value *value) {
    size_t count = 1;
    if (a->selectors != NULL)
        return a->n_selectors;
    for (size_t dim = 1; dim < value->ndim; ++dim)
        count *= (size_t)value->sizes[dim];
    return count;
}

static ntap_status call_progress(const ntapi_attribution *a) {
    const ntap_progress_callback progress = a->options.progress;
    if (progress == NULL || progress(a->done, a->total, a->options.progress_context) == 0)
        return NTAP_OK;
    return ntap_error_set(a->err, NTAP_ERROR_STOPPED,
                          "the progress callback cancelled the attribution after %lld of %lld "
                          "gradients",
                          (long long)a->done, (long long)a->total);
}

ntap_status ntapi_attribution_begin(ntapi_attribution *a, const ntapi_layer_value *value) {
    a->n_neurons = ntapi_attribution_count(a, value);
    a->done = 0;
    a->total = (int64_t)((uint64_t)a->n_neurons * (uint64_t)ntap_tensor_size(a->inputs[0], 0));
    if (a->gather != NULL)
        NTAPI_TRY(ntapi_gather_begin(a, value));
    else
        NTAPI_TRY(capi_attributions_new(a->inputs, a->n_inputs, a->n_neurons, &a->results, a->err));
    return call_progress(a);
}

ntap_status ntapi_attribution_advance(ntapi_attribution *a, int64_t gradients) {
    a->done += gradients;
    return call_progress(a);
}

/* Undefined gradients are an error, or zeros. */
static ntap_status check_unused(const ntapi_attribution *a) {
    size_t input = 0;
    if (a->options.unused_inputs == NTAP_UNUSED_INPUTS_ZERO ||
        !capi_attributions_lack(a->results, &input))
        return NTAP_OK;
    return ntap_error_set(a->err, NTAP_ERROR_AUTOGRAD,
                          "the selected neuron of layer '%s' does not depend on inputs[%zu]; pass "
                          "it as an additional argument, or ask for zeros in place of unused "
                          "inputs",
                          a->layer, input);
}

ntap_status ntapi_attribution_finish(const ntapi_attribution *a, const ntapi_layer_value *value,
                                     ntap_tensor **grads) {
    const int64_t count = (int64_t)a->n_neurons;
    NTAPI_TRY(check_unused(a));
    if (a->gather != NULL) /* the whole hands them out */
        return NTAP_OK;
    if (!a->stacked)
        return capi_attributions_finish(a->results, 0, NULL, grads, a->err);
    if (a->selectors != NULL)
        return capi_attributions_finish(a->results, 1, &count, grads, a->err);
    return capi_attributions_finish(a->results, value->ndim - 1, value->sizes + 1, grads, a->err);
}

/* ---- by autograd ---- */

/* What is differentiated at one go: some neurons from `first` on. */
typedef struct piece {
    const capi_run *run;
    size_t first, count;
    int last;
} piece;

static ntap_status differentiate(ntapi_attribution *a, const piece *p, const ntap_tensor *output,
                                 const ntap_tensor *seeds) {
    const capi_differentiation what = {output, seeds, p->first, p->count, !p->last};
    size_t passes = 0;
    NTAPI_TRY(capi_run_differentiate(p->run, &what, a->results, &passes, a->err));
    NTAPI_TRY(name_selector(a, p->first, check_unused(a)));
    a->report.backward_passes += (int64_t)passes;
    const int64_t at_once = (int64_t)(p->count / passes);
    if (at_once > a->report.neurons_at_once)
        a->report.neurons_at_once = at_once;
    return ntapi_attribution_advance(a, (int64_t)p->count * ntap_tensor_size(a->inputs[0], 0));
}

static ntap_status differentiate_callback(ntapi_attribution *a, const piece *p,
                                          const ntap_value *layer_value) {
    ntap_tensor *neuron = NULL;
    const int64_t batch = ntap_tensor_size(a->inputs[0], 0);
    NTAPI_TRY(name_selector(
        a, p->first,
        ntapi_select_by_callback(a->selectors[p->first], layer_value, batch, &neuron, a->err)));
    const ntap_status status = differentiate(a, p, neuron, NULL);
    ntap_tensor_free(neuron);
    return status;
}

static ntap_status differentiate_ranges(ntapi_attribution *a, const piece *p,
                                        const ntapi_layer_value *value, capi_range *ranges) {
    ntap_tensor *seeds = NULL;
    for (size_t i = 0; i < p->count; ++i)
        NTAPI_TRY(ntapi_attribution_ranges(a, value, p->first + i, ranges + i * value->ndim));
    NTAPI_TRY(capi_seeds_new(value->tensor, ranges, p->count, &seeds, a->err));
    const ntap_status status = differentiate(a, p, value->tensor, seeds);
    ntap_tensor_free(seeds);
    return status;
}

/* How many neurons from `first` on can share a pass. */
static size_t piece_size(const ntapi_attribution *a, size_t first, size_t most) {
    size_t count = 1;
    while (count < most && first + count < a->n_neurons && !is_callback(a, first + count))
        ++count;
    return count;
}

static ntap_status differentiate_pieces(ntapi_attribution *a, const capi_run *run,
                                        const ntap_value *layer_value,
                                        const ntapi_layer_value *value) {
    const size_t most = value->tensor == NULL
                            ? 1
                            : capi_run_neurons_at_once(run, value->tensor, a->options.memory_limit);
    capi_range *ranges = (capi_range *)calloc(most * (value->ndim + 1), sizeof *ranges);
    ntap_status status = ranges != NULL
                             ? NTAP_OK
                             : ntap_error_set(a->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    for (size_t first = 0; first < a->n_neurons && status == NTAP_OK;) {
        piece p = {run, first, is_callback(a, first) ? 1 : piece_size(a, first, most), 0};
        first += p.count;
        p.last = first == a->n_neurons;
        status = is_callback(a, p.first) ? differentiate_callback(a, &p, layer_value)
                                         : differentiate_ranges(a, &p, value, ranges);
    }
    free(ranges);
    return status;
}

/* Callbacks take a value as it is; for indices it must be a single tensor. */
static ntap_status read_layer_value(const ntapi_attribution *a, const ntap_value *layer_value,
                                    ntapi_layer_value *value) {
    size_t neuron = 0;
    while (neuron < a->n_selectors && is_callback(a, neuron))
        ++neuron;
    if (a->selectors != NULL && neuron == a->n_selectors) {
        *value = (ntapi_layer_value){a->layer, "", NULL, 0, NULL, a->err};
        return NTAP_OK;
    }
    return name_selector(a, neuron, ntapi_read_layer_value(layer_value, a->layer, value, a->err));
}

/* From the option's numbering (0 last, 1 first, -1 last) to an index. */
ntap_status ntapi_attribution_find_call(const ntapi_attribution *a, size_t count, size_t *index) {
    const int64_t call = a->options.call == 0 ? -1 : a->options.call;
    if (count == 0)
        return ntap_error_set(a->err, NTAP_ERROR_NOT_FOUND, "layer '%s' did not run for this input",
                              a->layer);
    const int64_t calls = (int64_t)count;
    if (call > calls || call < -calls)
        return ntap_error_set(a->err, NTAP_ERROR_NOT_FOUND,
                              "call %lld of layer '%s' does not exist: it was called %zu %s",
                              (long long)call, a->layer, count, count == 1 ? "time" : "times");
    *index = (size_t)(call > 0 ? call - 1 : calls + call);
    return NTAP_OK;
}

static ntap_status attribute_value(ntapi_attribution *a, const capi_run *run,
                                   const ntap_value *layer_value, ntap_tensor **grads) {
    ntapi_layer_value value;
    NTAPI_TRY(read_layer_value(a, layer_value, &value));
    NTAPI_TRY(ntapi_attribution_begin(a, &value));
    a->report.computed = 1.0;
    a->report.forward_passes = 1;
    a->report.examples_at_once = ntap_tensor_size(a->inputs[0], 0);
    NTAPI_TRY(differentiate_pieces(a, run, layer_value, &value));
    return ntapi_attribution_finish(a, &value, grads);
}

static ntap_status attribute_run(ntapi_attribution *a, const capi_run *run, ntap_tensor **grads) {
    size_t call = 0;
    ntap_value *layer_value = NULL;
    NTAPI_TRY(ntapi_attribution_find_call(a, capi_run_call_count(run, 0), &call));
    NTAPI_TRY(capi_run_value(run, 0, call, &layer_value, a->err));
    const ntap_status status = attribute_value(a, run, layer_value, grads);
    ntap_value_free(layer_value);
    return status;
}

static ntap_status attribute_by_autograd(ntapi_attribution *a, ntap_tensor **grads) {
    capi_run *run = NULL;
    NTAPI_TRY(capi_run_new(a->program, a->inputs, a->n_inputs, a->options.additional_arguments,
                           a->options.n_additional_arguments, &run, a->err));
    const ntap_status status = attribute_run(a, run, grads);
    capi_run_free(run);
    return status;
}

/* ---- both ways ---- */

static void drop_results(ntapi_attribution *a) {
    capi_attributions_free(a->results);
    a->results = NULL;
}

ntap_status ntapi_attribute(ntapi_attribution *a, ntap_tensor **grads) {
    int done = 0;
    ntap_status status = ntapi_attribute_by_tape(a, grads, &done);
    drop_results(a);
    if (status != NTAP_OK || done)
        return status;
    status = attribute_by_autograd(a, grads);
    drop_results(a);
    return status;
}
