# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/cache/async.c \
    src/cache/async.h \
    src/cache/cache.h \
    src/cache/client.c \
    src/cache/client.h \
    src/cache/coordinator.c \
    src/cache/counters.c \
    src/cache/counters.h \
    src/cache/large.c \
    src/cache/large.h \
    src/cache/lookup.c \
    src/cache/lookup.h \
    src/cache/lookup_remote.c \
    src/cache/many.c \
    src/cache/map.c \
    src/cache/map.h \
    src/cache/many.h \
    src/cache/operation.c \
    src/cache/operation.h \
    src/cache/partitions.c \
    src/cache/partitions.h \
    src/cache/registry.c \
    src/cache/registry.h \
    src/cache/route.c \
    src/cache/route.h \
    src/cache/serve.c \
    src/cache/serve.h \
    src/cache/staging.c \
    src/cache/staging.h \
    src/cache/sweep.c \
    src/cache/sweep.h \
    src/cache/whole.c \
    src/cache/whole.h \
    src/cache/wire.h
