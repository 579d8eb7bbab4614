// SPDX-License-Identifier: GPL-2.0
/* pyallocstat: shows what pyalloc has and does. The options. */

#include "screen.h"
#include "sites.h"
#include "stats.h"
#include "svg.h"
#include "view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILED	1
#define USAGE	2

enum mode { SCREEN_MODE, ONCE, JSON, SVG };

struct options {
	enum mode mode;
	const char *svg;
	const char *file;
	int delay;		/* milliseconds */
};

static const char usage[] =
	"usage: pyallocstat [-d SECONDS] [--once | --json | --svg PICTURE]\n"
	"                   [--debug FOLDER]... [FILE]\n"
	"\n"
	"Shows what pyalloc has and does, by " STATS_FILE "\n"
	"or by a FILE that was copied from it.\n"
	"\n"
	"  -d, --delay SECONDS  read it again so often, without it every second\n"
	"      --once           print all once, as text\n"
	"      --json           print the file itself, after checking it\n"
	"      --svg PICTURE    draw the arenas; \"-\" is standard output\n"
	"      --debug FOLDER   show call sites as lines of source, by MODULE.ko,\n"
	"                       MODULE.ko.debug and vmlinux below it; may be repeated\n"
	"  -h, --help           print this\n";

static void bad_usage(const char *problem, const char *what)
{
	if (problem)
		fprintf(stderr, "pyallocstat: %s: %s\n", what, problem);
	fputs("Try pyallocstat --help.\n", stderr);
	exit(USAGE);
}

static int complain(const char *what, const char *problem)
{
	fprintf(stderr, "pyallocstat: %s: %s\n", what, problem);
	return FAILED;
}

static int delay_of(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600))
		bad_usage("a delay is 0.1 to 3600 seconds", text);
	return seconds * 1000;
}

static void add_folder(const char *folder)
{
	struct stat st;

	if (stat(folder, &st))
		bad_usage(strerror(errno), folder);
	if (!S_ISDIR(st.st_mode))
		bad_usage("not a folder", folder);
	if (!site_folder(folder))
		bad_usage("too many folders", folder);
}

static void set_mode(struct options *o, enum mode mode)
{
	if (o->mode != SCREEN_MODE && o->mode != mode)
		bad_usage("choose one", "--once, --json, --svg");
	o->mode = mode;
}

static struct options read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "delay", required_argument, NULL, 'd' },
		{ "once", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "svg", required_argument, NULL, 's' },
		{ "debug", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct options o = { .file = STATS_FILE, .delay = 1000 };
	int c;

	while ((c = getopt_long(argc, argv, "d:h", known, NULL)) != -1)
		switch (c) {
		case 'd':
			o.delay = delay_of(optarg);
			break;
		case 'o':
			set_mode(&o, ONCE);
			break;
		case 'j':
			set_mode(&o, JSON);
			break;
		case 's':
			set_mode(&o, SVG);
			o.svg = optarg;
			break;
		case 'g':
			add_folder(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			bad_usage(NULL, NULL);
		}
	if (optind < argc)
		o.file = argv[optind++];
	if (optind < argc)
		bad_usage("one file is enough", argv[optind]);
	return o;
}

static void print_all(const struct stats *s)
{
	struct text t = {};
	size_t i;

	view_header(&t, s, NULL);
	for (i = 0; i < NR_VIEWS; i++) {
		text_add(&t, "%s", "");
		views[i].show(&t, s, &views[i]);
	}
	for (i = 0; i < t.n; i++)
		puts(t.lines[i].text);
	text_free(&t);
}

/* What was written is only known to be there once the file is closed. */
static int close_output(FILE *f, const char *name)
{
	bool failed = ferror(f);

	if (fclose(f) || failed)
		return complain(name, errno ? strerror(errno) : "cannot be written");
	return 0;
}

static int draw(const struct stats *s, const char *name)
{
	FILE *f;

	if (!strcmp(name, "-")) {
		svg_write(stdout, s);
		return 0;
	}
	f = fopen(name, "w");
	if (!f)
		return complain(name, strerror(errno));
	svg_write(f, s);
	return close_output(f, name);
}

static int run(const struct options *o, struct stats *s)
{
	const char *problem;

	switch (o->mode) {
	case ONCE:
		print_all(s);
		return 0;
	case JSON:
		fwrite(s->text, 1, s->length, stdout);
		return 0;
	case SVG:
		return draw(s, o->svg);
	case SCREEN_MODE:
		break;
	}
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return complain("the full screen", "this is not a terminal: try --once");
	problem = screen_run(s, o->file, o->delay);
	return problem ? complain("the full screen", problem) : 0;
}

int main(int argc, char **argv)
{
	struct options o = read_options(argc, argv);
	char error[512];
	struct stats s;
	int rc;

	if (stats_read(&s, o.file, error, sizeof(error))) {
		fprintf(stderr, "pyallocstat: %s\n", error);
		return FAILED;
	}
	if (s.version > STATS_VERSION)
		fprintf(stderr, "pyallocstat: %s: version %llu, shown as far as %d is\n",
			o.file, s.version, STATS_VERSION);
	rc = run(&o, &s);
	stats_free(&s);
	sites_free();
	return close_output(stdout, "standard output") || rc;
}
