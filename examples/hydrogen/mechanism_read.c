/* SPDX-License-Identifier: BSD-3-Clause */
#include "mechanism.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CALORIE 4.184e7 /* erg */

enum { ELEMENTS_MAX = 8, LINE_MAX_LENGTH = 512 };

struct reading {
    const char *path;
    int line;
    FILE *file;
    int elements;
    char element[ELEMENTS_MAX][NAME_MAX_LENGTH + 1];
    double weight[ELEMENTS_MAX];
    struct mechanism *mechanism;
};

static bool refuse(const struct reading *reading, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", reading->path, reading->line, what);
    return false;
}

/* The next line without its comment that has something in it. */
static bool next_line(struct reading *reading, char *line)
{
    while (fgets(line, LINE_MAX_LENGTH, reading->file)) {
        ++reading->line;
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " \t")] != '\0')
            return true;
    }
    return false;
}

/* Read @p count numbers and nothing behind them. */
static bool read_numbers(const char *text, double *numbers, int count)
{
    char *end;
    for (int i = 0; i < count; ++i, text = end) {
        numbers[i] = strtod(text, &end);
        if (end == text || !isfinite(numbers[i]))
            return false;
    }
    return text[strspn(text, " \t")] == '\0';
}

static bool read_element(struct reading *reading, const char *text)
{
    int i = reading->elements, end = 0;
    if (i == ELEMENTS_MAX)
        return refuse(reading, "too many elements");
    if (sscanf(text, "%15s %n", reading->element[i], &end) != 1 ||
        !read_numbers(text + end, &reading->weight[i], 1))
        return refuse(reading, "not: element NAME WEIGHT");
    ++reading->elements;
    return true;
}

/* NAME=NUMBER: gives the length of the name, or 0. */
static int read_pair(const char *word, double *number)
{
    const char *equals = strchr(word, '=');
    return equals && equals - word <= NAME_MAX_LENGTH && read_numbers(equals + 1, number, 1)
               ? (int)(equals - word)
               : 0;
}

static bool read_atoms(struct reading *reading, const char *word, struct species *species)
{
    double count;
    int length = read_pair(word, &count);
    for (int i = 0; length > 0 && i < reading->elements; ++i)
        if (strncmp(word, reading->element[i], (size_t)length) == 0 && reading->element[i][length] == '\0') {
            species->weight += count * reading->weight[i];
            return true;
        }
    return refuse(reading, "not ELEMENT=COUNT of an element named before");
}

static bool read_species(struct reading *reading, char *text)
{
    struct mechanism *mechanism = reading->mechanism;
    struct species *species = &mechanism->species[mechanism->species_count];
    if (mechanism->species_count == SPECIES_MAX)
        return refuse(reading, "too many species");
    char *rest, *word = strtok_r(text, " \t", &rest);
    if (!word || strlen(word) > NAME_MAX_LENGTH || mechanism_find(mechanism, word) >= 0)
        return refuse(reading, "not: species NAME ATOMS TEMPERATURE, with a new name");
    strcpy(species->name, word);
    species->weight = 0;
    for (word = strtok_r(NULL, " \t", &rest); word && strchr(word, '='); word = strtok_r(NULL, " \t", &rest))
        if (!read_atoms(reading, word, species))
            return false;
    if (!word || !read_numbers(word, &species->middle, 1) || species->weight <= 0)
        return refuse(reading, "not: species NAME ATOMS TEMPERATURE");
    for (int i = 0; i < 2; ++i) {
        char line[LINE_MAX_LENGTH];
        if (!next_line(reading, line) || !read_numbers(line, species->polynomial[i], 7))
            return refuse(reading, "not the 7 coefficients of a species");
    }
    ++mechanism->species_count;
    return true;
}

/* One side of an equation: species with + between. */
static bool read_side(struct reading *reading, char *text, int *count, int *numbers,
                      struct reaction *reaction)
{
    char *falls_off = strstr(text, "(+M)"), *rest;
    *count = 0;
    if (falls_off) {
        memset(falls_off, ' ', 4);
        reaction->falls_off = true;
    }
    for (char *word = strtok_r(text, " \t+", &rest); word; word = strtok_r(NULL, " \t+", &rest)) {
        int number = mechanism_find(reading->mechanism, word);
        if (strcmp(word, "M") == 0)
            reaction->needs_partner = true;
        else if (number < 0 || *count == 3)
            return refuse(reading, "an equation has unknown species or more than three on a side");
        else
            numbers[(*count)++] = number;
    }
    return *count > 0 || refuse(reading, "an equation has nothing on one side");
}

static bool read_rate(const char *text, struct rate *rate)
{
    double numbers[3];
    if (!read_numbers(text, numbers, 3))
        return false;
    *rate = (struct rate){numbers[0], numbers[1], numbers[2] * CALORIE / GAS_CONSTANT};
    return true;
}

static bool read_efficiencies(struct reading *reading, char *text, struct reaction *reaction)
{
    char *rest;
    for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        double factor;
        int length = read_pair(word, &factor);
        word[length] = '\0';
        int number = mechanism_find(reading->mechanism, word);
        if (length == 0 || number < 0)
            return refuse(reading, "not SPECIES=FACTOR");
        reaction->efficiency[number] = factor;
    }
    return true;
}

static bool read_reaction(struct reading *reading, char *text)
{
    struct mechanism *mechanism = reading->mechanism;
    struct reaction *reaction = &mechanism->reaction[mechanism->reaction_count];
    if (mechanism->reaction_count == REACTIONS_MAX)
        return refuse(reading, "too many reactions");
    *reaction = (struct reaction){.center = 1};
    for (int i = 0; i < SPECIES_MAX; ++i)
        reaction->efficiency[i] = 1;
    char *rest, *equation = strtok_r(text, ":", &rest), *rate = strtok_r(NULL, ":", &rest);
    char *right = equation ? strchr(equation, '=') : NULL;
    if (!right || !rate || !read_rate(rate, &reaction->rate))
        return refuse(reading, "not: reaction EQUATION : A n E");
    *right++ = '\0';
    if (!read_side(reading, equation, &reaction->reactants, reaction->reactant, reaction) ||
        !read_side(reading, right, &reaction->products, reaction->product, reaction))
        return false;
    for (char *part = strtok_r(NULL, ":", &rest); part; part = strtok_r(NULL, ":", &rest)) {
        part += strspn(part, " \t");
        if (strncmp(part, "low ", 4) == 0 ? !read_rate(part + 4, &reaction->low)
            : strncmp(part, "center ", 7) == 0
                ? !read_numbers(part + 7, &reaction->center, 1) || reaction->center <= 0
                : !read_efficiencies(reading, part, reaction))
            return refuse(reading,
                          "a reaction has a part that is not: low A n E, center F or SPECIES=FACTOR ...");
    }
    if (reaction->falls_off != (reaction->low.factor > 0))
        return refuse(reading, "(+M) and 'low' go together");
    ++mechanism->reaction_count;
    return true;
}

bool mechanism_read(const char *path, struct mechanism *mechanism)
{
    struct reading reading = {.path = path, .mechanism = mechanism, .file = fopen(path, "r")};
    char line[LINE_MAX_LENGTH];
    bool good = reading.file != NULL;
    if (!good) {
        perror(path);
        return false;
    }
    mechanism->species_count = mechanism->reaction_count = 0;
    while (good && next_line(&reading, line)) {
        if (strncmp(line, "element ", 8) == 0)
            good = read_element(&reading, line + 8);
        else if (strncmp(line, "species ", 8) == 0)
            good = read_species(&reading, line + 8);
        else if (strncmp(line, "reaction ", 9) == 0)
            good = read_reaction(&reading, line + 9);
        else
            good = refuse(&reading, "not an element, species or reaction");
    }
    fclose(reading.file);
    return good;
}

int mechanism_find(const struct mechanism *mechanism, const char *name)
{
    for (int i = 0; i < mechanism->species_count; ++i)
        if (strcmp(mechanism->species[i].name, name) == 0)
            return i;
    return -1;
}
