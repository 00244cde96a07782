/* SPDX-License-Identifier: BSD-3-Clause */
/* What the launcher's variables say of this process, known without MPI. */
#ifndef BELAY_TOOL_LAUNCHER_H
#define BELAY_TOOL_LAUNCHER_H

/* Rank in the job; -1 without a launcher. */
int launcher_rank(void);

/* Among the job's processes on this host: number from 0, and how many there are; -1 if unknown. */
int launcher_local_rank(void);
int launcher_local_size(void);

#endif
