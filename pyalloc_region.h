/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: arenas out of single pages, for machines whose memory is in pieces too small
 * for an arena. vmap() makes 2 MiB of them look like one piece.
 *
 * A part of pyalloc.c, as pyalloc_debugfs.h is.
 */

/* ---- Regions ---------------------------------------------------------------- */

#define PY_REGION_PAGES		(PY_REGION_ARENAS * PY_ARENA_PAGES)

/*
 * vmap() aligns to a page, an arena wants 256 KiB: so many pages more are mapped. They
 * are the first ones again; wherever the first arena begins, the pages from there on are
 * PY_REGION_PAGES different ones, and none is wasted.
 */
#define PY_REGION_MAPPED	(PY_REGION_PAGES + PY_ARENA_PAGES - 1)

static bool heap_in_regions(const struct pyheap *heap)
{
	return heap->flags & PYHEAP_VMALLOC;
}

static bool region_idle(const struct py_region *region)
{
	return (region->free | region->lost) == PY_REGION_ALL;
}

/* All to the node of the first: a node without memory has them of others. */
static void region_book(const struct py_region *region, long pages)
{
	pages_book(vmalloc_to_page(region->first), pages);
}

/* Gives @node one more, if it can. May sleep, but does not reclaim its pages. */
static void region_create(struct pyheap_node *node)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct py_region *region = kmalloc(sizeof(*region), gfp);
	struct page **page = kvmalloc_array(PY_REGION_MAPPED, sizeof(*page), gfp);
	unsigned long flags;
	unsigned int n = 0;

	if (!region || !page)
		goto out_free;
	for (; n < PY_REGION_PAGES; n++) {
		page[n] = alloc_pages_node(node->nid, node_gfp(node), 0);
		if (!page[n])
			goto out_pages;
	}
	memcpy(page + PY_REGION_PAGES, page,
	       (PY_REGION_MAPPED - PY_REGION_PAGES) * sizeof(*page));
	region->map = vmap(page, PY_REGION_MAPPED, VM_MAP, PAGE_KERNEL);
	if (!region->map)
		goto out_pages;
	kvfree(page);
	region->first = PTR_ALIGN(region->map, PY_ARENA_SIZE);
	region_book(region, PY_REGION_PAGES);
	region->free = PY_REGION_ALL;
	region->lost = 0;
	spin_lock_irqsave(&node->lock, flags);
	list_add(&region->list, &node->regions);
	spin_unlock_irqrestore(&node->lock, flags);
	return;

out_pages:
	while (n)
		__free_page(page[--n]);
out_free:
	kvfree(page);
	kfree(region);
}

/* May sleep. The pages go after the mapping: they are found by it. */
static void region_free(struct py_region *region)
{
	struct page *page, *next;
	unsigned int n;
	LIST_HEAD(pages);

	region_book(region, -(long)PY_REGION_PAGES);
	for (n = 0; n < PY_REGION_PAGES; n++) {
		page = vmalloc_to_page(region->first + n * PAGE_SIZE);
		list_add(&page->lru, &pages);
	}
	vunmap(region->map);
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	kfree(region);
}

/* An arena that is not in use, or NULL. */
static struct py_arena *region_take_arena(struct pyheap_node *node)
{
	struct py_arena *arena = NULL;
	struct py_region *region;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&node->lock, flags);
	list_for_each_entry(region, &node->regions, list) {
		if (!region->free)
			continue;
		i = __ffs(region->free);
		region->free &= ~BIT(i);
		arena = region->first + i * PY_ARENA_SIZE;
		break;
	}
	spin_unlock_irqrestore(&node->lock, flags);
	if (arena) {
		/* It may have been one before. */
		kasan_poison(arena, PY_POOL_SIZE, 0, false);
		memset(arena, 0, PY_POOL_SIZE);
		arena->region = region;
	}
	return arena;
}

/*
 * For a caller who may sleep, a region is made at once; for others by the reaper, and
 * this block is kmalloc()'s.
 */
static struct py_arena *region_arena(struct pyheap_node *node, gfp_t gfp)
{
	struct py_arena *arena = region_take_arena(node);

	if (arena)
		return arena;
	if ((current_gfp_context(gfp) & GFP_KERNEL) != GFP_KERNEL) {
		WRITE_ONCE(node->wants_region, true);
		reaper_arm();
		return NULL;
	}
	region_create(node);
	return region_take_arena(node);
}

/* @arena is not in use any more; or, @lost, its place in the map is taken. */
static void region_put_arena(struct py_arena *arena, bool lost)
{
	struct pyheap_node *node = arena->node;
	struct py_region *region = arena->region;
	u8 bit = BIT(((void *)arena - region->first) / PY_ARENA_SIZE);
	unsigned long flags;

	spin_lock_irqsave(&node->lock, flags);
	if (lost)
		region->lost |= bit;
	else
		region->free |= bit;
	if (region_idle(region))
		WRITE_ONCE(node->idle_region, true);
	spin_unlock_irqrestore(&node->lock, flags);
	reaper_arm();
}

static bool region_pending(const struct pyheap_node *node)
{
	return READ_ONCE(node->wants_region) || READ_ONCE(node->idle_region);
}

/*
 * Frees the regions of @node without an arena in use but for @nr_keep, among which
 * is any other with an arena to give; and makes one that an atomic caller missed, unless
 * none is to be kept. May sleep. Returns pages freed.
 */
static unsigned long regions_tend(struct pyheap_node *node, unsigned int nr_keep)
{
	struct py_region *region, *next;
	unsigned int nr_kept = 0;
	unsigned long flags, pages = 0;
	bool make;
	LIST_HEAD(dead);

	spin_lock_irqsave(&node->lock, flags);
	make = xchg(&node->wants_region, false);	/* whoever sets it has no lock */
	WRITE_ONCE(node->idle_region, false);
	list_for_each_entry(region, &node->regions, list)
		nr_kept += region->free && !region_idle(region);
	list_for_each_entry_safe(region, next, &node->regions, list) {
		make &= !region->free;
		if (region_idle(region) &&
		    (region->lost || nr_kept++ >= nr_keep))
			list_move(&region->list, &dead);
	}
	spin_unlock_irqrestore(&node->lock, flags);

	list_for_each_entry_safe(region, next, &dead, list) {
		region_free(region);
		pages += PY_REGION_PAGES;
		cond_resched();
	}
	if (make && nr_keep)
		region_create(node);
	return pages;
}
