/* Which neuron of a layer: captum's rules for ints, tuples of ints and slices, and callbacks. */
#include "selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum selector_kind { SELECT_INDICES, SELECT_CALLBACK } selector_kind;

struct ntap_selector {
    selector_kind kind;
    ntap_selector_callback callback;
    ntap_finalizer finalizer;
    void *context;
    size_t count;
    ntap_index indices[];
};

/* ---- making ---- */

static ntap_selector *allocate(selector_kind kind, size_t count) {
    if (count > (SIZE_MAX - sizeof(ntap_selector)) / sizeof(ntap_index))
        return NULL;
    ntap_selector *selector =
        (ntap_selector *)calloc(1, sizeof *selector + count * sizeof(ntap_index));
    if (selector != NULL) {
        selector->kind = kind;
        selector->count = count;
    }
    return selector;
}

static ntap_status check_index(const ntap_index *index, size_t position, ntap_error *err) {
    if (index->kind != NTAP_INDEX_INT && index->kind != NTAP_INDEX_SLICE)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "indices[%zu].kind is %d; expected NTAP_INDEX_INT or "
                              "NTAP_INDEX_SLICE",
                              position, (int)index->kind);
    if (index->kind == NTAP_INDEX_SLICE && index->step < 1)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "the step of indices[%zu] is %lld; expected at least 1", position,
                              (long long)index->step);
    return NTAP_OK;
}

ntap_status ntap_selector_new_index(int64_t index, ntap_selector **selector, ntap_error *err) {
    const ntap_index only = ntap_at(index);
    return ntap_selector_new_indices(&only, 1, selector, err);
}

ntap_status ntap_selector_new_indices(const ntap_index *indices, size_t count,
                                      ntap_selector **selector, ntap_error *err) {
    NTAPI_REQUIRE(selector, err);
    if (count > 0)
        NTAPI_REQUIRE(indices, err);
    for (size_t i = 0; i < count; ++i)
        NTAPI_TRY(check_index(&indices[i], i, err));
    ntap_selector *made = allocate(SELECT_INDICES, count);
    if (made == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    if (count > 0)
        memcpy(made->indices, indices, count * sizeof *indices);
    *selector = made;
    return NTAP_OK;
}

ntap_status ntap_selector_new_callback(ntap_selector_callback callback, void *context,
                                       ntap_finalizer finalizer, ntap_selector **selector,
                                       ntap_error *err) {
    NTAPI_REQUIRE(callback, err);
    NTAPI_REQUIRE(selector, err);
    ntap_selector *made = allocate(SELECT_CALLBACK, 0);
    if (made == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    made->callback = callback;
    made->finalizer = finalizer;
    made->context = context;
    *selector = made;
    return NTAP_OK;
}

void ntap_selector_free(ntap_selector *selector) {
    if (selector == NULL)
        return;
    if (selector->finalizer != NULL)
        selector->finalizer(selector->context);
    free(selector);
}

/* ---- ints and slices ---- */

static ntap_status resolve_int(int64_t index, size_t dim, int64_t size,
                               const ntapi_layer_value *site, capi_range *range) {
    if (index < -size || index >= size)
        return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                              "index %lld is out of range for dimension %zu of layer "
                              "'%s', whose value is %s; expected %lld to %lld",
                              (long long)index, dim, site->layer, site->described, (long long)-size,
                              (long long)(size - 1));
    *range = (capi_range){index < 0 ? index + size : index, 1, 1};
    return NTAP_OK;
}

static int64_t clip(int64_t bound, int64_t size) {
    if (bound < 0)
        bound = bound < -size ? 0 : bound + size;
    return bound > size ? size : bound;
}

/* Python's slice.indices() for positive steps. */
static capi_range resolve_slice(const ntap_index *slice, int64_t size) {
    const int64_t start = slice->start == NTAP_OMITTED ? 0 : clip(slice->start, size);
    const int64_t stop = slice->stop == NTAP_OMITTED ? size : clip(slice->stop, size);
    const int64_t count = stop > start ? 1 + (stop - start - 1) / slice->step : 0;
    return (capi_range){start, count, count > 1 ? slice->step : 1};
}

static int has_slice(const ntap_selector *selector) {
    for (size_t i = 0; i < selector->count; ++i)
        if (selector->indices[i].kind == NTAP_INDEX_SLICE)
            return 1;
    return 0;
}

/* Without a slice every dimension needs an index, but for those that have nothing to choose. */
static ntap_status check_count(const ntap_selector *selector, const ntapi_layer_value *site) {
    const size_t ndim = site->ndim;
    const int too_many = selector->count > ndim - 1;
    int fits = !too_many;
    for (size_t dim = selector->count + 1; fits && dim < ndim && !has_slice(selector); ++dim)
        fits = site->sizes[dim] == 1;
    if (fits)
        return NTAP_OK;
    return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                          "selector has %zu %s, but the value of layer '%s' is %s; expected %s%zu "
                          "(one for each dimension after the first)%s",
                          selector->count, selector->count == 1 ? "index" : "indices", site->layer,
                          site->described, too_many ? "at most " : "", ndim - 1,
                          too_many ? "" : ", or a slice");
}

ntap_status ntapi_selector_ranges(const ntap_selector *selector, const ntapi_layer_value *site,
                                  capi_range *ranges) {
    NTAPI_TRY(check_count(selector, site));
    for (size_t dim = 0; dim < site->ndim; ++dim) {
        const int64_t size = site->sizes[dim];
        ranges[dim] = (capi_range){0, size, 1};
        if (dim == 0 || dim > selector->count)
            continue;
        const ntap_index *index = &selector->indices[dim - 1];
        if (index->kind == NTAP_INDEX_SLICE)
            ranges[dim] = resolve_slice(index, size);
        else
            NTAPI_TRY(resolve_int(index->start, dim, size, site, &ranges[dim]));
    }
    return NTAP_OK;
}

int ntapi_selector_is_callback(const ntap_selector *selector) {
    return selector->kind == SELECT_CALLBACK;
}

ntap_status ntapi_selector_call(const ntap_selector *selector, const ntap_value *layer_value,
                                ntap_tensor **neuron, ntap_error *err) {
    return selector->callback(layer_value, selector->context, neuron, err);
}
