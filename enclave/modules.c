/*
 * Modules that are nothing of their own: sleeping and threads are there with every libc, by the host's WAIT and THREAD.
 * Side: enclave. Gives the names of docs/runtime.md a symbol each, so that whoever wants a module by name finds it.
 * Never asks for anything.
 */
extern const char cella_module_sleep, cella_module_threads;
const char cella_module_sleep = 1;
const char cella_module_threads = 1;
