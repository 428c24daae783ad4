// TCP, Unix and UDP sockets on the promise driver, with node:net underneath where io_uring is missing.

export {}
