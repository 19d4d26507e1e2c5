/* Which pixels speak for "ankle boot", and which against it?
 *
 *   first_neuron fashion_cnn_scripted.pt ankle-boot.pgm
 */
#include <neurotap/neurotap.h>

#include <stdio.h>

#include "picture.h"

/* + where more light raises the neuron, - where it lowers it, . where it hardly matters. */
static void print_signs(const ntap_tensor *grad) {
    const float *pixels = (const float *)ntap_tensor_data(grad);
    for (int row = 0; row < SIDE; ++row) {
        for (int column = 0; column < SIDE; ++column) {
            const float g = pixels[row * SIDE + column];
            putchar(g > 1 ? '+' : g < -1 ? '-' : '.');
        }
        putchar('\n');
    }
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *ankle_boot = NULL;
    ntap_tensor *picture = NULL;
    ntap_tensor *grad = NULL;
    int result = 1;

    if (argc != 3)
        return 2;
    if (ntap_module_load(argv[1], NULL, &module, &err) != NTAP_OK ||
        ntap_neuron_gradient_new(module, "classifier", NULL, &gradient, &err) != NTAP_OK ||
        ntap_selector_new_index(9, &ankle_boot, &err) != NTAP_OK ||
        read_picture(argv[2], &picture, &err) != NTAP_OK)
        goto done;

    const ntap_tensor *inputs[] = {picture}; /* a model may have several */
    if (ntap_neuron_gradient_attribute(gradient, inputs, 1, ankle_boot, NULL, &grad, &err) !=
        NTAP_OK)
        goto done;
    print_signs(grad); /* float32 [1, 1, 28, 28], as the picture */
    result = 0;

done:
    if (result != 0)
        fprintf(stderr, "%s\n", err.message);
    ntap_tensor_free(grad);
    ntap_tensor_free(picture);
    ntap_selector_free(ankle_boot);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
    return result;
}
