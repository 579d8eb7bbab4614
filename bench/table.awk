# SPDX-License-Identifier: GPL-2.0
#
# One table of lines "stage <TAB> row <TAB> kind <TAB> value": first what is to be
# reached, then everything else.

function ratio(stage, row, base,    a, b)
{
	a = value[stage, row, "pyalloc"]
	b = value[stage, row, base]
	return a == "" || b + 0 == 0 ? "" : a / b
}

function two_digits(r)
{
	return r == "" ? "" : sprintf("%.2f", r)
}

function print_goal(title, a, b, shown, goal, r, init, irq)
{
	if (a == "")
		verdict = "not measured"
	else
		verdict = r <= goal + 0.0005 ? "reached" : "MISSED"
	count[verdict]++
	printf "%-50s %9s %9s %8s  at most %-7s %-8s %5s %5s\n", title, a, b, shown, goal, verdict,
	       two_digits(init), two_digits(irq)
}

# The goal is a ratio. On the right it is with init_on_alloc=1, and where locks are cheap.
function goal_ratio(title, stage, row, base, goal, init, irq,    r)
{
	r = ratio(stage, row, base)
	print_goal(title, value[stage, row, "pyalloc"], value[stage, row, base], two_digits(r),
		   goal, r, ratio(init, row, base), ratio(irq, row, base))
}

# Of pyalloc's own: 16 at once, and the same one by one.
function goal_bulk(title, stage,    a, b, r)
{
	a = value[stage, "16 at once 64", "pyalloc"]
	b = value[stage, "16 one by one 64", "pyalloc"]
	r = a != "" && b > 0 ? a / b : ""
	print_goal(title, a, b, two_digits(r), 0.60, r)
}

# The goal is a value.
function goal_value(title, stage, row, goal,    a, r)
{
	a = value[stage, row, "pyalloc"]
	r = ratio(stage, row, "kmalloc")
	print_goal(title, a, value[stage, row, "kmalloc"], two_digits(r), goal, a + 0)
}

# The worst of the rows "pair SIZE"
function worst_pair(stage, base,    i, r, worst, which)
{
	for (i = 1; i <= nr_pairs; i++) {
		r = ratio(stage, "pair " pair[i], base)
		if (r != "" && r > worst) {
			worst = r
			which = pair[i]
		}
	}
	return which == "" ? 8 : which
}

function most_instructions(stage,    i, v, most, which)
{
	for (i = 1; i <= nr_pairs; i++) {
		v = value[stage, "pair " pair[i], "pyalloc"]
		if (v + 0 > most) {
			most = v + 0
			which = pair[i]
		}
	}
	return which == "" ? 8 : which
}

BEGIN {
	FS = "\t"
	nr_pairs = split("8 16 24 40 64 100 136 200 264 384 512", pair, " ")
}

{
	value[$1, $2, $3] = $4
	if (!(($1, $2) in seen)) {
		seen[$1, $2] = 1
		stages[++nr] = $1
		rows[nr] = $2
	}
}

END {
	u = "uml-1"; t = "uml-2"; m = "uml-memory"; i = "uml-init"; q = "uml-irq"

	print "The least of many interleaved rounds, the loop itself taken off. Smaller is better."
	print ""
	print "init: the ratio with init_on_alloc=1, Debian's default. irq: the ratio in uml-irq, where it costs"
	print "no system call to switch interrupts off, as every lock does in a slow path of either."
	print ""
	printf "%-50s %9s %9s %8s  %-15s %-8s %5s %5s\n", "To reach", "pyalloc", "beside", "ratio", "goal",
	       "", "init", "irq"
	print ""
	print "Nanoseconds on User-Mode Linux 7.x, beside kmalloc"
	s = worst_pair(u, "kmalloc")
	goal_ratio("allocate and free, worst size (" s " bytes)", u, "pair " s, "kmalloc", 0.33, i, q)
	goal_ratio("20,000 allocated, then freed, 8 bytes", u, "many, same order 8", "kmalloc", 0.18, i, q)
	goal_ratio("... 64 bytes", u, "many, same order 64", "kmalloc", 0.25, i, q)
	goal_ratio("... 512 bytes", u, "many, same order 512", "kmalloc", 0.40, i, q)
	goal_ratio("replace at random, 20,000 live, 1..512 bytes", u, "replace, 20000 live", "kmalloc", 0.65, i, q)
	goal_ratio("... 4 million live", u, "replace, 4 million live", "kmalloc", 0.85, i, q)
	goal_ratio("recorded trace of a Python program", u, "trace of python, an event", "kmalloc", 0.50, i, q)
	goal_ratio("recorded trace of a Perl program", u, "trace of perl, an event", "kmalloc", 0.50, i, q)
	goal_ratio("one CPU allocates, the other frees, 32 bytes", t, "producer/consumer, 2 CPUs", "kmalloc", 0.60, "uml-init-2", "uml-irq-2")
	goal_ratio("both CPUs at once, batches of 64, 32 bytes", t, "both CPUs at once", "kmalloc", 0.35, "uml-init-2", "uml-irq-2")
	goal_ratio("a million blocks: a heap destroyed, or kfree()", u, "heap of 1000000 blocks destroyed, us", "kmalloc", 0.05, "", q)
	print "... beside a kmem_cache of that size"
	s = worst_pair(u, "kmem_cache")
	goal_ratio("allocate and free, worst size (" s " bytes)", u, "pair " s, "kmem_cache", 0.45, i, q)
	print "Instructions on Debian's kernels, beside kmalloc"
	split("6.1 6.12 7.x", kernel, " ")
	split("60 62 64", limit, " ")
	for (k = 1; k <= 3; k++) {
		s = most_instructions("icount-" kernel[k])
		goal_value("allocate and free, worst size (" s " bytes), " kernel[k], "icount-" kernel[k],
			   "pair " s, limit[k])
	}
	for (k = 1; k <= 3; k++)
		goal_bulk("16 at once beside one by one, 64 bytes, " kernel[k], "icount-" kernel[k])
	goal_ratio("pyfree() of kmalloc'd 1024 bytes, 6.1", "icount-6.1", "free of kmalloc'd 1024", "kmalloc", 1.12)
	print "Pages taken for each byte asked for, beside kmalloc, 300 MB of objects"
	goal_value("1..512 bytes", m, "1..512 bytes, at the peak", 1.08)
	goal_value("40 bytes", m, "40 bytes, at the peak", 1.04)
	goal_value("264 bytes", m, "264 bytes, at the peak", 1.06)
	goal_value("9 of 10 freed at random, then trim", m, "1..512 bytes, 9 of 10 freed and trimmed", 0.80)
	goal_value("then filled again (goal: the first peak)", m, "1..512 bytes, holes filled again",
		   value[m, "1..512 bytes, at the peak", "pyalloc"])
	print "KiB held after all was freed, beside kmalloc"
	goal_value("within one second", m, "1..512 bytes, KiB a second after all was freed", 256)
	goal_value("... when 2 CPUs free each other's", t, "2 CPUs, KiB a second after all was freed", 256)
	goal_value("... when 8 CPUs free each other's", "cpus", "8 CPUs, KiB a second after all was freed", 256)
	goal_value("after trim", m, "1..512 bytes, KiB after trim", 0)
	printf "\n%d reached, %d missed, %d not measured\n\n", count["reached"], count["MISSED"],
	       count["not measured"]

	printf "%-10s %-48s %10s %10s %10s %10s %8s %7s\n", "where", "All that was measured", "pyalloc",
	       "kmalloc", "kmem_cache", "floor", "loop", "ratio"
	for (n = 1; n <= nr; n++) {
		r = ratio(stages[n], rows[n], "kmalloc")
		if (rows[n] == "state per CPU" && stages[n] != "uml-1")
			continue
		printf "%-10s %-48s %10s %10s %10s %10s %8s %7s\n", stages[n], rows[n],
		       value[stages[n], rows[n], "pyalloc"], value[stages[n], rows[n], "kmalloc"],
		       value[stages[n], rows[n], "kmem_cache"], value[stages[n], rows[n], "floor"],
		       value[stages[n], rows[n], "loop"], two_digits(r)
	}
	print ""
	print "uml-*: nanoseconds of one operation unless the row says otherwise; icount-*: instructions;"
	print "scale: events for a million operations; memory without a unit: bytes per byte asked for at"
	print "the peak; state per CPU: bytes. An operation is an allocation and its free. loop: what was"
	print "taken off. floor: a per-CPU list without any checks, the least that is possible."
}
