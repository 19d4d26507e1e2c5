/* The handles that requests share. */
#include "request_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a hook that looks on ---- */

typedef struct onlooker {
    request_set *set;
    atomic_long calls;
} onlooker;

static ntap_status look(const ntap_hook_call *call, void *context, ntap_value **replacement,
                        ntap_error *err) {
    (void)replacement;
    atomic_fetch_add(&((onlooker *)context)->calls, 1);
    if (ntap_value_get_kind(call->inputs) != NTAP_VALUE_TUPLE)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the hook's inputs are no tuple");
    return NTAP_OK;
}

static void release(void *context) {
    atomic_fetch_add(&((onlooker *)context)->set->hooks_released, 1);
    free(context);
}

ntap_status request_look_on(request_set *set, ntap_hook **hook, atomic_long **calls,
                            ntap_error *err) {
    onlooker *o = (onlooker *)malloc(sizeof *o);
    if (o == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "no memory for a hook's context");
    o->set = set;
    atomic_init(&o->calls, 0);
    const ntap_status status =
        ntap_module_add_forward_hook(set->vectors, "fc2", look, o, release, hook, err);
    if (status != NTAP_OK) {
        free(o);
        return status;
    }
    atomic_fetch_add(&set->hooks_added, 1);
    *calls = &o->calls;
    return NTAP_OK;
}

/* ---- selector callbacks ---- */

static ntap_status mean_of_channel(const ntap_value *layer_value, void *context,
                                   ntap_tensor **neuron, ntap_error *err) {
    const int64_t image[] = {1, 2};
    ntap_tensor *channel = NULL;
    (void)context;
    ntap_status status =
        ntap_tensor_select(ntap_value_get_tensor(layer_value), 1, 2, &channel, err);
    if (status == NTAP_OK)
        status = ntap_tensor_mean(channel, image, 2, neuron, err);
    ntap_tensor_free(channel);
    return status;
}

static ntap_status refuse(const ntap_value *layer_value, void *context, ntap_tensor **neuron,
                          ntap_error *err) {
    (void)layer_value, (void)context, (void)neuron;
    return ntap_error_set(err, NTAP_ERROR_DEVICE, "the selector refuses");
}

/* ---- filling ---- */

const char *request_path(const request_set *set, const char *name, char buffer[600]) {
    (void)snprintf(buffer, 600, "%s/%s", set->folder, name);
    return buffer;
}

static ntap_status read_input(const request_set *set, const char *name, ntap_tensor **tensor,
                              ntap_error *err) {
    char path[600];
    return ntap_tensor_read_npy(request_path(set, name, path), tensor, err);
}

static ntap_status load(const request_set *set, const char *name, ntap_module **module,
                        ntap_error *err) {
    char path[600];
    return ntap_module_load(request_path(set, name, path), NULL, module, err);
}

/* The gradients of a layer of a file that nothing else is wanted of. */
static ntap_status open_gradient(const request_set *set, const char *name, const char *layer,
                                 ntap_neuron_gradient **gradient, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_status status = load(set, name, &module, err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_new(module, layer, NULL, gradient, err);
    ntap_module_free(module);
    return status;
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const ntap_status try_status = (call);                                                     \
        if (try_status != NTAP_OK)                                                                 \
            return try_status;                                                                     \
    } while (0)

static ntap_status fill_inputs(request_set *set, ntap_error *err) {
    TRY(read_input(set, "cnn.x.npy", &set->image, err));
    TRY(read_input(set, "cnn.wide.npy", &set->wide, err));
    TRY(read_input(set, "mlp.i.npy", &set->integers, err));
    TRY(read_input(set, "mlp.x.npy", &set->vector, err));
    TRY(read_input(set, "lstm.x.npy", &set->sequence, err));
    TRY(read_input(set, "noise.x.npy", &set->noise, err));
    TRY(read_input(set, "twoinputs.x.npy", &set->left, err));
    TRY(read_input(set, "twoinputs.y.npy", &set->right, err));
    TRY(ntap_tensor_clone(set->image, &set->nans, err));
    memset(ntap_tensor_mutable_data(set->nans), 0xff, 64 * sizeof(float));
    TRY(ntap_value_new_tensor(set->image, &set->image_value, err));
    TRY(ntap_value_new_tensor(set->vector, &set->vector_value, err));
    return ntap_value_new_string("no tensor", &set->text_value, err);
}

static ntap_status fill_selectors(request_set *set, ntap_error *err) {
    char text[32];
    TRY(ntap_selector_parse("1,1,1", &set->neuron, err));
    TRY(ntap_selector_parse("0:3,1", &set->slice, err));
    TRY(ntap_selector_parse("99,0,0", &set->outside, err));
    TRY(ntap_selector_new_index(1, &set->index, err));
    TRY(ntap_selector_new_callback(mean_of_channel, NULL, NULL, &set->callback, err));
    TRY(ntap_selector_new_callback(refuse, NULL, NULL, &set->failing, err));
    for (int i = 0; i < REQUEST_NEURONS; ++i) {
        (void)snprintf(text, sizeof text, "%d,%d,%d", i / 2, i % 2, 1 - i % 2);
        TRY(ntap_selector_parse(text, &set->neurons[i], err));
    }
    return NTAP_OK;
}

/* One replica for each example. */
static ntap_status fill_replicated(request_set *set, ntap_error *err) {
    const ntap_device cpus[] = {{NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}};
    ntap_module *parallel = NULL;
    ntap_status status = ntap_module_new_data_parallel(set->images, cpus, 2, NULL, &parallel, err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_new(parallel, "conv2", NULL, &set->replicated, err);
    ntap_module_free(parallel);
    return status;
}

static ntap_status fill_models(request_set *set, ntap_error *err) {
    ntap_neuron_gradient_options input_side = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    input_side.side = NTAP_LAYER_INPUT;
    TRY(load(set, "cnn.scripted.pt", &set->images, err));
    TRY(load(set, "mlp.scripted.pt", &set->vectors, err));
    TRY(ntap_neuron_gradient_new(set->images, "conv2", NULL, &set->convolution, err));
    TRY(ntap_neuron_gradient_new(set->images, "conv2", &input_side, &set->convolution_input, err));
    TRY(fill_replicated(set, err));
    TRY(ntap_neuron_gradient_new(set->images, "fc", NULL, &set->classes, err));
    TRY(ntap_neuron_gradient_new(set->vectors, "fc3", NULL, &set->hooked, err));
    TRY(open_gradient(set, "lstm.traced.pt", "head", &set->recurrent, err));
    TRY(open_gradient(set, "noise.scripted.pt", "fc", &set->noisy, err));
    return open_gradient(set, "twoinputs.scripted.pt", "a", &set->two_inputs, err);
}

static ntap_status fill_file(request_set *set, ntap_error *err) {
    char path[600];
    FILE *file = fopen(request_path(set, "mlp.scripted.pt", path), "rb");
    const size_t room = (size_t)1 << 20;
    set->file = malloc(room);
    set->file_size = file != NULL && set->file != NULL ? fread(set->file, 1, room, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    if (set->file_size == 0 || set->file_size == room)
        return ntap_error_set(err, NTAP_ERROR_FILE, "%s cannot be read", path);
    return NTAP_OK;
}

ntap_status request_set_fill(request_set *set, ntap_error *err) {
    TRY(fill_inputs(set, err));
    TRY(fill_selectors(set, err));
    TRY(fill_models(set, err));
    return fill_file(set, err);
}

void request_set_clear(request_set *set) {
    ntap_tensor *tensors[] = {set->image,    set->nans,  set->wide, set->integers, set->vector,
                              set->sequence, set->noise, set->left, set->right};
    ntap_selector *selectors[] = {set->neuron, set->slice,    set->outside,
                                  set->index,  set->callback, set->failing};
    ntap_neuron_gradient *gradients[] = {set->convolution, set->convolution_input, set->classes,
                                         set->hooked,      set->recurrent,         set->noisy,
                                         set->two_inputs,  set->replicated};
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; ++i)
        ntap_neuron_gradient_free(gradients[i]);
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; ++i)
        ntap_selector_free(selectors[i]);
    for (size_t i = 0; i < REQUEST_NEURONS; ++i)
        ntap_selector_free(set->neurons[i]);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; ++i)
        ntap_tensor_free(tensors[i]);
    ntap_value_free(set->image_value);
    ntap_value_free(set->vector_value);
    ntap_value_free(set->text_value);
    ntap_module_free(set->images);
    ntap_module_free(set->vectors);
    free(set->file);
}
