#include "bench_report.h"

#include <stdio.h>

#include "json_output.h"
#include "text.h"

static void add_times(const struct bench_result *result, json_t *document) {
    json_object_set_new(document, "repeat", json_integer((json_int_t)result->repeat));
    json_object_set_new(document, "prepare_ms", json_real(result->prepare_ms));
    json_object_set_new(document, "median_ms", json_real(result->median_ms));
    json_object_set_new(document, "min_ms", json_real(result->min_ms));
    json_object_set_new(document, "max_ms", json_real(result->max_ms));
}

static void add_means(const ntap_attribute_report *means, json_t *document) {
    json_object_set_new(document, "fast_path", json_boolean(means->fast_path));
    json_object_set_new(document, "computed", json_real(means->computed));
    json_object_set_new(document, "forward_passes", json_integer(means->forward_passes));
    json_object_set_new(document, "backward_passes", json_integer(means->backward_passes));
    json_object_set_new(document, "examples_at_once", json_integer(means->examples_at_once));
    json_object_set_new(document, "neurons_at_once", json_integer(means->neurons_at_once));
}

static ntap_status print_json(const struct attribution_options *options,
                              const struct bench_result *result, ntap_error *err) {
    json_t *document = json_object();
    attribution_options_to_json(options, document);
    json_object_set_new(document, "threads", json_integer(ntap_num_threads()));
    add_times(result, document);
    add_means(&result->means, document);
    return json_output_print(document, err);
}

static void print_neurons(const struct attribution_options *options) {
    if (options->neurons.count == 1) {
        printf("[%s]", options->neurons.items[0]);
    } else {
        printf("%zu neurons", options->neurons.count);
    }
}

static const char *plural(int64_t count) { return count == 1 ? "" : "s"; }

static void print_means(const ntap_attribute_report *means) {
    printf("  by         %s\n", means->fast_path ? "fast path: the operators one by one, backwards"
                                                 : "libtorch's autograd");
    printf("  computed   %.3g%% of the multiplications up to the layer, per neuron\n",
           100 * means->computed);
    printf("  passes     %lld forward, %lld backward\n", (long long)means->forward_passes,
           (long long)means->backward_passes);
    printf("  at once    up to %lld example%s, %lld neuron%s\n", (long long)means->examples_at_once,
           plural(means->examples_at_once), (long long)means->neurons_at_once,
           plural(means->neurons_at_once));
}

static void print_text(const struct attribution_options *options,
                       const struct bench_result *result) {
    int threads = ntap_num_threads();
    printf("%s%s ", attribution_options_layer_name(options),
           options->side == NTAP_LAYER_INPUT ? "'s input" : "");
    print_neurons(options);
    printf(", %d thread%s, %zu run%s\n", threads, plural(threads), result->repeat,
           plural((int64_t)result->repeat));
    printf("  median %10.3f ms\n", result->median_ms);
    printf("  min    %10.3f ms\n", result->min_ms);
    printf("  max    %10.3f ms\n", result->max_ms);
    printf("  prepare%10.3f ms, once: load the model, cut it behind the layer\n",
           result->prepare_ms);
    print_means(&result->means);
}

ntap_status bench_report_print(const struct attribution_options *options,
                               const struct bench_result *result, ntap_error *err) {
    if (options->run.json) {
        return print_json(options, result, err);
    }
    print_text(options, result);
    return NTAP_OK;
}
