/** Ctrl-C during long work: it is noted, so that the work can end in good order. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

#include <neurotap/base.h>

/** From now on the first Ctrl-C is noted; the second one kills at once. */
void interrupt_catch(void);

/** From now on Ctrl-C kills at once, as at the start. */
void interrupt_release(void);

/** Whether there was one. */
bool interrupt_happened(void);

/** Turns the status of work during which there was one into NTAP_ERROR_STOPPED. */
ntap_status interrupt_check(ntap_status status, ntap_error *err);

/** Dies of the signal if there was one: that is how a shell learns that its script is to end too.
 *  For the end of the program, when everything is tidy. */
void interrupt_pass_on(void);

#endif
