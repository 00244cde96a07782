/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <belay.h>
#include <dirent.h>
#include <string.h>

bool device_is_there(void)
{
    DIR *devices = opendir("/sys/class/infiniband");
    struct dirent *entry = NULL;
    while (devices && (entry = readdir(devices)) != NULL && entry->d_name[0] == '.')
        ;
    if (devices)
        closedir(devices);
    return entry != NULL;
}

bool device_can_be_used(void)
{
    return strstr(belay_version(), "verbs") != NULL;
}
