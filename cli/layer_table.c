#define _DEFAULT_SOURCE /* the terminal's size */

#include "layer_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report.h"
#include "text.h"

/** Different outputs of one layer that are worth a look; more are only counted. */
#define MAX_OUTPUTS 3
#define BRANCH_WIDTH 3

struct row {
    const char *path, *class_name;
    size_t depth;
    bool last; /* of its siblings */
    size_t n_calls;
    char *outputs; /* NULL if the model was not run */
};

struct table {
    struct row *rows;
    size_t count;
    bool *open;                           /* for each depth: whether more siblings follow */
    size_t name_width, class_width, room; /* room: of the terminal, 0 if unlimited */
};

char *describe_value(const ntap_value *value) {
    size_t length = ntap_value_describe(value, NULL, 0);
    char *text = malloc(length + 1);
    if (text != NULL) {
        text[0] = '\0';
        ntap_value_describe(value, text, length + 1);
    }
    return text;
}

static size_t path_depth(const char *path) {
    size_t depth = *path != '\0';
    for (; *path != '\0'; ++path) {
        depth += *path == '.';
    }
    return depth;
}

static const char *shown_path(const struct row *row) {
    return *row->path != '\0' ? row->path : "(model)";
}

/** Lists what the calls returned, equal neighbours once. */
static char *describe_calls(const ntap_value *calls) {
    char *text = NULL, *previous = NULL;
    size_t size, shown = 0;
    FILE *stream = open_memstream(&text, &size);
    for (size_t i = 0; i < ntap_value_count(calls) && stream != NULL; ++i) {
        char *output = describe_value(ntap_value_item(calls, i));
        bool same = output != NULL && previous != NULL && strcmp(output, previous) == 0;
        if (!same && shown <= MAX_OUTPUTS) {
            const char *fit = output != NULL ? output : "?";
            fprintf(stream, "%s%s", shown > 0 ? "; " : "", shown < MAX_OUTPUTS ? fit : "...");
            ++shown;
        }
        free(previous);
        previous = output;
    }
    free(previous);
    if (stream == NULL || fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void fill_row(const ntap_module *module, size_t i, struct row *row) {
    const char *type = ntap_module_layer_type(module, i);
    const char *dot = strrchr(type, '.');
    row->path = ntap_module_layer_name(module, i);
    row->class_name = dot != NULL ? dot + 1 : type;
    row->depth = path_depth(row->path);
}

static void mark_last_siblings(struct table *table) {
    for (size_t i = 0; i < table->count; ++i) {
        size_t next = i + 1;
        while (next < table->count && table->rows[next].depth > table->rows[i].depth) {
            ++next;
        }
        table->rows[i].last =
            next == table->count || table->rows[next].depth < table->rows[i].depth;
    }
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t name_width(const struct row *row) {
    return row->depth * BRANCH_WIDTH + text_width(shown_path(row));
}

static size_t terminal_width(void) {
    struct winsize size;
    bool known = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    return known ? size.ws_col : 0;
}

static void measure(struct table *table) {
    table->name_width = text_width("layer");
    table->class_width = text_width("class");
    for (size_t i = 0; i < table->count; ++i) {
        const struct row *row = &table->rows[i];
        table->name_width = larger(table->name_width, name_width(row));
        table->class_width = larger(table->class_width, text_width(row->class_name));
    }
    table->room = terminal_width();
}

static void print_branches(const struct table *table, const struct row *row) {
    bool drawn = text_locale_is_utf8();
    for (size_t depth = 1; depth < row->depth; ++depth) {
        const char *line = drawn ? "│  " : "|  ";
        fputs(table->open[depth] ? line : "   ", stdout);
    }
    if (row->depth > 0) {
        const char *middle = drawn ? "├─ " : "|- ";
        const char *end = drawn ? "└─ " : "`- ";
        fputs(row->last ? end : middle, stdout);
    }
}

/** Cuts a line off at the edge of a terminal, where it would break the columns. */
static void print_end(const struct table *table, size_t used, const char *text) {
    size_t width = text_width(text);
    if (table->room == 0 || used + width <= table->room || table->room < used + 4) {
        fputs(text, stdout);
        return;
    }
    for (size_t left = table->room - used - 3; left > 0; --left) {
        size_t length = larger(text_character_length(text), 1);
        fwrite(text, 1, length, stdout);
        text += length;
    }
    fputs("...", stdout);
}

static void print_row(const struct table *table, const struct row *row) {
    print_branches(table, row);
    table->open[row->depth] = !row->last;
    fputs(shown_path(row), stdout);
    text_pad(name_width(row), table->name_width + 2);
    fputs(row->class_name, stdout);
    if (row->outputs != NULL) {
        text_pad(text_width(row->class_name), table->class_width + 2);
        printf("%5zu  ", row->n_calls);
        size_t used = table->name_width + table->class_width + 11;
        print_end(table, used, row->n_calls > 0 ? row->outputs : "-");
    }
    putchar('\n');
}

static void print_heading(const struct table *table) {
    fputs("layer", stdout);
    text_pad(5, table->name_width + 2);
    fputs("class", stdout);
    if (table->rows[0].outputs != NULL) {
        text_pad(5, table->class_width + 2);
        fputs("calls  output", stdout);
    }
    putchar('\n');
}

static ntap_status fill_table(const ntap_module *module, ntap_value *const *calls,
                              struct table *table, ntap_error *err) {
    size_t deepest = 0;
    for (size_t i = 0; i < table->count; ++i) {
        struct row *row = &table->rows[i];
        fill_row(module, i, row);
        deepest = larger(deepest, row->depth);
        if (calls != NULL) {
            row->n_calls = ntap_value_count(calls[i]);
            row->outputs = describe_calls(calls[i]);
        }
        if (calls != NULL && row->outputs == NULL) {
            return report_no_memory(err);
        }
    }
    table->open = calloc(deepest + 1, sizeof *table->open);
    return table->open != NULL ? NTAP_OK : report_no_memory(err);
}

ntap_status layer_table_print(const ntap_module *module, ntap_value *const *calls,
                              ntap_error *err) {
    struct table table = {.count = ntap_module_layer_count(module)};
    table.rows = calloc(table.count, sizeof *table.rows);
    ntap_status status =
        table.rows != NULL ? fill_table(module, calls, &table, err) : report_no_memory(err);
    if (status == NTAP_OK) {
        mark_last_siblings(&table);
        measure(&table);
        print_heading(&table);
    }
    for (size_t i = 0; i < table.count && status == NTAP_OK; ++i) {
        print_row(&table, &table.rows[i]);
    }
    for (size_t i = 0; i < table.count && table.rows != NULL; ++i) {
        free(table.rows[i].outputs);
    }
    free(table.rows);
    free(table.open);
    return status;
}
