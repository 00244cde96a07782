/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_recover.h
 * What becomes of transactions whose coordinator, or a participant's primary, is dead.
 *
 * A new primary finds the records in its copy, and with them locks and changes (recover_promoted()). If the coordinator lives, it
 * decides; it is asked, for it may have finished and forgotten: then it was committed. If it is dead, the other participants are
 * asked: one that has committed, or where the coordinator has gone on to a later one, says that all have to. If none does, none
 * ever will, for the coordinator is fenced: it is aborted. Whoever answers has a view without the coordinator, so that no
 * message of it can come later.
 *
 * Threads: under the state lock.
 */
#ifndef BELAY_TRANSACTION_RECOVER_H
#define BELAY_TRANSACTION_RECOVER_H

#include "mirror/partition.h"

/* struct partition.promoted: not before all that its copy says of transactions is known here. */
bool recover_promoted(struct partition *partition);

/* There is something to be looked after in the next round of progress. */
void recover_attend(belay_node *node);

void transaction_recover_register(belay_node *node);

#endif
