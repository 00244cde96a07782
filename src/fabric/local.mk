# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += \
    src/fabric/card.c \
    src/fabric/card.h \
    src/fabric/control.h \
    src/fabric/fabric.c \
    src/fabric/fabric.h \
    src/fabric/progress.c \
    src/fabric/progress.h \
    src/fabric/ring.c \
    src/fabric/ring.h \
    src/fabric/shared_memory.c \
    src/fabric/shared_memory.h \
    src/fabric/shm.c \
    src/fabric/transport.h

# The sources of the verbs transport. What a release contains does not depend on HAVE_VERBS.
if HAVE_VERBS
libbelay_la_SOURCES += \
    src/fabric/verbs.c \
    src/fabric/verbs.h \
    src/fabric/verbs_complete.c \
    src/fabric/verbs_connect.c \
    src/fabric/verbs_device.c \
    src/fabric/verbs_handshake.c \
    src/fabric/verbs_overflow.c \
    src/fabric/verbs_overflow.h \
    src/fabric/verbs_queue.c \
    src/fabric/verbs_receive.c \
    src/fabric/verbs_region.c
endif
