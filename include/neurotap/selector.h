/**
 * @file selector.h
 * @brief Selectors: which neuron of a layer.
 *
 * A neuron is one element of a layer's value per example; dimension 0 of the value is the batch and
 * is never indexed. The rules are captum's (`neuron_selector` of captum.attr.NeuronGradient):
 *
 * - `4`, of a value [N, C]: `value[:, 4]`, one neuron;
 * - `4, 1, 2`, of a value [N, C, H, W]: `value[:, 4, 1, 2]`, one neuron;
 * - `4, 1:3, :`: `value[:, 4, 1:3, :]`, summed for each example: a group of neurons;
 * - a callback: whatever it computes, one element or one for each example.
 *
 * Without a slice every dimension after the first needs an index (dimensions of size 1 at the end
 * may be left out); with a slice, dimensions at the end may be left out and count whole. Negative
 * indices count from the end. An index out of range is an error; slices are clipped, as in Python;
 * an empty slice selects nothing and gives zeros.
 */
#ifndef NEUROTAP_SELECTOR_H
#define NEUROTAP_SELECTOR_H

#include <neurotap/base.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup selector Selector
 *  @brief Which neuron of a layer.
 *  @{ */

/** A selector. Immutable, so it may be used by several threads at once and with any layer. */
typedef struct ntap_selector ntap_selector;

/** The start or stop of a slice that is left out, as in Python's `a[:3]` and `a[2:]`. */
#define NTAP_OMITTED INT64_MIN

/** What an ntap_index is. */
typedef enum ntap_index_kind {
    NTAP_INDEX_INT = 0,  /**< one index, which drops the dimension */
    NTAP_INDEX_SLICE = 1 /**< a range of indices */
} ntap_index_kind;

/** One element of a tuple of ints and slices. Make it with ntap_at(), ntap_slice() or ntap_all().
 */
typedef struct ntap_index {
    ntap_index_kind kind; /**< an index or a range */
    int64_t start;        /**< the index, or the slice's start; negative counts from the end */
    int64_t stop;         /**< slices: the first index that is not selected; else 0 */
    int64_t step;         /**< slices: at least 1; else 0 */
} ntap_index;

/** One index: Python's `i`. */
static inline ntap_index ntap_at(int64_t i) {
    ntap_index index = {NTAP_INDEX_INT, 0, 0, 0};
    index.start = i;
    return index;
}

/** A range: Python's `start:stop:step`; @p start and @p stop may be NTAP_OMITTED. */
static inline ntap_index ntap_slice(int64_t start, int64_t stop, int64_t step) {
    ntap_index index = {NTAP_INDEX_SLICE, 0, 0, 0};
    index.start = start;
    index.stop = stop;
    index.step = step;
    return index;
}

/** A whole dimension: Python's `:`. */
static inline ntap_index ntap_all(void) { return ntap_slice(NTAP_OMITTED, NTAP_OMITTED, 1); }

/** Selects neuron @p index of a layer of shape [N, C]. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_selector_new_index(int64_t index,
                                                             ntap_selector **selector,
                                                             ntap_error *err);

/**
 * Selects by a tuple of ints and slices, for the dimensions after the batch.
 * @param indices  @p count elements, copied; NULL if @p count is 0 (a layer of shape [N])
 * @param count    how many
 * @param[out] selector  the selector
 * @param err      filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (a step below 1, for example)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_selector_new_indices(const ntap_index *indices,
                                                               size_t count,
                                                               ntap_selector **selector,
                                                               ntap_error *err);

/**
 * Computes the neuron from the layer's value.
 *
 * Runs on the thread of the call that needs the neuron, once for each call, with autograd's grad
 * mode on: compute with operator.h, and the gradient flows through. Any function of neurotap may be
 * called inside. With one selector used by several threads, the callback runs in several threads at
 * once.
 *
 * @param layer_value  lent: the layer's tensor; if its value holds more than one tensor (or none),
 *                     the whole tuple, list or dictionary. It shares the memory of the running
 *                     model: do not write to it.
 * @param context      as given to ntap_selector_new_callback()
 * @param[out] neuron  a tensor with one element, or with one for each example: [N], [N, 1], …;
 *                     neurotap frees it
 * @param err          to fill on failure, with ntap_error_set(); never NULL
 * @return NTAP_OK, or any other status to fail the call with that status and message;
 *         NTAP_ERROR_STOPPED to stop on request
 */
typedef ntap_status (*ntap_selector_callback)(const ntap_value *layer_value, void *context,
                                              ntap_tensor **neuron, ntap_error *err);

/**
 * Selects by a callback.
 * @param callback   computes the neuron
 * @param context    handed to the callback
 * @param finalizer  called with @p context when the selector is freed; may be NULL. If this call
 *                   fails, it is not called.
 * @param[out] selector  the selector
 * @param err        filled on failure; may be NULL
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_selector_new_callback(ntap_selector_callback callback,
                                                                void *context,
                                                                ntap_finalizer finalizer,
                                                                ntap_selector **selector,
                                                                ntap_error *err);

/**
 * Reads Python's notation: "4", "4,1,2", "0:2", ":,3,::2", with or without surrounding parentheses
 * and spaces; "()" is the empty tuple.
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT; the message points at what is wrong
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_selector_parse(const char *text, ntap_selector **selector,
                                                         ntap_error *err);

/** Releases a selector. NULL is allowed. */
NTAP_API void ntap_selector_free(ntap_selector *selector);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_SELECTOR_H */
