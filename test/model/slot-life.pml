/* The life of a slot of the driver: issued, cancelled, completed once or often, given back, used again.
 *
 * Shows: each promise settles once, by its own completion; memory is held while the kernel may use it; a cancel never
 * hits another operation than the one it was meant for; in the end no slot and no count is missing.
 * src/runtime/driver.ts, slot.ts, cancel-queue.ts against the rules of io_uring(7).
 *
 * The kernel does what it may, in any order: completes, posts with F_MORE, notifies, ends early, finds cancels late.
 * Cancels overtake and fall behind everything else.
 *
 * Broken on purpose by -D: FREE_ON_CANCEL, FREE_ON_FIRST_CQE (slot reuse before the final CQE), UNCOUNTED_TIMEOUT,
 * NO_GENERATION.
 */

#ifndef USES
#define USES 4
#endif
#define SLOTS 2

mtype = { plain, multishot, zeroCopy, timed };
mtype = { operation, timeLimit, cancelling };

/* A completion: whose, the two halves of user_data, F_MORE, F_NOTIF; and the use it belongs to, which nobody reads but
 * the assertions. */
chan cq = [3] of { mtype, byte, byte, bit, bit, byte };
/* An operation for the kernel: kind, user_data, use. */
chan sq = [2] of { mtype, byte, byte, byte };
/* A cancel: the user_data that it looks for; the use that is meant. */
chan cancels = [2] of { byte, byte, byte };

/* The driver's slots. */
byte generation[SLOTS];
byte remaining[SLOTS];
mtype kindOf[SLOTS];
byte useOf[SLOTS];
bit taken[SLOTS];

/* For each use of a slot, from 1: is its promise pending, its memory held, has it been aborted? */
bit pending[USES + 1];
bit held[USES + 1];
bit aborted[USES + 1];
byte settledCount;
byte outstanding;

#ifdef NO_GENERATION
#define NEXT_GENERATION(s) skip
#else
#define NEXT_GENERATION(s) generation[s]++
#endif

#define SETTLE(s) \
  assert(pending[useOf[s]]); \
  pending[useOf[s]] = 0; \
  held[useOf[s]] = 0; \
  settledCount++; \
  NEXT_GENERATION(s); \
  aborted[useOf[s]] = 0; \
  remaining[s] = 0; \
  useOf[s] = 0; \
  kindOf[s] = 0; \
  taken[s] = 0

/* Variables of one step do not tell states apart. */
#define REST slot = 0; gen = 0; use = 0; role = 0; kind = 0; more = 0; notif = 0

active proctype driver()
{
  byte uses = 0;
  byte slot, gen, use, due, dueGen, dueUse;
  bit isDue = 0;
  mtype role, kind;
  bit more, notif;

  do
  /* Issue: a free slot, room for its completions. */
  :: uses < USES && (!taken[0] || !taken[1]) && nfull(sq) ->
     atomic {
       if
       :: !taken[0] -> slot = 0
       :: !taken[1] -> slot = 1
       fi;
       if
       :: kind = plain
       :: kind = multishot
       :: kind = zeroCopy
       :: kind = timed
       fi;
       uses++;
       taken[slot] = 1;
       useOf[slot] = uses;
       kindOf[slot] = kind;
       remaining[slot] = ((kind == zeroCopy || kind == timed) -> 2 : 1);
#ifdef UNCOUNTED_TIMEOUT
       if
       :: kind == timed -> remaining[slot] = 1
       :: else
       fi;
#endif
       outstanding = outstanding + remaining[slot];
       pending[uses] = 1;
       held[uses] = 1;
       sq ! kind, slot, generation[slot], uses;
       REST
     }

  /* An abort: the cancel is due, and goes out some time later. */
  :: !isDue && (taken[0] && !aborted[useOf[0]] || taken[1] && !aborted[useOf[1]]) ->
     atomic {
       if
       :: taken[0] && !aborted[useOf[0]] -> due = 0
       :: taken[1] && !aborted[useOf[1]] -> due = 1
       fi;
       dueGen = generation[due];
       dueUse = useOf[due];
       aborted[dueUse] = 1;
       isDue = 1;
#ifdef FREE_ON_CANCEL
       SETTLE(due);
#endif
       REST
     }
  :: isDue && nfull(cancels) ->
     atomic {
       isDue = 0;
       if
#ifdef FREE_ON_CANCEL
       :: cancels ! due, dueGen, dueUse; outstanding++
#else
       :: taken[due] && generation[due] == dueGen -> cancels ! due, dueGen, dueUse; outstanding++
       :: else
#endif
       fi;
       due = 0;
       dueGen = 0;
       dueUse = 0
     }

  /* Reap. */
  :: nempty(cq) ->
     atomic {
       cq ? role, slot, gen, more, notif, use;
       if
       :: role == cancelling -> outstanding--
       :: else ->
          /* The driver fails for good if this does not hold. */
          assert(generation[slot] == gen && remaining[slot] > 0);
          assert(useOf[slot] == use);
          if
          :: kindOf[slot] == multishot ->
             if
             :: more
             :: else -> outstanding = outstanding - remaining[slot]; SETTLE(slot)
             fi
          :: else ->
             if
             :: kindOf[slot] == zeroCopy && !more && !notif ->
                /* No notification is to come. */
                outstanding--;
                remaining[slot]--
             :: else
             fi;
             outstanding--;
             remaining[slot]--;
#ifdef FREE_ON_FIRST_CQE
             if
             :: more -> outstanding = outstanding - remaining[slot]; remaining[slot] = 0
             :: else
             fi;
#endif
             if
             :: remaining[slot] == 0 -> SETTLE(slot)
             :: else
             fi
          fi
       fi;
       REST
     }

  :: uses == USES && settledCount == USES && outstanding == 0 && !isDue && empty(cq) && empty(cancels) -> break
  od;
  assert(!taken[0] && !taken[1])
}

/* What the kernel has of each use. */
bit running[USES + 1];
bit notifies[USES + 1];
bit ticking[USES + 1];
bit cancelled[USES + 1];
byte slotOf[USES + 1];
byte genOf[USES + 1];
byte posted[USES + 1];
mtype kernelKind[USES + 1];

#define FORGET u = 0; slot = 0; gen = 0; use = 0; kind = 0

/* Whatever the kernel does for an operation may touch its memory. */
#define TOUCHES(u) assert(held[u])

active proctype kernel()
{
  byte u, slot, gen, use;
  mtype kind;

end:
  do
  :: atomic {
       sq ? kind, slot, gen, use ->
       running[use] = 1;
       slotOf[use] = slot;
       genOf[use] = gen;
       kernelKind[use] = kind;
       ticking[use] = (kind == timed);
       FORGET
     }

  /* A cancel finds the operation by user_data, or finds nothing. */
  :: nempty(cancels) && nfull(cq) ->
     atomic {
       cancels ? slot, gen, use;
       u = 1;
       do
       :: u <= USES && running[u] && slotOf[u] == slot && genOf[u] == gen ->
          assert(u == use);
          cancelled[u] = 1;
          break
       :: u <= USES && !(running[u] && slotOf[u] == slot && genOf[u] == gen) -> u++
       :: u > USES -> break
       od;
       cq ! cancelling, slot, gen, 0, 0, use;
       FORGET
     }

  /* One of those that run goes on. */
  :: nfull(cq) ->
     atomic {
       u = 1;
       do
       :: u < USES -> u++
       :: break
       od;
       if
       :: running[u] && kernelKind[u] == multishot && posted[u] < 1 && !cancelled[u] ->
          TOUCHES(u);
          posted[u]++;
          cq ! operation, slotOf[u], genOf[u], 1, 0, u
       :: running[u] && kernelKind[u] == zeroCopy && !cancelled[u] ->
          TOUCHES(u);
          running[u] = 0;
          notifies[u] = 1;
          cq ! operation, slotOf[u], genOf[u], 1, 0, u
       :: running[u] ->
          /* Done, or failed, or cancelled, or a multishot's early end. */
          TOUCHES(u);
          running[u] = 0;
          cq ! operation, slotOf[u], genOf[u], 0, 0, u
       :: notifies[u] ->
          TOUCHES(u);
          notifies[u] = 0;
          cq ! operation, slotOf[u], genOf[u], 0, 1, u
       :: ticking[u] ->
          /* Expired, which cancels the operation, or cancelled by its end. */
          ticking[u] = 0;
          cancelled[u] = running[u];
          cq ! timeLimit, slotOf[u], genOf[u], 0, 0, u
       :: else
       fi;
       if
       :: running[u] || notifies[u] || ticking[u]
       :: else ->
          /* Over: what is known of it no longer counts. */
          slotOf[u] = 0;
          genOf[u] = 0;
          posted[u] = 0;
          cancelled[u] = 0;
          kernelKind[u] = 0
       fi;
       FORGET
     }
  od
}
