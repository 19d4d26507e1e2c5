/* What the fast paths compute and keep. */
#include "support.h"

static const ntap_device CPU = {NTAP_DEVICE_CPU, 0};

typedef struct layer {
    ntap_module *module;
    ntap_neuron_gradient *gradient;
} layer;

static layer open_layer(const char *model, const char *path) {
    layer l = {load_fixture(model), NULL};
    assert_ok(ntap_neuron_gradient_new(l.module, path, NULL, &l.gradient, &test_err));
    return l;
}

static void close_layer(layer *l) {
    ntap_neuron_gradient_free(l->gradient);
    ntap_module_free(l->module);
}

static ntap_attribute_report attribute(const layer *l, const ntap_tensor *input,
                                       const char *neuron) {
    const ntap_tensor *const inputs[] = {input};
    ntap_selector *selector = NULL;
    ntap_tensor *grad = NULL;
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.report = &report;
    assert_ok(ntap_selector_parse(neuron, &selector, &test_err));
    assert_ok(ntap_neuron_gradient_attribute(l->gradient, inputs, 1, selector, &options, &grad,
                                             &test_err));
    assert_true(report.fast_path);
    ntap_selector_free(selector);
    ntap_tensor_free(grad);
    return report;
}

/* ---- how much is computed ---- */

static double computed_for(const char *neuron) {
    layer l = open_layer("fast_paths/strides.scripted.pt", "rest");
    ntap_tensor *input = read_fixture("fast_paths/strides.x0.npy");
    const ntap_attribute_report report = attribute(&l, input, neuron);
    ntap_tensor_free(input);
    close_layer(&l);
    return report.computed;
}

/* A position of 7 x 6 costs a 42nd (the layer's own positions are all there is to compute). */
static void a_window_costs_its_share(void **state) {
    (void)state;
    const double one = computed_for("1,3,3");
    const double row = computed_for("1,3,:");
    const double channel = computed_for("1,:,:");
    assert_true(one > 0.9 / 42 && one < 1.1 / 42);
    assert_true(row > 0.9 / 7 && row < 1.1 / 7);
    assert_true(channel > 0.9 && channel <= 1.0);
}

/* ---- what is kept ---- */

static const size_t WEIGHT_BYTES = 576 << 10; /* of either of the layers of `wide` */

static void attribute_batch(const layer *l, int64_t examples, const char *neuron) {
    const int64_t sizes[] = {examples, 128, 6, 6};
    ntap_tensor *images = NULL;
    assert_ok(ntap_tensor_zeros(4, sizes, NTAP_DTYPE_FLOAT32, CPU, &images, &test_err));
    (void)attribute(l, images, neuron);
    ntap_tensor_free(images);
}

/* Each shape of inputs has a tape. Together they keep one copy of each weight for either direction,
 * so four. libtorch keeps something, too. */
static void tapes_share_copies_of_weights(void **state) {
    (void)state;
    layer l = open_layer("fast_paths/wide.scripted.pt", "last");
    attribute_batch(&l, 1, "5,1,1");
    attribute_batch(&l, 2, "5,1,1");
    const size_t before = allocated_bytes();
    for (int64_t examples = 3; examples <= 16; ++examples)
        attribute_batch(&l, examples, "5,1,1");
    const size_t after = allocated_bytes();
    assert_true(after < before + 14 * WEIGHT_BYTES);
    close_layer(&l);
}

/* Where a neuron sees all of the image. */
static void copies_of_late_weights_are_not_kept(void **state) {
    (void)state;
    layer l = open_layer("fast_paths/wide.scripted.pt", "last");
    const size_t before = allocated_bytes();
    attribute_batch(&l, 1, "5,:,:");
    const size_t after = allocated_bytes();
    assert_true(after < before + 2 * WEIGHT_BYTES);
    close_layer(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_costs_its_share),
        cmocka_unit_test(tapes_share_copies_of_weights),
        cmocka_unit_test(copies_of_late_weights_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
