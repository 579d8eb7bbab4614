# SPDX-License-Identifier: GPL-2.0
#
# What one plot shows, out of lines "stage <TAB> row <TAB> kind <TAB> value": a line a
# bar or group of bars, "label <TAB> pyalloc <TAB> kmalloc".

function bar(label, stage, row,    a, b)
{
	a = value[stage, row, "pyalloc"]
	b = value[stage, row, "kmalloc"]
	if (a != "")
		printf "%s\t%s\t%s\n", label, a, b == "" ? 0 : b
}

BEGIN {
	FS = "\t"
}

{
	value[$1, $2, $3] = $4
}

END {
	u = "uml-irq"; t = "uml-irq-2"
	m = "uml-memory"
	if (plot == "speed") {
		bar("allocate, free: 64 bytes", u, "pair 64")
		bar("20,000 of 8 bytes, then freed", u, "many, same order 8")
		bar("20,000 of 64 bytes, then freed", u, "many, same order 64")
		bar("20,000 of 512 bytes, then freed", u, "many, same order 512")
		bar("replace one of 20,000", u, "replace, 20000 live")
		bar("replace one of 4 million", u, "replace, 4 million live")
		bar("a Python program's objects", u, "trace of python, an event")
		bar("a Perl program's objects", u, "trace of perl, an event")
		bar("list.append()", u, "list of 50 items, an item")
		bar("phases with survivors", u, "phases with survivors, 1 CPU")
		bar("two CPUs at once", t, "both CPUs at once")
		bar("from one CPU to the other", t, "producer/consumer, 2 CPUs")
	} else if (plot == "memory") {
		bar("1..512 bytes", m, "1..512 bytes, at the peak")
		bar("40 bytes", m, "40 bytes, at the peak")
		bar("136 bytes", m, "136 bytes, at the peak")
		bar("264 bytes", m, "264 bytes, at the peak")
		bar("1..512 bytes,\\n9 of 10 freed", m, "1..512 bytes, 9 of 10 freed")
		bar("1..512 bytes,\\n9 of 10 freed,\\nthen trim", m,
		    "1..512 bytes, 9 of 10 freed and trimmed")
	} else if (plot == "instructions") {
		split("6.1 6.12 7.x", kernel, " ")
		for (k = 1; k <= 3; k++) {
			bar("allocate\\nand free,\\nLinux " kernel[k], "icount-" kernel[k], "pair 64")
			bar("a Python\\nprogram,\\nLinux " kernel[k], "icount-" kernel[k],
			    "trace of python, an event")
		}
	} else if (plot == "scale") {
		for (k = 1; k <= 16; k *= 2)
			printf "%d\t%s\t%s\t%s\t%s\n", k,
			       value["scale", k " CPUs, slow allocations", "pyalloc"],
			       value["scale", k " CPUs, remote batches", "pyalloc"],
			       value["scale", k " CPUs, node locks to take pools", "pyalloc"] + \
			       value["scale", k " CPUs, node locks to hand pools back", "pyalloc"],
			       value["scale", k " CPUs, calls of the page allocator", "pyalloc"]
	}
}
