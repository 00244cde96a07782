# SPDX-License-Identifier: BSD-3-Clause
bin_PROGRAMS += belay
belay_SOURCES = src/tool/main.c
belay_LDFLAGS = -pthread $(SANITIZE_FLAGS)
