// An echo server on liburing, as fast as one thread of C gets: multishot accept, multishot recv into provided buffers,
// sends straight out of those, one submit-and-wait a turn. bench/children/net-echo.ts is its twin.
// Usage: net-echo. Prints {"ready":true,"port":N}, and ends with its stdin.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer_ring.h"
#include "ring_mode.h"

#define ENTRIES 4096
#define BUFFERS 1024
#define BUFFER_BYTES 16384
#define MAX_FDS 65536
#define ACCEPTING 1ull
#define RECEIVING 2ull
#define SENDING 3ull

// What has been received and is to go back, in order.
struct echo {
	unsigned bytes, sent;
	int next;
};

struct connection {
	int first, last;
	unsigned char is_receiving, is_over;
};

static struct io_uring ring;
static struct buffer_ring buffers;
static struct echo echoes[BUFFERS];
static struct connection connections[MAX_FDS];
// Connections that found no buffer; they are armed again when one has come back.
static int starving[MAX_FDS];
static unsigned starving_count;

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, uint64_t what, int fd)
{
	io_uring_sqe_set_data64(sqe, what << 32 | (unsigned)fd);
}

static void accept_all(int listener)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	tag(sqe, ACCEPTING, listener);
}

static void receive(int fd)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	tag(sqe, RECEIVING, fd);
	connections[fd].is_receiving = 1;
}

static void send_first(int fd)
{
	int id = connections[fd].first;
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_send(sqe, fd, buffer_bytes(&buffers, (unsigned)id) + echoes[id].sent,
			   echoes[id].bytes - echoes[id].sent, MSG_WAITALL | MSG_NOSIGNAL);
	tag(sqe, SENDING, fd);
}

static void release_first(int fd)
{
	struct connection *connection = &connections[fd];
	int id = connection->first;

	connection->first = echoes[id].next;
	give_back(&buffers, (unsigned)id);
	while (starving_count > 0)
		receive(starving[--starving_count]);
}

static void close_if_done(int fd)
{
	if (connections[fd].is_over && !connections[fd].is_receiving && connections[fd].first < 0)
		close(fd);
}

static void on_accepted(int listener, struct io_uring_cqe *cqe)
{
	int one = 1, fd = cqe->res;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		accept_all(listener);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	connections[fd] = (struct connection){ .first = -1, .last = -1 };
	receive(fd);
}

static void on_received(int fd, struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[fd];
	int more = (cqe->flags & IORING_CQE_F_MORE) != 0;

	if (!more)
		connection->is_receiving = 0;
	if (cqe->res > 0) {
		int id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

		echoes[id] = (struct echo){ .bytes = (unsigned)cqe->res, .next = -1 };
		if (connection->first >= 0) {
			echoes[connection->last].next = id;
			connection->last = id;
		} else {
			connection->first = connection->last = id;
			send_first(fd);
		}
		if (!more)
			receive(fd);
	} else if (cqe->res == -ENOBUFS) {
		starving[starving_count++] = fd;
	} else {
		connection->is_over = 1;
		close_if_done(fd);
	}
}

static void on_sent(int fd, int result)
{
	struct connection *connection = &connections[fd];
	struct echo *echo = &echoes[connection->first];

	if (result < 0) {
		// The other end is gone: what is left goes nowhere.
		connection->is_over = 1;
		while (connection->first >= 0)
			release_first(fd);
		close_if_done(fd);
		return;
	}
	echo->sent += (unsigned)result;
	if (echo->sent == echo->bytes)
		release_first(fd);
	if (connection->first >= 0)
		send_first(fd);
	else
		close_if_done(fd);
}

static void *leave_with_stdin(void *unused)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		;
	exit(0);
	return unused;
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	struct rlimit files;
	pthread_t watcher;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 4096) < 0)
		die("listen", -errno);
	getsockname(listener, (struct sockaddr *)&address, &length);
	open_ring(&ring, ENTRIES, "defer+");
	open_buffer_ring(&buffers, &ring, BUFFERS, BUFFER_BYTES);
	accept_all(listener);
	pthread_create(&watcher, NULL, leave_with_stdin, NULL);
	printf("{\"ready\":true,\"port\":%u}\n", ntohs(address.sin_port));
	fflush(stdout);

	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned head, count = 0;
		int result = io_uring_submit_and_wait(&ring, 1);

		if (result < 0 && result != -EINTR)
			die("io_uring_submit_and_wait", result);
		io_uring_for_each_cqe(&ring, head, cqe) {
			int fd = (int)(unsigned)cqe->user_data;
			uint64_t what = cqe->user_data >> 32;

			if (what == ACCEPTING)
				on_accepted(fd, cqe);
			else if (what == RECEIVING)
				on_received(fd, cqe);
			else
				on_sent(fd, cqe->res);
			count++;
		}
		io_uring_cq_advance(&ring, count);
	}
}
