/*
 * How a service hears of SIGHUP, SIGTERM and SIGINT.
 * Side: services. Called by services/common/daemon.c. Inside an enclave, which gets no signals, another file has these.
 */
#ifndef CELLA_SERVICES_SIGNALS_H
#define CELLA_SERVICES_SIGNALS_H

/* From here on they wait for signals_next, in every thread made afterwards too. */
void signals_hold(void);
/* The next one, or 0 after a second. */
int signals_next(void);

#endif
