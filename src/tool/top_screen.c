/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/top_screen.h"

#include "base/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MAX_LENGTH = 512, ROWS_DEFAULT = 24, COLUMNS_DEFAULT = 80 };

struct top_screen {
    bool terminal, keys;
    struct termios before; /* of standard input */
    int signals;           /* signalfd; -1: none */
    unsigned rows, columns, row;
    char line[LINE_MAX_LENGTH];
    size_t length;
};

/* Keys arrive one by one, and are not shown. */
static void take_keys(struct top_screen *screen)
{
    struct termios raw;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &screen->before) != 0)
        return;
    raw = screen->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    screen->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

struct top_screen *top_open(void)
{
    struct top_screen *screen = calloc(1, sizeof *screen);
    sigset_t ends;
    const char *kind = getenv("TERM");
    if (!screen)
        return NULL;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    screen->signals = signalfd(-1, &ends, SFD_CLOEXEC);
    screen->terminal = isatty(STDOUT_FILENO) && kind && strcmp(kind, "dumb") != 0;
    if (screen->terminal) {
        take_keys(screen);
        fputs("\033[?1049h\033[?25l", stdout); /* second screen, no cursor */
    }
    return screen;
}

void top_close(struct top_screen *screen)
{
    if (screen->terminal)
        fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (screen->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    if (screen->signals >= 0)
        close(screen->signals);
    free(screen);
}

void top_begin(struct top_screen *screen)
{
    struct winsize size = {0};
    screen->row = 0;
    screen->length = 0;
    if (!screen->terminal)
        return;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        size = (struct winsize){0};
    screen->rows = size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
    screen->columns = size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    fputs("\033[H", stdout);
}

void top_print(struct top_screen *screen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(screen->line + screen->length, sizeof screen->line - screen->length, format,
                           arguments);
    va_end(arguments);
    if (length > 0)
        screen->length += (size_t)length;
    if (screen->length > sizeof screen->line - 1)
        screen->length = sizeof screen->line - 1;
}

void top_end_line(struct top_screen *screen)
{
    size_t length = screen->length;
    screen->length = 0;
    if (!screen->terminal) {
        printf("%.*s\n", (int)length, screen->line);
        return;
    }
    if (screen->row + 1 >= screen->rows)
        return;
    screen->row++;
    printf("%.*s\033[K\n", (int)(length < screen->columns ? length : screen->columns), screen->line);
}

void top_show(struct top_screen *screen)
{
    fputs(screen->terminal ? "\033[J" : "\n", stdout);
    fflush(stdout);
}

bool top_wait(struct top_screen *screen, double seconds)
{
    uint64_t end = clock_now() + (uint64_t)(seconds * 1e9);
    struct pollfd ready[2] = {{.fd = screen->signals, .events = POLLIN},
                              {.fd = screen->keys ? STDIN_FILENO : -1, .events = POLLIN}};
    for (uint64_t now; (now = clock_now()) < end;) {
        char key = 0;
        if (poll(ready, 2, (int)((end - now + 999999) / 1000000)) <= 0)
            continue;
        if (ready[0].revents)
            return true;
        if (ready[1].revents && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q'))
            return true;
    }
    return false;
}
