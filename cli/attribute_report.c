#include "attribute_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "host_values.h"
#include "json_output.h"
#include "text.h"

static json_t *sizes_to_json(const ntap_tensor *tensor) {
    json_t *sizes = json_array();
    for (size_t i = 0; i < ntap_tensor_ndim(tensor); ++i) {
        json_array_append_new(sizes, json_integer(ntap_tensor_size(tensor, i)));
    }
    return sizes;
}

/** JSON has no NaN and no infinities. */
static json_t *number_to_json(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *sum_to_json(const struct summary *summary) {
    if (!summary->is_complex) {
        return number_to_json(summary->sum);
    }
    json_t *parts = json_array();
    json_array_append_new(parts, number_to_json(summary->sum));
    json_array_append_new(parts, number_to_json(summary->sum_imaginary));
    return parts;
}

static json_t *tensor_to_json(const ntap_tensor *tensor) {
    json_t *object = json_object();
    json_object_set_new(object, "shape", sizes_to_json(tensor));
    json_object_set_new(object, "dtype", json_string(ntap_dtype_name(ntap_tensor_dtype(tensor))));
    return object;
}

static json_t *input_to_json(const struct input *input) {
    json_t *object = json_object();
    json_object_set_new(object, "file", text_to_json(input->name));
    json_t *tensor = tensor_to_json(input->tensor);
    json_object_update(object, tensor);
    json_decref(tensor);
    return object;
}

static json_t *gradient_to_json(const char *file, const ntap_tensor *gradient,
                                const struct summary *summary) {
    json_t *object = json_object();
    json_object_set_new(object, "output", file != NULL ? text_to_json(file) : json_null());
    json_t *tensor = tensor_to_json(gradient);
    json_object_update(object, tensor);
    json_decref(tensor);
    bool ordered = summary->has_extremes;
    json_object_set_new(object, "min", ordered ? number_to_json(summary->min) : json_null());
    json_object_set_new(object, "max", ordered ? number_to_json(summary->max) : json_null());
    json_object_set_new(object, "sum", sum_to_json(summary));
    return object;
}

static const char *output_name(const struct attribute_options *options, size_t i) {
    return i < options->outputs.count ? options->outputs.items[i] : NULL;
}

static ntap_status print_json(const struct attribute_options *options, const struct inputs *inputs,
                              ntap_tensor *const *gradients, const struct summary *summaries,
                              ntap_error *err) {
    json_t *document = json_object(), *files = json_array(), *results = json_array();
    for (size_t i = 0; i < inputs->count; ++i) {
        json_array_append_new(files, input_to_json(&inputs->items[i]));
        json_array_append_new(
            results, gradient_to_json(output_name(options, i), gradients[i], &summaries[i]));
    }
    attribution_options_to_json(&options->attribution, document);
    json_object_set_new(document, "inputs", files);
    json_object_set_new(document, "attributions", results);
    json_object_set_new(document, "heatmap",
                        options->heatmap != NULL ? text_to_json(options->heatmap) : json_null());
    return json_output_print(document, err);
}

static void print_shape(FILE *stream, const ntap_tensor *tensor) {
    fprintf(stream, "%s[", ntap_dtype_name(ntap_tensor_dtype(tensor)));
    for (size_t i = 0; i < ntap_tensor_ndim(tensor); ++i) {
        fprintf(stream, "%s%lld", i > 0 ? ", " : "", (long long)ntap_tensor_size(tensor, i));
    }
    fputs("]", stream);
}

static void print_summary(FILE *stream, const struct summary *summary) {
    if (summary->has_extremes) {
        fprintf(stream, "  min %.6g  max %.6g", summary->min, summary->max);
    }
    fprintf(stream, "  sum %.6g", summary->sum);
    if (summary->is_complex) {
        fprintf(stream, "%+.6gi", summary->sum_imaginary);
    }
}

static void print_file(FILE *stream, const char *file) {
    if (file != NULL) {
        fputs(" -> ", stream);
        text_print(stream, strcmp(file, "-") == 0 ? "standard output" : file);
    }
}

static void print_neurons(FILE *stream, const struct attribution_options *options) {
    const char *layer = attribution_options_layer_name(options);
    const char *side = options->side == NTAP_LAYER_INPUT ? "'s input" : "";
    if (attribution_options_is_one_neuron(options)) {
        fprintf(stream, "gradient of %s%s [%s]", layer, side, options->neurons.items[0]);
    } else if (options->all_neurons) {
        fprintf(stream, "gradients of all neurons of %s%s", layer, side);
    } else {
        fprintf(stream, "gradients of %zu neurons of %s%s", options->neurons.count, layer, side);
    }
    fputs(" with respect to\n", stream);
}

/** On standard error if standard output is taken. */
static void print_text(const struct attribute_options *options, const struct inputs *inputs,
                       ntap_tensor *const *gradients, const struct summary *summaries) {
    FILE *stream = attribute_options_use_stdout(options) ? stderr : stdout;
    print_neurons(stream, &options->attribution);
    for (size_t i = 0; i < inputs->count; ++i) {
        const char *name = inputs->items[i].name;
        fputs("  ", stream);
        text_print(stream, strcmp(name, "-") == 0 ? "standard input" : name);
        fputs("  ", stream);
        print_shape(stream, gradients[i]);
        print_summary(stream, &summaries[i]);
        print_file(stream, output_name(options, i));
        fputs("\n", stream);
    }
    if (options->heatmap != NULL) {
        fputs("heatmap", stream);
        print_file(stream, options->heatmap);
        fputs("\n", stream);
    }
}

ntap_status attribute_report_print(const struct attribute_options *options,
                                   const struct inputs *inputs, ntap_tensor *const *gradients,
                                   ntap_error *err) {
    struct summary *summaries = calloc(inputs->count, sizeof *summaries);
    ntap_status status = summaries != NULL ? NTAP_OK : report_no_memory(err);
    for (size_t i = 0; i < inputs->count && status == NTAP_OK; ++i) {
        status = summarise(gradients[i], &summaries[i], err);
    }
    if (status == NTAP_OK && options->attribution.run.json) {
        status = print_json(options, inputs, gradients, summaries, err);
    } else if (status == NTAP_OK) {
        print_text(options, inputs, gradients, summaries);
    }
    free(summaries);
    return status;
}
