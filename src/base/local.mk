# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/base/clock.h \
    src/base/fault.c \
    src/base/fault.h \
    src/base/fence.h \
    src/base/log.c \
    src/base/log.h \
    src/base/node_set.h \
    src/base/own_key.h \
    src/base/parts.h \
    src/base/process.c \
    src/base/process.h \
    src/base/racy.h \
    src/base/siphash.c \
    src/base/siphash.h \
    src/base/spin.h
