/** Time as it passes. */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

/** Seconds since some moment in the past; never set back. */
double clock_seconds(void);

#endif
