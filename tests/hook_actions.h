/**
 * @file hook_actions.h
 * @brief Hooks that do what a case of fixtures/hooks/hooks.json says, and record what they see.
 *
 * What runs inside a callback asserts nothing: a failing assert jumps, and must not jump across
 * the library.
 */
#ifndef NEUROTAP_TESTS_HOOK_ACTIONS_H
#define NEUROTAP_TESTS_HOOK_ACTIONS_H

#include "fixture_support.h"

#include <neurotap/hook.h>

enum { MOST_HOOKS = 16, MOST_CALLS = 64 };

/** One call of a hook. */
typedef struct hook_record {
    size_t hook;
    int64_t call;
    char layer[64];
    ntap_value *seen;   /**< the output, or a pre-hook's inputs; memory of its own */
    ntap_value *inputs; /**< of a forward hook; else NULL */
} hook_record;

/** All calls of a run, in order. */
typedef struct hook_log {
    hook_record records[MOST_CALLS];
    size_t count;
} hook_log;

/** A hook of a case. */
typedef struct hook_action {
    const json_t *item;
    size_t number;
    ntap_value *value;   /**< the case's `value`; NULL if it has none */
    ntap_tensor *tensor; /**< what is added or multiplied, if that is a tensor or a sum */
    double factor;
    hook_log *log;
    ntap_hook *hook;
    int finalized; /**< how often its finalizer was called */
} hook_action;

/** The hooks of a case, and what they recorded. */
typedef struct hook_set {
    hook_action actions[MOST_HOOKS];
    size_t count;
    hook_log log;
} hook_set;

/** Adds the `hooks` of a case, in their order. @p dtype is the model's. */
void hook_set_add(const ntap_module *module, const json_t *hooks, ntap_dtype dtype, hook_set *set);

/** Removes them and checks that each was finalized once. */
void hook_set_remove(hook_set *set);

/** Forgets what was recorded. */
void hook_log_clear(hook_log *log);

#endif /* NEUROTAP_TESTS_HOOK_ACTIONS_H */
