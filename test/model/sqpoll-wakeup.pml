/* The submission queue between JavaScript and an SQPOLL thread: entries, tail, head, and who wakes whom.
 *
 * Shows: an entry is read whole and once, its slot is not written again before that, and the thread never sleeps while
 * an entry waits. src/ring/submission-queue.ts (next, publish, needsWakeup) against io_uring/sqpoll.c.
 *
 * Memory is weak: each side's stores wait in one queue for each variable and reach memory in any order between the
 * variables, at any time (partial store order). RELEASE waits for the side's earlier stores, FULL_BARRIER for all of
 * them. Loads are made in program order: what only load reordering breaks (acquire) is not shown here.
 *
 * Broken on purpose by -D: NO_BARRIER, WAKEUP_BEFORE_PUBLISH, RELAXED_TAIL, REUSE_BEFORE_HEAD (our side);
 * NO_KERNEL_BARRIER, NO_SECOND_LOOK (the kernel's half of the same protocol).
 */

#ifndef TOTAL
#define TOTAL 4
#endif
#define SLOTS 2

/* Shared memory. Operation n (from 1) has n as its entry; counters do not wrap in so short a run. */
byte entry[SLOTS];
byte head;
byte tail;
bit needWakeup;

/* Stores that have not reached memory. */
chan entryStores[SLOTS] = [1] of { byte };
chan tailStores = [2] of { byte };
chan headStores = [2] of { byte };
chan wakeupStores = [2] of { bit };

#define ENTRIES_STORED (empty(entryStores[0]) && empty(entryStores[1]))

/* The thread is on the wait queue of its ring. */
bit sleeping;

/* What the thread has read: not part of the protocol. */
byte taken;

active proctype memory()
{
end:
  do
  :: entryStores[0] ? entry[0]
  :: entryStores[1] ? entry[1]
  :: tailStores ? tail
  :: headStores ? head
  :: wakeupStores ? needWakeup
  od
}

active proctype application()
{
  byte next = 0;      /* entries handed out */
  byte published = 0;
  byte seenHead = 0;
  bit wakeup;

  do
  :: next < TOTAL ->
     do
     :: next < TOTAL && next - seenHead < SLOTS ->
        entryStores[next % SLOTS] ! next + 1;
        next++
     :: next - seenHead == SLOTS && published == next ->
        /* Full: waits for nothing but the thread, which must be awake. */
        head != seenHead;
        seenHead = head
     :: published < next -> break
     od;
#ifdef WAKEUP_BEFORE_PUBLISH
     wakeup = needWakeup;
#endif
#ifndef RELAXED_TAIL
     ENTRIES_STORED; /* RELEASE */
#endif
     tailStores ! next;
     published = next;
#ifdef REUSE_BEFORE_HEAD
     /* As if the thread took entries at once, as enter(2) does on other rings. */
     seenHead = next;
#endif
#ifndef WAKEUP_BEFORE_PUBLISH
#ifndef NO_BARRIER
     ENTRIES_STORED && empty(tailStores); /* FULL_BARRIER */
#endif
     wakeup = needWakeup;
#endif
     if
     :: wakeup ->
        /* enter(2) with SQ_WAKEUP: a system call is a barrier. */
        ENTRIES_STORED && empty(tailStores);
        sleeping = 0
     :: else
     fi
  :: else -> break
  od;
  /* Not an end state: to stay here for ever is to have lost a wakeup. */
  taken == TOTAL
}

active proctype thread()
{
  byte myHead = 0;
  byte seenTail;

  do
  :: seenTail = tail;
     if
     :: seenTail != myHead ->
        do
        :: myHead != seenTail ->
           assert(entry[myHead % SLOTS] == myHead + 1);
           myHead++;
           taken++
        :: else -> break
        od;
        headStores ! myHead
     :: else ->
        if
        :: skip /* spins for a while longer */
        :: sleeping = 1;
           wakeupStores ! 1;
#ifndef NO_KERNEL_BARRIER
           empty(wakeupStores) && empty(headStores); /* FULL_BARRIER */
#endif
#ifndef NO_SECOND_LOOK
           seenTail = tail;
#endif
           if
           :: seenTail != myHead -> skip
           :: else ->
end:          !sleeping
           fi;
           sleeping = 0;
           wakeupStores ! 0
        fi
     fi
  od
}
