/*
 * The name under which the key of an encrypted image is sealed: the additional text of the sealed blob.
 * To be included by the enclave that seals the key. Source compatible with the Intel SGX SDK.
 */
#ifndef SGX_PCL_GUID_H
#define SGX_PCL_GUID_H

#include <stdint.h>

#define SGX_PCL_GUID_SIZE (16)

uint8_t g_pcl_guid[SGX_PCL_GUID_SIZE] = {0x95, 0x48, 0x6e, 0x8f, 0x8f, 0x4a, 0x41, 0x4f,
                                         0xb1, 0x27, 0x46, 0x21, 0xa8, 0x59, 0xa8, 0xac};

#endif
