#include "inputs.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "tensor_file.h"

static ntap_status decode_image(const char *path, enum file_kind kind, struct image *image,
                                ntap_error *err) {
    struct bytes bytes = {NULL, 0};
    ntap_status status = bytes_read(path, &bytes, err);
    if (status != NTAP_OK) {
        return status;
    }
    status = kind == FILE_KIND_PNG ? image_decode_png(bytes.data, bytes.size, image, err)
                                   : image_decode_jpeg(bytes.data, bytes.size, image, err);
    free(bytes.data);
    return status;
}

static ntap_status read_image(enum file_kind kind, const struct image_options *options,
                              ntap_device device, struct input *input, ntap_error *err) {
    struct image image = {0};
    ntap_status status = decode_image(input->name, kind, &image, err);
    if (status == NTAP_OK) {
        status = picture_from_image(&image, &input->picture, err);
    }
    image_free(&image);
    if (status == NTAP_OK) {
        status = picture_resize(&input->picture, options, err);
    }
    if (status == NTAP_OK) {
        status = picture_to_tensor(&input->picture, options, device, &input->tensor, err);
    }
    return status;
}

/** Names the input that an image's error is about. */
static ntap_status add_name(const char *name, ntap_error *err) {
    ntap_error unnamed = *err;
    return ntap_error_set(err, unnamed.code, "'%s': %s", name, unnamed.message);
}

static ntap_status read_input(const struct image_options *options, ntap_device device,
                              struct input *input, ntap_error *err) {
    enum file_kind kind;
    ntap_status status = file_kind_detect(input->name, &kind, err);
    if (status != NTAP_OK) {
        return status;
    }
    if (kind == FILE_KIND_PNG || kind == FILE_KIND_JPEG) {
        status = read_image(kind, options, device, input, err);
        return status == NTAP_OK ? NTAP_OK : add_name(input->name, err);
    }
    if (kind == FILE_KIND_UNKNOWN) {
        return ntap_error_set(err, NTAP_ERROR_FILE,
                              "'%s' is neither a .npy nor a .pt file, nor a PNG or JPEG image",
                              input->name);
    }
    return tensor_file_read(input->name, device, &input->tensor, err);
}

static ntap_status read_inputs(const struct run_options *options, ntap_device device,
                               struct inputs *inputs, ntap_error *err) {
    bool any_image = false;
    for (size_t i = 0; i < options->inputs.count; ++i) {
        struct input *input = &inputs->items[inputs->count++];
        input->name = options->inputs.items[i];
        ntap_status status = read_input(&options->image, device, input, err);
        if (status != NTAP_OK) {
            return status;
        }
        any_image = any_image || input->picture.planes != NULL;
    }
    if (image_options_are_set(&options->image) && !any_image) {
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "--mean, --std and --size are for images, and no --input is one");
    }
    return NTAP_OK;
}

static int read_argument(size_t number, const char *text, ntap_device device,
                         struct inputs *inputs) {
    ntap_error err;
    ntap_status status = argument_parse(text, device, &inputs->argument_files,
                                        &inputs->arguments[inputs->n_arguments], &err);
    if (status == NTAP_ERROR_INVALID_ARGUMENT) {
        const char *dots = strlen(text) > 80 ? "..." : "";
        return report_usage("--arg %zu (%.80s%s), %s", number, text, dots, err.message);
    }
    inputs->n_arguments += status == NTAP_OK;
    return status == NTAP_OK ? EXIT_CODE_OK : report_failure(&err);
}

static int allocate(const struct run_options *options, struct inputs *inputs) {
    ntap_error err;
    inputs->items = calloc(options->inputs.count + 1, sizeof *inputs->items);
    inputs->arguments = calloc(options->arguments.count + 1, sizeof *inputs->arguments);
    if (inputs->items == NULL || inputs->arguments == NULL) {
        report_no_memory(&err);
        return report_failure(&err);
    }
    return EXIT_CODE_OK;
}

int inputs_load(const struct run_options *options, ntap_device device, struct inputs *inputs) {
    ntap_error err;
    memset(inputs, 0, sizeof *inputs);
    int code = allocate(options, inputs);
    for (size_t i = 0; i < options->arguments.count && code == EXIT_CODE_OK; ++i) {
        code = read_argument(i + 1, options->arguments.items[i], device, inputs);
    }
    if (code == EXIT_CODE_OK && read_inputs(options, device, inputs, &err) != NTAP_OK) {
        code = report_failure(&err);
    }
    if (code != EXIT_CODE_OK) {
        inputs_free(inputs);
    }
    return code;
}

void inputs_free(struct inputs *inputs) {
    for (size_t i = 0; i < inputs->count; ++i) {
        ntap_tensor_free(inputs->items[i].tensor);
        picture_free(&inputs->items[i].picture);
    }
    for (size_t i = 0; i < inputs->n_arguments; ++i) {
        ntap_value_free(inputs->arguments[i]);
    }
    free(inputs->items);
    free(inputs->arguments);
    argument_files_free(&inputs->argument_files);
    memset(inputs, 0, sizeof *inputs);
}

ntap_status model_load(const struct run_options *options, ntap_device device, ntap_module **module,
                       ntap_error *err) {
    ntap_load_options how = NTAP_LOAD_OPTIONS_INIT;
    how.device = device;
    how.method = options->method;
    if (strcmp(options->model, "-") != 0) {
        return ntap_module_load(options->model, &how, module, err);
    }
    struct bytes bytes = {NULL, 0};
    ntap_status status = bytes_read(options->model, &bytes, err);
    if (status == NTAP_OK) {
        status = ntap_module_load_memory(bytes.data, bytes.size, &how, module, err);
        if (status != NTAP_OK) {
            ntap_error unnamed = *err;
            (void)ntap_error_set(err, status, "standard input: %s", unnamed.message);
        }
    }
    free(bytes.data);
    return status;
}
