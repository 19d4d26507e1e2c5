/**
 * @file value.h
 * @brief Values: what a model takes and gives beyond plain tensors.
 *
 * A value is an immutable tree of tensors, numbers, strings, lists, tuples and dictionaries. It has
 * no static type: when it is passed to a model or to an operator it is checked against the
 * parameter's type (an int is accepted for a float parameter; anything else that does not fit is an
 * error that names the parameter). Tensors inside a value are shared, not copied.
 */
#ifndef NEUROTAP_VALUE_H
#define NEUROTAP_VALUE_H

#include <neurotap/base.h>
#include <neurotap/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup value Value
 *  @brief Arguments and results of models: tensors, numbers, lists, tuples, dictionaries.
 *  @{ */

/** A value. Immutable, so every function on it is safe from several threads at once. */
typedef struct ntap_value ntap_value;

/** What a value is. The numbers are stable across releases. */
typedef enum ntap_value_kind {
    NTAP_VALUE_NONE = 0, /**< Python's None */
    NTAP_VALUE_TENSOR = 1,
    NTAP_VALUE_INT = 2,
    NTAP_VALUE_DOUBLE = 3,
    NTAP_VALUE_BOOL = 4,
    NTAP_VALUE_STRING = 5,
    NTAP_VALUE_LIST = 6,
    NTAP_VALUE_TUPLE = 7, /**< named tuples too */
    NTAP_VALUE_DICT = 8,
    NTAP_VALUE_OTHER = 9 /**< anything else that a model may produce, such as an object; it can be
                              passed on but not looked into */
} ntap_value_kind;

/** Makes None. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_none(ntap_value **value, ntap_error *err);

/** Makes a value that shares the tensor's memory; the caller may free @p tensor afterwards. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_tensor(const ntap_tensor *tensor,
                                                           ntap_value **value, ntap_error *err);

/** Makes an integer. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_int(int64_t number, ntap_value **value,
                                                        ntap_error *err);

/** Makes a floating-point number. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_double(double number, ntap_value **value,
                                                           ntap_error *err);

/** Makes a truth value: false if @p truth is 0, else true. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_bool(int truth, ntap_value **value,
                                                         ntap_error *err);

/** Makes a string; @p text is copied. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_string(const char *text, ntap_value **value,
                                                           ntap_error *err);

/**
 * Makes a list from @p count values, which stay the caller's.
 * @param items  @p count non-NULL values; may be NULL if @p count is 0
 * @param count  how many
 * @param[out] value  the list, which shares what the values hold
 * @param err    filled on failure; may be NULL
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_list(const ntap_value *const *items,
                                                         size_t count, ntap_value **value,
                                                         ntap_error *err);

/** Makes a tuple; as ntap_value_new_list(). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_tuple(const ntap_value *const *items,
                                                          size_t count, ntap_value **value,
                                                          ntap_error *err);

/**
 * Makes a dictionary that keeps the given order. The values stay the caller's.
 * @param keys   @p count non-NULL ints, doubles, bools, strings or tensors
 * @param items  @p count non-NULL values
 * @param count  how many
 * @param[out] value  the dictionary
 * @param err    filled on failure; may be NULL
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_new_dict(const ntap_value *const *keys,
                                                         const ntap_value *const *items,
                                                         size_t count, ntap_value **value,
                                                         ntap_error *err);

/** Copies a value; tensors are shared. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_clone(const ntap_value *value, ntap_value **clone,
                                                      ntap_error *err);

/** Releases a value. NULL is allowed. */
NTAP_API void ntap_value_free(ntap_value *value);

/** What the value is; NTAP_VALUE_NONE for NULL. */
NTAP_API ntap_value_kind ntap_value_get_kind(const ntap_value *value);

/** The name of a kind, such as "tuple"; "unknown" for any other number. The string is static. */
NTAP_API const char *ntap_value_kind_name(ntap_value_kind kind);

/** The tensor, lent by the value; NULL if the value is not one. */
NTAP_API const ntap_tensor *ntap_value_get_tensor(const ntap_value *value);

/** Reads an integer. NTAP_ERROR_INVALID_ARGUMENT if the value is not one. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_get_int(const ntap_value *value, int64_t *number,
                                                        ntap_error *err);

/** Reads a double, or an integer as a double. NTAP_ERROR_INVALID_ARGUMENT for anything else. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_get_double(const ntap_value *value, double *number,
                                                           ntap_error *err);

/** Reads a truth value as 0 or 1. NTAP_ERROR_INVALID_ARGUMENT if the value is not one. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_get_bool(const ntap_value *value, int *truth,
                                                         ntap_error *err);

/** The string, lent by the value; NULL if the value is not one. */
NTAP_API const char *ntap_value_get_string(const ntap_value *value);

/** The number of items in a list, tuple or dictionary; 0 for anything else. */
NTAP_API size_t ntap_value_count(const ntap_value *value);

/** An item of a list, tuple or dictionary, lent by it; NULL if there is no such item. */
NTAP_API const ntap_value *ntap_value_item(const ntap_value *value, size_t index);

/** The key of a dictionary's item, lent by it; NULL if there is no such item. */
NTAP_API const ntap_value *ntap_value_key(const ntap_value *value, size_t index);

/**
 * Writes a short description, such as `(float32[2, 10], None, 3)`, for messages and listings.
 * @param value   any
 * @param buffer  at most @p size bytes are written, with a terminating NUL; NULL if @p size is 0
 * @param size    the buffer's size in bytes
 * @return the length of the whole description without the NUL, as snprintf; 0 if @p value is NULL
 */
NTAP_API size_t ntap_value_describe(const ntap_value *value, char *buffer, size_t size);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_VALUE_H */
