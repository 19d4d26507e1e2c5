/* Many neurons in one call: some, all, watched and cancelled.
 *
 *   many_neurons fashion_cnn_scripted.pt ankle-boot.pgm
 */
#include <neurotap/neurotap.h>

#include <stdio.h>

#include "picture.h"

static void print_shape(const char *label, const ntap_tensor *tensor) {
    printf("%s: [", label);
    for (size_t i = 0; i < ntap_tensor_ndim(tensor); ++i)
        printf(i == 0 ? "%d" : ", %d", (int)ntap_tensor_size(tensor, i));
    printf("]\n");
}

/* The gradients of two neurons: [2, 1, 1, 28, 28]. */
static ntap_status attribute_two(const ntap_module *module, const ntap_tensor *picture,
                                 ntap_error *err) {
    const ntap_tensor *inputs[] = {picture};
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *a = NULL;
    ntap_selector *b = NULL;
    ntap_tensor *grads = NULL;
    ntap_status status = ntap_neuron_gradient_new(module, "block3.conv", NULL, &gradient, err);
    if (status == NTAP_OK)
        status = ntap_selector_parse("21,4,3", &a, err);
    if (status == NTAP_OK)
        status = ntap_selector_parse("60,0,0", &b, err);
    const ntap_selector *selectors[] = {a, b};
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_attribute_many(gradient, inputs, 1, selectors, 2, NULL,
                                                     &grads, err);
    if (status == NTAP_OK)
        print_shape("two", grads);
    ntap_tensor_free(grads);
    ntap_selector_free(b);
    ntap_selector_free(a);
    ntap_neuron_gradient_free(gradient);
    return status;
}

/* A progress callback: tells when all is done, and cancels after *context gradients. */
static int watch(int64_t done, int64_t total, void *context) {
    if (done == total)
        printf("done: %d gradients\n", (int)total);
    return done > *(const int64_t *)context;
}

/* The gradients of all neurons of block1.pool, [16, 14, 14]: [16, 14, 14, 1, 1, 28, 28]. */
static ntap_status attribute_all(const ntap_module *module, const ntap_tensor *picture,
                                 int64_t patience, ntap_error *err) {
    const ntap_tensor *inputs[] = {picture};
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_neuron_gradient *gradient = NULL;
    ntap_tensor *grads = NULL;
    options.progress = watch;
    options.progress_context = &patience;
    options.memory_limit = 64U << 20; /* bytes, for what goes on at once; not for the results */
    options.report = &report;
    ntap_status status = ntap_neuron_gradient_new(module, "block1.pool", NULL, &gradient, err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_attribute_all(gradient, inputs, 1, &options, &grads, err);
    if (status == NTAP_OK) {
        print_shape("all", grads);
        printf("by a fast path: %s\n", report.fast_path ? "yes" : "no");
    }
    ntap_tensor_free(grads);
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
        status = attribute_two(module, picture, &err);
    if (status == NTAP_OK)
        status = attribute_all(module, picture, INT64_MAX, &err);
    if (status == NTAP_OK && attribute_all(module, picture, 0, &err) == NTAP_ERROR_STOPPED)
        printf("cancelled: %s\n", err.message);
    if (status != NTAP_OK)
        fprintf(stderr, "%s\n", err.message);
    ntap_tensor_free(picture);
    ntap_module_free(module);
    return status != NTAP_OK;
}
