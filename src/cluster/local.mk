# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/cluster/affinity.c \
    src/cluster/affinity.h \
    src/cluster/bootstrap.c \
    src/cluster/bootstrap.h \
    src/cluster/call_wait.c \
    src/cluster/calls.c \
    src/cluster/calls.h \
    src/cluster/dispatch.c \
    src/cluster/dispatch.h \
    src/cluster/eventcount.c \
    src/cluster/eventcount.h \
    src/cluster/events.c \
    src/cluster/events.h \
    src/cluster/leave.c \
    src/cluster/liveness.c \
    src/cluster/liveness.h \
    src/cluster/membership.c \
    src/cluster/membership.h \
    src/cluster/message.h \
    src/cluster/node.c \
    src/cluster/node.h \
    src/cluster/placement.c \
    src/cluster/placement.h \
    src/cluster/progress.c \
    src/cluster/settings.c \
    src/cluster/settings.h \
    src/cluster/settings_file.c \
    src/cluster/settings_file.h \
    src/cluster/settings_table.c \
    src/cluster/settings_table.h \
    src/cluster/settings_value.c \
    src/cluster/settings_value.h \
    src/cluster/settings_xml.c \
    src/cluster/view.c \
    src/cluster/view.h
