/** A model's layers and named values, in the order of the tree they are shown in. */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include <neurotap/neurotap.h>

#include "inputs.h"

/** A layer, or a value that a layer's code computes. */
struct listed {
    const char *name;  /**< lent by the module */
    const char *type;  /**< a layer's class, lent by the module; NULL for a value */
    ntap_value *calls; /**< a list of what it gave in each call; NULL if the model was not run */
};

/** Layers depth first, the model itself first of all; a layer's values come right behind it. */
struct listing {
    struct listed *items;
    size_t count;
};

/** Lists the layers, and the values if they are wanted. */
ntap_status listing_fill(const ntap_module *module, bool with_values, struct listing *listing,
                         ntap_error *err);

/** Runs the model and fills in the calls. */
ntap_status listing_run(const ntap_module *module, const struct inputs *inputs,
                        struct listing *listing, ntap_error *err);

void listing_free(struct listing *listing);

#endif
