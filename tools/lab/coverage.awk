# SPDX-License-Identifier: GPL-2.0
#
# Sums up what "gcov -b -c" wrote into its files: lines and branches of each source, and of all.
# Fails if they are less than -v lines=PERCENT and -v branches=PERCENT. With -v raw=1 each
# branch that gcov has counts, and -v left=1 prints what is not run or not taken instead.
#
# gcov counts branches of the code that the compiler made. What counts here is the conditions
# of the source:
#
# - A line whose text has no condition has no branches. Those that gcov sees there are a
#   kernel macro's (the tracepoints', hweight64()'s, printk()'s, per-CPU operations'), or
#   the next line's, moved.
# - A function that is inlined in many places has each branch as often in gcov's list. A
#   line has at most as many branches as its text: if gcov has a multiple, the copies count
#   once; if it has some more, as the compiler knew the answer in some copies, what is
#   taken of all of them is the share that counts.
# - What of_heap() asks, the compiler answers. What a loop over all CPUs or nodes asks is
#   how many there are, and of a bitmap if more of them fit.

function percent(part, all)
{
	return all ? 100 * part / all : 100
}

# How many branches the text of a line has; a condition may go on from the line before.
function branches_of(t,	conditions, choices)
{
	gsub(/"([^"\\]|\\.)*"|\/\*.*|->|<<|>>/, "", t)
	conditions = last ~ /(&&|\|\||\?|:)[ \t]*$/ ||
		t ~ /(^|[^a-z])(if|while|switch|for|for_each_[a-z_]+|min|max|clamp)(_t)? ?\(/ ||
		t ~ /static_branch/
	choices = gsub(/\?/, "", t)
	conditions += gsub(/&&|\|\|/, "", t)
	if (!conditions && !choices)
		conditions = t ~ /[=!]=|[<>!]/
	return 2 * (conditions + choices)
}

function close_line(	i, own, copies, some, all)
{
	own = raw ? n : branches_of(text)
	if (n && own && text !~ /of_heap\(|for_each_(possible_cpu|online_cpu|node)\(/) {
		all = n < own ? n : own
		copies = n % own ? 1 : n / own
		for (i = 0; i < n / copies; i++)
			some += taken_of(i, n / copies)
		some *= all / (n / copies)
		nbranches[file] += all
		ntaken[file] += some
		if (left && some < all && run)
			printf "%s:%d: %.1f of %d: %s\n", file, lineno, all - some, all, text
	}
	n = 0
	delete taken
}

function taken_of(i, step)
{
	for (; i < n; i += step)
		if (taken[i])
			return 1
	return 0
}

function row(name, l, r, b, t)
{
	if (!left)
		printf "%-22s %6d %7.1f %9d %8.1f\n", name, l, percent(r, l), b, percent(t, b)
}

FNR == 1 {
	close_line()
	text = last = ""
	file = FILENAME
	sub(/.*\//, "", file)
	sub(/\.gcov$/, "", file)
	files[++nfiles] = file
}

/^branch /	{ taken[n++] = !/never executed/ && !/taken 0( |$)/; next }
/^(function|call) /	{ next }

{
	close_line()
	split($0, part, ":")
	count = part[1]
	gsub(/ /, "", count)
	if (part[2] + 0 != lineno)
		last = text
	lineno = part[2] + 0
	text = substr($0, length(part[1]) + length(part[2]) + 3)
	if (count == "-" || !lineno)
		next
	run = count !~ /#|=/
	nlines[file]++
	nrun[file] += run
	if (left && !run)
		printf "%s:%d: not run: %s\n", file, lineno, text
}

END {
	close_line()
	if (left)
		exit
	printf "%-22s %6s %7s %9s %8s\n", "", "lines", "% run", "branches", "% taken"
	for (i = 1; i <= nfiles; i++) {
		f = files[i]
		row(f, nlines[f], nrun[f], nbranches[f], ntaken[f])
		l += nlines[f]; r += nrun[f]; b += nbranches[f]; t += ntaken[f]
	}
	row("all", l, r, b, t)
	if (percent(r, l) < lines || percent(t, b) < branches) {
		print "wanted: " lines " % of the lines, " branches " % of the branches"
		exit 1
	}
}
