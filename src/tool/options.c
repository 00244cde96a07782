/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tool/options.h"

#include "belay.h"
#include "tool/launcher.h"
#include "tool/message.h"
#include "tool/quantity.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

/* argp's own --help and --version end the process, on every rank, and write on each; here they are options of
 * a parent table, which notes that they were asked for. */
enum { OPTION_HELP = '?', OPTION_VERSION = 'V', OPTION_USAGE = 0x100 };

struct parse {
    const struct argp *table;
    void *context;
    bool answered, speaks;
};

void options_print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "belay %s\nlibrary %s\n", PACKAGE_VERSION, belay_version());
}

error_t options_wrong(struct argp_state *state, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message_error("%s; see '%s --help'", text, state->name);
    return EINVAL;
}

error_t options_size(struct argp_state *state, const char *option, const char *text, uint64_t least,
                     uint64_t most, uint64_t *bytes)
{
    uint64_t value;
    if (!quantity_parse_size(text, &value) || value < least || value > most) {
        char from[QUANTITY_TEXT], to[QUANTITY_TEXT];
        if (most == UINT64_MAX)
            return options_wrong(state, "%s=%s: not a size, such as 64K or 1.5G", option, text);
        return options_wrong(state, "%s=%s: not a size from %s to %s, such as 64K or 1.5G", option, text,
                             quantity_binary(least, from), quantity_binary(most, to));
    }
    *bytes = value;
    return 0;
}

error_t options_number(struct argp_state *state, const char *option, const char *text, unsigned least,
                       unsigned most, unsigned *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end != '\0' || text[0] == '-' || value < least || value > most)
        return options_wrong(state, "%s=%s: not a number from %u to %u", option, text, least, most);
    *number = (unsigned)value;
    return 0;
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    struct parse *parse = state->input;
    FILE *stream = parse->speaks ? stdout : NULL;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = parse->context; return 0;
    case OPTION_HELP:
        if (stream)
            argp_help(parse->table, stream, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, state->name);
        break;
    case OPTION_USAGE:
        if (stream)
            argp_help(parse->table, stream, ARGP_HELP_USAGE, state->name);
        break;
    case OPTION_VERSION:
        if (stream)
            options_print_version(stream, state);
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    parse->answered = true;
    state->next = state->argc; /* the rest does not matter */
    return ECANCELED;
}

enum options_result options_parse(const struct argp *table, int argc, char **argv, void *context)
{
    static const struct argp_option common[] = {
        {"help", OPTION_HELP, NULL, 0, "Print this help", -1},
        {"usage", OPTION_USAGE, NULL, 0, "Print the options in short", 0},
        {"version", OPTION_VERSION, NULL, 0, "Print the versions", 0},
        {0},
    };
    const struct argp options_only = {table->options, table->parser, NULL, NULL, NULL, NULL, NULL};
    const struct argp_child children[] = {{&options_only, 0, NULL, 0}, {0}};
    struct argp whole = {common, parse_common, table->args_doc, table->doc, children, NULL, NULL};
    struct parse parse = {&whole, context, false, launcher_rank() <= 0};

    if (parse.speaks)
        fflush(stdout);
    unsigned flags = ARGP_NO_EXIT | ARGP_NO_HELP | (parse.speaks ? 0 : ARGP_NO_ERRS);
    error_t result = argp_parse(&whole, argc, argv, flags, NULL, &parse);
    if (parse.answered)
        return OPTIONS_ANSWERED;
    return result == 0 ? OPTIONS_GO_ON : OPTIONS_WRONG;
}
