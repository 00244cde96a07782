/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BELAY_TOOL_INFO_DEVICES_H
#define BELAY_TOOL_INFO_DEVICES_H

/* Print the RDMA devices of this host and the state of their ports, one line each, or why there are none. */
void info_print_devices(void);

#endif
