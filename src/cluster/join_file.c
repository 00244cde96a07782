/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address file: lines of text, readable by its owner only, since it holds the job's secret.
 *
 *     belay 1
 *     secret 0123...
 *     contact HOST PORT
 */
#include "base/log.h"
#include "cluster/join.h"
#include "cluster/join_talk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_lines(const belay_node *node, FILE *file)
{
    fprintf(file, "belay %d\nsecret ", JOIN_PROTOCOL);
    for (size_t i = 0; i < sizeof node->secret; ++i)
        fprintf(file, "%02x", node->secret[i]);
    fputc('\n', file);
    for (int i = 0; i < node->view->nodes; ++i)
        if (node->introductions[i].port)
            fprintf(file, "contact %s %u\n", node->introductions[i].contact, node->introductions[i].port);
}

/* Under another name first, so that nobody reads half of it. */
int join_write_file(const belay_node *node)
{
    const char *path = node->settings.address_file;
    char temporary[SETTINGS_PATH_MAX + 16];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file) {
        if (descriptor >= 0)
            close(descriptor);
        return log_error(BELAY_ERR_SYSTEM, "cannot write the address file %s: %s", temporary,
                         strerror(errno));
    }
    write_lines(node, file);
    bool failed = ferror(file);
    if (fclose(file) != 0 || failed || rename(temporary, path) != 0) {
        int result = log_error(BELAY_ERR_SYSTEM, "cannot write the address file %s: %s", path,
                               strerror(errno));
        unlink(temporary);
        return result;
    }
    return BELAY_OK;
}

static bool read_secret(const char *text, unsigned char *secret)
{
    for (size_t i = 0; i < FABRIC_SECRET_SIZE; ++i)
        if (sscanf(text + 2 * i, "%2hhx", &secret[i]) != 1)
            return false;
    return true;
}

static int read_lines(FILE *file, struct join_address *address)
{
    char line[256], text[128];
    int version = 0;
    bool secret = false;
    while (fgets(line, sizeof line, file)) {
        struct join_contact contact;
        if (sscanf(line, "secret %32s", text) == 1)
            secret = strlen(text) == 2 * FABRIC_SECRET_SIZE && read_secret(text, address->secret);
        else if (sscanf(line, "contact %71s %u", contact.host, &contact.port) == 2 &&
                 address->count < JOIN_CONTACTS_MAX)
            address->contacts[address->count++] = contact;
        else if (sscanf(line, "belay %d", &version) != 1)
            return BELAY_ERR_CONFIG;
    }
    return version == JOIN_PROTOCOL && secret && address->count > 0 ? BELAY_OK : BELAY_ERR_CONFIG;
}

int join_read_file(const char *path, struct join_address *address)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    *address = (struct join_address){0};
    if (!file)
        return log_error(BELAY_ERR_CONFIG, "cannot read the address file %s: %s", path, strerror(errno));
    int result = read_lines(file, address);
    if (result != BELAY_OK)
        log_error(result, "%s is not an address file of Belay, version %d", path, JOIN_PROTOCOL);
    else if (fstat(fileno(file), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)))
        log_warn("the address file %s holds a secret, and others may read it: chmod 600", path);
    fclose(file);
    return result;
}
