# SPDX-License-Identifier: GPL-2.0
#
# Sums up what "gcov -b -c" wrote into its files: lines and branches of each source, and of all.
# Fails if they are less than -v lines=PERCENT and -v branches=PERCENT.
#
# A function that is inlined in many places has each branch as often in gcov's list: of a
# line with a multiple of the branches that its text has, the copies count once. What
# of_heap() asks, the compiler answers.

function percent(part, all)
{
	return all ? 100 * part / all : 100
}

function close_line(	i, own, copies)
{
	if (n && text !~ /of_heap\(/) {
		own = 2 * (1 + gsub(/&&|\|\||\?/, "", text))
		copies = n % own ? 1 : n / own
		nbranches[file] += n / copies
		for (i = 0; i < n / copies; i++)
			ntaken[file] += taken_of(i, n / copies)
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
	printf "%-22s %6d %7.1f %9d %8.1f\n", name, l, percent(r, l), b, percent(t, b)
}

FNR == 1 {
	close_line()
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
	text = substr($0, length(part[1]) + length(part[2]) + 3)
	if (count == "-" || part[2] + 0 == 0)
		next
	nlines[file]++
	nrun[file] += count !~ /#|=/
}

END {
	close_line()
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
