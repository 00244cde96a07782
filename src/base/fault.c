/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fault.h"

#ifdef BELAY_FAULT_POINTS

#include "base/log.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char wanted[64];
static atomic_int left;             /* passes until the fault; 0: none wanted */
static int signal_wanted = SIGKILL; /* 0: none, something fails */

/* The first of the faults in the list that is meant for this node. */
void fault_init(int node)
{
    const char *text = getenv("BELAY_TEST_KILL");
    for (const char *next; text; text = next ? next + 1 : NULL) {
        int count = 0, where = node;
        char how[8] = "";
        next = strchr(text, ',');
        if (sscanf(text, "%63[^:,]:%d:%d:%7[^,]", wanted, &count, &where, how) < 2 || where != node)
            continue;
        signal_wanted = strcmp(how, "stop") == 0 ? SIGSTOP : strcmp(how, "fail") == 0 ? 0 : SIGKILL;
        atomic_store(&left, count);
        return;
    }
}

static bool is_time(const char *name)
{
    if (atomic_load_explicit(&left, memory_order_relaxed) <= 0 || strcmp(name, wanted) != 0)
        return false;
    if (atomic_fetch_sub(&left, 1) != 1)
        return false;
    log_warn("at fault point %s", name);
    return true;
}

void fault_point(const char *name)
{
    if (is_time(name))
        kill(getpid(), signal_wanted);
}

bool fault_fails(const char *name)
{
    return is_time(name);
}

#else
typedef int fault_points_are_not_configured; /* a translation unit is not empty */
#endif
