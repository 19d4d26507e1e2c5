#include "commands.h"

#include <stdlib.h>

#include "attribution.h"
#include "bench_report.h"
#include "clock.h"
#include "command_line.h"
#include "help.h"
#include "interrupt.h"
#include "progress.h"

/** How often to run if that is not given: for about so long, within these bounds. */
#define SECONDS 2.0
#define MIN_REPEAT 5
#define MAX_REPEAT 1000

#define MOST_REPEAT 1000000 /* that can be asked for */
#define LONG_RUN 1.0        /* seconds; one such run warms up enough */

static const struct option option_table[] = {
    ATTRIBUTION_OPTION_ROWS,
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {NULL, 0, NULL, 0},
};

struct bench_options {
    struct attribution_options attribution;
    int64_t repeat; /**< 0: as often as there is time */
};

static int apply(int code, const char *value, void *bench_options) {
    struct bench_options *options = bench_options;
    if (code != OPTION_REPEAT) {
        return attribution_options_apply(&options->attribution, code, value);
    }
    if (!parse_integer(value, &options->repeat) || options->repeat < 1 ||
        options->repeat > MOST_REPEAT) {
        return report_usage("--repeat '%s' is not a number from 1 to %d", value, MOST_REPEAT);
    }
    return EXIT_CODE_OK;
}

/** Devices work on after a call; they are done when an element has arrived here. */
static ntap_status wait_for(const ntap_tensor *tensor, ntap_error *err) {
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_tensor *element = NULL, *arrived = NULL;
    if (ntap_tensor_device(tensor).type == NTAP_DEVICE_CPU || ntap_tensor_numel(tensor) == 0) {
        return NTAP_OK;
    }
    ntap_status status = ntap_tensor_select(tensor, 0, 0, &element, err);
    while (status == NTAP_OK && ntap_tensor_ndim(element) > 0) {
        ntap_tensor *part = NULL;
        status = ntap_tensor_select(element, 0, 0, &part, err);
        ntap_tensor_free(element);
        element = part;
    }
    if (status == NTAP_OK) {
        status = ntap_tensor_to(element, &cpu, ntap_tensor_dtype(element), &arrived, err);
    }
    ntap_tensor_free(arrived);
    ntap_tensor_free(element);
    return status;
}

static int stop_if_interrupted(int64_t done, int64_t total, void *context) {
    (void)done, (void)total, (void)context;
    return interrupt_happened();
}

/** One run, from the inputs to gradients that are there. */
static ntap_status time_run(const struct attribution *attribution, double *seconds,
                            ntap_attribute_report *means, ntap_error *err) {
    size_t count = attribution->inputs->count;
    ntap_tensor **gradients = calloc(count, sizeof(ntap_tensor *));
    if (gradients == NULL) {
        return report_no_memory(err);
    }
    double start = clock_seconds();
    ntap_status status =
        attribution_run(attribution, stop_if_interrupted, NULL, means, gradients, err);
    if (status == NTAP_OK) {
        status = wait_for(gradients[0], err);
    }
    *seconds = clock_seconds() - start;
    for (size_t i = 0; i < count; ++i) {
        ntap_tensor_free(gradients[i]);
    }
    free(gradients);
    return interrupt_check(status, err);
}

/** The first run is not like the others: memory and code are not there yet. */
static ntap_status warm_up(const struct attribution *attribution, double *seconds,
                           ntap_error *err) {
    ntap_status status = time_run(attribution, seconds, NULL, err);
    if (status == NTAP_OK && *seconds < LONG_RUN) {
        status = time_run(attribution, seconds, NULL, err);
    }
    return status;
}

static size_t choose_repeat(int64_t asked, double seconds) {
    if (asked > 0) {
        return (size_t)asked;
    }
    double fitting = seconds > 0 ? SECONDS / seconds : MAX_REPEAT;
    return fitting < MIN_REPEAT ? MIN_REPEAT : fitting > MAX_REPEAT ? MAX_REPEAT : (size_t)fitting;
}

static int compare(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static void summarise_times(double *seconds, struct bench_result *result) {
    size_t n = result->repeat;
    qsort(seconds, n, sizeof *seconds, compare);
    result->min_ms = 1e3 * seconds[0];
    result->median_ms = 1e3 * (seconds[(n - 1) / 2] + seconds[n / 2]) / 2;
    result->max_ms = 1e3 * seconds[n - 1];
}

static ntap_status time_runs(const struct attribution *attribution, struct bench_result *result,
                             ntap_error *err) {
    struct progress progress;
    size_t n = result->repeat;
    double *seconds = calloc(n, sizeof *seconds);
    if (seconds == NULL) {
        return report_no_memory(err);
    }
    ntap_status status = NTAP_OK;
    progress_start(&progress, "runs");
    for (size_t i = 0; i < n && status == NTAP_OK; ++i) {
        status = time_run(attribution, &seconds[i], &result->means, err);
        progress_update((int64_t)i + 1, (int64_t)n, &progress);
    }
    progress_stop(&progress);
    if (status == NTAP_OK) {
        summarise_times(seconds, result);
    }
    free(seconds);
    return status;
}

static ntap_status measure(const struct attribution *attribution, int64_t repeat,
                           struct bench_result *result, ntap_error *err) {
    double seconds;
    interrupt_catch();
    ntap_status status = warm_up(attribution, &seconds, err);
    if (status == NTAP_OK) {
        result->repeat = choose_repeat(repeat, seconds);
        status = time_runs(attribution, result, err);
    }
    interrupt_release();
    return status;
}

static ntap_status bench(const struct bench_options *options, const struct inputs *inputs,
                         ntap_error *err) {
    struct attribution attribution;
    struct bench_result result = {.means = NTAP_ATTRIBUTE_REPORT_INIT};
    double start = clock_seconds();
    ntap_status status = attribution_prepare(&options->attribution, inputs, &attribution, err);
    if (status != NTAP_OK) {
        return status;
    }
    result.prepare_ms = 1e3 * (clock_seconds() - start);
    status = measure(&attribution, options->repeat, &result, err);
    attribution_free(&attribution);
    return status == NTAP_OK ? bench_report_print(&options->attribution, &result, err) : status;
}

static int run(const struct bench_options *options) {
    ntap_error err;
    struct inputs inputs;
    int code = attribution_options_check(&options->attribution);
    if (code == EXIT_CODE_OK) {
        code = attribution_read_inputs(&options->attribution, &inputs);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    ntap_status status = bench(options, &inputs, &err);
    inputs_free(&inputs);
    return status == NTAP_OK ? report_flush_output() : report_failure(&err);
}

int command_bench(int argc, char **argv) {
    static const struct command command = {"bench", help_bench, option_table, apply};
    struct bench_options options = {.repeat = 0};
    bool done = true;
    int code = attribution_options_init(&options.attribution, argc);
    if (code == EXIT_CODE_OK) {
        code = command_line_read(&command, argc, argv, &options, &done);
    }
    if (!done) {
        code = run(&options);
    }
    attribution_options_free(&options.attribution);
    return code;
}
