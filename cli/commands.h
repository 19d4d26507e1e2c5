/** The commands, one file each. They take what follows the program's name; argv[0] is the command.
 *  They return an exit code. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_layers(int argc, char **argv);
int command_attribute(int argc, char **argv);
int command_bench(int argc, char **argv);

#endif
