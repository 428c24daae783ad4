// The `read` suite's loop on liburing: random 4 KiB reads, DEPTH in flight. bench/children/read-ring.ts is its twin.
// Usage: read FILE BLOCKS DEPTH buffered|direct plain|fixed. BLOCKS is a power of two.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

#include "ring_mode.h"

#define BLOCK_BYTES 4096
// The starting state in bench/harness/random.ts.
#define SEED 0x9e3779b9u

static struct io_uring ring;
static unsigned depth, block_mask;
static int fd, fixed;
static char *memory;
static unsigned *free_slots, *slot_blocks;
static unsigned free_count;
static uint32_t random_state = SEED;

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

static void prepare(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	unsigned slot = free_slots[--free_count];
	unsigned block = next_random() & block_mask;
	char *buffer = memory + (size_t)slot * BLOCK_BYTES;
	uint64_t offset = (uint64_t)block * BLOCK_BYTES;

	slot_blocks[slot] = block;
	if (fixed) {
		io_uring_prep_read_fixed(sqe, 0, buffer, BLOCK_BYTES, offset, 0);
		sqe->flags |= IOSQE_FIXED_FILE;
	} else {
		io_uring_prep_read(sqe, fd, buffer, BLOCK_BYTES, offset);
	}
	io_uring_sqe_set_data64(sqe, slot);
}

static unsigned reap(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&ring, head, cqe) {
		unsigned slot = (unsigned)cqe->user_data;

		if (cqe->res != BLOCK_BYTES)
			die("READ", cqe->res < 0 ? cqe->res : -EIO);
		// Each block of the file begins with its own number.
		if (*(unsigned *)(memory + (size_t)slot * BLOCK_BYTES) != slot_blocks[slot]) {
			fprintf(stderr, "a read brought the wrong block\n");
			exit(1);
		}
		free_slots[free_count++] = slot;
		count++;
	}
	io_uring_cq_advance(&ring, count);
	return count;
}

static void loop(uint64_t reads)
{
	uint64_t started = 0, completed = 0;

	while (completed < reads) {
		int result;

		while (free_count > 0 && started < reads) {
			prepare();
			started++;
		}
		result = io_uring_submit_and_wait(&ring, 1);
		if (result < 0)
			die("io_uring_submit_and_wait", result);
		completed += reap();
	}
}

int main(int argc, char **argv)
{
	int direct, result;

	if (argc < 6)
		return 2;
	block_mask = (unsigned)atoi(argv[2]) - 1;
	depth = (unsigned)atoi(argv[3]);
	direct = strcmp(argv[4], "direct") == 0;
	fixed = strcmp(argv[5], "fixed") == 0;

	fd = open(argv[1], O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
	if (fd < 0)
		skip("open", -errno);
	memory = aligned_alloc(BLOCK_BYTES, (size_t)depth * BLOCK_BYTES);
	free_slots = calloc(depth, sizeof *free_slots);
	slot_blocks = calloc(depth, sizeof *slot_blocks);
	if (!memory || !free_slots || !slot_blocks)
		die("memory", -ENOMEM);
	for (free_count = 0; free_count < depth; free_count++)
		free_slots[free_count] = depth - 1 - free_count;

	open_ring(&ring, depth, "default");
	if (fixed) {
		struct iovec all = { .iov_base = memory, .iov_len = (size_t)depth * BLOCK_BYTES };

		result = io_uring_register_buffers(&ring, &all, 1);
		if (result < 0)
			skip("io_uring_register_buffers", result);
		result = io_uring_register_files(&ring, &fd, 1);
		if (result < 0)
			skip("io_uring_register_files", result);
	}
	return serve(loop, 1);
}
