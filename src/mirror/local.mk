# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/mirror/holder.c \
    src/mirror/mirror.c \
    src/mirror/mirror.h \
    src/mirror/mirror_private.h \
    src/mirror/partition.c \
    src/mirror/partition.h \
    src/mirror/pending.c \
    src/mirror/promote.c \
    src/mirror/provision.c \
    src/mirror/push.c \
    src/mirror/resync.c \
    src/mirror/room.c \
    src/mirror/verify.c \
    src/mirror/verify.h
