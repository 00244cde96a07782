# SPDX-License-Identifier: BSD-3-Clause
bin_PROGRAMS += belay
tool_sources = \
    src/tool/attach.c \
    src/tool/attach.h \
    src/tool/command.h \
    src/tool/doctor.c \
    src/tool/doctor.h \
    src/tool/doctor_host.c \
    src/tool/doctor_job.c \
    src/tool/doctor_memory.c \
    src/tool/doctor_network.c \
    src/tool/info.c \
    src/tool/info.h \
    src/tool/info_config.c \
    src/tool/info_devices.c \
    src/tool/info_host.c \
    src/tool/info_job.c \
    src/tool/latency.c \
    src/tool/latency.h \
    src/tool/launcher.c \
    src/tool/launcher.h \
    src/tool/main.c \
    src/tool/message.c \
    src/tool/message.h \
    src/tool/options.c \
    src/tool/options.h \
    src/tool/progress.c \
    src/tool/progress.h \
    src/tool/quantity.c \
    src/tool/quantity.h \
    src/tool/serve.c \
    src/tool/serve_board.c \
    src/tool/serve_board.h \
    src/tool/stage.c \
    src/tool/stage.h \
    src/tool/stage_batches.c \
    src/tool/stage_board.c \
    src/tool/stage_board.h \
    src/tool/stage_crew.c \
    src/tool/stage_crew.h \
    src/tool/stage_disk.c \
    src/tool/stage_disk.h \
    src/tool/stage_json.c \
    src/tool/stage_judge.c \
    src/tool/stage_key.c \
    src/tool/stage_key.h \
    src/tool/stage_labour.c \
    src/tool/stage_ledger.c \
    src/tool/stage_ledger.h \
    src/tool/stage_losses.c \
    src/tool/stage_losses.h \
    src/tool/stage_memory.c \
    src/tool/stage_pass.c \
    src/tool/stage_pass.h \
    src/tool/stage_report.c \
    src/tool/stage_tally.c \
    src/tool/stage_tally.h \
    src/tool/stage_tree.c \
    src/tool/stage_tree.h \
    src/tool/stage_walk.c \
    src/tool/stage_walk.h \
    src/tool/stage_worker.c \
    src/tool/stage_worker.h \
    src/tool/stats.c \
    src/tool/stats.h \
    src/tool/stats_json.c \
    src/tool/stats_prometheus.c \
    src/tool/top.c \
    src/tool/top_screen.c \
    src/tool/top_screen.h \
    src/tool/verify.c
# The tool looks inside the library: at settings and their origins, at the device it would choose, at what a job tells of itself.
tool_libs = libbelay-internal.la $(JANSSON_LIBS) -lm

belay_SOURCES = $(tool_sources)
belay_LDADD = $(tool_libs)
belay_LDFLAGS = -pthread $(SANITIZE_FLAGS)

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = src/tool/completion/belay
