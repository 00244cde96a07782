/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/progress.h"

#include "base/clock.h"
#include "tool/quantity.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MAX_LENGTH = 512,
    SECONDS_PER_LINE = 3,
    COLUMNS_DEFAULT = 80,
    BAR_SHORTEST = 8,
    BAR_LONGEST = 40
};

struct progress {
    enum progress_style style;
    pthread_mutex_t lock;
    char title[64];
    uint64_t files, bytes; /* of the step */
    uint64_t begun_at, shown_at;
    unsigned columns;
    bool drawn;
};

/* ---- Where it goes ---- */

/* The launcher's standard error opened anew, -1 if it is not a terminal. */
static int open_launcher_terminal(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), STDERR_FILENO);
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISCHR(status.st_mode))
        return -1;
    int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && !isatty(fd)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int open_terminal(void)
{
    return isatty(STDERR_FILENO) ? dup(STDERR_FILENO) : open_launcher_terminal();
}

enum progress_style progress_choose(void)
{
    const char *kind = getenv("TERM");
    int fd = open_terminal();
    if (fd >= 0)
        close(fd);
    return fd >= 0 && kind && strcmp(kind, "dumb") != 0 ? PROGRESS_BAR : PROGRESS_LINES;
}

static unsigned terminal_columns(void)
{
    struct winsize size = {0};
    int fd = open_terminal();
    if (fd >= 0) {
        if (ioctl(fd, TIOCGWINSZ, &size) != 0)
            size.ws_col = 0;
        close(fd);
    }
    return size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

static void put_text(const char *text, size_t length)
{
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* progress is worth no complaint */
}

/* ---- What it says ---- */

/* " 52.1 of 116.0 MB, 3,712 of 8,182 files, 210 MB/s, 3 s left" */
static void describe(const progress *p, uint64_t files, uint64_t bytes, char text[LINE_MAX_LENGTH])
{
    char done[QUANTITY_TEXT], all[QUANTITY_TEXT], files_done[QUANTITY_TEXT], files_all[QUANTITY_TEXT];
    double seconds = (double)(clock_now() - p->begun_at) / 1e9;
    int length = snprintf(text, LINE_MAX_LENGTH, "%s of %s MB, %s of %s files",
                          quantity_megabytes(bytes, done), quantity_megabytes(p->bytes, all),
                          quantity_count(files, files_done), quantity_count(p->files, files_all));
    if (bytes == 0 || seconds < 0.5)
        return;
    double speed = (double)bytes / seconds;
    double left = bytes < p->bytes ? (double)(p->bytes - bytes) / speed : 0;
    snprintf(text + length, (size_t)(LINE_MAX_LENGTH - length), ", %.0f MB/s, %.0f s left", speed / 1e6,
             left);
}

static unsigned percent_of(const progress *p, uint64_t files, uint64_t bytes)
{
    uint64_t done = p->bytes > 0 ? bytes : files, all = p->bytes > 0 ? p->bytes : p->files;
    if (all == 0 || done >= all)
        return 100;
    return (unsigned)((double)done / (double)all * 100);
}

static void draw_bar(progress *p, uint64_t files, uint64_t bytes)
{
    char text[LINE_MAX_LENGTH], line[2 * LINE_MAX_LENGTH], bar[BAR_LONGEST + 1];
    describe(p, files, bytes, text);
    unsigned percent = percent_of(p, files, bytes);
    unsigned taken = (unsigned)(strlen(p->title) + strlen(text)) + 12;
    unsigned width = p->columns > taken + BAR_SHORTEST ? p->columns - taken : BAR_SHORTEST;
    if (width > BAR_LONGEST)
        width = BAR_LONGEST;
    for (unsigned i = 0; i < width; ++i)
        bar[i] = i < width * percent / 100 ? '#' : '.';
    bar[width] = '\0';
    int length = snprintf(line, sizeof line, "%s [%s] %3u%% %s", p->title, bar, percent, text);
    if (length > (int)p->columns - 1)
        length = (int)p->columns - 1; /* a wrapped line could not be redrawn */
    char whole[2 * LINE_MAX_LENGTH + 8];
    length = snprintf(whole, sizeof whole, "\r%.*s\033[K", length, line);
    put_text(whole, (size_t)length);
    p->drawn = true;
}

static void print_line(const progress *p, uint64_t files, uint64_t bytes)
{
    char text[LINE_MAX_LENGTH], line[2 * LINE_MAX_LENGTH];
    describe(p, files, bytes, text);
    int length = snprintf(line, sizeof line, "%s %3u%% %s\n", p->title, percent_of(p, files, bytes), text);
    put_text(line, (size_t)length);
}

void progress_show(progress *p, uint64_t files, uint64_t bytes)
{
    if (!p || p->style == PROGRESS_NONE)
        return;
    pthread_mutex_lock(&p->lock);
    uint64_t now = clock_now();
    if (!p->title[0]) {
        /* between steps */
    } else if (p->style == PROGRESS_BAR) {
        draw_bar(p, files, bytes);
    } else if (now - p->shown_at >= SECONDS_PER_LINE * 1000 * NANOSECONDS_PER_MS) {
        print_line(p, files, bytes);
        p->shown_at = now;
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_step(progress *p, const char *title, uint64_t files, uint64_t bytes)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    snprintf(p->title, sizeof p->title, "%s", title);
    p->files = files;
    p->bytes = bytes;
    p->begun_at = p->shown_at = clock_now();
    if (p->style == PROGRESS_BAR)
        p->columns = terminal_columns();
    pthread_mutex_unlock(&p->lock);
}

void progress_erase(progress *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->drawn)
        put_text("\r\033[K", 4);
    p->drawn = false;
    p->title[0] = '\0';
    pthread_mutex_unlock(&p->lock);
}

progress *progress_open(enum progress_style style)
{
    progress *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->style = style;
    p->columns = COLUMNS_DEFAULT;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void progress_close(progress *p)
{
    if (!p)
        return;
    progress_erase(p);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
