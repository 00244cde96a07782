/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of files is cut into pieces and batches that cover every byte once; a walk finds what is there. */
#include "tool/stage_key.h"
#include "tool/stage_tree.h"
#include "tool/stage_walk.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void add(struct stage_tree *tree, uint64_t size)
{
    char name[32];
    struct stat status = {.st_size = (off_t)size};
    int length = snprintf(name, sizeof name, "file %llu", (unsigned long long)tree->file_count);
    assert_int_equal(tree_add(tree, name, (size_t)length, &status), BELAY_OK);
}

static void check_pieces(const struct stage_tree *tree)
{
    uint64_t piece = 0, bytes = 0;
    for (uint32_t f = 0; f < tree->file_count; ++f) {
        uint64_t at = 0;
        uint32_t part = 0;
        assert_int_equal(tree->files[f].first_piece, piece);
        do {
            const struct tree_piece *p = &tree->pieces[piece++];
            assert_int_equal(p->file, f);
            assert_int_equal(p->part, part);
            assert_int_equal(part * tree->piece_size, at);
            assert_true(p->length <= tree->piece_size && p->length <= tree->longest_piece);
            assert_true(p->length > 0 || tree->files[f].size == 0);
            at += p->length;
            ++part;
        } while (at < tree->files[f].size);
        assert_int_equal(at, tree->files[f].size);
        bytes += at;
    }
    assert_int_equal(piece, tree->piece_count);
    assert_int_equal(bytes, tree->bytes);
}

static void check_batches(const struct stage_tree *tree)
{
    uint64_t piece = 0;
    for (uint64_t b = 0; b < tree->batch_count; ++b) {
        assert_int_equal(tree->batches[b].first, piece);
        assert_true(tree->batches[b].count > 0);
        piece += tree->batches[b].count;
    }
    assert_int_equal(piece, tree->piece_count);
}

static void test_pieces_cover_all(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 1023, 1024, 1025, 2048, 5000, 0, 0, 3 << 20, 1};
    struct stage_tree tree = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
        add(&tree, sizes[i]);
    assert_int_equal(tree_cut(&tree, 1024), BELAY_OK);
    assert_int_equal(tree.longest_piece, 1024);
    check_pieces(&tree);
    check_batches(&tree);
    tree_free(&tree);
}

static void test_many_small_files_make_some_batches(void **state)
{
    (void)state;
    struct stage_tree tree = {0};
    for (unsigned i = 0; i < 10000; ++i)
        add(&tree, i % 5000);
    assert_int_equal(tree_cut(&tree, BELAY_VALUE_MAX), BELAY_OK);
    check_pieces(&tree);
    check_batches(&tree);
    assert_int_equal(tree.piece_count, tree.file_count);
    assert_in_range(tree.batch_count, 16, 1000);
    char path[PATH_MAX + 1];
    assert_string_equal(tree_path(&tree, &tree.files[9999], path), "file 9999");
    tree_free(&tree);
}

static void test_empty_tree(void **state)
{
    (void)state;
    struct stage_tree tree = {0};
    assert_int_equal(tree_cut(&tree, 1024), BELAY_OK);
    assert_int_equal(tree.piece_count, 0);
    assert_int_equal(tree.batch_count, 0);
    tree_free(&tree);
}

static void test_keys_differ(void **state)
{
    (void)state;
    static char longest[STAGE_NAME_MAX];
    memset(longest, 'x', sizeof longest);
    struct stage_key first, second, about, about_second;
    stage_key_content(&first, "a/b", 3, 0);
    assert_int_equal(first.length, 3);
    assert_memory_equal(first.bytes, "a/b", 3);
    stage_key_content(&second, "a/b", 3, 1);
    assert_int_equal(second.length, 5);
    assert_memory_equal(second.bytes, "a/b\0001", 5);
    stage_key_about(&about, "a/b", 3, 0);
    assert_int_equal(about.length, 9);
    assert_memory_equal(about.bytes, "a/b\0about", 9);
    stage_key_about(&about_second, longest, sizeof longest, UINT32_MAX);
    assert_int_equal(about_second.length, BELAY_KEY_MAX);
    assert_memory_equal(about_second.bytes + sizeof longest, "\0about4294967295", STAGE_SUFFIX_MAX);
}

static void write_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < size; ++i)
        fputc('x', file);
    assert_int_equal(fclose(file), 0);
}

static void test_walk(void **state)
{
    (void)state;
    char directory[] = "/tmp/belay-walk-XXXXXX", path[PATH_MAX];
    assert_non_null(mkdtemp(directory));
    char *home = getcwd(path, sizeof path);
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(mkdir("sub", 0777), 0);
    write_file("sub/ten", 10);
    write_file("big", 1000);
    write_file("new\nline", 0);
    assert_int_equal(symlink("big", "link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(symlink("..", "sub/loop"), 0);
    assert_int_equal(mkfifo("pipe", 0666), 0);
    assert_int_equal(chdir(home), 0);

    struct stage_tree tree = {0};
    assert_int_equal(stage_walk(directory, 100, &tree), BELAY_OK);
    assert_int_equal(tree.file_count, 2);
    assert_int_equal(tree.bytes, 10);
    assert_int_equal(tree.skipped.symlinks, 3);
    assert_int_equal(tree.skipped.special, 1);
    assert_int_equal(tree.skipped.over_limit, 1);
    tree_free(&tree);

    assert_int_equal(stage_walk("/nonexistent", UINT64_MAX, &tree), BELAY_ERR_INVALID);
    assert_int_equal(stage_walk("/etc/passwd", UINT64_MAX, &tree), BELAY_ERR_INVALID);
    tree_free(&tree);

    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_cover_all),
        cmocka_unit_test(test_many_small_files_make_some_batches),
        cmocka_unit_test(test_empty_tree),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests_name("stage tree", tests, NULL, NULL);
}
