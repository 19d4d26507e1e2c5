/* Token numbers have no gradient; what the model makes of them first has one. Which of the embedded
 * tokens drive a neuron?
 *
 *   tokens tokens.scripted.pt tokens.x.npy tokens.tokens.npy
 */
#include <neurotap/neurotap.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* What takes the place of the embedding's output in the run that is going on, if any. Of one thread
 * at a time. */
struct embedded {
    const ntap_value *value;
};

/* The hook on the embedding. */
static ntap_status put_in_place(const ntap_hook_call *call, void *context, ntap_value **replacement,
                                ntap_error *err) {
    const struct embedded *embedded = (const struct embedded *)context;
    (void)call;
    return embedded->value == NULL ? NTAP_OK : ntap_value_clone(embedded->value, replacement, err);
}

/* The forward function: the embedded tokens, then the model's own arguments. */
static ntap_status run_embedded(ntap_view *view, const ntap_value *const *args, size_t n_args,
                                void *context, ntap_value **result, ntap_error *err) {
    struct embedded *embedded = (struct embedded *)context;
    if (n_args < 2)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "too few arguments");
    embedded->value = args[0];
    const ntap_status status = ntap_view_forward(view, args + 1, n_args - 1, result, err);
    embedded->value = NULL;
    return status;
}

/* How strongly the neuron depends on each token: the length of the gradient, [N, T, features]. */
static void print_lengths(const ntap_tensor *grad) {
    const float *g = (const float *)ntap_tensor_data(grad);
    const int64_t features = ntap_tensor_size(grad, 2);
    for (int64_t t = 0; t < ntap_tensor_size(grad, 1); ++t) {
        double squares = 0;
        for (int64_t i = 0; i < features; ++i)
            squares += (double)g[t * features + i] * (double)g[t * features + i];
        printf("token %" PRId64 ": %.4f\n", t, sqrt(squares));
    }
}

/* Neuron 1 of `head`, with respect to what `embedding` gives. */
static ntap_status attribute(const ntap_module *module, const ntap_module *embedding_first,
                             const ntap_value *const *args, size_t n_args, ntap_error *err) {
    const char *const layer[] = {"embedding"};
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_value *captured = NULL;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    ntap_tensor *grad = NULL;
    options.additional_arguments = args;
    options.n_additional_arguments = n_args;
    ntap_status status =
        ntap_module_capture(module, layer, 1, NTAP_LAYER_OUTPUT, args, n_args, &captured, err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_new(embedding_first, "head", NULL, &gradient, err);
    if (status == NTAP_OK)
        status = ntap_selector_new_index(1, &selector, err);
    const ntap_tensor *inputs[] = {ntap_value_get_tensor(ntap_value_item(captured, 0))};
    if (status == NTAP_OK)
        status =
            ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, &options, &grad, err);
    if (status == NTAP_OK)
        print_lengths(grad);
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_value_free(captured);
    return status;
}

int main(int argc, char **argv) {
    struct embedded embedded = {NULL};
    ntap_error err;
    ntap_module *module = NULL;
    ntap_module *embedding_first = NULL;
    ntap_tensor *tensors[2] = {NULL};
    ntap_value *args[2] = {NULL};
    if (argc != 4)
        return 2;
    ntap_status status = ntap_module_load(argv[1], NULL, &module, &err);
    for (int i = 0; i < 2 && status == NTAP_OK; ++i) {
        status = ntap_tensor_read_npy(argv[2 + i], &tensors[i], &err);
        if (status == NTAP_OK)
            status = ntap_value_new_tensor(tensors[i], &args[i], &err);
    }
    if (status == NTAP_OK)
        status =
            ntap_module_new_callback(module, run_embedded, &embedded, NULL, &embedding_first, &err);
    if (status == NTAP_OK) /* without a handle: it stays as long as the module */
        status = ntap_module_add_forward_hook(module, "embedding", put_in_place, &embedded, NULL,
                                              NULL, &err);
    const ntap_value *const lent[] = {args[0], args[1]};
    if (status == NTAP_OK)
        status = attribute(module, embedding_first, lent, 2, &err);
    if (status != NTAP_OK)
        fprintf(stderr, "%s\n", err.message);
    for (int i = 0; i < 2; ++i) {
        ntap_value_free(args[i]);
        ntap_tensor_free(tensors[i]);
    }
    ntap_module_free(embedding_first);
    ntap_module_free(module);
    return status != NTAP_OK;
}
