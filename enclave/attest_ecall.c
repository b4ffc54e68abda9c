/*
 * The entry through which the host asks for evidence. Linked with libcella_enclave_attest only: -u cella_module_attest.
 * Side: enclave.
 */
#include "enclave/kernel.h"

#include "enclave/evidence.h"

extern const char cella_module_attest;
const char cella_module_attest = 1;

static const struct cella_system_ecall evidence_ecall = {
    .number = CELLA_ECALL_EVIDENCE,
    .ecall = {.function = cella_evidence_serve,
              .in_max = CELLA_CALL_EVIDENCE_MAX,
              .out_max = 8 + CELLA_CALL_EVIDENCE_OUT_MAX}};
CELLA_SYSTEM_ECALL(evidence_ecall);
