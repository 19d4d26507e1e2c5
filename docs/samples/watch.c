/* Hooks that watch, change and stop a model, and activations without hooks.
 *
 *   watch fashion_cnn_scripted.pt ankle-boot.pgm
 */
#include <neurotap/neurotap.h>

#include <stdio.h>

#include "picture.h"

/* Watches: nothing is changed as long as *replacement stays NULL. */
static ntap_status print_call(const ntap_hook_call *call, void *context, ntap_value **replacement,
                              ntap_error *err) {
    char output[80];
    (void)context;
    (void)replacement;
    (void)err;
    ntap_value_describe(call->output, output, sizeof output);
    printf("%s, call %d: %s\n", call->layer, (int)call->call, output);
    return NTAP_OK;
}

/* Changes: a pre-hook that halves the layer's first argument. */
static ntap_status halve(const ntap_hook_call *call, void *context, ntap_value **replacement,
                         ntap_error *err) {
    const ntap_tensor *x = ntap_value_get_tensor(ntap_value_item(call->inputs, 0));
    ntap_tensor *half = NULL;
    (void)context;
    ntap_status status = ntap_tensor_scale(x, 0.5, &half, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(half, replacement, err);
    ntap_tensor_free(half);
    return status;
}

/* Stops: keeps what it came for, and lets the rest of the model be. */
static ntap_status keep_and_stop(const ntap_hook_call *call, void *context,
                                 ntap_value **replacement, ntap_error *err) {
    (void)replacement;
    const ntap_status status = ntap_value_clone(call->output, (ntap_value **)context, err);
    return status != NTAP_OK ? status : ntap_error_set(err, NTAP_ERROR_STOPPED, "seen enough");
}

static void print_value(const char *label, const ntap_value *value) {
    char text[80];
    ntap_value_describe(value, text, sizeof text);
    printf("%s: %s\n", label, text);
}

static ntap_status run_hooked(const ntap_module *module, const ntap_value *const *args,
                              ntap_error *err) {
    ntap_hook *watching = NULL;
    ntap_hook *halving = NULL;
    ntap_value *result = NULL;
    ntap_status status =
        ntap_module_add_forward_hook(module, "block1.conv", print_call, NULL, NULL, &watching, err);
    if (status == NTAP_OK)
        status = ntap_module_add_forward_pre_hook(module, "classifier", halve, NULL, NULL, &halving,
                                                  err);
    if (status == NTAP_OK)
        status = ntap_module_forward(module, args, 1, &result, err);
    if (status == NTAP_OK)
        print_value("result", result);
    ntap_value_free(result);
    ntap_hook_remove(halving);
    ntap_hook_remove(watching);
    return status;
}

static ntap_status run_stopped(const ntap_module *module, const ntap_value *const *args,
                               ntap_error *err) {
    ntap_hook *hook = NULL;
    ntap_value *kept = NULL;
    ntap_value *result = NULL;
    ntap_status status =
        ntap_module_add_forward_hook(module, "block2", keep_and_stop, &kept, NULL, &hook, err);
    if (status == NTAP_OK)
        status = ntap_module_forward(module, args, 1, &result, err);
    if (status == NTAP_ERROR_STOPPED) {
        print_value("kept", kept);
        status = NTAP_OK;
    }
    ntap_value_free(result);
    ntap_value_free(kept);
    ntap_hook_remove(hook);
    return status;
}

/* Activations need no hook. Each captured value is a list, with one item for each call. */
static ntap_status capture(const ntap_module *module, const ntap_value *const *args,
                           ntap_error *err) {
    const char *const layers[] = {"block1", "block3"};
    ntap_value *captured[2] = {NULL};
    const ntap_status status =
        ntap_module_capture(module, layers, 2, NTAP_LAYER_OUTPUT, args, 1, captured, err);
    for (int i = 0; i < 2; ++i) {
        if (status == NTAP_OK)
            print_value(layers[i], ntap_value_item(captured[i], 0));
        ntap_value_free(captured[i]);
    }
    return status;
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    ntap_tensor *picture = NULL;
    ntap_value *x = NULL;
    if (argc != 3)
        return 2;
    ntap_status status = ntap_module_load(argv[1], NULL, &module, &err);
    if (status == NTAP_OK)
        status = read_picture(argv[2], &picture, &err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(picture, &x, &err);
    const ntap_value *args[] = {x};
    if (status == NTAP_OK)
        status = run_hooked(module, args, &err);
    if (status == NTAP_OK)
        status = run_stopped(module, args, &err);
    if (status == NTAP_OK)
        status = capture(module, args, &err);
    if (status != NTAP_OK)
        fprintf(stderr, "%s\n", err.message);
    ntap_value_free(x);
    ntap_tensor_free(picture);
    ntap_module_free(module);
    return status != NTAP_OK;
}
