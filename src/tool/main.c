/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdio.h>

int main(void)
{
    printf("belay %s\n", PACKAGE_VERSION);
    return 0;
}
