# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/cluster/settings.c \
    src/cluster/settings.h \
    src/cluster/settings_file.c \
    src/cluster/settings_file.h \
    src/cluster/settings_table.c \
    src/cluster/settings_table.h \
    src/cluster/settings_value.c \
    src/cluster/settings_value.h \
    src/cluster/settings_xml.c
