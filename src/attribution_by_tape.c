/* Attribution by a tape: neurons at the same positions share a forward pass over what they can see,
 * and backward passes over many of them. */
#include "attribution.h"

#include <stdlib.h>
#include <string.h>

/* Where a part saves less than this share of the multiplications, all of the layer is run, once for
 * all neurons. */
static const double MOST_SHARE = 0.7;

/* Examples, and neurons of them, that fit into the caches together run fastest, so many bytes for
 * each thread. Where weights take more than that, some more examples are worth fetching
 * them for. */
static const uint64_t FORWARD_BYTES = UINT64_C(8) << 20;
static const uint64_t BACKWARD_BYTES = UINT64_C(16) << 20;
static const uint64_t MOST_BYTES = UINT64_C(256) << 20;

/* A GPU has no such caches; it needs so much to do that starting it is not what takes the time. (An
 * estimate, not measured.) */
static const uint64_t GPU_BYTES = UINT64_C(256) << 20;

/* Of dense layers behind convolutions, values are small and weights large: there neurons that take
 * so many bytes together are worth fetching them for, if so many fit. (Of convolutions, late ones
 * too, they were measured not to be.) */
static const uint64_t LATE_BYTES = UINT64_C(1) << 20;
static const uint64_t LATE_NEURONS = 8;

/* All of them are put in order beforehand. */
static const size_t MOST_NEURONS = (size_t)1 << 22;

/* A tape at work. */
typedef struct tape_work {
    ntapi_attribution *a;
    const capi_tape *tape;
    size_t call;
    ntapi_layer_value value;
    capi_range *ranges; /* of all neurons */
    size_t *order;      /* neurons, those at the same positions together */
    double computed;    /* the sum of the shares of all neurons */
} tape_work;

/* ---- which neurons go together ---- */

static const capi_range *ranges_of(const tape_work *w, size_t neuron) {
    return w->ranges + neuron * w->value.ndim;
}

static int64_t end_of(const capi_range *range) {
    return range->start + (range->count - 1) * range->step;
}

static int compare_positions(const tape_work *w, size_t a, size_t b) {
    for (size_t dim = 2; dim < w->value.ndim; ++dim) {
        const capi_range *ra = ranges_of(w, a) + dim;
        const capi_range *rb = ranges_of(w, b) + dim;
        if (ra->start != rb->start)
            return ra->start < rb->start ? -1 : 1;
        if (end_of(ra) != end_of(rb))
            return end_of(ra) < end_of(rb) ? -1 : 1;
    }
    return 0;
}

/* Merge sort: the order of neurons at the same positions stays. */
static void sort_neurons(const tape_work *w, size_t *order, size_t *spare, size_t count) {
    if (count < 2)
        return;
    const size_t half = count / 2;
    sort_neurons(w, order, spare, half);
    sort_neurons(w, order + half, spare, count - half);
    memcpy(spare, order, count * sizeof *order);
    for (size_t i = 0, left = 0, right = half; i < count; ++i) {
        const int take_left =
            right == count || (left < half && compare_positions(w, spare[left], spare[right]) <= 0);
        order[i] = take_left ? spare[left++] : spare[right++];
    }
}

static int selects_nothing(const tape_work *w, size_t neuron) {
    for (size_t dim = 1; dim < w->value.ndim; ++dim)
        if (ranges_of(w, neuron)[dim].count == 0)
            return 1;
    return 0;
}

/* ---- running ---- */

static uint64_t at_most(uint64_t room, uint64_t each, uint64_t most) {
    const uint64_t fit = room / each;
    return fit < 1 ? 1 : fit < most ? fit : most;
}

static uint64_t limited(const tape_work *w, uint64_t bytes) {
    const uint64_t limit = (w->a->options.memory_limit + 1) / 2; /* forward and backward */
    return limit != 0 && limit < bytes ? limit : bytes;
}

static uint64_t for_device(const tape_work *w, uint64_t bytes) {
    const int threads = ntap_num_threads();
    if (ntap_tensor_device(w->a->inputs[0]).type == NTAP_DEVICE_CUDA)
        return GPU_BYTES;
    return threads > 1 ? bytes * (uint64_t)threads : bytes;
}

static uint64_t forward_bytes(const tape_work *w) {
    const uint64_t weights = 2 * capi_tape_weight_bytes(w->tape);
    const uint64_t bytes = for_device(w, FORWARD_BYTES);
    const uint64_t enough = weights < MOST_BYTES ? weights : MOST_BYTES;
    return limited(w, bytes > enough ? bytes : enough);
}

/* How many neurons go backwards at once. */
typedef struct pass_sizes {
    size_t late;  /* through the late steps */
    size_t early; /* and then through the others */
} pass_sizes;

static pass_sizes sizes_of_passes(const tape_work *w, const capi_part *part, int64_t examples,
                                  size_t count) {
    const uint64_t late = capi_part_late_bytes(part) * (uint64_t)examples;
    const uint64_t all = capi_part_bytes(part) * (uint64_t)examples;
    pass_sizes sizes;
    sizes.early = (size_t)at_most(limited(w, for_device(w, BACKWARD_BYTES)), all, count);
    sizes.late =
        late == 0 ? 0 : (size_t)at_most(limited(w, for_device(w, LATE_BYTES)), late, count);
    if (sizes.late < sizes.early)
        sizes.late = sizes.early;
    return sizes;
}

static void maximise(int64_t *value, uint64_t other) {
    if (*value < (int64_t)other)
        *value = (int64_t)other;
}

/* Neurons that went through the late steps together. */
static ntap_status differentiate_some(tape_work *w, capi_part_gradients *gradients,
                                      int64_t examples, const size_t *neurons, size_t count,
                                      size_t at_once) {
    for (size_t first = 0; first < count; first += at_once) {
        const size_t n = count - first < at_once ? count - first : at_once;
        NTAPI_TRY(capi_part_differentiate(gradients, first, neurons + first, n, w->a->results,
                                          w->a->err));
        ++w->a->report.backward_passes;
        maximise(&w->a->report.neurons_at_once, n);
        NTAPI_TRY(ntapi_attribution_advance(w->a, (int64_t)n * examples));
    }
    return NTAP_OK;
}

static ntap_status differentiate_together(tape_work *w, capi_part_run *run, int64_t examples,
                                          const size_t *neurons, pass_sizes sizes,
                                          capi_range *ranges) {
    const size_t ndim = w->value.ndim;
    capi_part_gradients *gradients = NULL;
    for (size_t i = 0; i < sizes.late; ++i)
        memcpy(ranges + i * ndim, ranges_of(w, neurons[i]), ndim * sizeof *ranges);
    NTAPI_TRY(capi_part_gradients_new(run, ranges, sizes.late, &gradients, w->a->err));
    const ntap_status status =
        differentiate_some(w, gradients, examples, neurons, sizes.late, sizes.early);
    capi_part_gradients_free(gradients);
    return status;
}

static ntap_status differentiate(tape_work *w, const capi_part *part, capi_part_run *run,
                                 int64_t examples, const size_t *neurons, size_t count) {
    pass_sizes sizes = sizes_of_passes(w, part, examples, count);
    const size_t at_once = sizes.late;
    capi_range *ranges = (capi_range *)malloc((at_once * w->value.ndim + 1) * sizeof *ranges);
    if (ranges == NULL)
        return ntap_error_set(w->a->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    ntap_status status = NTAP_OK;
    for (size_t first = 0; first < count && status == NTAP_OK; first += at_once) {
        sizes.late = count - first < at_once ? count - first : at_once;
        status = differentiate_together(w, run, examples, neurons + first, sizes, ranges);
    }
    free(ranges);
    return status;
}

static ntap_status run_examples(tape_work *w, const capi_part *part, int64_t first,
                                int64_t examples, const size_t *neurons, size_t count) {
    capi_part_run *run = NULL;
    NTAPI_TRY(capi_part_run_new(part, w->a->inputs, first, examples, count, &run, w->a->err));
    ++w->a->report.forward_passes;
    maximise(&w->a->report.examples_at_once, (uint64_t)examples);
    const ntap_status status = differentiate(w, part, run, examples, neurons, count);
    capi_part_run_free(run);
    return status;
}

static ntap_status run_part(tape_work *w, const capi_part *part, const size_t *neurons,
                            size_t count) {
    const int64_t batch = w->value.sizes[0];
    const int64_t at_once =
        (int64_t)at_most(forward_bytes(w), capi_part_bytes(part), (uint64_t)batch);
    w->computed += capi_part_share(part) * (double)count;
    for (int64_t first = 0; first < batch; first += at_once) {
        const int64_t examples = batch - first < at_once ? batch - first : at_once;
        NTAPI_TRY(run_examples(w, part, first, examples, neurons, count));
    }
    return NTAP_OK;
}

/* ---- parts ---- */

static ntap_status new_part(const tape_work *w, const capi_range *positions, capi_part **part) {
    return capi_part_new(w->tape, w->call, positions, LATE_BYTES / LATE_NEURONS, part, w->a->err);
}

static ntap_status new_whole(const tape_work *w, capi_part **whole) {
    capi_range *positions = (capi_range *)calloc(w->value.ndim, sizeof *positions);
    if (positions == NULL)
        return ntap_error_set(w->a->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    for (size_t dim = 2; dim < w->value.ndim; ++dim)
        positions[dim - 2] = (capi_range){0, w->value.sizes[dim], 1};
    const ntap_status status = new_part(w, positions, whole);
    free(positions);
    return status;
}

/* Neurons at the same positions; those that gain nothing by it are put off, to the front. */
static ntap_status run_group(tape_work *w, const size_t *neurons, size_t count, size_t *put_off) {
    capi_part *part = NULL;
    NTAPI_TRY(new_part(w, ranges_of(w, neurons[0]) + 2, &part));
    ntap_status status = NTAP_OK;
    if (capi_part_share(part) > MOST_SHARE) {
        memmove(w->order + *put_off, neurons, count * sizeof *neurons);
        *put_off += count;
    } else {
        status = run_part(w, part, neurons, count);
    }
    capi_part_free(part);
    return status;
}

static ntap_status run_groups(tape_work *w, size_t count, size_t *put_off) {
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1;
             end < count && compare_positions(w, w->order[first], w->order[end]) == 0;)
            ++end;
        NTAPI_TRY(run_group(w, w->order + first, end - first, put_off));
    }
    return NTAP_OK;
}

static int compare_numbers(const void *a, const void *b) {
    const size_t x = *(const size_t *)a;
    const size_t y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

static ntap_status run_put_off(tape_work *w, size_t count) {
    capi_part *whole = NULL;
    if (count == 0)
        return NTAP_OK;
    qsort(w->order, count, sizeof *w->order, compare_numbers);
    NTAPI_TRY(new_whole(w, &whole));
    const ntap_status status = run_part(w, whole, w->order, count);
    capi_part_free(whole);
    return status;
}

/* ---- neurons ---- */

/* Neurons that select nothing are done: their gradients are the zeros that are there already. */
static ntap_status order_neurons(tape_work *w, size_t *count) {
    const size_t n = w->a->n_neurons;
    size_t *spare = (size_t *)malloc((n + 1) * sizeof *spare);
    if (spare == NULL)
        return ntap_error_set(w->a->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    *count = 0;
    for (size_t neuron = 0; neuron < n; ++neuron)
        if (!selects_nothing(w, neuron))
            w->order[(*count)++] = neuron;
    sort_neurons(w, w->order, spare, *count);
    free(spare);
    return *count == n ? NTAP_OK
                       : ntapi_attribution_advance(w->a, (int64_t)(n - *count) * w->value.sizes[0]);
}

static ntap_status run_neurons(tape_work *w, ntap_tensor **grads) {
    size_t count = 0;
    size_t put_off = 0;
    NTAPI_TRY(order_neurons(w, &count));
    if (count == 0) /* whether it depends on the inputs at all is for autograd to say */
        return ntap_error_set(w->a->err, NTAP_ERROR_UNSUPPORTED, "nothing is selected");
    NTAPI_TRY(run_groups(w, count, &put_off));
    NTAPI_TRY(run_put_off(w, put_off));
    w->a->report.fast_path = 1;
    w->a->report.computed = w->computed / (double)count;
    return ntapi_attribution_finish(w->a, &w->value, grads);
}

static ntap_status resolve(tape_work *w) {
    const size_t n = w->a->n_neurons;
    if (n > MOST_NEURONS)
        return ntap_error_set(w->a->err, NTAP_ERROR_UNSUPPORTED, "too many neurons");
    w->ranges = (capi_range *)malloc((n * w->value.ndim + 1) * sizeof *w->ranges);
    w->order = (size_t *)malloc((n + 1) * sizeof *w->order);
    if (w->ranges == NULL || w->order == NULL)
        return ntap_error_set(w->a->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    for (size_t neuron = 0; neuron < n; ++neuron)
        NTAPI_TRY(
            ntapi_attribution_ranges(w->a, &w->value, neuron, w->ranges + neuron * w->value.ndim));
    return NTAP_OK;
}

/* ---- the whole ---- */

/* What is the call's own failure; everything else is for autograd's way to do, or to say. Also
 * where there is too little memory: a few programs take less of it there. */
static int is_final(ntap_status status) {
    return status == NTAP_ERROR_STOPPED || status == NTAP_ERROR_AUTOGRAD;
}

static ntap_status work(tape_work *w, ntap_tensor **grads) {
    ntapi_attribution *a = w->a;
    NTAPI_TRY(ntapi_attribution_find_call(a, capi_tape_call_count(w->tape), &w->call));
    w->value = (ntapi_layer_value){a->layer, "", NULL, 0, NULL, a->err};
    w->value.ndim = capi_tape_sizes(w->tape, w->call, &w->value.sizes);
    a->n_neurons = ntapi_attribution_count(a, &w->value);
    NTAPI_TRY(resolve(w));
    NTAPI_TRY(ntapi_attribution_begin(a, &w->value));
    return run_neurons(w, grads);
}

static int has_callback(const ntapi_attribution *a) {
    for (size_t i = 0; i < a->n_selectors; ++i)
        if (ntapi_selector_is_callback(a->selectors[i]))
            return 1;
    return 0;
}

static ntap_status find_and_work(ntapi_attribution *a, ntap_tensor **grads, int *done) {
    capi_tape *tape = NULL;
    NTAPI_TRY(capi_tape_find(a->program, a->inputs, a->n_inputs, a->options.additional_arguments,
                             a->options.n_additional_arguments, &tape, a->err));
    if (tape == NULL)
        return NTAP_OK;
    tape_work w = {.a = a, .tape = tape};
    const ntap_status status = work(&w, grads);
    *done = status == NTAP_OK;
    free(w.ranges);
    free(w.order);
    capi_tape_free(tape);
    return status;
}

ntap_status ntapi_attribute_by_tape(ntapi_attribution *a, ntap_tensor **grads, int *done) {
    ntap_error err;
    ntap_error *const callers = a->err;
    const ntap_attribute_report report = a->report;
    *done = 0;
    if (a->options.fast_paths == NTAP_FAST_PATHS_OFF || has_callback(a))
        return NTAP_OK;
    a->err = &err;
    const ntap_status status = find_and_work(a, grads, done);
    a->err = callers;
    if (is_final(status))
        return ntap_error_set(callers, status, "%s", err.message);
    if (!*done)
        a->report = report;
    return NTAP_OK;
}
