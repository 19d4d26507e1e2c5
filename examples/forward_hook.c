/* What is a channel good for? Runs a model as it is, and again with one channel of a layer switched
 * off by a forward hook, and prints what that does to the result.
 *
 *   forward_hook MODEL LAYER CHANNEL INPUT.npy
 *   forward_hook fashion_cnn_scripted.pt block2.conv 3 image.npy
 *
 * Build: cc forward_hook.c -lneurotap
 */
#include <neurotap/neurotap.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The hook: a copy of the layer's output whose channel is zero takes the output's place. */
static ntap_status switch_off(const ntap_hook_call *call, void *context, ntap_value **replacement,
                              ntap_error *err) {
    const int64_t channel = *(const int64_t *)context;
    ntap_tensor *copy = NULL;
    ntap_tensor *slice = NULL;
    ntap_value *view = NULL;
    ntap_value *zeroed = NULL;
    ntap_status status = ntap_tensor_clone(ntap_value_get_tensor(call->output), &copy, err);
    if (status == NTAP_OK)
        status = ntap_tensor_slice(copy, 1, channel, channel + 1, 1, &slice, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(slice, &view, err);
    const ntap_value *args[] = {view};
    if (status == NTAP_OK)
        status = ntap_call_op("aten::zero_", args, 1, &zeroed, 1, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(copy, replacement, err);
    ntap_value_free(zeroed);
    ntap_value_free(view);
    ntap_tensor_free(slice);
    ntap_tensor_free(copy);
    return status;
}

static void print_scores(const char *label, const ntap_value *result) {
    const ntap_tensor *scores = ntap_value_get_tensor(result);
    const float *values = (const float *)ntap_tensor_data(scores);
    printf("%s", label);
    if (ntap_tensor_dtype(scores) == NTAP_DTYPE_FLOAT32 && ntap_tensor_is_contiguous(scores))
        for (int64_t i = 0; i < ntap_tensor_numel(scores) && i < 10; ++i)
            printf(" %8.4f", (double)values[i]);
    printf("\n");
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    ntap_tensor *input = NULL;
    ntap_value *arg = NULL;
    ntap_value *before = NULL;
    ntap_value *after = NULL;
    ntap_hook *hook = NULL;
    int result = EXIT_FAILURE;

    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL LAYER CHANNEL INPUT.npy\n", argv[0]);
        return 2;
    }
    int64_t channel = strtoll(argv[3], NULL, 10);
    if (ntap_module_load(argv[1], NULL, &module, &err) != NTAP_OK ||
        ntap_tensor_read_npy(argv[4], &input, &err) != NTAP_OK ||
        ntap_value_new_tensor(input, &arg, &err) != NTAP_OK)
        goto done;

    const ntap_value *args[] = {arg};
    if (ntap_module_forward(module, args, 1, &before, &err) != NTAP_OK ||
        ntap_module_add_forward_hook(module, argv[2], switch_off, &channel, NULL, &hook, &err) !=
            NTAP_OK ||
        ntap_module_forward(module, args, 1, &after, &err) != NTAP_OK)
        goto done;
    print_scores("as it is:  ", before);
    print_scores("without it:", after);
    result = EXIT_SUCCESS;

done:
    if (result != EXIT_SUCCESS)
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    ntap_hook_remove(hook);
    ntap_value_free(after);
    ntap_value_free(before);
    ntap_value_free(arg);
    ntap_tensor_free(input);
    ntap_module_free(module);
    return result;
}
