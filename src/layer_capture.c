/* The values at a module's layers. */
#include "data_parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of all layers and, where values are meant, of all values behind them. */
typedef struct known_names {
    const ntap_module *module;
    size_t n_layers;
} known_names;

static const char *name_at(const void *context, size_t index) {
    const known_names *known = (const known_names *)context;
    const char *name = "";
    if (index < known->n_layers)
        return ntap_module_layer_name(known->module, index);
    /* It was counted, so that it is there. */
    const ntap_status status =
        ntap_module_value_name(known->module, index - known->n_layers, &name, NULL);
    return status == NTAP_OK ? name : "";
}

/* A file whose layers are gone still has values. */
static void suggest_a_value(const ntap_module *module, char *suggestion, size_t size) {
    const char *name = NULL;
    if (ntap_module_value_name(module, 0, &name, NULL) == NTAP_OK)
        (void)snprintf(suggestion, size, "; the module has no layers, but values such as '%s'",
                       name);
}

static ntap_status layer_not_found(const ntap_module *module, const char *layer, ntap_error *err) {
    char suggestion[512];
    size_t n_values = 0;
    const int is_value = strchr(layer, ':') != NULL;
    const known_names known = {module, ntap_module_layer_count(module)};
    if (is_value)
        NTAPI_TRY(ntap_module_value_count(module, &n_values, err));
    ntapi_suggest(layer, known.n_layers + n_values, name_at, &known, suggestion, sizeof suggestion);
    if (suggestion[0] == '\0' && known.n_layers == 1)
        suggest_a_value(module, suggestion, sizeof suggestion);
    return ntap_error_set(err, NTAP_ERROR_NOT_FOUND, "%s '%s' not found%s",
                          is_value ? "value" : "layer", layer, suggestion);
}

ntap_status ntapi_require_side(ntap_layer_side side, ntap_error *err) {
    if (side == NTAP_LAYER_OUTPUT || side == NTAP_LAYER_INPUT)
        return NTAP_OK;
    return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                          "side is %d; expected NTAP_LAYER_OUTPUT or NTAP_LAYER_INPUT", (int)side);
}

ntap_status ntapi_require_layers(const ntap_module *module, const char *const *layers,
                                 size_t n_layers, ntap_error *err) {
    for (size_t i = 0; i < n_layers; ++i) {
        if (layers[i] == NULL)
            return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "layers[%zu] is NULL", i);
        int has = 0;
        NTAPI_TRY(capi_module_has(module, layers[i], &has, err));
        if (!has)
            return layer_not_found(module, layers[i], err);
    }
    return NTAP_OK;
}

ntap_status ntapi_layer_never_called(const char *layer, ntap_error *err) {
    return ntap_error_set(err, NTAP_ERROR_NOT_FOUND,
                          strchr(layer, ':') != NULL
                              ? "value '%s' exists, but no run of the model computes it"
                              : "layer '%s' exists, but nothing in the model's forward calls it",
                          layer);
}

/* All or nothing: the outputs are written when everything has succeeded. */
static ntap_status take_calls(const capi_run *run, size_t n_layers, ntap_value **captured,
                              ntap_value **taken, ntap_error *err) {
    for (size_t i = 0; i < n_layers; ++i) {
        const ntap_status status = capi_run_calls(run, i, &taken[i], err);
        if (status != NTAP_OK) {
            while (i > 0)
                ntap_value_free(taken[--i]);
            return status;
        }
    }
    memcpy(captured, taken, n_layers * sizeof *captured);
    return NTAP_OK;
}

/* Which values. */
typedef struct wanted {
    const char *const *layers;
    size_t n_layers;
    ntap_layer_side side;
} wanted;

static ntap_status capture_program(const capi_program *program, const ntap_value *const *args,
                                   size_t n_args, size_t n_layers, ntap_value **captured,
                                   ntap_value **taken, ntap_error *err) {
    capi_run *run = NULL;
    NTAPI_TRY(capi_run_new(program, NULL, 0, args, n_args, &run, err));
    const ntap_status status = take_calls(run, n_layers, captured, taken, err);
    capi_run_free(run);
    return status;
}

static ntap_status capture(const ntap_module *module, const ntap_value *const *args, size_t n_args,
                           const void *context, ntap_value **captured, ntap_error *err) {
    const wanted *w = (const wanted *)context;
    capi_program *program = NULL;
    NTAPI_TRY(capi_program_new(module, w->layers, w->n_layers, w->side, &program, err));
    ntap_value **taken = (ntap_value **)calloc(w->n_layers, sizeof(ntap_value *));
    ntap_status status =
        taken != NULL ? capture_program(program, args, n_args, w->n_layers, captured, taken, err)
                      : ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    free(taken);
    capi_program_free(program);
    return status;
}

ntap_status ntap_module_capture(const ntap_module *module, const char *const *layers,
                                size_t n_layers, ntap_layer_side side,
                                const ntap_value *const *args, size_t n_args, ntap_value **captured,
                                ntap_error *err) {
    NTAPI_REQUIRE(module, err);
    NTAPI_REQUIRE(layers, err);
    NTAPI_REQUIRE(captured, err);
    NTAPI_TRY(ntapi_require_side(side, err));
    if (n_layers == 0)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "n_layers is 0; expected at least 1");
    NTAPI_TRY(ntapi_require_layers(module, layers, n_layers, err));
    const wanted which = {layers, n_layers, side};
    const ntapi_parallel_call call = {capture, &which, n_layers};
    if (ntap_module_replica_count(module) > 0)
        return ntapi_call_in_parallel(module, args, n_args, &call, captured, err);
    return capture(module, args, n_args, &which, captured, err);
}
