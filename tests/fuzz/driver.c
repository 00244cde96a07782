/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target where libFuzzer is not at hand: each input of a corpus as it is, then random mutations of them.
 *
 *   tests/fuzz/fuzz_NAME SECONDS FILE-OR-FOLDER...
 *
 * The seed is printed and can be set by BELAY_TEST_SEED. The input being run lies in $TMPDIR/fuzz-input, so that it is
 * there after a crash; to replay it, give it as the only file with 0 seconds.
 *
 * With libFuzzer this file is left out:  clang -fsanitize=fuzzer,address tests/fuzz/fuzz_NAME.c ...
 */
#include "../support/random.h"
#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_MAX = 1024, INPUT_MAX = 1 << 16, CHANGES_MAX = 8 };

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input corpus[INPUTS_MAX];
static size_t corpus_count;
static uint8_t *shown; /* the mapped file that survives a crash */
static int shown_file;

static struct random_source source;

/* 0 if there is nothing below the bound. */
static size_t below(size_t bound)
{
    return bound ? (size_t)random_below(&source, bound) : 0;
}

/* ---- Mutations ------------------------------------------------------------------------------------------------ */

/* Replace @p gone bytes at @p at by @p count bytes of @p from, as far as there is room. */
static void replace(struct input *input, size_t at, size_t gone, const uint8_t *from, size_t count)
{
    if (input->size - gone + count > INPUT_MAX)
        return;
    memmove(input->bytes + at + count, input->bytes + at + gone, input->size - at - gone);
    memcpy(input->bytes + at, from, count);
    input->size = input->size - gone + count;
}

static void insert_from(struct input *input, const struct input *other)
{
    static uint8_t piece[INPUT_MAX];
    size_t start = below(other->size);
    size_t count = below(other->size - start < 256 ? other->size - start + 1 : 256);
    size_t at = below(input->size + 1);
    size_t gone = below(2) ? 0 : below(input->size - at + 1) % 64;
    memcpy(piece, other->bytes + start, count);
    replace(input, at, gone, piece, count);
}

static void mutate(struct input *input)
{
    size_t at = below(input->size);
    uint8_t byte = (uint8_t)random_next(&source);
    switch (input->size ? below(6) : 5) {
    case 0: input->bytes[at] ^= (uint8_t)(1u << below(8)); break;
    case 1: input->bytes[at] = byte; break;
    case 2: replace(input, at, 0, &byte, 1); break;
    case 3: replace(input, at, below(input->size - at + 1) % 64, &byte, 0); break;
    case 4: insert_from(input, input); break;
    case 5: insert_from(input, &corpus[below(corpus_count)]); break;
    }
}

/* ---- Running -------------------------------------------------------------------------------------------------- */

static void run(const uint8_t *bytes, size_t size)
{
    /* A copy of its own size: the sanitizer sees reads beyond its end. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy || ftruncate(shown_file, (off_t)size) < 0)
        abort();
    memcpy(shown, bytes, size);
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static unsigned long run_mutations(double seconds)
{
    static uint8_t bytes[INPUT_MAX];
    const uint64_t end = clock_now() + (uint64_t)(seconds * 1e9);
    unsigned long runs = 0;
    for (; clock_now() < end; ++runs) {
        const struct input *seed = &corpus[below(corpus_count)];
        struct input input = {bytes, seed->size};
        memcpy(bytes, seed->bytes, seed->size);
        for (size_t changes = 1 + below(CHANGES_MAX); changes > 0; --changes)
            mutate(&input);
        run(input.bytes, input.size);
    }
    return runs;
}

/* ---- The corpus ----------------------------------------------------------------------------------------------- */

static bool add_file(const char *path)
{
    FILE *stream = fopen(path, "r");
    if (!stream || corpus_count == INPUTS_MAX)
        return false;
    struct input *input = &corpus[corpus_count++];
    input->bytes = malloc(INPUT_MAX);
    if (!input->bytes)
        abort();
    input->size = fread(input->bytes, 1, INPUT_MAX, stream);
    fclose(stream);
    return true;
}

static bool add(const char *path)
{
    DIR *folder = opendir(path);
    bool added = true;
    if (!folder)
        return add_file(path);
    for (const struct dirent *entry; added && (entry = readdir(folder));) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        added = add_file(name);
    }
    closedir(folder);
    return added;
}

static void show_inputs_in_a_file(void)
{
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/fuzz-input", folder ? folder : ".");
    shown_file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    shown = shown_file < 0 ? MAP_FAILED
                           : mmap(NULL, INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, shown_file, 0);
    if (shown == MAP_FAILED) {
        perror(path);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    char *end;
    const double seconds = argc > 1 ? strtod(argv[1], &end) : -1;
    if (argc < 3 || *end || seconds < 0) {
        fprintf(stderr, "Usage: %s SECONDS FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    for (int i = 2; i < argc; ++i)
        if (!add(argv[i])) {
            perror(argv[i]);
            return 2;
        }
    if (corpus_count == 0) {
        fprintf(stderr, "%s: no inputs\n", argv[0]);
        return 2;
    }
    const char *seed = getenv("BELAY_TEST_SEED");
    source.state = seed ? strtoull(seed, NULL, 0) : clock_now();
    printf("%zu inputs, BELAY_TEST_SEED=%llu\n", corpus_count, (unsigned long long)source.state);
    fflush(stdout);
    show_inputs_in_a_file();
    for (size_t i = 0; i < corpus_count; ++i)
        run(corpus[i].bytes, corpus[i].size);
    printf("%lu mutations, none did harm\n", run_mutations(seconds));
    return 0;
}
