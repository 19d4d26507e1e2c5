/* A model without a file: written in C over ATen's operators, it reports its layers by name, and so
 * has neuron gradients, captures and hooks like any loaded one.
 *
 * A damped oscillator x'' = -k x - c x' is integrated for some steps; layer "step" is the state
 * behind each of them. Which initial position and velocity move the final position, and how much?
 *
 * Build: cc callback_module.c -lneurotap
 */
#include <neurotap/neurotap.h>

#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 100 };

/* The forward function: a state [N, 2] of positions and velocities, step by step. */
static ntap_status integrate(ntap_view *view, const ntap_value *const *args, size_t n_args,
                             void *context, ntap_value **result, ntap_error *err) {
    const ntap_value *propagator = (const ntap_value *)context;
    ntap_value *state = NULL;
    if (n_args != 1)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "expected one state, got %zu",
                              n_args);
    ntap_status status = ntap_value_clone(args[0], &state, err);
    for (int i = 0; i < STEPS && status == NTAP_OK; ++i) {
        const ntap_value *linear[] = {state, propagator};
        ntap_value *next = NULL;
        ntap_value *tapped = NULL;
        status = ntap_call_op("aten::linear", linear, 2, &next, 1, err);
        if (status == NTAP_OK)
            status = ntap_tap(view, "step", NTAP_LAYER_OUTPUT, next, &tapped, err);
        ntap_value_free(next);
        if (status == NTAP_OK) {
            ntap_value_free(state);
            state = tapped;
        }
    }
    if (status == NTAP_OK)
        *result = state;
    else
        ntap_value_free(state);
    return status;
}

static ntap_status make_tensor(double *data, int64_t rows, ntap_tensor **tensor, ntap_error *err) {
    const int64_t sizes[] = {rows, 2};
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    return ntap_tensor_from_blob(data, 2, sizes, NULL, NTAP_DTYPE_FLOAT64, cpu, NULL, NULL, tensor,
                                 err);
}

int main(void) {
    const double dt = 0.05;
    const double k = 1.0;
    const double c = 0.1;
    double matrix[] = {1, dt, -k * dt, 1 - c * dt}; /* one step of Euler's method */
    double start[] = {1, 0, 0, 1};                  /* two oscillators */
    const char *const layers[] = {"step"};
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_error err;
    ntap_tensor *steps = NULL;
    ntap_tensor *states = NULL;
    ntap_value *propagator = NULL;
    ntap_module *module = NULL;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *position = NULL;
    ntap_tensor *grad = NULL;
    int result = EXIT_FAILURE;

    options.layers = layers;
    options.n_layers = 1;
    if (make_tensor(matrix, 2, &steps, &err) != NTAP_OK ||
        make_tensor(start, 2, &states, &err) != NTAP_OK ||
        ntap_value_new_tensor(steps, &propagator, &err) != NTAP_OK ||
        ntap_module_new_callback(NULL, integrate, propagator, &options, &module, &err) != NTAP_OK ||
        ntap_neuron_gradient_new(module, "step", NULL, &gradient, &err) != NTAP_OK ||
        ntap_selector_new_index(0, &position, &err) != NTAP_OK)
        goto done;

    const ntap_tensor *inputs[] = {states};
    ntap_attribute_options last = NTAP_ATTRIBUTE_OPTIONS_INIT;
    last.call = STEPS;
    if (ntap_neuron_gradient_attribute(gradient, inputs, 1, position, &last, &grad, &err) !=
        NTAP_OK)
        goto done;
    const double *g = (const double *)ntap_tensor_data(grad);
    printf("final position: %+.6f per initial position, %+.6f per initial velocity\n", g[0], g[1]);
    result = EXIT_SUCCESS;

done:
    if (result != EXIT_SUCCESS)
        fprintf(stderr, "callback_module: %s\n", err.message);
    ntap_tensor_free(grad);
    ntap_selector_free(position);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
    ntap_value_free(propagator);
    ntap_tensor_free(states);
    ntap_tensor_free(steps);
    return result;
}
