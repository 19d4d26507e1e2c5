#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

ntap_status text_list_init(struct text_list *list, int room, ntap_error *err) {
    list->count = 0;
    list->items = calloc((size_t)room, sizeof *list->items);
    return list->items != NULL ? NTAP_OK : report_no_memory(err);
}

ntap_status run_options_init(struct run_options *options, int argc, ntap_error *err) {
    memset(options, 0, sizeof *options);
    ntap_status status = text_list_init(&options->inputs, argc, err);
    return status == NTAP_OK ? text_list_init(&options->arguments, argc, err) : status;
}

void run_options_free(struct run_options *options) {
    free(options->inputs.items);
    free(options->arguments.items);
}

bool parse_integer(const char *text, int64_t *number) {
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    bool valid = end != text && *end == '\0' && errno == 0 && !isspace((unsigned char)*text);
    if (valid) {
        *number = parsed;
    }
    return valid;
}

bool parse_bytes(const char *text, uint64_t *bytes) {
    static const char suffixes[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    const char *suffix = *end != '\0' ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
    unsigned shift = suffix != NULL ? 10U * (unsigned)(suffix - suffixes + 1) : 0;
    bool valid = isdigit((unsigned char)*text) && errno == 0 && number > 0 &&
                 end[suffix != NULL] == '\0' && number <= UINT64_MAX >> shift;
    if (valid) {
        *bytes = (uint64_t)number << shift;
    }
    return valid;
}

bool parse_decimal(const char *text, const char *stop, double *number) {
    char *end;
    size_t length = strspn(text, "+-.0123456789eE"); /* not strtod's hexadecimals, inf and nan */
    double parsed = strtod(text, &end);
    bool valid = end != text && end == stop && length >= (size_t)(stop - text) && isfinite(parsed);
    if (valid) {
        *number = parsed;
    }
    return valid;
}

static bool parse_channel_numbers(const char *text, struct channel_numbers *numbers) {
    numbers->count = 0;
    for (;;) {
        const char *stop = text + strcspn(text, ",");
        if (numbers->count == IMAGE_MAX_CHANNELS ||
            !parse_decimal(text, stop, &numbers->items[numbers->count])) {
            return false;
        }
        ++numbers->count;
        if (*stop == '\0') {
            return true;
        }
        text = stop + 1;
    }
}

static int apply_channel_numbers(const char *name, const char *text, bool may_be_zero,
                                 struct channel_numbers *numbers) {
    if (!parse_channel_numbers(text, numbers)) {
        return report_usage("%s '%s' is not a number, or one for each of up to %d channels", name,
                            text, IMAGE_MAX_CHANNELS);
    }
    for (size_t i = 0; i < numbers->count && !may_be_zero; ++i) {
        if (!(numbers->items[i] > 0)) {
            return report_usage("%s '%s' must be greater than 0", name, text);
        }
    }
    return EXIT_CODE_OK;
}

static bool parse_edge(const char *text, size_t length, int64_t *edge) {
    char digits[8];
    if (length == 0 || length >= sizeof digits || !isdigit((unsigned char)*text)) {
        return false;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    return parse_integer(digits, edge) && *edge >= 1 && *edge <= 65535;
}

static int apply_size(const char *text, struct image_options *image) {
    size_t length = strcspn(text, ",");
    image->shorter_edge = image->height = image->width = 0;
    if (text[length] == '\0' && parse_edge(text, length, &image->shorter_edge)) {
        return EXIT_CODE_OK;
    }
    const char *width = text + length + 1;
    if (text[length] == ',' && parse_edge(text, length, &image->height) &&
        parse_edge(width, strlen(width), &image->width)) {
        return EXIT_CODE_OK;
    }
    return report_usage("--size '%s' is neither the shorter edge nor HEIGHT,WIDTH in pixels", text);
}

int options_set_once(const char *name, const char *text, const char **place) {
    if (*place != NULL) {
        return report_usage("%s is given twice", name);
    }
    *place = text;
    return EXIT_CODE_OK;
}

static int apply_positional(struct run_options *options, const char *text) {
    if (options->model != NULL) {
        return report_usage("unexpected argument '%s'", text);
    }
    options->model = text;
    return EXIT_CODE_OK;
}

int run_options_apply(struct run_options *options, int code, const char *value) {
    switch (code) {
    case OPTION_POSITIONAL:
        return apply_positional(options, value);
    case OPTION_JSON:
        options->json = true;
        return EXIT_CODE_OK;
    case OPTION_INPUT:
        options->inputs.items[options->inputs.count++] = value;
        return EXIT_CODE_OK;
    case OPTION_ARG:
        options->arguments.items[options->arguments.count++] = value;
        return EXIT_CODE_OK;
    case OPTION_MEAN:
        return apply_channel_numbers("--mean", value, true, &options->image.mean);
    case OPTION_STD:
        return apply_channel_numbers("--std", value, false, &options->image.std);
    case OPTION_SIZE:
        return apply_size(value, &options->image);
    case OPTION_METHOD:
        return options_set_once("--method", value, &options->method);
    default: /* OPTION_MISTAKE */
        return EXIT_CODE_USAGE;
    }
}

int run_options_check(const struct run_options *options) {
    if (options->model == NULL) {
        return report_usage("MODEL is missing");
    }
    size_t readers = strcmp(options->model, "-") == 0;
    for (size_t i = 0; i < options->inputs.count; ++i) {
        readers += strcmp(options->inputs.items[i], "-") == 0;
    }
    if (readers > 1) {
        return report_usage("only one of MODEL and --input can be '-', standard input");
    }
    return EXIT_CODE_OK;
}

bool image_options_are_set(const struct image_options *options) {
    return options->mean.count > 0 || options->std.count > 0 || options->shorter_edge > 0 ||
           options->height > 0;
}
