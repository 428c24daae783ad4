// The `nop` and `scaling` suites' loop on liburing: bench/children/nop.ts does the same, word for word where it can.
// Usage: nop BATCH MODE ENTRIES PENDING. PENDING reads of an empty eventfd stay in flight the whole time.

#include <sys/eventfd.h>

#include "ring_mode.h"

static struct io_uring ring;
static unsigned batch;
static uint64_t pending_buffer;

static void reap(unsigned *left, uint64_t *sum)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&ring, head, cqe) {
		if (cqe->res != 0)
			die("NOP", cqe->res);
		*sum += cqe->user_data;
		count++;
	}
	io_uring_cq_advance(&ring, count);
	*left -= count;
}

static void check_sum(uint64_t sum, uint64_t batches)
{
	if (sum != batches * ((uint64_t)batch * (batch - 1) / 2)) {
		fprintf(stderr, "the user_data sum is wrong: a completion was lost or came twice\n");
		exit(1);
	}
}

static void entering_loop(uint64_t batches)
{
	uint64_t sum = 0;

	for (uint64_t done = 0; done < batches; done++) {
		unsigned left = batch;

		for (unsigned index = 0; index < batch; index++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_nop(sqe);
			io_uring_sqe_set_data64(sqe, index);
		}
		do {
			int result = io_uring_submit_and_wait(&ring, left);

			if (result < 0)
				die("io_uring_submit_and_wait", result);
			reap(&left, &sum);
		} while (left > 0);
	}
	check_sum(sum, batches);
}

static void polled_loop(uint64_t batches)
{
	uint64_t sum = 0;

	for (uint64_t done = 0; done < batches; done++) {
		unsigned left = batch;
		int result;

		for (unsigned index = 0; index < batch; index++) {
			struct io_uring_sqe *sqe;

			// The poll thread may post completions before it moves the queue's head.
			do {
				sqe = io_uring_get_sqe(&ring);
			} while (!sqe);
			io_uring_prep_nop(sqe);
			io_uring_sqe_set_data64(sqe, index);
		}
		result = io_uring_submit(&ring);
		if (result < 0)
			die("io_uring_submit", result);
		do {
			reap(&left, &sum);
		} while (left > 0);
	}
	check_sum(sum, batches);
}

static void hold_reads(unsigned count)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0) {
		perror("eventfd");
		exit(1);
	}
	for (unsigned index = 0; index < count; index++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_read(sqe, fd, &pending_buffer, sizeof pending_buffer, 0);
	}
	while (io_uring_sq_ready(&ring) > 0) {
		int result = io_uring_submit(&ring);

		if (result < 0)
			die("io_uring_submit", result);
	}
}

int main(int argc, char **argv)
{
	unsigned pending;

	if (argc < 5)
		return 2;
	batch = (unsigned)atoi(argv[1]);
	pending = (unsigned)atoi(argv[4]);
	open_ring(&ring, (unsigned)atoi(argv[3]), argv[2]);
	if (pending > 0)
		hold_reads(pending);
	return serve(strcmp(argv[2], "sqpoll") == 0 ? polled_loop : entering_loop, batch);
}
