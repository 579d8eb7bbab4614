/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a pool changes hands: a model of pyalloc.c for spin. tools/verify/run checks it.
 *
 * One arena with one pool of BLOCKS blocks, and two CPUs. On each a task allocates, and
 * frees what is in use, whoever has it; an interrupt may come between any two of its steps, as
 * the reaper's visit or, with INTERRUPTS, to free. With HOTPLUG the CPU that allocates goes
 * down once and comes back, while another frees and a third takes over. In the end all
 * is freed, and the reaper has to bring it home.
 *
 * What must hold:
 *
 *   - no block is handed out that is not free, and none arrives twice;
 *   - what is freed elsewhere meets a pool with a class and an owner, however late it
 *     comes, and a chain and its entry in an inbox find each other;
 *   - only the pool's keeper touches its descriptor, and only under "busy";
 *   - no arena is released while a block is in use or in transit, and its header is not
 *     looked at afterwards;
 *   - when all tasks have stopped, the pool gets back to its node: nothing stays.
 *
 * One step here is one access to what others look at meanwhile. What only a context under
 * "busy" touches goes with the next such step, and a section under the node's lock is one
 * step: all it changes has that lock. An inline has the name of the function that it is.
 *
 * Lists are sets of bits, as their order matters to nobody here. What depends on other
 * pools may go either way: whether there is room among the spares, whether the current
 * pool becomes full, whether the outbox is full, whether an empty arena is kept. So may what
 * a visit finds idle, until all tasks have stopped.
 *
 * Where what is here stands in pyalloc.c:
 *
 *   "busy"                     busy_trylock() ...
 *   Arenas: the node           node_take(), node_collect(), arena_free() ...
 *   Pools: their owner         pool_to_spare(), pool_to_unused(), pool_emptied() ...
 *   Outbox and inbox           outbox_flush(), remote_push(), inbox_drain(), pool_splice() ...
 *   Allocate, Free             alloc_local(), alloc_from_node(), block_free(), free_elsewhere()
 *   Visits, CPU hotplug        visit_here(), visit_heap(), pool_adopt(), py_cpu_dead() ...
 *   reaper, at the end         reaper_round(), visit_cpus()
 *
 * Not here: the order of memory accesses (a step is seen by all CPUs at once, so a barrier
 * that is missing is not found), double frees, virgin blocks, pages given back, trim,
 * several nodes, interrupts in interrupts, a CPU that does not answer the reaper, one that
 * stays down. What the reaper leaves to its workqueue it does itself.
 *
 * A switch BREAK_... leaves out one thing that the code needs. The run fails if spin does
 * not notice.
 */

#ifdef HOTPLUG
#define CPUS		3
#define MORTAL		0
#define allocates(c)	((c) == MORTAL)
#define frees(c)	((c) == 1)
#define undertaker(c)	((c) == 2)
#else
#define CPUS		2
#define MORTAL		0
#define allocates(c)	((c) < ALLOCATORS)
#define frees(c)	true
#define undertaker(c)	false
#endif
#ifndef ALLOCATORS
#define ALLOCATORS	CPUS
#endif
#ifndef BLOCKS
#define BLOCKS		2	/* class_blocks(), at most 3 */
#endif
#ifndef BATCH
#define BATCH		BLOCKS	/* PY_BATCH */
#endif

#define EVERY		((1 << BLOCKS) - 1)
#define first(set)	((set) & (~(set) + 1))
#define nr_of(set)	(((set) & 1) + ((set) >> 1 & 1) + ((set) >> 2 & 1))

#define NOBODY		CPUS	/* PY_NOBODY */

/* arena->class[] */
#define NONE		0	/* PY_CLASS_NONE */
#define SOME		1

/* enum py_pool_state */
#define UNUSED		0
#define SPARE		1
#define CURRENT		2
#define USED		3
#define FULL		4

/* The list that the pool is on, of CPU c: its cur[] and used[] of the class, its spare. */
#define OFF		0
#define CUR_OF(c)	(1 + (c))
#define USED_OF(c)	(1 + CPUS + (c))
#define SPARE_OF(c)	(1 + 2 * CPUS + (c))

/* The list that its entry for an inbox is on. */
#define INBOX(c)	(1 + (c))
#define REST(c)		(1 + CPUS + (c))	/* inbox_rest */
#define inbox_any(c)	(entry == INBOX(c) || entry == REST(c))

/* What a visit is for. */
#define FLUSH		0
#define DRAIN		1	/* and AGE */

/* The arena, and of its pool what other CPUs see. */
bool arena;			/* there is one */
bool unused;			/* arena->unused */
bool back;			/* on node->back */
byte owner = NOBODY;
byte class = NONE;
byte remote;			/* set of blocks */
byte entry;			/* arena->inbox[]: INBOX, REST */

/* struct py_pool */
byte state, left, free, on;

/* struct py_cpu, struct pyheap_cpu */
bool busy[CPUS], visiting[CPUS], dirty[CPUS];
byte outbox[CPUS], nested[CPUS];	/* sets of blocks */
byte count[CPUS];		/* outbox_count(): put + pushed - flushed */
bool visit_pending[CPUS], visit_again[CPUS];
bit visit_what[CPUS];

/* The machine. */
bool irq[CPUS];			/* in an interrupt: its task stands still */
bool pinned[CPUS];		/* preemption is off: this CPU does not go down */
bool down[CPUS];
bool armed;			/* py_reaper */

/* What nobody in the kernel knows. */
byte in_use;			/* set of blocks: somebody's */
byte out;			/* these, and what is in transit */
byte keeper = NOBODY;		/* who may touch the descriptor */
byte stopped;			/* tasks */

#define home	(!out && !remote && !entry && !back && on == OFF && owner == NOBODY && \
		 (unused || !arena))

/* Each look at the arena's header. */
inline look()
{
	assert(arena)
}

/* Each look at the pool's descriptor. */
inline touch(c)
{
	assert(arena && keeper == c && busy[c])
}

inline reaper_arm()
{
	armed = true
}

/* ---- busy ---- */

inline busy_unlock(c)
{
	busy[c] = false
}

/* ---- Arenas: the node ---- */

/* arena_retire() and arena_free() too. */
inline node_collect()
{
	if
	:: atomic { back -> back = false }	/* llist_del_all() */
		if
		:: d_step {
			look();
			assert(!unused);
			unused = true
		}				/* enough is not kept yet */
		:: true ->
			/* Off its node; and then, without the lock, freed. */
			d_step {
				look();
				assert(!out && !remote && !entry && on == OFF);
				assert(owner == NOBODY && class == NONE);
				arena = false;
				keeper = NOBODY
			}
		fi
	:: else
	fi
}

/* And node_grow(). Sets got. */
inline node_take(c)
{
	d_step {
		got = false;
		if
		:: !arena -> arena = true; unused = true
		:: else
		fi;
		if
		:: unused -> unused = false; got = true; keeper = c
		:: else
		fi
	}
}

/* ---- Pools: their owner, under busy ---- */

inline cpu_dirty(c)
{
	if
	:: dirty[c]
	:: else ->
		dirty[c] = true;
		reaper_arm()
	fi
}

inline pool_to_used(c, n)
{
	touch(c);
	assert(on == OFF);
	state = USED;
	left = n;
	on = USED_OF(c)
}

inline pool_to_full(c)
{
	touch(c);
	assert(on == OFF);
	state = FULL;
	left = 1
}

inline pool_to_spare(c)
{
	d_step {
		touch(c);
		assert(on == OFF && !out);
		state = SPARE;
		left = 1;
		free = 0;
		class = NONE
	};
	d_step {
		owner = c;
		on = SPARE_OF(c)
	};
	cpu_dirty(c)
}

inline hand_back()
{
	d_step {			/* llist_add() */
		look();
		assert(!back);
		keeper = NOBODY;
		back = true
	}
}

inline pool_to_unused(c)
{
	d_step {
		touch(c);
		assert(on == OFF);
		state = UNUSED;
		left = 0;		/* not so in the code: fewer states */
		free = 0;
		class = NONE
	};
#ifdef BREAK_OWNER_LAST
	hand_back();
	d_step { look(); owner = NOBODY };
#else
	owner = NOBODY;
	hand_back();
#endif
	reaper_arm()
}

inline pool_emptied(c)
{
#ifndef BREAK_TRANSIT
	assert(!remote && !out);
#endif
	if
	:: !visiting[c] -> pool_to_spare(c)
	:: true -> pool_to_unused(c)
	fi
}

inline pool_to_current(c)
{
	d_step {
		state = CURRENT;
		on = CUR_OF(c)
	};
	cpu_dirty(c)
}

/* Takes the pool, if it has blocks to give, off its list. */
inline pool_next(c)
{
	d_step {
		touch(c);
		if
		:: on == USED_OF(c) -> left++
		:: else ->
			assert(!out);
			free = EVERY;	/* pool_carve() */
			left = 1;
			class = SOME
		fi;
		on = OFF
	}
}

/* pool_demote() */
inline pool_from_current(c)
{
	d_step {
		touch(c);
		on = OFF;
		n = left - 1;
#ifdef BREAK_TRANSIT
		n = nr_of(in_use);
#endif
		if
		:: n && !free -> pool_to_full(c)
		:: n && free -> pool_to_used(c, n)
		:: else
		fi
	};
	if
	:: !n -> pool_emptied(c)
	:: else
	fi
}

/* n blocks are in use or in transit. If none, pool_emptied() follows. */
inline pool_event(c)
{
	if
	:: state == USED -> assert(on == USED_OF(c)); on = OFF
	:: else
	fi;
	if
	:: n -> pool_to_used(c, n)
	:: else
	fi
}

/* ---- Outbox and inbox ---- */

inline arrive(set)
{
	assert((out & set) == set && !(free & set));
	free = free | set;
	out = out & ~set
}

inline pool_splice(c, set)
{
	d_step {
		touch(c);
		assert(class == SOME);
		arrive(set);
		if			/* pool_count() */
		:: state == FULL -> n = BLOCKS
		:: state == CURRENT -> n = left - 1
		:: else -> n = left
		fi;
		assert(n >= nr_of(set));
		n = n - nr_of(set);
		if
		:: state == CURRENT -> left = left - nr_of(set)
		:: state == FULL || (state == USED && !n) -> pool_event(c)
		:: else -> left = n
		fi
	};
	if
	:: state != CURRENT && !n -> pool_emptied(c)
	:: else
	fi
}

inline inbox_add()
{
	d_step { look(); o = owner };
	d_step {			/* llist_add() */
		look();
		assert(o != NOBODY && entry == OFF);
		entry = INBOX(o)
	};
	reaper_arm()
}

inline remote_push()
{
	d_step { look(); assert(class == SOME); old = remote };
	do
	:: d_step { remote != old -> look(); old = remote }
#ifdef BREAK_NO_CMPXCHG
	:: true -> d_step { remote = old | chain }; break
#else
	:: d_step {
			remote == old ->
				look();
				assert(!(old & chain));
				remote = old | chain
		};
		break
#endif
	od;
	if
	:: !old -> inbox_add()
	:: else
	fi
}

inline chain_send(c)
{
	d_step { look(); o = owner };
	if
	:: o == c -> pool_splice(c, chain)
	:: else ->
		assert(o != NOBODY);
		remote_push()
	fi
}

/* Under busy. All blocks are of one pool, so there is one chain. */
inline outbox_flush(c)
{
	d_step { most = count[c]; chain = 0; n = 0 };
	do
	:: n < BATCH && (outbox[c] || nested[c]) ->
		if
		:: outbox[c]
		:: else ->
			d_step { old = nested[c]; nested[c] = 0 };
			d_step { outbox[c] = old; most = count[c] }
		fi;
		if
		:: n == most -> outbox[c] = 0; break
		:: else
		fi;
		d_step {
			chain = chain | first(outbox[c]);
			outbox[c] = outbox[c] & ~first(outbox[c]);
			n++
		}
	:: else -> break
	od;
	count[c] = count[c] - n;
	if
	:: chain -> chain_send(c)
	:: else
	fi;
	if
	:: outbox[c] || nested[c] -> reaper_arm()
	:: else
	fi;
	d_step { most = 0; chain = 0; n = 0; old = 0; o = 0 }
}

inline outbox_put(c)
{
	d_step {
		old = outbox[c];
		outbox[c] = outbox[c] | block;
		block = 0;
#ifndef BREAK_NOT_COUNTED
		count[c]++
#endif
	};
	if
	:: !old -> reaper_arm()
	:: else
	fi;
	if
	:: outbox_flush(c)
	:: count[c] < BATCH		/* but it may be full of other pools' blocks */
	fi
}

inline nested_push(c)
{
	count[c]++;
	d_step { old = nested[c]; nested[c] = nested[c] | block; block = 0 };
	if
	:: !old -> reaper_arm()
	:: else
	fi
}

inline outbox_add(c)
{
	if
	:: d_step { !busy[c] -> busy[c] = true };
		outbox_put(c);
		busy_unlock(c)
	:: else -> nested_push(c)
	fi;
	old = 0
}

inline inbox_drain(c)
{
	d_step {			/* llist_del_all() */
		if
		:: entry == INBOX(c) -> entry = REST(c)
		:: else
		fi
	};
	if
	:: entry == REST(c) ->
#ifndef BREAK_ENTRY_LATE
		entry = OFF;
#endif
		d_step { look(); o = owner };
		if
#ifndef BREAK_DRAIN_ANY
		:: o != c -> inbox_add()
#endif
		:: else ->
			d_step { look(); chain = remote; remote = 0 };	/* xchg() */
#ifdef BREAK_ENTRY_LATE
			d_step { assert(entry == REST(c)); entry = OFF };
#endif
			assert(chain);
			pool_splice(c, chain)
		fi
	:: else
	fi;
	d_step { chain = 0; n = 0; o = 0 }
}

/* ---- Allocate ---- */

/* Sees to it that the current pool has a block, if there is one. Under busy. */
inline alloc_local(c)
{
	if
	:: inbox_any(c) -> inbox_drain(c)
	:: else
	fi;
	if
	:: on == USED_OF(c) || on == SPARE_OF(c) ->
		pool_next(c);
		pool_to_current(c)
	:: on == CUR_OF(c) && !free ->
		if
		:: d_step { on = OFF; pool_to_full(c) }	/* another becomes current */
		:: true
		fi
	:: else
	fi
}

inline take_block(c)
{
	d_step {
		if
		:: on == CUR_OF(c) && free ->
			touch(c);
			block = first(free);
			free = free & ~block;
			assert(!(out & block));
			out = out | block;
			left++
		:: else
		fi
	}
}

inline alloc_from_node(c)
{
	node_collect();
	node_take(c);
	if
	:: got ->
		d_step { got = false; pinned[c] = true; busy[c] = true };
		pool_to_spare(c)
	:: else -> break		/* kmalloc() serves */
	fi
}

/* alloc_block(), alloc_slow(); and again when the node has given a pool */
inline pyalloc(c)
{
	d_step { pinned[c] = true; assert(!busy[c]); busy[c] = true };
	do
	:: true ->
		if
		:: on == CUR_OF(c) && free
		:: else -> alloc_local(c)
		fi;
		take_block(c);
		d_step { busy_unlock(c); pinned[c] = false };
		if
		:: block -> break
		:: else -> alloc_from_node(c)
		fi
	od;
	atomic { in_use = in_use | block; block = 0 }
}

/* ---- Free ---- */

inline free_event(c)
{
	d_step {
		n = (state == FULL -> BLOCKS - 1 : 0);
		pool_event(c)
	};
	if
	:: !n -> pool_emptied(c)
	:: else
	fi;
	n = 0
}

/* block_free(). The block is the caller's, who has preemption off. */
inline pyfree(c)
{
	d_step { look(); o = owner };
	if
	:: o == c && !busy[c] ->
		busy[c] = true;
		d_step { touch(c); arrive(block); block = 0; left-- };
		if
		:: !left -> free_event(c)
		:: else
		fi;
		busy_unlock(c)
	:: else ->
		d_step { look(); assert(class == SOME) };
		outbox_add(c)
	fi;
	o = 0
}

/* ---- Visits ---- */

inline visit_heap(c)
{
	if
	:: on == CUR_OF(c) -> pool_from_current(c)
	:: on == SPARE_OF(c) ->
		on = OFF;
		pool_to_unused(c)
	:: stopped < CPUS		/* used since the last visit */
	:: else
	fi;
	d_step {
		n = 0;
		dirty[c] = (on == CUR_OF(c) || on == SPARE_OF(c))
	}
}

inline visit_here(c)
{
	if
#ifndef BREAK_VISIT_BUSY
	:: busy[c] -> visit_again[c] = true
#endif
	:: else ->
		d_step { busy[c] = true; visiting[c] = true };
		if
		:: visit_what[c] == FLUSH -> outbox_flush(c)
		:: else -> inbox_drain(c)
		fi;
		if
		:: visit_what[c] == FLUSH && (outbox[c] || nested[c]) ->
			visit_again[c] = true
		:: visit_what[c] == DRAIN && entry == INBOX(c) ->
			visit_again[c] = true
		:: visit_what[c] == DRAIN && entry != INBOX(c) -> visit_heap(c)
		:: else
		fi;
		d_step { visiting[c] = false; busy_unlock(c) }
	fi
}

/* ---- CPU hotplug ---- */

inline inbox_forward(d)
{
	if
	:: d_step { entry == INBOX(d) -> entry = OFF };	/* llist_del_all() */
		inbox_add()
	:: else
	fi;
	o = 0
}

inline pool_adopt(c, d)
{
	busy[c] = true;
	d_step {
		look();
		assert(keeper == d);
		keeper = c
	};
	if
	:: state == SPARE ->
		on = OFF;
		pool_to_unused(c)
	:: else ->
		owner = c;
		if
		:: state == CURRENT -> pool_from_current(c)
		:: state == USED -> on = USED_OF(c)
		:: else
		fi
	fi;
	n = 0;
	busy_unlock(c)
}

/* What d left behind is c's now; then d comes up again. */
inline py_cpu_dead(c, d)
{
	/* heap_adopt() */
	if
	:: arena && owner == d -> pool_adopt(c, d)
	:: else
	fi;
	do
	:: outbox[d] || nested[d] ->
		d_step {
			if
			:: outbox[d] ->
				block = first(outbox[d]);
				outbox[d] = outbox[d] & ~block
			:: else ->
				block = first(nested[d]);
				nested[d] = nested[d] & ~block
			fi;
			count[d]--
		};
		outbox_add(c)
	:: else -> break
	od;
	if
	:: entry == REST(d) -> entry = INBOX(d)
	:: else
	fi;
	inbox_forward(d);
	dirty[d] = false;
	reaper_arm();
	node_collect();
	down[d] = false
}

/* ---- Who does all this ---- */

/* A block that is in use, whichever: they differ in nothing. */
inline pick()
{
	block = first(in_use);
	in_use = in_use & ~block
}

active [CPUS] proctype task() provided (!irq[_pid] && !down[_pid])
{
	byte block, chain, old, n, most, o;
	bool got;

	do
	:: allocates(_pid) -> pyalloc(_pid)
	:: atomic { frees(_pid) && in_use -> pick(); pinned[_pid] = true };
		pyfree(_pid);
		pinned[_pid] = false
	:: atomic {
		undertaker(_pid) && !pinned[MORTAL] && !irq[MORTAL] &&
			!visit_pending[MORTAL] -> down[MORTAL] = true
	};
		py_cpu_dead(_pid, MORTAL);
		break
	:: break
	od;
	stopped++;
	do
	:: atomic {
		frees(_pid) && in_use && stopped == CPUS -> pick(); pinned[_pid] = true
	};
		pyfree(_pid);
		pinned[_pid] = false
	:: stopped == CPUS && !in_use -> break
	od
}

/* One at a time on each CPU. */
active [CPUS] proctype interrupt()
{
	byte block, chain, old, n, most, o;

#define me	(_pid - CPUS)
end:	do
	:: atomic { visit_pending[me] -> irq[me] = true };
		visit_here(me);
		/* What it was for is of no use any more: fewer states. */
		d_step { visit_pending[me] = false; visit_what[me] = FLUSH; irq[me] = false }
#ifdef INTERRUPTS
	:: atomic { in_use && !down[me] -> pick(); irq[me] = true };
		pyfree(me);
		irq[me] = false
#endif
	od
#undef me
}

inline cpu_pending(c)
{
	any = any || outbox[c] || nested[c] || inbox_any(c) || dirty[c]
}

inline anything_pending()
{
	any = back;
	i = 0;
	do
	:: i < CPUS ->
		cpu_pending(i);
		i++
	:: else -> break
	od;
	i = 0
}

/* One CPU after another, and without giving up. */
inline visit_cpus(what)
{
	i = 0;
	do
	:: i < CPUS ->
		if
		:: what == DRAIN && down[i] -> inbox_forward(i)
		:: else
		fi;
		visit_again[i] = (what == FLUSH -> outbox[i] || nested[i] :
						  inbox_any(i) || dirty[i]);
		do
		:: d_step {
			visit_again[i] && !visit_pending[i] && !down[i] ->
				visit_again[i] = false;
				visit_what[i] = what;
				visit_pending[i] = true
		}
		:: !visit_pending[i] && (!visit_again[i] || down[i]) -> break
		od;
		visit_again[i] = false;
		i++
	:: else -> break
	od;
	i = 0
}

active proctype reaper()
{
	byte i, o;
	bool any;

end:	do
	:: armed ->			/* reaper_round() */
		visit_cpus(FLUSH);
		visit_cpus(DRAIN);
		node_collect();
		anything_pending();
		if
		:: any
		:: else ->
			armed = false;
#ifndef BREAK_LOOK_ONCE
			anything_pending();
			if
			:: any -> armed = true
			:: else
			fi
#endif
		fi;
		any = false
	od
}

/* When nothing moves any more. */
active proctype quiet()
{
	timeout -> assert(stopped == CPUS && home)
}

ltl nothing_stays { [] (stopped == CPUS -> <> (home && !armed)) }
