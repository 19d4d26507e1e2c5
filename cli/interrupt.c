#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_bool happened; /* the handler runs on any thread */

static void on_interrupt(int number) {
    (void)number;
    atomic_store(&happened, true);
}

/** Replaces one handler by another; what somebody else has set, to ignore it for example, stays. */
static void replace_handler(void (*from)(int), void (*to)(int)) {
    struct sigaction old, new = {0};
    new.sa_handler = to;
    new.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler == from) {
        sigaction(SIGINT, &new, NULL);
    }
}

void interrupt_catch(void) { replace_handler(SIG_DFL, on_interrupt); }

void interrupt_release(void) { replace_handler(on_interrupt, SIG_DFL); }

bool interrupt_happened(void) { return atomic_load(&happened); }

ntap_status interrupt_check(ntap_status status, ntap_error *err) {
    return interrupt_happened() ? ntap_error_set(err, NTAP_ERROR_STOPPED, "interrupted") : status;
}

void interrupt_pass_on(void) {
    if (interrupt_happened()) {
        raise(SIGINT);
    }
}
