/*
 * TCB info, versions 2 and 3, and QE identity, version 2 (Intel PCS API v3 and v4), as structures.
 * Side: both; freestanding. Called by evidence/prepare.c. Never verifies; arrays come from the caller's arena.
 */
#ifndef CELLA_EVIDENCE_TCB_INFO_H
#define CELLA_EVIDENCE_TCB_INFO_H

#include "cella/evidence.h"
#include "evidence/arena.h"
#include "evidence/json.h"

#define TCB_LEVEL_MAX 128u
#define TCB_MODULE_MAX 16u
#define TCB_MODULE_LEVEL_MAX 64u

/* `advisories`: the JSON array; kind EV_JSON_NULL when there is none. */
struct tcb_level {
    uint8_t sgx[16], tdx[16];
    uint16_t pce_svn; /* of QE and module levels: isvsvn */
    enum cella_tcb_status status;
    int64_t date;
    struct ev_json advisories;
};

struct tcb_module {
    struct cella_bytes id; /* "TDX_03"; empty for tdxModule */
    uint8_t mr_signer[48], attributes[8], attributes_mask[8];
    struct tcb_level *levels; /* descending by isvsvn */
    size_t level_count;
};

struct tcb_info {
    enum cella_tee tee;
    uint64_t version, evaluation_number;
    int64_t issued, next_update;
    uint8_t fmspc[6], pce_id[2];
    struct tcb_level *levels; /* descending, as Intel's own library orders them */
    size_t level_count;
    bool has_module; /* tdxModule */
    struct tcb_module module;
    struct tcb_module *identities; /* tdxModuleIdentities */
    size_t identity_count;
};

struct qe_identity {
    enum cella_tee tee; /* QE: SGX, TD_QE: TDX */
    uint64_t version, evaluation_number;
    int64_t issued, next_update;
    uint32_t misc_select, misc_mask;
    uint8_t attributes[16], attributes_mask[16], mr_signer[32];
    uint16_t isv_prod_id;
    struct tcb_level *levels; /* in the order of the document, by isvsvn in pce_svn */
    size_t level_count;
};

CELLA_MUST_USE cella_result ev_tcb_info_parse(struct ev_json body, struct ev_arena *arena,
                                              struct ev_place *place, struct tcb_info *ret_info);
CELLA_MUST_USE cella_result ev_qe_identity_parse(struct ev_json body, struct ev_arena *arena,
                                                 struct ev_place *place,
                                                 struct qe_identity *ret_identity);

/* NONE: no such status. */
enum cella_tcb_status ev_tcb_status_of(struct cella_bytes name);

/* tcbLevels of a QE identity or a TDX module: tcb.isvsvn, tcbDate, tcbStatus, advisoryIDs. */
CELLA_MUST_USE cella_result ev_tcb_svn_levels_parse(const struct ev_json_members *owner,
                                                    struct ev_arena *arena, struct ev_place *place,
                                                    struct tcb_level **ret_levels,
                                                    size_t *ret_count);

#endif
