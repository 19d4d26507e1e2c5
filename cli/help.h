/** The manual, a screen for each command. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

extern const char help_program[];
extern const char help_layers[];
extern const char help_attribute[];
extern const char help_bench[];

#endif
