#include "arguments.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "argument_string.h"
#include "report.h"
#include "tensor_file.h"

#define MAX_DEPTH 100

struct parser {
    const char *text, *at;
    ntap_device device;
    struct argument_files *files;
    int depth;
    ntap_error *err;
};

/** Items of a list, tuple or dictionary while they are read. */
struct items {
    ntap_value **values, **keys;
    size_t count, room;
};

static ntap_status parse_value(struct parser *parser, ntap_value **value);

static ntap_status wrong(struct parser *parser, const char *what) {
    return ntap_error_set(parser->err, NTAP_ERROR_INVALID_ARGUMENT, "character %zu: %s",
                          (size_t)(parser->at - parser->text) + 1, what);
}

static void skip_space(struct parser *parser) {
    while (isspace((unsigned char)*parser->at)) {
        ++parser->at;
    }
}

static bool take(struct parser *parser, char c) {
    skip_space(parser);
    bool found = *parser->at == c;
    parser->at += found;
    return found;
}

static bool is_word_character(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

static ntap_status parse_integer_token(struct parser *parser, const char *end, ntap_value **value) {
    errno = 0;
    long long number = strtoll(parser->at, NULL, 10);
    if (errno == ERANGE) {
        return wrong(parser, "the integer does not fit into 64 bits");
    }
    parser->at = end;
    return ntap_value_new_int(number, value, parser->err);
}

static ntap_status parse_number(struct parser *parser, ntap_value **value) {
    const char *digits = parser->at + strspn(parser->at, "+-");
    const char *end = digits + strspn(digits, "0123456789");
    if (end != digits && !is_word_character(*end) && digits - parser->at <= 1) {
        return parse_integer_token(parser, end, value);
    }
    char *number_end;
    double number = strtod(parser->at, &number_end);
    bool hexadecimal = digits[0] == '0' && tolower((unsigned char)digits[1]) == 'x';
    if (number_end == parser->at || is_word_character(*number_end) || hexadecimal) {
        return wrong(parser, "this is no number");
    }
    parser->at = number_end;
    return ntap_value_new_double(number, value, parser->err);
}

static ntap_status parse_word(struct parser *parser, ntap_value **value) {
    static const char *const words[] = {"none", "None", "false", "False",
                                        "true", "True", "inf",   "nan"};
    size_t length = 0;
    while (is_word_character(parser->at[length])) {
        ++length;
    }
    if (length == 0) {
        return wrong(parser, "expected a value");
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
        if (strlen(words[i]) != length || strncmp(words[i], parser->at, length) != 0) {
            continue;
        }
        if (i >= 6) {
            return parse_number(parser, value);
        }
        parser->at += length;
        return i < 2 ? ntap_value_new_none(value, parser->err)
                     : ntap_value_new_bool(i >= 4, value, parser->err);
    }
    return wrong(parser, "unknown word; text is written in quotes, as '\"text\"' in a shell");
}

static ntap_status parse_string(struct parser *parser, ntap_value **value) {
    char *text;
    const char *what;
    if (!argument_string_parse(&parser->at, &text, &what)) {
        return what != NULL ? wrong(parser, what) : report_no_memory(parser->err);
    }
    ntap_status status = ntap_value_new_string(text, value, parser->err);
    free(text);
    return status;
}

/** The path behind '@': quoted, or up to the end; inside of brackets up to what ends an item. */
static ntap_status parse_path(struct parser *parser, char **path) {
    const char *what;
    if (*parser->at == '"' || *parser->at == '\'') {
        return argument_string_parse(&parser->at, path, &what) ? NTAP_OK
               : what != NULL                                  ? wrong(parser, what)
                                                               : report_no_memory(parser->err);
    }
    size_t length = parser->depth == 1 ? strlen(parser->at) : strcspn(parser->at, ",:]}) \t\n");
    if (length == 0) {
        return wrong(parser, "a file name must follow '@'");
    }
    *path = strndup(parser->at, length);
    parser->at += length;
    return *path != NULL ? NTAP_OK : report_no_memory(parser->err);
}

/** Keeps a path, which is the list's from now on; false if there is no memory. */
static bool keep_path(struct argument_files *files, char *path) {
    char **paths = realloc(files->paths, (files->count + 1) * sizeof *paths);
    if (paths == NULL) {
        return false;
    }
    files->paths = paths;
    files->paths[files->count++] = path;
    return true;
}

void argument_files_free(struct argument_files *files) {
    for (size_t i = 0; i < files->count; ++i) {
        free(files->paths[i]);
    }
    free(files->paths);
}

static ntap_status parse_file(struct parser *parser, ntap_value **value) {
    char *path = NULL;
    ++parser->at;
    ntap_status status = parse_path(parser, &path);
    if (status != NTAP_OK) {
        return status;
    }
    if (!keep_path(parser->files, path)) {
        free(path);
        return report_no_memory(parser->err);
    }
    ntap_tensor *tensor = NULL;
    status = tensor_file_read(path, parser->device, &tensor, parser->err);
    if (status == NTAP_OK) {
        status = ntap_value_new_tensor(tensor, value, parser->err);
    }
    ntap_tensor_free(tensor);
    return status;
}

static void items_free(struct items *items) {
    for (size_t i = 0; i < items->count; ++i) {
        ntap_value_free(items->keys[i]);
        ntap_value_free(items->values[i]);
    }
    free(items->keys);
    free(items->values);
}

static bool items_grow(struct items *items) {
    if (items->count < items->room) {
        return true;
    }
    size_t room = items->room == 0 ? 8 : items->room * 2;
    ntap_value **keys = realloc(items->keys, room * sizeof(ntap_value *));
    items->keys = keys != NULL ? keys : items->keys;
    ntap_value **values = realloc(items->values, room * sizeof(ntap_value *));
    items->values = values != NULL ? values : items->values;
    items->room = keys != NULL && values != NULL ? room : items->room;
    return items->count < items->room;
}

static ntap_status parse_item(struct parser *parser, bool with_key, struct items *items) {
    if (!items_grow(items)) {
        return report_no_memory(parser->err);
    }
    ntap_value *key = NULL, *value = NULL;
    ntap_status status = with_key ? parse_value(parser, &key) : NTAP_OK;
    if (status == NTAP_OK && with_key && !take(parser, ':')) {
        status = wrong(parser, "expected ':' behind the key");
    }
    if (status == NTAP_OK) {
        status = parse_value(parser, &value);
    }
    if (status != NTAP_OK) {
        ntap_value_free(key);
        return status;
    }
    items->keys[items->count] = key;
    items->values[items->count++] = value;
    return NTAP_OK;
}

/** Reads items up to the closing bracket. @p comma says whether the last one had one behind it. */
static ntap_status parse_items(struct parser *parser, char close, struct items *items,
                               bool *comma) {
    *comma = true;
    while (!take(parser, close)) {
        if (!*comma) {
            char expected[] = "expected ',' or ' '";
            expected[sizeof expected - 3] = close;
            return wrong(parser, expected);
        }
        ntap_status status = parse_item(parser, close == '}', items);
        if (status != NTAP_OK) {
            return status;
        }
        *comma = take(parser, ',');
    }
    return NTAP_OK;
}

static ntap_status make_container(struct parser *parser, char close, bool comma,
                                  struct items *items, ntap_value **value) {
    const ntap_value *const *values = (const ntap_value *const *)items->values;
    const ntap_value *const *keys = (const ntap_value *const *)items->keys;
    if (close == '}') {
        return ntap_value_new_dict(keys, values, items->count, value, parser->err);
    }
    if (close == ']') {
        return ntap_value_new_list(values, items->count, value, parser->err);
    }
    if (items->count == 1 && !comma) { /* plain parentheses, as in Python */
        *value = items->values[0];
        items->values[0] = NULL;
        return NTAP_OK;
    }
    return ntap_value_new_tuple(values, items->count, value, parser->err);
}

static ntap_status parse_container(struct parser *parser, char close, ntap_value **value) {
    struct items items = {NULL, NULL, 0, 0};
    bool comma;
    ++parser->at;
    ntap_status status = parse_items(parser, close, &items, &comma);
    if (status == NTAP_OK) {
        status = make_container(parser, close, comma, &items, value);
    }
    items_free(&items);
    return status;
}

static ntap_status parse_any(struct parser *parser, ntap_value **value) {
    switch (*parser->at) {
    case '\0':
        return wrong(parser, "a value is missing");
    case '[':
        return parse_container(parser, ']', value);
    case '(':
        return parse_container(parser, ')', value);
    case '{':
        return parse_container(parser, '}', value);
    case '"':
    case '\'':
        return parse_string(parser, value);
    case '@':
        return parse_file(parser, value);
    default:
        return strchr("+-.0123456789", *parser->at) != NULL ? parse_number(parser, value)
                                                            : parse_word(parser, value);
    }
}

static ntap_status parse_value(struct parser *parser, ntap_value **value) {
    skip_space(parser);
    if (++parser->depth > MAX_DEPTH) {
        return wrong(parser, "nested too deep");
    }
    ntap_status status = parse_any(parser, value);
    --parser->depth;
    return status;
}

ntap_status argument_parse(const char *text, ntap_device device, struct argument_files *files,
                           ntap_value **value, ntap_error *err) {
    struct parser parser = {text, text, device, files, 0, err};
    ntap_value *parsed = NULL;
    ntap_status status = parse_value(&parser, &parsed);
    skip_space(&parser);
    if (status == NTAP_OK && *parser.at != '\0') {
        status = wrong(&parser, "nothing may follow the value");
    }
    if (status != NTAP_OK) {
        ntap_value_free(parsed);
        return status;
    }
    *value = parsed;
    return NTAP_OK;
}
