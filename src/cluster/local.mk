# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/cluster/settings.h
