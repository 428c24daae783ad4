// A ring of provided buffers, as the net peers use one: all of a size, in one piece of memory, group 0.

#ifndef BENCH_BUFFER_RING_H
#define BENCH_BUFFER_RING_H

#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>

#include "serve.h"

#define BUFFER_GROUP 0

struct buffer_ring {
	struct io_uring_buf_ring *ring;
	unsigned char *memory;
	unsigned count, size;
};

static inline unsigned char *buffer_bytes(struct buffer_ring *buffers, unsigned id)
{
	return buffers->memory + (size_t)id * buffers->size;
}

static inline void give_back(struct buffer_ring *buffers, unsigned id)
{
	io_uring_buf_ring_add(buffers->ring, buffer_bytes(buffers, id), buffers->size, (unsigned short)id,
			      io_uring_buf_ring_mask(buffers->count), 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
}

// `count` is a power of two.
static inline void open_buffer_ring(struct buffer_ring *buffers, struct io_uring *ring, unsigned count, unsigned size)
{
	struct io_uring_buf_reg reg = { .ring_entries = count, .bgid = BUFFER_GROUP };
	size_t ring_bytes = count * sizeof(struct io_uring_buf), bytes = ring_bytes + (size_t)count * size;
	int result;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap", -errno);
	buffers->ring = (struct io_uring_buf_ring *)memory;
	buffers->memory = (unsigned char *)memory + ring_bytes;
	buffers->count = count;
	buffers->size = size;
	reg.ring_addr = (uint64_t)(uintptr_t)memory;
	result = io_uring_register_buf_ring(ring, &reg, 0);
	if (result < 0)
		skip("io_uring_register_buf_ring", result);
	io_uring_buf_ring_init(buffers->ring);
	for (unsigned id = 0; id < count; id++)
		give_back(buffers, id);
}

#endif
