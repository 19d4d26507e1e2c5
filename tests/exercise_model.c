#include "exercise_model.h"

enum { MOST_LAYERS = 8, MOST_VALUES = 4 };

/* A model that loops for ever is stopped where the API allows it; here it need not loop long. */
static int stop_later(int64_t done, int64_t total, void *context) {
    (void)total;
    (void)context;
    return done > 16;
}

static void attribute(const ntap_module *module, const char *layer, const ntap_tensor *input) {
    const ntap_tensor *const inputs[] = {input};
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    ntap_tensor *grad = NULL;
    options.progress = stop_later;
    if (ntap_neuron_gradient_new(module, layer, NULL, &gradient, NULL) == NTAP_OK &&
        ntap_selector_new_index(0, &selector, NULL) == NTAP_OK) {
        if (ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, &options, &grad, NULL) ==
            NTAP_OK)
            ntap_tensor_free(grad);
        if (ntap_neuron_gradient_attribute_all(gradient, inputs, 1, &options, &grad, NULL) ==
            NTAP_OK)
            ntap_tensor_free(grad);
    }
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
}

static void look_at(const ntap_value *value) {
    char text[256];
    (void)ntap_value_describe(value, text, sizeof text);
}

static void run(const ntap_module *module, const char *const *layers, size_t n_layers,
                const ntap_value *arg) {
    ntap_value *result = NULL;
    ntap_value *captured[MOST_LAYERS] = {NULL};
    if (ntap_module_forward(module, &arg, 1, &result, NULL) == NTAP_OK) {
        look_at(result);
        ntap_value_free(result);
    }
    if (ntap_module_capture(module, layers, n_layers, NTAP_LAYER_INPUT, &arg, 1, captured, NULL) ==
        NTAP_OK) {
        for (size_t i = 0; i < n_layers; ++i) {
            look_at(captured[i]);
            ntap_value_free(captured[i]);
        }
    }
}

static size_t list_layers(const ntap_module *module, const char **layers) {
    const size_t count = ntap_module_layer_count(module);
    size_t n_layers = 0;
    for (size_t i = 0; i < count && n_layers < MOST_LAYERS; ++i) {
        layers[n_layers] = ntap_module_layer_name(module, i);
        n_layers += ntap_module_layer_type(module, i) != NULL ? 1 : 0;
    }
    return n_layers;
}

static void exercise(const ntap_module *module, const ntap_tensor *input) {
    const char *layers[MOST_LAYERS] = {NULL};
    const size_t n_layers = list_layers(module, layers);
    const char *value_name = NULL;
    ntap_value *arg = NULL;
    if (ntap_value_new_tensor(input, &arg, NULL) != NTAP_OK)
        return;
    (void)ntap_module_signature(module);
    run(module, layers, n_layers, arg);
    for (size_t i = 0; i < n_layers; ++i)
        attribute(module, layers[i], input);
    for (size_t i = 0;
         i < MOST_VALUES && ntap_module_value_name(module, i, &value_name, NULL) == NTAP_OK; ++i)
        attribute(module, value_name, input);
    ntap_value_free(arg);
}

static ntap_status new_input(ntap_tensor **input, ntap_error *err) {
    static const int64_t sizes[] = {2, 6};
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    return ntap_tensor_zeros(2, sizes, NTAP_DTYPE_FLOAT32, cpu, input, err);
}

ntap_status exercise_model(const void *data, size_t size, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_tensor *input = NULL;
    const ntap_status status = ntap_module_load_memory(data, size, NULL, &module, err);
    if (status == NTAP_OK && new_input(&input, NULL) == NTAP_OK)
        exercise(module, input);
    ntap_tensor_free(input);
    ntap_module_free(module);
    return status;
}

ntap_status attribute_model(const void *data, size_t size, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_neuron_gradient *gradient = NULL;
    ntap_tensor *input = NULL;
    ntap_tensor *grad = NULL;
    ntap_status status = ntap_module_load_memory(data, size, NULL, &module, err);
    if (status == NTAP_OK)
        status = new_input(&input, err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_new(module, "", NULL, &gradient, err);
    if (status == NTAP_OK) {
        const ntap_tensor *const inputs[] = {input};
        status = ntap_neuron_gradient_attribute_all(gradient, inputs, 1, NULL, &grad, err);
    }
    ntap_tensor_free(grad);
    ntap_neuron_gradient_free(gradient);
    ntap_tensor_free(input);
    ntap_module_free(module);
    return status;
}
