# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/copy/address.h \
    src/copy/applied.c \
    src/copy/arena.c \
    src/copy/arena.h \
    src/copy/bucket.h \
    src/copy/change.c \
    src/copy/check.c \
    src/copy/cleaner.c \
    src/copy/clear.c \
    src/copy/copy.c \
    src/copy/copy.h \
    src/copy/copy_private.h \
    src/copy/ending.c \
    src/copy/entry.c \
    src/copy/evict.c \
    src/copy/index.c \
    src/copy/keys.c \
    src/copy/keys.h \
    src/copy/layout.h \
    src/copy/log.c \
    src/copy/mark.c \
    src/copy/mark.h \
    src/copy/pending.c \
    src/copy/reader.c \
    src/copy/reader.h \
    src/copy/reader_fetched.c \
    src/copy/reader_mirror.c \
    src/copy/rebuild.c \
    src/copy/reserve.c \
    src/copy/seal.h \
    src/copy/segments.c \
    src/copy/split.c
