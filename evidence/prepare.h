/*
 * The parts of preparing collateral.
 * Side: both. Called by evidence/prepare.c and prepare_document.c. Never looks at dates.
 */
#ifndef CELLA_EVIDENCE_PREPARE_H
#define CELLA_EVIDENCE_PREPARE_H

#include "evidence/prepared.h"
#include "evidence/quote.h"
#include "evidence/snp.h"

/* TCB info or QE identity: parses it and keeps it; its signature comes when all certificates are there. */
CELLA_MUST_USE cella_result ev_prepare_document(struct cella_prepared *prepared,
                                                const struct cella_collateral_item *item,
                                                const struct ev_object *object,
                                                struct ev_place *place);
void ev_prepare_document_verify(struct cella_prepared *prepared, struct ev_document *document);
enum cella_collateral_kind ev_prepare_document_kind(struct cella_bytes text);

#endif
