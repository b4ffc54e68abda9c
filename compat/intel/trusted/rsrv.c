/*
 * sgx_rsrv_mem_mngr.h: placeholder.
 */
