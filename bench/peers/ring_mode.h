// Opens a ring by the name of its mode, with the values that bench/children/ring-mode.ts uses.

#ifndef BENCH_RING_MODE_H
#define BENCH_RING_MODE_H

#include <liburing.h>

#include "serve.h"

// Older installed headers lack these two; the kernel is asked either way.
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

// Short, so that the poll thread of a contender that waits for its turn sleeps and leaves its core to the others.
#define SQ_THREAD_IDLE_MS 5

// A trailing '+' registers the ring's descriptor with the thread.
static inline void open_ring(struct io_uring *ring, unsigned entries, const char *mode_and_fd)
{
	char mode[16];
	int register_fd = 0;
	struct io_uring_params params;
	int result;

	snprintf(mode, sizeof mode, "%s", mode_and_fd);
	if (mode[0] != '\0' && mode[strlen(mode) - 1] == '+') {
		mode[strlen(mode) - 1] = '\0';
		register_fd = 1;
	}
	memset(&params, 0, sizeof params);
	if (strcmp(mode, "defer") == 0) {
		params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	} else if (strcmp(mode, "sqpoll") == 0) {
		params.flags = IORING_SETUP_SQPOLL;
		params.sq_thread_idle = SQ_THREAD_IDLE_MS;
	} else if (strcmp(mode, "default") != 0) {
		fprintf(stderr, "unknown mode: %s\n", mode);
		exit(1);
	}
	result = io_uring_queue_init_params(entries, ring, &params);
	if (result < 0)
		skip("io_uring_queue_init_params", result);
	if (!register_fd)
		return;
	result = io_uring_register_ring_fd(ring);
	if (result < 0)
		skip("io_uring_register_ring_fd", result);
}

#endif
