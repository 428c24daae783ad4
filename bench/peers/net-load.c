// Drives an echo server: CONNECTIONS connections, each with one message of BYTES bytes under way, all bytes checked.
// One operation is one message there and back. With BYTES 0 the connections stay idle.
// Usage: net-load PORT CONNECTIONS BYTES
//
// Each connection sends a stream that no other one sends (it starts elsewhere in a pattern whose length is prime), so a
// byte that is lost, doubled or brought to the wrong connection is seen at once.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "buffer_ring.h"
#include "ring_mode.h"

#define PATTERN_BYTES 1048573u
#define BUFFERS 1024
#define BUFFER_BYTES 16384
#define ENTRIES 4096
#define SENDING 0x100000000ull

struct connection {
	int fd;
	// Bytes of the whole life so far.
	uint64_t sent, received;
	// Where the message under way ends.
	uint64_t due;
};

static struct io_uring ring;
static struct buffer_ring buffers;
static struct connection *connections;
static unsigned connection_count, message_bytes, busy;
static uint64_t messages;
static unsigned char *pattern;
static int is_over;

static const unsigned char *bytes_at(unsigned index, uint64_t position)
{
	return pattern + (position + (uint64_t)index * 7919) % PATTERN_BYTES;
}

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	return sqe;
}

static void send_rest(unsigned index)
{
	struct connection *connection = &connections[index];
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_send(sqe, connection->fd, bytes_at(index, connection->sent),
			   connection->due - connection->sent, MSG_WAITALL | MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, SENDING | index);
}

static void send_message(unsigned index)
{
	connections[index].due += message_bytes;
	busy++;
	send_rest(index);
}

static void receive(unsigned index)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_recv_multishot(sqe, connections[index].fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	io_uring_sqe_set_data64(sqe, index);
}

static void fail(unsigned index, const char *what)
{
	fprintf(stderr, "connection %u: %s after %llu bytes\n", index, what,
		(unsigned long long)connections[index].received);
	exit(1);
}

static void on_sent(unsigned index, int result)
{
	struct connection *connection = &connections[index];

	if (result < 0)
		die("send", result);
	connection->sent += (unsigned)result;
	if (connection->sent < connection->due)
		send_rest(index);
}

static void on_received(unsigned index, struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[index];

	if (cqe->res > 0) {
		unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

		if (connection->received + (unsigned)cqe->res > connection->due)
			fail(index, "more came back than was sent");
		if (memcmp(buffer_bytes(&buffers, id), bytes_at(index, connection->received), (size_t)cqe->res))
			fail(index, "other bytes came back");
		connection->received += (unsigned)cqe->res;
		give_back(&buffers, id);
		if (connection->received == connection->due) {
			messages++;
			busy--;
			if (!is_over)
				send_message(index);
		}
	} else if (cqe->res == 0) {
		fail(index, "the server has closed it");
	} else if (cqe->res != -ENOBUFS) {
		die("recv", cqe->res);
	}
	if (!(cqe->flags & IORING_CQE_F_MORE))
		receive(index);
}

// Waits for what comes, at most until that time.
static void turn(double until)
{
	struct io_uring_cqe *cqe;
	double left = until - now_seconds();
	struct __kernel_timespec wait = { .tv_nsec = left > 0 ? (long long)(left * 1e9) % 1000000000 : 1 };
	unsigned head, count = 0;
	int result;

	wait.tv_sec = left > 0 ? (long long)left : 0;
	result = io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &wait, NULL);
	if (result < 0 && result != -ETIME && result != -EINTR)
		die("io_uring_submit_and_wait_timeout", result);
	io_uring_for_each_cqe(&ring, head, cqe) {
		unsigned index = (unsigned)cqe->user_data;

		if (cqe->user_data & SENDING)
			on_sent(index, cqe->res);
		else
			on_received(index, cqe);
		count++;
	}
	io_uring_cq_advance(&ring, count);
}

static int connect_to(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		skip("socket", -errno);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die("connect", -errno);
	return fd;
}

static void run(unsigned milliseconds)
{
	double cpu = cpu_micros(), started = now_seconds(), ends = started + milliseconds / 1e3, seconds;

	messages = 0;
	is_over = message_bytes == 0;
	for (unsigned index = 0; index < connection_count && !is_over; index++)
		send_message(index);
	while (now_seconds() < ends)
		turn(ends);
	// What is under way comes home, and counts.
	is_over = 1;
	while (busy > 0) {
		turn(now_seconds() + 1);
		if (now_seconds() > ends + 30) {
			fprintf(stderr, "%u messages did not come back in 30 s\n", busy);
			exit(1);
		}
	}
	seconds = now_seconds() - started;
	printf("{\"ops\":%llu,\"seconds\":%.9f,\"cpuMicros\":%.0f}\n", (unsigned long long)messages, seconds,
	       cpu_micros() - cpu);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	char line[64];
	unsigned port, milliseconds;

	if (argc < 4)
		return 2;
	port = (unsigned)atoi(argv[1]);
	connection_count = (unsigned)atoi(argv[2]);
	message_bytes = (unsigned)atoi(argv[3]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max < connection_count + 64)
		skip("RLIMIT_NOFILE", -EMFILE);

	pattern = malloc(PATTERN_BYTES + message_bytes + BUFFER_BYTES);
	connections = calloc(connection_count, sizeof *connections);
	if (!pattern || !connections)
		die("memory", -ENOMEM);
	for (unsigned index = 0, state = 1; index < PATTERN_BYTES; index++) {
		state = state * 1664525u + 1013904223u;
		pattern[index] = (unsigned char)(state >> 24);
	}
	for (unsigned index = 0; index < message_bytes + BUFFER_BYTES; index++)
		pattern[PATTERN_BYTES + index] = pattern[index];

	open_ring(&ring, ENTRIES, "defer+");
	open_buffer_ring(&buffers, &ring, BUFFERS, BUFFER_BYTES);
	for (unsigned index = 0; index < connection_count; index++) {
		connections[index].fd = connect_to(port);
		if (message_bytes > 0)
			receive(index);
	}
	printf("{\"ready\":true}\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "run %u", &milliseconds) != 1)
			return 1;
		run(milliseconds);
	}
	return 0;
}
