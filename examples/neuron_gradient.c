/* Which pixels drive a neuron? The main job, in one page of C.
 *
 *   neuron_gradient MODEL LAYER NEURON INPUT.npy
 *   neuron_gradient fashion_cnn_scripted.pt block2.conv 3,6,6 image.npy
 *
 * Build: cc neuron_gradient.c -lneurotap
 */
#include <neurotap/neurotap.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The element that the neuron depends on most. */
static int64_t find_strongest(const ntap_tensor *gradient) {
    const float *values = (const float *)ntap_tensor_data(gradient);
    int64_t strongest = 0;
    for (int64_t i = 1; i < ntap_tensor_numel(gradient); ++i)
        if (fabsf(values[i]) > fabsf(values[strongest]))
            strongest = i;
    return strongest;
}

static void print_gradient(const ntap_tensor *gradient) {
    const int64_t strongest = find_strongest(gradient);
    printf("%" PRId64 " elements; the neuron depends most on number %" PRId64 ": %g\n",
           ntap_tensor_numel(gradient), strongest,
           (double)((const float *)ntap_tensor_data(gradient))[strongest]);
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    ntap_neuron_gradient *neuron_gradient = NULL;
    ntap_selector *selector = NULL;
    ntap_tensor *input = NULL;
    ntap_tensor *gradient = NULL;
    int result = EXIT_FAILURE;

    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL LAYER NEURON INPUT.npy\n", argv[0]);
        return 2;
    }
    if (ntap_module_load(argv[1], NULL, &module, &err) != NTAP_OK ||
        ntap_neuron_gradient_new(module, argv[2], NULL, &neuron_gradient, &err) != NTAP_OK ||
        ntap_selector_parse(argv[3], &selector, &err) != NTAP_OK ||
        ntap_tensor_read_npy(argv[4], &input, &err) != NTAP_OK)
        goto done;

    /* Inputs come as an array: a model may have several. */
    const ntap_tensor *inputs[] = {input};
    if (ntap_neuron_gradient_attribute(neuron_gradient, inputs, 1, selector, NULL, &gradient,
                                       &err) != NTAP_OK)
        goto done;
    if (ntap_tensor_numel(gradient) > 0 && ntap_tensor_dtype(gradient) == NTAP_DTYPE_FLOAT32)
        print_gradient(gradient);
    result = EXIT_SUCCESS;

done:
    if (result != EXIT_SUCCESS)
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    ntap_tensor_free(gradient);
    ntap_tensor_free(input);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(neuron_gradient);
    ntap_module_free(module);
    return result;
}
