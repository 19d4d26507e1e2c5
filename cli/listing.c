#include "listing.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

/** A value, and the index of the layer whose code computes it. */
struct owned_value {
    const char *name;
    size_t owner;
};

/** The layer with the longest path that begins the name and has a slash behind it; the slashes of
 *  "encoder/attention:1/matmul:2" are not all a layer's. The model itself if there is none. */
static size_t find_owner(const ntap_module *module, const char *value) {
    size_t owner = 0, longest = 0;
    for (size_t i = 1; i < ntap_module_layer_count(module); ++i) {
        const char *path = ntap_module_layer_name(module, i);
        size_t length = strlen(path);
        if (length > longest && strncmp(value, path, length) == 0 && value[length] == '/') {
            longest = length;
            owner = i;
        }
    }
    return owner;
}

static ntap_status read_values(const ntap_module *module, size_t count, struct owned_value *values,
                               ntap_error *err) {
    for (size_t i = 0; i < count; ++i) {
        ntap_status status = ntap_module_value_name(module, i, &values[i].name, err);
        if (status != NTAP_OK) {
            return status;
        }
        values[i].owner = find_owner(module, values[i].name);
    }
    return NTAP_OK;
}

static void add(struct listing *listing, const char *name, const char *type) {
    listing->items[listing->count++] = (struct listed){name, type, NULL};
}

static void fill_in_order(const ntap_module *module, const struct owned_value *values,
                          size_t n_values, struct listing *listing) {
    for (size_t i = 0; i < ntap_module_layer_count(module); ++i) {
        add(listing, ntap_module_layer_name(module, i), ntap_module_layer_type(module, i));
        for (size_t j = 0; j < n_values; ++j) {
            if (values[j].owner == i) {
                add(listing, values[j].name, NULL);
            }
        }
    }
}

ntap_status listing_fill(const ntap_module *module, bool with_values, struct listing *listing,
                         ntap_error *err) {
    size_t n_values = 0;
    ntap_status status = with_values ? ntap_module_value_count(module, &n_values, err) : NTAP_OK;
    if (status != NTAP_OK) {
        return status;
    }
    struct owned_value *values = calloc(n_values + 1, sizeof *values);
    listing->items = calloc(ntap_module_layer_count(module) + n_values, sizeof *listing->items);
    status = values != NULL && listing->items != NULL ? read_values(module, n_values, values, err)
                                                      : report_no_memory(err);
    if (status == NTAP_OK) {
        fill_in_order(module, values, n_values, listing);
    }
    free(values);
    return status;
}

/** Appends the inputs and then the arguments: what the model is called with. */
static ntap_status collect_arguments(const struct inputs *inputs, ntap_value **arguments,
                                     ntap_error *err) {
    for (size_t i = 0; i < inputs->count; ++i) {
        ntap_status status = ntap_value_new_tensor(inputs->items[i].tensor, &arguments[i], err);
        if (status != NTAP_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < inputs->n_arguments; ++i) {
        ntap_status status =
            ntap_value_clone(inputs->arguments[i], &arguments[inputs->count + i], err);
        if (status != NTAP_OK) {
            return status;
        }
    }
    return NTAP_OK;
}

static ntap_status capture(const ntap_module *module, ntap_value *const *arguments,
                           size_t n_arguments, struct listing *listing, ntap_error *err) {
    const char **names = calloc(listing->count, sizeof *names);
    ntap_value **calls = calloc(listing->count, sizeof *calls);
    ntap_status status = names != NULL && calls != NULL ? NTAP_OK : report_no_memory(err);
    for (size_t i = 0; i < listing->count && status == NTAP_OK; ++i) {
        names[i] = listing->items[i].name;
    }
    if (status == NTAP_OK) {
        status = ntap_module_capture(module, names, listing->count, NTAP_LAYER_OUTPUT,
                                     (const ntap_value *const *)arguments, n_arguments, calls, err);
    }
    for (size_t i = 0; i < listing->count && status == NTAP_OK; ++i) {
        listing->items[i].calls = calls[i];
    }
    free(names);
    free(calls);
    return status;
}

ntap_status listing_run(const ntap_module *module, const struct inputs *inputs,
                        struct listing *listing, ntap_error *err) {
    size_t n_arguments = inputs->count + inputs->n_arguments;
    ntap_value **arguments = calloc(n_arguments + 1, sizeof *arguments);
    if (arguments == NULL) {
        return report_no_memory(err);
    }
    ntap_status status = collect_arguments(inputs, arguments, err);
    if (status == NTAP_OK) {
        status = capture(module, arguments, n_arguments, listing, err);
    }
    for (size_t i = 0; i < n_arguments; ++i) {
        ntap_value_free(arguments[i]);
    }
    free(arguments);
    return status;
}

void listing_free(struct listing *listing) {
    for (size_t i = 0; i < listing->count; ++i) {
        ntap_value_free(listing->items[i].calls);
    }
    free(listing->items);
}
