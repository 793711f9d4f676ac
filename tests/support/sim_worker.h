/* The worker of simulated nodes: jobs take no time unless a test says so. */
#ifndef RATSD_TESTS_SIM_WORKER_H
#define RATSD_TESTS_SIM_WORKER_H

#include <stdint.h>

/* How long each job takes from now on, of every worker of the process; 0 again at the end. */
void sim_worker_set_job_ms(int64_t ms);

#endif
