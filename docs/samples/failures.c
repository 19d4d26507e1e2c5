/* What failures look like, and what is left after one.
 *
 *   failures fashion_cnn_scripted.pt ankle-boot.pgm
 */
#include <neurotap/neurotap.h>

#include <stdio.h>

#include "picture.h"

static void print_failure(const ntap_error *err) {
    printf("%s: %s\n", ntap_status_name(err->code), err->message);
}

/* Tries a layer and a neuron. On failure *grad stays NULL: there is nothing to clean up. */
static ntap_status try_neuron(const ntap_module *module, const ntap_tensor *picture,
                              const char *layer, const char *neuron, ntap_tensor **grad,
                              ntap_error *err) {
    const ntap_tensor *inputs[] = {picture};
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    ntap_status status = ntap_neuron_gradient_new(module, layer, NULL, &gradient, err);
    if (status == NTAP_OK)
        status = ntap_selector_parse(neuron, &selector, err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, grad, err);
    ntap_selector_free(selector); /* NULL is fine */
    ntap_neuron_gradient_free(gradient);
    return status;
}

/* A callback reports failures of its own in the same way. */
static ntap_status refuse(const ntap_hook_call *call, void *context, ntap_value **replacement,
                          ntap_error *err) {
    (void)context;
    (void)replacement;
    return ntap_error_set(err, NTAP_ERROR_UNSUPPORTED, "%s is not for sale", call->layer);
}

/* A hook fails one run; when it is gone, everything is as it was. */
static ntap_status try_refusal(const ntap_module *module, const ntap_tensor *picture,
                               ntap_error *err) {
    ntap_tensor *grad = NULL;
    ntap_hook *hook = NULL;
    ntap_status status =
        ntap_module_add_forward_hook(module, "block2", refuse, NULL, NULL, &hook, err);
    if (status != NTAP_OK)
        return status;
    if (try_neuron(module, picture, "classifier", "9", &grad, err) != NTAP_OK)
        print_failure(err);
    ntap_hook_remove(hook);
    status = try_neuron(module, picture, "classifier", "9", &grad, err);
    ntap_tensor_free(grad);
    return status;
}

int main(int argc, char **argv) {
    const char *const tries[][2] = {
        {"classifer", "9"}, {"classifier", "10"}, {"classifier", "nine"}, {"block1", "9"}};
    ntap_error err;
    ntap_module *module = NULL;
    ntap_tensor *picture = NULL;
    ntap_tensor *grad = NULL;
    if (argc != 3)
        return 2;
    if (ntap_module_load("missing.pt", NULL, &module, &err) != NTAP_OK)
        print_failure(&err);
    ntap_status status = ntap_module_load(argv[1], NULL, &module, &err);
    if (status == NTAP_OK)
        status = read_picture(argv[2], &picture, &err);
    for (size_t i = 0; i < sizeof tries / sizeof tries[0] && status == NTAP_OK; ++i)
        if (try_neuron(module, picture, tries[i][0], tries[i][1], &grad, &err) != NTAP_OK)
            print_failure(&err);
    if (status == NTAP_OK)
        status = try_refusal(module, picture, &err);
    if (status != NTAP_OK)
        fprintf(stderr, "%s\n", err.message);
    ntap_tensor_free(grad);
    ntap_tensor_free(picture);
    ntap_module_free(module);
    return status != NTAP_OK;
}
