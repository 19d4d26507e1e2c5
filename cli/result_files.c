#define _XOPEN_SOURCE 700 /* realpath */

#include "result_files.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *result_file(const struct attribute_options *options, size_t i) {
    if (i < options->outputs.count) {
        return options->outputs.items[i];
    }
    return i == options->outputs.count ? options->heatmap : NULL;
}

/** The folder of a path as the system knows it; false if there is none. */
static bool canonical_folder(const char *path, char *folder) {
    char text[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (length >= sizeof text) {
        return false;
    }
    if (length > 0) {
        memcpy(text, path, length);
        text[length] = '\0';
    }
    return realpath(text, folder) != NULL;
}

/** Whether two paths are one name in one folder, of a file that may not exist yet. */
static bool is_same_name(const char *a, const char *b) {
    char folder_a[PATH_MAX], folder_b[PATH_MAX];
    const char *name_a = strrchr(a, '/') != NULL ? strrchr(a, '/') + 1 : a;
    const char *name_b = strrchr(b, '/') != NULL ? strrchr(b, '/') + 1 : b;
    return strcmp(a, b) == 0 || (strcmp(name_a, name_b) == 0 && canonical_folder(a, folder_a) &&
                                 canonical_folder(b, folder_b) && strcmp(folder_a, folder_b) == 0);
}

static bool look_up(const char *path, struct stat *info) {
    int failed = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, info) : stat(path, info);
    return failed == 0;
}

/** Whether writing @p result replaces what is read from @p source, '-' being standard input. Links
 *  give one file several names; writing to a pipe or a device replaces nothing. */
static bool overwrites(const char *result, const char *source) {
    struct stat a, b;
    if (strcmp(result, "-") == 0) {
        return false;
    }
    if (!look_up(result, &a) || !look_up(source, &b)) {
        return is_same_name(result, source);
    }
    return S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int result_files_check_distinct(const struct attribute_options *options) {
    const char *file;
    for (size_t i = 0; (file = result_file(options, i)) != NULL; ++i) {
        for (size_t j = 0; j < i; ++j) {
            const char *other = result_file(options, j);
            if (is_same_name(file, other) || (strcmp(other, "-") != 0 && overwrites(file, other))) {
                return report_usage("'%s' is to be written twice", file);
            }
        }
    }
    return EXIT_CODE_OK;
}

static int check_source(const struct attribute_options *options, const char *use,
                        const char *source) {
    const char *file;
    for (size_t i = 0; (file = result_file(options, i)) != NULL; ++i) {
        if (overwrites(file, source)) {
            const char *option = i < options->outputs.count ? "--output" : "--heatmap";
            return report_usage("%s '%s' would overwrite %s '%s'", option, file, use, source);
        }
    }
    return EXIT_CODE_OK;
}

int result_files_check_sources(const struct attribute_options *options,
                               const struct inputs *inputs) {
    int code = check_source(options, "MODEL", options->attribution.run.model);
    for (size_t i = 0; i < inputs->count && code == EXIT_CODE_OK; ++i) {
        code = check_source(options, "--input", inputs->items[i].name);
    }
    for (size_t i = 0; i < inputs->argument_files.count && code == EXIT_CODE_OK; ++i) {
        code = check_source(options, "the --arg file", inputs->argument_files.paths[i]);
    }
    return code;
}
