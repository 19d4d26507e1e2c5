#include "layer_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "text.h"

/** Different outputs of one layer that are worth a look; more are only counted. */
#define MAX_OUTPUTS 3
#define BRANCH_WIDTH 3

/** Columns of the number of calls and what separates it. */
#define CALLS_WIDTH 9

struct row {
    const char *name;
    char *class_name; /* a value's: the operation that computes it */
    size_t depth;
    bool is_value;
    bool last; /* of its siblings */
    size_t n_calls;
    char *outputs; /* NULL if the model was not run */
};

struct table {
    struct row *rows;
    size_t count;
    size_t deepest;
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

static const char *shown_name(const struct row *row) {
    return *row->name != '\0' ? row->name : "(model)";
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

/** The last part of a class, "Conv2d" of "torch.nn.modules.conv.Conv2d"; the last step of a value
 *  without its number, "add" of "layer1.0/add:1". */
static char *name_class(const struct listed *item) {
    bool is_value = item->type == NULL;
    const char *whole = is_value ? item->name : item->type;
    const char *before = strrchr(whole, is_value ? '/' : '.');
    const char *last = before != NULL ? before + 1 : whole;
    return strndup(last, is_value ? strcspn(last, ":") : strlen(last));
}

static bool fill_row(const struct listed *item, size_t layer_depth, struct row *row) {
    row->name = item->name;
    row->is_value = item->type == NULL;
    row->class_name = name_class(item);
    row->depth = row->is_value ? layer_depth + 1 : path_depth(item->name);
    if (item->calls != NULL) {
        row->n_calls = ntap_value_count(item->calls);
        row->outputs = describe_calls(item->calls);
    }
    return row->class_name != NULL && (item->calls == NULL || row->outputs != NULL);
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

static bool fits(const struct table *table, size_t width) {
    return table->room == 0 || width <= table->room;
}

static size_t name_width(const struct row *row) {
    return row->depth * BRANCH_WIDTH + text_width(shown_name(row));
}

/** The columns of the widest output that fits into @p room; 0 if most do not. */
static size_t widest_output(const struct table *table, size_t room) {
    size_t widest = 0, fitting = 0;
    for (size_t i = 0; i < table->count && table->rows[i].outputs != NULL; ++i) {
        size_t width = text_width(table->rows[i].outputs);
        widest = width <= room ? larger(widest, width) : widest;
        fitting += width <= room;
    }
    return 2 * fitting >= table->count ? widest : 0;
}

/** Where a terminal is too narrow for the longest names, these get lines of their own; then outputs
 *  that do not fit beside the shortest name column do. */
static void fit_terminal(struct table *table) {
    bool ran = table->rows[0].outputs != NULL;
    size_t rest = 2 + table->class_width + (ran ? CALLS_WIDTH : 0);
    size_t shortest = larger(table->deepest * BRANCH_WIDTH, text_width("layer"));
    table->room = text_terminal_width(stdout);
    if (table->room == 0) {
        return;
    }
    size_t taken = shortest + rest;
    rest += widest_output(table, table->room > taken ? table->room - taken : 0);
    if (table->name_width + rest > table->room) {
        size_t left = table->room > rest ? table->room - rest : 0;
        table->name_width = larger(left, shortest);
    }
}

static void measure(struct table *table) {
    table->name_width = text_width("layer");
    table->class_width = text_width("class");
    for (size_t i = 0; i < table->count; ++i) {
        const struct row *row = &table->rows[i];
        table->name_width = larger(table->name_width, name_width(row));
        table->class_width = larger(table->class_width, text_width(row->class_name));
    }
    fit_terminal(table);
}

/** What leads to a row: a line to a layer, a dot to a value, so that the two are told apart. */
static const char *branch(const struct row *row, bool drawn) {
    static const char *const branches[2][2][2] = {{{"|- ", "`- "}, {"|. ", "`. "}},
                                                  {{"├─ ", "└─ "}, {"├· ", "└· "}}};
    return branches[drawn][row->is_value][row->last];
}

/** The lines down to siblings that follow, for the depths from 1 on. */
static void print_lines(const struct table *table, size_t depths) {
    const char *line = text_locale_is_utf8() ? "│  " : "|  ";
    for (size_t depth = 1; depth <= depths; ++depth) {
        fputs(table->open[depth] ? line : "   ", stdout);
    }
}

static void print_name(const struct table *table, const struct row *row) {
    size_t used = name_width(row);
    if (row->depth > 0) {
        print_lines(table, row->depth - 1);
        fputs(branch(row, text_locale_is_utf8()), stdout);
    }
    table->open[row->depth] = !row->last;
    fputs(shown_name(row), stdout);
    if (used > table->name_width) {
        putchar('\n');
        print_lines(table, row->depth);
        used = row->depth * BRANCH_WIDTH;
    }
    text_pad(used, table->name_width + 2);
}

/** An output that does not fit beside the rest gets a line of its own, the terminal's to break. */
static void print_output(const struct table *table, const struct row *row) {
    const char *text = row->n_calls > 0 ? row->outputs : "-";
    size_t used = table->name_width + 2 + table->class_width + CALLS_WIDTH;
    if (!fits(table, used + text_width(text))) {
        putchar('\n');
        print_lines(table, row->depth);
    }
    printf("  %s", text);
}

static void print_row(const struct table *table, const struct row *row) {
    print_name(table, row);
    fputs(row->class_name, stdout);
    if (row->outputs != NULL) {
        text_pad(text_width(row->class_name), table->class_width + 2);
        printf("%5zu", row->n_calls);
        print_output(table, row);
    }
    putchar('\n');
}

static void print_heading(const struct table *table) {
    fputs("layer", stdout);
    text_pad(5, table->name_width + 2);
    fputs("class", stdout);
    if (table->rows[0].outputs != NULL) {
        size_t width = table->name_width + 2 + table->class_width + CALLS_WIDTH;
        text_pad(5, table->class_width + 2);
        fputs(fits(table, width + text_width("output")) ? "calls  output" : "calls", stdout);
    }
    putchar('\n');
}

static ntap_status fill_table(const struct listing *listing, struct table *table, ntap_error *err) {
    size_t layer_depth = 0;
    table->rows = calloc(listing->count, sizeof *table->rows);
    if (table->rows == NULL) {
        return report_no_memory(err);
    }
    table->count = listing->count;
    for (size_t i = 0; i < table->count; ++i) {
        struct row *row = &table->rows[i];
        if (!fill_row(&listing->items[i], layer_depth, row)) {
            return report_no_memory(err);
        }
        layer_depth = row->is_value ? layer_depth : row->depth;
        table->deepest = larger(table->deepest, row->depth);
    }
    table->open = calloc(table->deepest + 1, sizeof *table->open);
    return table->open != NULL ? NTAP_OK : report_no_memory(err);
}

static void free_table(struct table *table) {
    for (size_t i = 0; i < table->count; ++i) {
        free(table->rows[i].class_name);
        free(table->rows[i].outputs);
    }
    free(table->rows);
    free(table->open);
}

ntap_status layer_table_print(const struct listing *listing, ntap_error *err) {
    struct table table = {.count = 0};
    ntap_status status = fill_table(listing, &table, err);
    if (status == NTAP_OK) {
        mark_last_siblings(&table);
        measure(&table);
        print_heading(&table);
    }
    for (size_t i = 0; i < table.count && status == NTAP_OK; ++i) {
        print_row(&table, &table.rows[i]);
    }
    free_table(&table);
    return status;
}
