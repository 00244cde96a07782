/* SPDX-License-Identifier: BSD-3-Clause */
/* One value of a setting: from text, to text, in range or not. */
#ifndef BELAY_SETTINGS_VALUE_H
#define BELAY_SETTINGS_VALUE_H

#include "cluster/settings_table.h"

struct setting_value {
    uint64_t number;
    const char *text; /* of SETTING_TEXT only */
};

enum setting_problem {
    SETTING_GOOD,
    SETTING_NO_NUMBER,
    SETTING_TOO_SMALL,
    SETTING_TOO_LARGE,
    SETTING_NO_POWER_OF_TWO,
    SETTING_NO_SUCH_WORD,
    SETTING_NOT_AVAILABLE, /* known to Apache Ignite */
    SETTING_EMPTY,
    SETTING_TOO_LONG,
    SETTING_UNPRINTABLE
};

enum { SETTING_TEXT_SIZE = 160 }; /* bytes for what setting_format_allowed() writes */

/* *value may point into @p text. */
enum setting_problem setting_parse(const struct setting *setting, const char *text,
                                   struct setting_value *value);

/* Whether a number or text that did not come from setting_parse() is allowed. */
enum setting_problem setting_check(const struct setting *setting, const struct setting_value *value);

/* Reads the field of the struct of belay.h. @return false if it is zero or NULL. */
bool setting_load_config(const struct setting *setting, const void *config, struct setting_value *value);

struct setting_value setting_load(const struct setting *setting, const void *settings);
void setting_store(const struct setting *setting, const struct setting_value *value, void *settings);

/* As a user would write it. */
void setting_format(const struct setting *setting, const struct setting_value *value, char *text,
                    size_t size);

/* A text of unknown length and content, made fit to print. @p size at least 4. */
void setting_quote(const char *value, char *text, size_t size);

/* What is allowed: "server, client". */
void setting_format_allowed(const struct setting *setting, char *text, size_t size);

/* Log why a value was refused. @p field: the setting's name at @p origin. @return CONFIG or NOT_SUPPORTED. */
int setting_refuse(const struct setting *setting, enum setting_problem problem, const char *origin,
                   const char *field, const char *value);

#endif
