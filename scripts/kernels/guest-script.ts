// What runs in the guest, as its first process: the doctor, the tests, the sysctls, then the results go to a disk.

import { GUEST_CHECKOUT } from './disks.js'

export interface GuestOrders {
  /** Parts of paths of test files. */
  readonly parts: readonly string[]
  readonly timeoutMs: number
  readonly jobs: number
  /** Run in place of the tests. */
  readonly command?: string
}

/** The results are a tar archive, which ends by itself, on the third disk. */
export function guestScript({ parts, timeoutMs, jobs, command }: GuestOrders): string {
  const tests = command ?? `node --import tsx test/run.ts ${parts.join(' ')}`
  return `#!/bin/sh
# The first process of the guest: what it leaves, the kernel ends with a panic.
export PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /run /results
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
hostname guest
busybox ip link set lo up
# There is no other interface that groups could be joined on.
busybox ip -6 route add ff00::/8 dev lo table local
cd ${GUEST_CHECKOUT}
export NODE_OPTIONS=--require=${GUEST_CHECKOUT}/scripts/kernels/one-wasm-compiler.cjs
uname -r >/results/release
node --version >/results/node
echo "guest: Linux $(uname -r), Node $(node --version)"
node --import tsx src/cli/main.ts doctor >/results/doctor.txt
head -1 /results/doctor.txt
node --import tsx src/cli/main.ts doctor --json >/results/doctor.json
# Changing these is nobody else's business here.
export TEST_SYSCTL=1 TEST_ENVIRONMENTS=few TEST_TIMEOUT_MS=${timeoutMs} TEST_JOBS=${jobs}
{ ${tests}; echo "exit $?" >/results/exit; } 2>&1 | tee /results/tests.log
dmesg | grep -E 'WARNING|BUG|Oops|Call Trace|RCU stall|hung task|segfault|traps:|[Oo]ut of memory' >/results/kernel-complaints
sync
tar -cf /dev/vdc -C /results .
sync
echo 'guest: the end'
busybox poweroff -f
sleep 60
`
}
