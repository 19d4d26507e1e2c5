/* A layer that runs several times.
 *
 *   calls reused.scripted.pt reused.x.npy
 */
#include <neurotap/neurotap.h>

#include <stdio.h>

/* The first element of the gradient of neuron 0 of `fc1`, in one of its calls. */
static ntap_status attribute_call(const ntap_neuron_gradient *gradient, const ntap_tensor *x,
                                  const ntap_selector *selector, int64_t call, ntap_error *err) {
    const ntap_tensor *inputs[] = {x};
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_tensor *grad = NULL;
    options.call = call; /* 1 the first, 2 the second, ...; 0, the default, or -1 the last */
    const ntap_status status =
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, &options, &grad, err);
    if (status == NTAP_OK)
        printf("call %d: %.4f, ...\n", (int)call,
               (double)((const float *)ntap_tensor_data(grad))[0]);
    ntap_tensor_free(grad);
    return status;
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    ntap_tensor *x = NULL;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    if (argc != 3)
        return 2;
    int failed = ntap_module_load(argv[1], NULL, &module, &err) != NTAP_OK ||
                 ntap_tensor_read_npy(argv[2], &x, &err) != NTAP_OK ||
                 ntap_neuron_gradient_new(module, "fc1", NULL, &gradient, &err) != NTAP_OK ||
                 ntap_selector_new_index(0, &selector, &err) != NTAP_OK;
    for (int64_t call = 1; call <= 3 && !failed; ++call)
        failed = attribute_call(gradient, x, selector, call, &err) != NTAP_OK;
    if (failed)
        fprintf(stderr, "%s\n", err.message);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_tensor_free(x);
    ntap_module_free(module);
    return failed;
}
