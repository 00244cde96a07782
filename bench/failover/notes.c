/* SPDX-License-Identifier: BSD-3-Clause */
#include "notes.h"

#include "support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct notes *notes_open(int rank)
{
    const char *path = getenv("BELAY_BENCH_NOTES");
    CHECK(path, "BELAY_BENCH_NOTES names no file");
    if (rank == 0) {
        unlink(path);
        int created = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        CHECK(created >= 0 && ftruncate(created, sizeof(struct notes)) == 0, "cannot make %s", path);
        close(created);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    int file = open(path, O_RDWR);
    void *memory = mmap(NULL, sizeof(struct notes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(file >= 0 && memory != MAP_FAILED, "cannot map %s", path);
    close(file);
    struct notes *notes = memory;
    atomic_store(&notes->ranks[rank].pid, getpid());
    MPI_Barrier(MPI_COMM_WORLD);
    return notes;
}

static void note_first(_Atomic uint64_t *place, uint64_t time)
{
    uint64_t before = atomic_load(place);
    while ((before == 0 || time < before) && !atomic_compare_exchange_weak(place, &before, time))
        ;
}

static void note_last(_Atomic uint64_t *place, uint64_t time)
{
    uint64_t before = atomic_load(place);
    while (time > before && !atomic_compare_exchange_weak(place, &before, time))
        ;
}

void notes_take_event(belay_node *node, const belay_event *event, void *context)
{
    struct notes *notes = context;
    uint32_t brings = event->kind == BELAY_EVENT_NODE_SUSPECTED ? event->view + 1 : event->view;
    (void)node;
    if (brings < 2 || brings - 2 >= NOTES_KILLS)
        return;
    struct kill_notes *kill = &notes->kills[brings - 2];
    switch (event->kind) {
    case BELAY_EVENT_NODE_SUSPECTED: note_first(&kill->suspected, event->time_ns); break;
    case BELAY_EVENT_VIEW_CHANGED: note_first(&kill->agreed, event->time_ns); break;
    case BELAY_EVENT_PARTITION_PROMOTED:
        if (strcmp(event->cache, PROBE_CACHE) == 0 && event->partition == atomic_load(&kill->probed))
            note_first(&kill->promoted, event->time_ns);
        break;
    case BELAY_EVENT_PARTITION_RESTORED: note_last(&kill->restored, event->time_ns); break;
    default: break;
    }
}
