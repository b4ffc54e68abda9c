/*
 * Lets the log out. Linked in when the EDL imports logging.edl.
 * Side: enclave. Read by log.c.
 * Never does anything else.
 */
extern const char cella_module_oe_log;
const char cella_module_oe_log = 1;
