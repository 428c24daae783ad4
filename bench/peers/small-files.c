// The `smallfiles` suite's work as bare system calls, one after the other: what the file system itself takes.
// bench/children/small-files.ts is its counterpart. Usage: small-files FOLDER FILES BYTES read|replace.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "serve.h"

static char **paths;
static char *memory;
static size_t bytes;
static int count, replaces;

static void read_file(const char *path)
{
	// One byte more than there should be, and once more: nobody has told the size.
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, memory, bytes + 1);

	if (got < 0)
		die("read", -errno);
	if ((size_t)got != bytes || read(fd, memory + got, 1) != 0)
		die("read", -EIO);
	close(fd);
}

static void replace_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		die("open", -errno);
	if (write(fd, memory, bytes) != (ssize_t)bytes)
		die("write", -errno);
	close(fd);
}

static void pass(uint64_t passes)
{
	while (passes-- > 0) {
		for (int index = 0; index < count; index++) {
			if (replaces)
				replace_file(paths[index]);
			else
				read_file(paths[index]);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	count = atoi(argv[2]);
	bytes = (size_t)atoi(argv[3]);
	replaces = strcmp(argv[4], "replace") == 0;
	paths = calloc((size_t)count, sizeof *paths);
	memory = calloc(1, bytes + 2);
	if (!paths || !memory)
		die("memory", -ENOMEM);
	for (int index = 0; index < count; index++) {
		if (asprintf(&paths[index], "%s/file-%d", argv[1], index) < 0)
			die("memory", -ENOMEM);
		if (replaces)
			replace_file(paths[index]);
	}
	return serve(pass, (uint64_t)count);
}
