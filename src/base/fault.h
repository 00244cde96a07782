/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fault.h
 * Named places where tests let a node die: FAULT_POINT("push-before-slot"). Nothing at all unless configured with
 * --enable-fault-points. Then BELAY_TEST_KILL=name:count[:node] ends the process with SIGKILL when it comes to that place for the
 * count-th time, and =name:count:node:stop stops it with SIGSTOP. Several, with commas between, are for several nodes.
 * FAULT_FAILS("name") is true when it is asked for the count-th time, with =name:count:node:fail: what may fail there has failed.
 */
#ifndef BELAY_FAULT_H
#define BELAY_FAULT_H

#include "config.h"

#include <stdbool.h>

#ifdef BELAY_FAULT_POINTS
void fault_point(const char *name);
bool fault_fails(const char *name);
void fault_init(int node);
#define FAULT_POINT(name) fault_point(name)
#define FAULT_FAILS(name) fault_fails(name)
#define FAULT_INIT(node)  fault_init(node)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_FAILS(name) false
#define FAULT_INIT(node)  ((void)0)
#endif

#endif
