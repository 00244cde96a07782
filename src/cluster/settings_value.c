/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/settings_value.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { QUOTED_SIZE = 64 }; /* bytes of a user's text that a message repeats */

/* ASCII by hand: <ctype.h> would follow the locale of the application. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static char fold(char c)
{
    if (c == '-')
        return '_';
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* ---- From text ----------------------------------------------------------------------------------------------- */

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"T", (uint64_t)1 << 40},
                                    {"G", (uint64_t)1 << 30},
                                    {"M", (uint64_t)1 << 20},
                                    {"K", (uint64_t)1 << 10},
                                    {"", 1},
                                    {NULL, 0}};
static const struct unit durations[] = {{"s", 1000}, {"ms", 1}, {"", 1}, {NULL, 0}};

static const struct unit *units_of(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_SIZE: return sizes;
    case SETTING_MILLISECONDS: return durations;
    default: return no_units;
    }
}

static bool same_word(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b))
        ++a, ++b;
    return fold(*a) == fold(*b);
}

static enum setting_problem parse_number(const struct unit *units, const char *text, uint64_t *number)
{
    uint64_t digits = 0;
    bool overflow = false;
    if (!is_digit(*text))
        return SETTING_NO_NUMBER;
    for (; is_digit(*text); ++text) {
        overflow |= __builtin_mul_overflow(digits, 10, &digits);
        overflow |= __builtin_add_overflow(digits, (uint64_t)(*text - '0'), &digits);
    }
    while (units->suffix && !same_word(units->suffix, text))
        ++units;
    if (!units->suffix)
        return SETTING_NO_NUMBER;
    overflow |= __builtin_mul_overflow(digits, units->factor, &digits);
    if (overflow)
        return SETTING_TOO_LARGE;
    *number = digits;
    return SETTING_GOOD;
}

static enum setting_problem parse_word(const struct setting_word *words, const char *text, uint64_t *number)
{
    while (words->word && !same_word(words->word, text))
        ++words;
    if (!words->word)
        return SETTING_NO_SUCH_WORD;
    if (!words->value)
        return SETTING_NOT_AVAILABLE;
    *number = words->value;
    return SETTING_GOOD;
}

enum setting_problem setting_parse(const struct setting *setting, const char *text,
                                   struct setting_value *value)
{
    struct setting_value parsed = {0, NULL};
    enum setting_problem problem = SETTING_GOOD;
    if (setting->automatic && same_word(text, setting->automatic)) {
        parsed.text = "";
        *value = parsed;
        return SETTING_GOOD;
    }
    if (setting->type == SETTING_TEXT)
        parsed.text = text;
    else if (setting->type == SETTING_WORD)
        problem = parse_word(setting->words, text, &parsed.number);
    else
        problem = parse_number(units_of(setting), text, &parsed.number);
    if (!problem)
        problem = setting_check(setting, &parsed);
    if (!problem)
        *value = parsed;
    return problem;
}

/* ---- In range or not ----------------------------------------------------------------------------------------- */

static enum setting_problem check_text(const struct setting *setting, const char *text)
{
    size_t length = strnlen(text, setting->maximum + 1);
    if (length < setting->minimum)
        return SETTING_EMPTY;
    if (length > setting->maximum)
        return SETTING_TOO_LONG;
    for (size_t i = 0; i < length; ++i)
        if (is_control(text[i]))
            return SETTING_UNPRINTABLE;
    return SETTING_GOOD;
}

static enum setting_problem check_word(const struct setting_word *words, uint64_t number)
{
    for (; words->word; ++words)
        if (words->value && words->value == number)
            return SETTING_GOOD;
    return SETTING_NO_SUCH_WORD;
}

enum setting_problem setting_check(const struct setting *setting, const struct setting_value *value)
{
    if (setting->automatic && value->number == 0 && !(value->text && *value->text))
        return SETTING_GOOD;
    if (setting->type == SETTING_TEXT)
        return check_text(setting, value->text);
    if (setting->type == SETTING_WORD)
        return check_word(setting->words, value->number);
    if (value->number < setting->minimum)
        return SETTING_TOO_SMALL;
    if (value->number > setting->maximum)
        return SETTING_TOO_LARGE;
    if (setting->power_of_two && (value->number & (value->number - 1)))
        return SETTING_NO_POWER_OF_TWO;
    return SETTING_GOOD;
}

/* ---- In memory ----------------------------------------------------------------------------------------------- */

static uint64_t load_number(const void *from, size_t width)
{
    uint64_t wide;
    uint32_t narrow;
    if (width == sizeof wide) {
        memcpy(&wide, from, sizeof wide);
        return wide;
    }
    memcpy(&narrow, from, sizeof narrow);
    return narrow;
}

bool setting_load_config(const struct setting *setting, const void *config, struct setting_value *value)
{
    const char *field = (const char *)config + setting->config_offset;
    struct setting_value loaded = {0, NULL};
    if (setting->type == SETTING_TEXT)
        memcpy(&loaded.text, field, sizeof loaded.text);
    else
        loaded.number = load_number(field, setting->config_width);
    if (!loaded.text && !loaded.number)
        return false;
    *value = loaded;
    return true;
}

struct setting_value setting_load(const struct setting *setting, const void *settings)
{
    const char *field = (const char *)settings + setting->offset;
    struct setting_value loaded = {0, NULL};
    if (setting->type == SETTING_TEXT)
        loaded.text = field;
    else
        loaded.number = load_number(field, setting->width);
    return loaded;
}

void setting_store(const struct setting *setting, const struct setting_value *value, void *settings)
{
    char *field = (char *)settings + setting->offset;
    uint32_t narrow = (uint32_t)value->number;
    if (setting->type == SETTING_TEXT) {
        size_t length = strnlen(value->text, setting->width - 1);
        memmove(field, value->text, length);
        memset(field + length, 0, setting->width - length);
    } else if (setting->width == sizeof value->number) {
        memcpy(field, &value->number, sizeof value->number);
    } else {
        memcpy(field, &narrow, sizeof narrow);
    }
}

/* ---- To text ------------------------------------------------------------------------------------------------- */

static void format_number(const struct unit *units, uint64_t number, char *text, size_t size)
{
    while (number == 0 ? *units->suffix != '\0' : number % units->factor != 0)
        ++units;
    snprintf(text, size, "%" PRIu64 "%s", number / units->factor, units->suffix);
}

void setting_quote(const char *value, char *text, size_t size)
{
    size_t length = strnlen(value, size);
    bool clipped = length == size;
    if (clipped)
        length = size - 1;
    for (size_t i = 0; i < length; ++i)
        text[i] = is_control(value[i]) ? '?' : value[i];
    text[length] = '\0';
    if (clipped)
        memcpy(text + length - 3, "...", 3);
}

void setting_format(const struct setting *setting, const struct setting_value *value, char *text, size_t size)
{
    const struct setting_word *word = setting->words;
    if (setting->automatic && value->number == 0 && !(value->text && *value->text)) {
        snprintf(text, size, "%s", setting->automatic);
    } else if (setting->type == SETTING_TEXT) {
        setting_quote(value->text, text, size);
    } else if (setting->type == SETTING_WORD) {
        while (word->word && word->value != value->number)
            ++word;
        if (word->word)
            snprintf(text, size, "%s", word->word);
        else
            snprintf(text, size, "%" PRIu64, value->number);
    } else {
        format_number(units_of(setting), value->number, text, size);
    }
}

static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

void setting_format_allowed(const struct setting *setting, char *text, size_t size)
{
    const char *power = setting->power_of_two ? "a power of two" : NULL;
    char minimum[32], maximum[32];
    format_number(units_of(setting), setting->minimum, minimum, sizeof minimum);
    format_number(units_of(setting), setting->maximum, maximum, sizeof maximum);
    text[0] = '\0';
    if (setting->automatic)
        append(text, size, "%s%s, or ", setting->automatic, setting->type == SETTING_TEXT ? "" : " (0)");
    switch (setting->type) {
    case SETTING_WORD:
        for (const struct setting_word *word = setting->words; word->word; ++word)
            if (word->value)
                append(text, size, "%s%s", word == setting->words ? "" : ", ", word->word);
        break;
    case SETTING_NUMBER:
        append(text, size, "%s from %s to %s", power ? power : "a number", minimum, maximum);
        break;
    case SETTING_SIZE:
        append(text, size, "%s from %s to %s (bytes, or with K, M, G, T)", power ? power : "a size", minimum,
               maximum);
        break;
    case SETTING_MILLISECONDS:
        append(text, size, "a time from %s to %s (ms, or with ms, s)", minimum, maximum);
        break;
    case SETTING_TEXT: append(text, size, "%s to %s printable characters", minimum, maximum); break;
    }
}

static const char *const problems[] = {
    [SETTING_GOOD] = "is good",
    [SETTING_NO_NUMBER] = "is not a number",
    [SETTING_TOO_SMALL] = "is too small",
    [SETTING_TOO_LARGE] = "is too large",
    [SETTING_NO_POWER_OF_TWO] = "is not a power of two",
    [SETTING_NO_SUCH_WORD] = "is unknown",
    [SETTING_NOT_AVAILABLE] = "exists in Apache Ignite but is not supported by Belay",
    [SETTING_EMPTY] = "is empty",
    [SETTING_TOO_LONG] = "is too long",
    [SETTING_UNPRINTABLE] = "has unprintable characters",
};

int setting_refuse(const struct setting *setting, enum setting_problem problem, const char *origin,
                   const char *field, const char *value)
{
    char quoted[QUOTED_SIZE], allowed[SETTING_TEXT_SIZE];
    setting_quote(value, quoted, sizeof quoted);
    setting_format_allowed(setting, allowed, sizeof allowed);
    return log_error(problem == SETTING_NOT_AVAILABLE ? BELAY_ERR_NOT_SUPPORTED : BELAY_ERR_CONFIG,
                     "%s: %s = \"%s\" %s; allowed: %s", origin, field, quoted, problems[problem], allowed);
}
