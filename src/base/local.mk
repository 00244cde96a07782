# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/base/clock.h \
    src/base/fence.h \
    src/base/log.c \
    src/base/log.h \
    src/base/parts.h \
    src/base/siphash.c \
    src/base/siphash.h \
    src/base/spin.h
