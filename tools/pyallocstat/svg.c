// SPDX-License-Identifier: GPL-2.0
/* The arenas as a picture: a square a page, a block of them an arena. */

#include "svg.h"
#include "text.h"

#include <string.h>

/* In pixels. */
#define SQUARE		7
#define STEP		(SQUARE + 1)
#define GAP		10
#define MARGIN		20
#define WIDTH		760
#define LINE		20

/* What a page can be, as in the map of debugfs; '?' stands for what is newer. */
static const char states[] = "H#9876543210.:-?";

static const char style[] =
	"<style>\n"
	"text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.paper{fill:#fff}\n"
	".H{fill:#6b7280}.full{fill:#1c5fa8}.idle{fill:#e6e9ee}.kept{fill:#bcc4cf}.new{fill:#c026d3}\n"
	".gone{fill:none;stroke:#c8ccd2}\n"
	".d9{fill:#4f92d3}.d8{fill:#6ea6dc}.d7{fill:#8bb8e4}.d6{fill:#a8caec}.d5{fill:#c4dcf4}\n"
	".d4{fill:#fbdcab}.d3{fill:#f8c67e}.d2{fill:#f4ad52}.d1{fill:#ee9329}.d0{fill:#e07a0a}\n"
	"@media(prefers-color-scheme:dark){\n"
	"text{fill:#ddd}.paper{fill:#16181c}\n"
	".H{fill:#9aa1ab}.full{fill:#9fd0ff}.idle{fill:#2b2f36}.kept{fill:#4a515c}.gone{stroke:#3a3f47}\n"
	".d9{fill:#6cabea}.d8{fill:#5a95d0}.d7{fill:#497eb4}.d6{fill:#396798}.d5{fill:#2b527c}\n"
	".d4{fill:#6b4718}.d3{fill:#8c5a18}.d2{fill:#ae6e17}.d1{fill:#d08215}.d0{fill:#f29714}\n"
	"}\n"
	"</style>\n";

static const char *class_name(char *to, char state)
{
	switch (state) {
	case '#':
		return "full";
	case '.':
		return "idle";
	case ':':
		return "kept";
	case '-':
		return "gone";
	case '?':
		return "new";
	case 'H':
		return "H";
	}
	sprintf(to, "d%c", state);
	return to;
}

static char state_of(char c)
{
	return strchr(states, c) ? c : '?';
}

/* Text is printable ASCII already. */
static void write_text(FILE *f, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		default:
			putc(*text, f);
		}
}

static void write_square(FILE *f, char state, int x, int y)
{
	/* An outline is drawn half outside. */
	if (state == '-')
		fprintf(f, "M%d.5 %d.5h%dv%dh-%dz", x, y, SQUARE - 1, SQUARE - 1, SQUARE - 1);
	else
		fprintf(f, "M%d %dh%dv%dh-%dz", x, y, SQUARE, SQUARE, SQUARE);
}

/* Pages in a row of an arena: as many as make it square. */
static int columns_of(const char *pools)
{
	int n = strlen(pools), columns = 1;

	while (columns * columns < n)
		columns++;
	return columns;
}

/* One path for all pages that look alike keeps the file small. */
static void write_arena(FILE *f, const struct arena *arena, size_t nr, int x, int y)
{
	int columns = columns_of(arena->pools);
	const char *state;
	char name[4];
	int i;

	fprintf(f, "<g transform=\"translate(%d %d)\"><title>arena %zu, node %llu: ", x, y, nr,
		arena->node);
	write_text(f, arena->pools);
	fputs("</title>", f);
	for (state = states; *state; state++) {
		bool any = false;

		for (i = 0; arena->pools[i]; i++) {
			if (state_of(arena->pools[i]) != *state)
				continue;
			if (!any)
				fprintf(f, "<path class=\"%s\" d=\"", class_name(name, *state));
			any = true;
			write_square(f, *state, i % columns * STEP, i / columns * STEP);
		}
		if (any)
			fputs("\"/>", f);
	}
	fputs("</g>\n", f);
}

/* The arenas of a heap, or with no file only how high they are. */
static int write_heap(FILE *f, const struct heap *h, int y)
{
	int x = MARGIN, high = 0;
	size_t i;

	if (f) {
		char in_use[NUMBER_SIZE], held[NUMBER_SIZE];

		fprintf(f, "<text class=\"title\" x=\"%d\" y=\"%d\">", MARGIN, y + 13);
		write_text(f, h->name);
		fprintf(f, "<tspan font-weight=\"normal\">: %zu arena%s, ", h->nr_map,
			h->nr_map == 1 ? "" : "s");
		fprintf(f, "%s bytes in use, %s held</tspan></text>\n",
			show_bytes(in_use, h->in_use), show_bytes(held, h->held));
	}
	y += LINE + 2;
	for (i = 0; i < h->nr_map; i++) {
		int size = columns_of(h->map[i].pools) * STEP;

		if (x > MARGIN && x + size > WIDTH - MARGIN) {
			x = MARGIN;
			y += high + GAP;
			high = 0;
		}
		if (f)
			write_arena(f, &h->map[i], i, x, y);
		x += size + GAP;
		high = size > high ? size : high;
	}
	return y + high + GAP;
}

static int write_key(FILE *f, const char *keys, const char *what, int x, int y)
{
	char name[4];

	for (; *keys; keys++, x += STEP) {
		fprintf(f, "<path class=\"%s\" d=\"", class_name(name, *keys));
		write_square(f, *keys, x, y);
		fputs("\"/>", f);
	}
	fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 5, y + 8, what);
	/* About as wide as that is in any browser. */
	return x + 5 + strlen(what) * 7 + 15;
}

static void write_legend(FILE *f, const char *page, int y)
{
	int x = MARGIN;
	char text[64];

	snprintf(text, sizeof(text), "a square is a page of %s bytes:", page);
	fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", x, y + 8, text);
	x = write_key(f, "H", "header", x + strlen(text) * 7, y);
	x = write_key(f, "0123456789", "tenths in use", x, y);
	write_key(f, "#", "full", x, y);
	y += LINE;
	x = write_key(f, ".", "unused", MARGIN, y);
	x = write_key(f, ":", "unused, kept by a CPU", x, y);
	write_key(f, "-", "given back to the kernel", x, y);
}

void svg_write(FILE *f, const struct stats *s)
{
	int y = MARGIN + LINE + 2 * LINE + GAP, height = y;
	char page[NUMBER_SIZE];
	size_t i;

	for (i = 0; i < s->nr_heaps; i++)
		height = write_heap(NULL, &s->heaps[i], height);
	height += MARGIN - GAP;
	fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" ", f);
	fprintf(f, "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", WIDTH, height,
		WIDTH, height);
	fputs("<title>The arenas of pyalloc</title>\n", f);
	fputs(style, f);
	fprintf(f, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", WIDTH, height);
	fprintf(f, "<text class=\"title\" x=\"%d\" y=\"%d\">pyalloc ", MARGIN, MARGIN + 8);
	write_text(f, s->release);
	fputs(" on Linux ", f);
	write_text(f, s->kernel);
	fputs("</text>\n", f);
	write_legend(f, show_bytes(page, s->pool_size), MARGIN + LINE);
	for (i = 0; i < s->nr_heaps; i++)
		y = write_heap(f, &s->heaps[i], y);
	fputs("</svg>\n", f);
}
