/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file options.h
 * How all subcommands read their arguments: one table of options per command, in the form of argp; it makes
 * --help, --usage and --version. In a job the first rank alone prints these and complaints.
 */
#ifndef BELAY_TOOL_OPTIONS_H
#define BELAY_TOOL_OPTIONS_H

#include <argp.h>
#include <stdint.h>
#include <stdio.h>

enum options_result {
    OPTIONS_GO_ON,
    OPTIONS_ANSWERED, /* --help or --version was printed: nothing else to do */
    OPTIONS_WRONG     /* told what is wrong */
};

/* Parse the arguments of a command into @p context, by the parser of @p table. */
enum options_result options_parse(const struct argp *table, int argc, char **argv, void *context);

void options_print_version(FILE *stream, struct argp_state *state);

/* For parsers of tables: read a value or complain, naming the option, what was given, and what is allowed.
 * The result is what an argp parser returns: 0, or EINVAL with the outputs untouched. */
error_t options_size(struct argp_state *state, const char *option, const char *text, uint64_t least,
                     uint64_t most, uint64_t *bytes);
error_t options_number(struct argp_state *state, const char *option, const char *text, unsigned least,
                       unsigned most, unsigned *number);
error_t options_wrong(struct argp_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
