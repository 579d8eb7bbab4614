// SPDX-License-Identifier: GPL-2.0
/*
 * Call sites as lines of source, by way of elfutils: a file with debug information is
 * looked for once for each module, and each site is looked up once.
 */

#include "sites.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <fts.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FOLDERS	64

/* NULL behind the last, as fts_open() wants it. */
static char *folders[MOST_FOLDERS + 1];
static unsigned int nr_folders;

/* By what the kernel calls the site. */
static json_t *known;

/* A file with debug information, or that there is none. */
struct image {
	char module[64];	/* "vmlinux" for the kernel */
	Dwfl *dwfl;
	Dwfl_Module *file;
	struct image *next;
};

static struct image *images;

/* What the kernel says of a site. */
struct where {
	char function[256];
	unsigned long offset;
	unsigned long size;
	char module[64];
};

bool site_folder(const char *folder)
{
	if (nr_folders == MOST_FOLDERS)
		return false;
	folders[nr_folders++] = (char *)folder;
	return true;
}

/* The kernel's name of a module has '_' where its file may have '-'. */
static bool same_module(const char *file, const char *module)
{
	size_t n = strlen(module);
	size_t i;

	for (i = 0; i < n; i++)
		if (file[i] != module[i] && (file[i] != '-' || module[i] != '_'))
			return false;
	if (!strcmp(module, "vmlinux"))
		return !file[n] || file[n] == '-' || !strcmp(file + n, ".debug");
	return !strcmp(file + n, ".ko") || !strcmp(file + n, ".ko.debug");
}

static const Dwfl_Callbacks callbacks = {
	.section_address = dwfl_offline_section_address,
	.find_debuginfo = dwfl_standard_find_debuginfo,
};

static void image_close(struct image *image)
{
	if (image->dwfl)
		dwfl_end(image->dwfl);
	image->dwfl = NULL;
	image->file = NULL;
}

/* Whether the file has debug information; a stripped one may lie beside another. */
static bool image_open(struct image *image, const char *path)
{
	Dwarf_Addr bias;

	image->dwfl = dwfl_begin(&callbacks);
	if (!image->dwfl)
		return false;
	image->file = dwfl_report_offline(image->dwfl, image->module, path, -1);
	if (image->file && !dwfl_report_end(image->dwfl, NULL, NULL) &&
	    dwfl_module_getdwarf(image->file, &bias))
		return true;
	image_close(image);
	return false;
}

static void image_find(struct image *image)
{
	FTS *fts = fts_open(folders, FTS_LOGICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;

	if (!fts)
		return;
	while ((entry = fts_read(fts)))
		if (entry->fts_info == FTS_F && same_module(entry->fts_name, image->module) &&
		    image_open(image, entry->fts_path))
			break;
	fts_close(fts);
}

static struct image *image_of(const char *module)
{
	struct image *image;

	for (image = images; image; image = image->next)
		if (!strcmp(image->module, module))
			return image;
	image = calloc(1, sizeof(*image));
	if (!image)
		return NULL;
	snprintf(image->module, sizeof(image->module), "%s", module);
	image_find(image);
	image->next = images;
	images = image;
	return image;
}

/*
 * Where the function starts; 0 if that cannot be told. The kernel counts what is behind
 * a function up to the next as part of it, so of several the one that is nearest in size
 * is meant; larger than the kernel says, it is of another build.
 */
static GElf_Addr function_start(Dwfl_Module *file, const struct where *where)
{
	int i, n = dwfl_module_getsymtab(file);
	GElf_Xword size = 0;
	GElf_Addr start = 0;

	for (i = 1; i < n; i++) {
		GElf_Addr at;
		GElf_Sym sym;
		const char *name = dwfl_module_getsym_info(file, i, &sym, &at, NULL, NULL, NULL);

		if (!name || GELF_ST_TYPE(sym.st_info) != STT_FUNC ||
		    strcmp(name, where->function) || sym.st_size > where->size ||
		    sym.st_size < where->offset || sym.st_size < size)
			continue;
		start = sym.st_size > size || at == start ? at : 0;
		size = sym.st_size;
	}
	return start;
}

/* The file as a person would name it: without the folder in which it was built. */
static const char *short_name(Dwfl_Line *line, const char *file)
{
	const char *folder = dwfl_line_comp_dir(line);
	size_t n = folder ? strlen(folder) : 0;

	if (n && !strncmp(file, folder, n) && file[n] == '/')
		return file + n + 1;
	return *file == '/' ? strrchr(file, '/') + 1 : file;
}

/*
 * Where the function itself calls what was inlined into it, if it is in such code there:
 * pyalloc() is inlined everywhere, and its own line would tell nothing.
 */
static const char *inline_caller(Dwfl_Module *module, GElf_Addr at, int *number)
{
	Dwarf_Die *scopes = NULL, *parents = NULL, *cu, caller;
	const char *file = NULL;
	Dwarf_Word line, nr;
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	Dwarf_Addr bias;
	bool found = false;
	int i, n = 0;

	cu = dwfl_module_addrdie(module, at, &bias);
	if (cu && dwarf_getscopes(cu, at - bias, &scopes) > 0)
		n = dwarf_getscopes_die(scopes, &parents);
	for (i = 0; i < n && dwarf_tag(&parents[i]) != DW_TAG_subprogram; i++)
		if (dwarf_tag(&parents[i]) == DW_TAG_inlined_subroutine) {
			caller = parents[i];
			found = true;
		}
	if (found && !dwarf_getsrcfiles(cu, &files, NULL) &&
	    !dwarf_formudata(dwarf_attr(&caller, DW_AT_call_line, &attr), &line) &&
	    !dwarf_formudata(dwarf_attr(&caller, DW_AT_call_file, &attr), &nr)) {
		file = dwarf_filesrc(files, nr, NULL, NULL);
		*number = line;
	}
	free(scopes);
	free(parents);
	return file;
}

static json_t *look_up(const struct where *where)
{
	bool in_kernel = !*where->module;
	const char *module = in_kernel ? "vmlinux" : where->module;
	struct image *image = image_of(module);
	const char *file;
	GElf_Addr at;
	Dwfl_Line *line;
	int number;

	if (!image || !image->file)
		return NULL;
	at = function_start(image->file, where);
	if (!at)
		return NULL;
	/* The kernel tells where a call returns to, which may be another line. */
	at += where->offset - (where->offset > 0);
	line = dwfl_module_getsrc(image->file, at);
	if (!line)
		return NULL;
	file = inline_caller(image->file, at, &number);
	if (!file)
		file = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
	if (!file)
		return NULL;
	return json_sprintf("%s %s:%d%s%s%s", where->function, short_name(line, file), number,
			    in_kernel ? "" : " [", where->module, in_kernel ? "" : "]");
}

static bool parse(const char *site, struct where *where)
{
	int n = 0;

	*where->module = '\0';
	if (sscanf(site, "%255[^+ ]+0x%lx/0x%lx%n", where->function, &where->offset,
		   &where->size, &n) != 3 || !n)
		return false;
	if (!site[n])
		return true;
	site += n;
	n = 0;
	return sscanf(site, " [%63[^] ]]%n", where->module, &n) == 1 && n && !site[n];
}

const char *site_name(const char *site)
{
	const json_t *name = json_object_get(known, site);
	struct where where;
	json_t *found;

	if (!nr_folders)
		return site;
	if (name)
		return json_string_value(name);
	found = parse(site, &where) ? look_up(&where) : NULL;
	if (!found)
		found = json_string(site);
	if (!known)
		known = json_object();
	if (json_object_set_new(known, site, found))
		return site;
	return json_string_value(found);
}

void sites_free(void)
{
	while (images) {
		struct image *image = images;

		images = image->next;
		image_close(image);
		free(image);
	}
	json_decref(known);
	known = NULL;
}
