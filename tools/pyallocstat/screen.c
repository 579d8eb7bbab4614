// SPDX-License-Identifier: GPL-2.0
/* The full screen. */

#include "screen.h"
#include "view.h"

#include <ctype.h>
#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the arrows to the sides move by. */
#define SIDEWAYS	8

struct screen {
	const char *file;
	struct stats now;
	struct stats before;	/* no heaps: not there yet */
	char error[256];	/* why "now" is not of now */
	size_t view;
	size_t top[NR_VIEWS];	/* lines that were scrolled away */
	size_t left;
	bool help;

	/* as last drawn */
	size_t rows;
	size_t lines;
};

/* ---- Colours --------------------------------------------------------------------- */

enum { PLAIN, FULL, MUCH, LITTLE, HEADER, REST };

static void set_colours(void)
{
	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(FULL, COLOR_WHITE, COLOR_BLUE);
	init_pair(MUCH, COLOR_BLACK, COLOR_CYAN);
	init_pair(LITTLE, COLOR_BLACK, COLOR_YELLOW);
	init_pair(HEADER, COLOR_BLACK, COLOR_WHITE);
	init_pair(REST, COLOR_CYAN, -1);
}

/* Without colour the character says it all. */
static chtype colour_of(char c)
{
	if (!has_colors())
		return A_NORMAL;
	if (c == '#')
		return COLOR_PAIR(FULL);
	if (c == 'H')
		return COLOR_PAIR(HEADER);
	if (isdigit((unsigned char)c))
		return COLOR_PAIR(c < '5' ? LITTLE : MUCH);
	return COLOR_PAIR(REST);
}

/* ---- Drawing --------------------------------------------------------------------- */

/* What is in the window of a line that is moved to the left. */
static void draw_line(int y, const struct line *line, size_t left)
{
	const char *text = line->text;
	size_t length = strlen(text);
	int x;

	for (x = 0; x < COLS && left + x < length; x++) {
		size_t at = left + x;

		mvaddch(y, x, (unsigned char)text[at] |
			(line->pools && at >= line->pools ? colour_of(text[at]) : A_NORMAL));
	}
}

/* A line over the whole width. */
static void draw_bar(int y, const struct line *line, size_t left)
{
	attron(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	attroff(A_REVERSE);
	draw_line(y, line, left);
	mvchgat(y, 0, -1, A_REVERSE, 0, NULL);
}

static const struct column *sorted_by(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->nr_columns; i++)
		if (v->columns[i].key == v->sort)
			return &v->columns[i];
	return NULL;
}

/* The views' names, the present one in brackets: bold is not to be had everywhere. */
static void draw_tabs(int y, size_t view)
{
	const struct column *column = sorted_by(&views[view]);
	size_t i;

	move(y, 0);
	for (i = 0; i < NR_VIEWS; i++) {
		attrset(i == view ? A_BOLD : A_NORMAL);
		printw("%c%zu %s%c ", i == view ? '[' : ' ', i + 1, views[i].name,
		       i == view ? ']' : ' ');
	}
	attrset(A_NORMAL);
	if (column)
		printw("  sorted by %s", column->title);
}

static void help_text(struct text *t)
{
	size_t i, j;

	text_add(t, "Keys");
	t->heading = t->n;
	text_add(t, "1 2 3 4, Tab                   another view");
	text_add(t, "Up Down, - +, Home End         scroll");
	text_add(t, "Left Right                     see what is cut off");
	text_add(t, "Space                          read again at once");
	text_add(t, "q                              quit");
	text_add(t, " ");
	text_add(t, "What sorts a view, the largest first:");
	for (i = 0; i < NR_VIEWS; i++) {
		char line[128];
		int at = 0;

		for (j = 0; j < views[i].nr_columns; j++)
			at += snprintf(line + at, sizeof(line) - at, "  %c %s",
				       views[i].columns[j].key, views[i].columns[j].title);
		if (at) {
			text_add(t, "%s", views[i].name);
			text_add(t, "  %s", line);
		}
	}
}

static void draw_bottom(const struct screen *s, size_t top, size_t shown)
{
	struct text t = {};

	if (*s->error)
		text_add(&t, "%s", s->error);
	else if (s->help)
		text_add(&t, "any key: back");
	else if (shown < s->lines)
		text_add(&t, "q quit  ? help  Tab next view      lines %zu to %zu of %zu",
			 top + 1, top + shown, s->lines);
	else if (s->now.version > STATS_VERSION)
		text_add(&t, "stats.json has version %llu, newer than this program",
			 s->now.version);
	else
		text_add(&t, "q quit  ? help  Tab next view");
	draw_bar(LINES - 1, t.lines, 0);
	text_free(&t);
}

static void draw(struct screen *s)
{
	struct view *v = &views[s->view];
	struct text header = {}, body = {};
	size_t unmoved = 0, *top = s->help ? &unmoved : &s->top[s->view];
	size_t left = s->help ? 0 : s->left;
	size_t i, y = 0;

	erase();
	view_header(&header, &s->now, s->before.heaps ? &s->before : NULL);
	for (i = 0; i < header.n; i++)
		draw_line(y++, &header.lines[i], 0);
	draw_tabs(++y, s->view);
	y++;
	if (s->help)
		help_text(&body);
	else
		v->show(&body, &s->now, v);

	for (i = 0; i < body.heading; i++)
		draw_bar(y++, &body.lines[i], left);
	s->lines = body.n - body.heading;
	s->rows = (size_t)LINES > y + 1 ? LINES - 1 - y : 0;
	if (*top + s->rows > s->lines)
		*top = s->lines > s->rows ? s->lines - s->rows : 0;
	for (i = 0; i < s->rows && *top + i < s->lines; i++)
		draw_line(y++, &body.lines[body.heading + *top + i], left);
	draw_bottom(s, *top, i);
	text_free(&header);
	text_free(&body);
	refresh();
}

/* ---- Keys ------------------------------------------------------------------------ */

static void set_view(struct screen *s, size_t view)
{
	s->view = view % NR_VIEWS;
	s->left = 0;
}

/* draw() keeps it within what there is. */
static void scroll_by(struct screen *s, long lines)
{
	size_t *top = &s->top[s->view];

	*top = lines < 0 && *top < (size_t)-lines ? 0 : *top + lines;
}

static void sort_by(struct view *v, int key)
{
	size_t i;

	for (i = 0; i < v->nr_columns; i++)
		if (v->columns[i].key == key)
			v->sort = key;
}

static void handle(struct screen *s, int key)
{
	long page = s->rows > 1 ? s->rows - 1 : 1;

	if (s->help) {
		s->help = key == KEY_RESIZE;
		return;
	}
	switch (key) {
	case '?':
		s->help = true;
		break;
	case '\t':
		set_view(s, s->view + 1);
		break;
	case KEY_BTAB:
		set_view(s, s->view + NR_VIEWS - 1);
		break;
	case KEY_UP:
		scroll_by(s, -1);
		break;
	case KEY_DOWN:
		scroll_by(s, 1);
		break;
	case KEY_PPAGE:
	case '-':
		scroll_by(s, -page);
		break;
	case KEY_NPAGE:
	case '+':
		scroll_by(s, page);
		break;
	case KEY_HOME:
		s->top[s->view] = 0;
		break;
	case KEY_END:
		scroll_by(s, s->lines);
		break;
	case KEY_LEFT:
		s->left -= s->left ? SIDEWAYS : 0;
		break;
	case KEY_RIGHT:
		s->left += SIDEWAYS;
		break;
	default:
		if (key >= '1' && key < '1' + NR_VIEWS)
			set_view(s, key - '1');
		else
			sort_by(&views[s->view], key);
	}
}

/* ---- Time ------------------------------------------------------------------------ */

static long long milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* What cannot be read leaves what was there, and says so. */
static void read_again(struct screen *s)
{
	struct stats next;

	if (stats_read(&next, s->file, s->error, sizeof(s->error)))
		return;
	*s->error = '\0';
	stats_free(&s->before);
	s->before = s->now;
	s->now = next;
}

const char *screen_run(struct stats *now, const char *file, int delay)
{
	struct screen s = { .file = file, .now = *now };
	SCREEN *terminal = newterm(NULL, stdout, stdin);
	long long next;
	int key = 0;

	memset(now, 0, sizeof(*now));
	if (!terminal) {
		stats_free(&s.now);
		return "the terminal is not known: see TERM";
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	set_colours();
	next = milliseconds() + delay;
	while (key != 'q') {
		long long wait = next - milliseconds();

		if (wait <= 0 || key == ' ') {
			read_again(&s);
			next = milliseconds() + delay;
			wait = delay;
		}
		draw(&s);
		timeout(wait);
		key = getch();
		if (key != ERR)
			handle(&s, key);
	}
	endwin();
	delscreen(terminal);
	stats_free(&s.before);
	stats_free(&s.now);
	return NULL;
}
