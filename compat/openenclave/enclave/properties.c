/*
 * The properties of an enclave whose source states none: absurd ones, so that oesign's configuration file must.
 * Side: enclave. Read by oesign. Pulled in by the link's -u when the application has no OE_SET_ENCLAVE_SGX.
 * Never valid as they are: the number of TCS is out of range.
 */
#include <openenclave/bits/properties.h>

OE_SET_ENCLAVE_SGX(UINT16_MAX, UINT16_MAX, 0, UINT16_MAX, UINT16_MAX, UINT16_MAX)
