# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/api/cache.c \
    src/api/check.h \
    src/api/failure.c \
    src/api/figures.c \
    src/api/invoke.c \
    src/api/loader.c \
    src/api/many_keys.c \
    src/api/node.c \
    src/api/one_key.c \
    src/api/placement.c \
    src/api/request.c \
    src/api/result.c \
    src/api/subscription.c \
    src/api/transaction.c
