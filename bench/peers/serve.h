// The child's half of the bench protocol, for the C peers: `{"ready":true}` or `{"skip":"reason"}` once, then one
// JSON line for each `run <milliseconds>` line on stdin. bench/harness/serve.ts is the same in TypeScript; both turn
// milliseconds into a number of units beforehand, so that the measured loop never reads a clock.

#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

// Runs that many units of work.
typedef void (*unit_loop)(uint64_t units);

static inline void die(const char *what, int negated_errno)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-negated_errno));
	exit(1);
}

// What this machine does not offer is a skip with its reason; everything else that fails is a bug, hence die().
static inline void skip(const char *what, int negated_errno)
{
	printf("{\"skip\":\"%s: %s\"}\n", what, strerror(-negated_errno));
	fflush(stdout);
	exit(0);
}

static inline double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// The whole process: an SQPOLL thread and io-wq workers are threads of it and are counted.
static inline double cpu_micros(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static inline int serve(unit_loop loop, uint64_t ops_per_unit)
{
	double units_per_second = 0;
	char line[64];

	printf("{\"ready\":true}\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		double target, started, seconds, cpu;
		unsigned milliseconds;
		uint64_t units;

		if (sscanf(line, "run %u", &milliseconds) != 1)
			return 1;
		// The first run finds the speed by doubling, up to a tenth of the time asked for.
		target = milliseconds / 1e3;
		for (units = 1; units_per_second == 0; units *= 2) {
			started = now_seconds();
			loop(units);
			seconds = now_seconds() - started;
			if (seconds >= target / 10)
				units_per_second = (double)units / seconds;
		}
		units = (uint64_t)(units_per_second * target);
		if (units == 0)
			units = 1;
		cpu = cpu_micros();
		started = now_seconds();
		loop(units);
		seconds = now_seconds() - started;
		cpu = cpu_micros() - cpu;
		units_per_second = (double)units / seconds;
		printf("{\"ops\":%llu,\"seconds\":%.9f,\"cpuMicros\":%.0f}\n",
		       (unsigned long long)(units * ops_per_unit), seconds, cpu);
		fflush(stdout);
	}
	return 0;
}

#endif
