/* One neuron, a group of neurons, and what no index can say.
 *
 *   selectors fashion_cnn_scripted.pt ankle-boot.pgm
 */
#include <neurotap/neurotap.h>

#include <math.h>
#include <stdio.h>

#include "picture.h"

/* A selector callback: the energy of the layer, the sum of its squares for each example. */
static ntap_status energy(const ntap_value *layer_value, void *context, ntap_tensor **neuron,
                          ntap_error *err) {
    const int64_t dims[] = {1, 2, 3}; /* of [N, C, H, W], all but the examples */
    const ntap_tensor *x = ntap_value_get_tensor(layer_value);
    ntap_tensor *squares = NULL;
    (void)context;
    ntap_status status = ntap_tensor_mul(x, x, &squares, err);
    if (status == NTAP_OK)
        status = ntap_tensor_sum(squares, dims, 3, neuron, err);
    ntap_tensor_free(squares);
    return status;
}

/* The gradient's largest element, and how many are not zero: how much of the picture counts. */
static void print_gradient(const char *label, const ntap_tensor *grad) {
    const float *pixels = (const float *)ntap_tensor_data(grad);
    float largest = 0;
    int count = 0;
    for (int64_t i = 0; i < ntap_tensor_numel(grad); ++i) {
        largest = fmaxf(largest, fabsf(pixels[i]));
        count += pixels[i] != 0;
    }
    printf("%-14s %3d pixels count, by at most %.3f\n", label, count, (double)largest);
}

static ntap_status attribute(const ntap_neuron_gradient *gradient, const ntap_tensor *picture,
                             const char *label, const ntap_selector *selector, ntap_error *err) {
    const ntap_tensor *inputs[] = {picture};
    ntap_tensor *grad = NULL;
    const ntap_status status =
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, &grad, err);
    if (status == NTAP_OK)
        print_gradient(label, grad);
    ntap_tensor_free(grad);
    return status;
}

static ntap_status show_selectors(const ntap_module *module, const ntap_tensor *picture,
                                  ntap_error *err) {
    const ntap_index corner[] = {ntap_at(5), ntap_slice(0, 3, 1), ntap_slice(0, 3, 1)};
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selectors[4] = {NULL};
    const char *labels[] = {"one neuron", "one channel", "a corner", "the energy"};

    ntap_status status = ntap_neuron_gradient_new(module, "block2.conv", NULL, &gradient, err);
    if (status == NTAP_OK)
        status = ntap_selector_parse("5,6,6", &selectors[0], err); /* channel, row, column */
    if (status == NTAP_OK)
        status = ntap_selector_parse("5,:", &selectors[1], err); /* summed */
    if (status == NTAP_OK)
        status = ntap_selector_new_indices(corner, 3, &selectors[2], err);
    if (status == NTAP_OK)
        status = ntap_selector_new_callback(energy, NULL, NULL, &selectors[3], err);
    for (int i = 0; i < 4 && status == NTAP_OK; ++i)
        status = attribute(gradient, picture, labels[i], selectors[i], err);
    for (int i = 0; i < 4; ++i)
        ntap_selector_free(selectors[i]);
    ntap_neuron_gradient_free(gradient);
    return status;
}

/* What goes into the classifier is a tuple of its arguments; here it is one tensor, so that an
 * index does. */
static ntap_status show_input_side(const ntap_module *module, const ntap_tensor *picture,
                                   ntap_error *err) {
    ntap_neuron_gradient_options options = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    options.side = NTAP_LAYER_INPUT;
    ntap_status status = ntap_neuron_gradient_new(module, "classifier", &options, &gradient, err);
    if (status == NTAP_OK)
        status = ntap_selector_new_index(49, &selector, err);
    if (status == NTAP_OK)
        status = attribute(gradient, picture, "a feature", selector, err);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    return status;
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    ntap_tensor *picture = NULL;
    if (argc != 3)
        return 2;
    ntap_status status = ntap_module_load(argv[1], NULL, &module, &err);
    if (status == NTAP_OK)
        status = read_picture(argv[2], &picture, &err);
    if (status == NTAP_OK)
        status = show_selectors(module, picture, &err);
    if (status == NTAP_OK)
        status = show_input_side(module, picture, &err);
    if (status != NTAP_OK)
        fprintf(stderr, "%s\n", err.message);
    ntap_tensor_free(picture);
    ntap_module_free(module);
    return status != NTAP_OK;
}
