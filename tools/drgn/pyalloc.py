#!/usr/bin/env drgn
# SPDX-License-Identifier: GPL-2.0
"""
Looks into pyalloc from outside, with drgn: see Documentation/drgn.rst. What is neither
virgin nor on a list of what was freed is in use; the module's own books count otherwise.
"""

import argparse
from collections import Counter
from itertools import islice
import sys

from drgn import FaultError, container_of
from drgn.helpers import ValidationError
from drgn.helpers.linux import (for_each_node, for_each_possible_cpu, list_for_each_entry,
                                per_cpu_ptr, validate_list_for_each_entry)

# As in pyalloc.h and pyalloc_internal.h: debug information has no macros.
ALIGN = 8                       # PYALLOC_ALIGN
BUSY = 0xfffe                   # PY_BUSY
CHAIN_LAST_SHIFT, CHAIN_COUNT_SHIFT, CHAIN_OFFSET_MASK = 9, 18, 0x1ff   # PY_CHAIN_...
NO_BLOCK = {0xff: "unused page",                # PY_CLASS_NONE
            0xfe: "page that was given back",   # PY_CLASS_GONE
            0xfd: "header of the arena"}        # PY_CLASS_HEADER



class Pyalloc:
    """The module, and what of it belongs to no single pool."""

    def __init__(self):
        self.complaints = 0
        try:
            modules = list_for_each_entry("struct module", prog["modules"].address_of_(), "list")
            if b"pyalloc" not in [module.name.string_() for module in modules]:
                sys.exit("pyalloc.py: the module pyalloc is not loaded")
            heaps = prog["py_heaps"].address_of_()
        except LookupError as error:
            sys.exit(f"pyalloc.py: no debug information of {error}; give -s VMLINUX -s PYALLOC.KO")
        self.heaps = {heap.name.string_().decode(): heap
                      for heap in list_for_each_entry("struct pyheap", heaps, "list")}
        self.map = prog["py_map"]
        self.blocks = prog["py_blocks"].value_()
        self.page_size = prog["PAGE_SIZE"].value_()
        self.arena_size = self.page_size * prog.type("struct py_arena").member("class").type.length
        # KASAN gets a red zone as large as the block behind each.
        self.spread = self.page_size // ALIGN // self.blocks[0]
        # SLUB's caches have a key exactly where pyalloc uses one.
        self.encoded = prog.type("struct kmem_cache").has_member("random")
        cpus = container_of(prog["py_default"].cpu, "struct py_cpu", "heap")
        self.key = per_cpu_ptr(cpus, 0).key.value_()
        self.boxes = {}         # block: where it waits
        for cpu in for_each_possible_cpu(prog):
            self.look_into_boxes(cpu, per_cpu_ptr(cpus, cpu))

    def complain(self, what):
        self.complaints += 1
        print(f"pyalloc.py: {what}", file=sys.stderr)

    def look_into_boxes(self, cpu, c):
        if c.token == BUSY:
            self.complain(f"CPU {cpu} is in the middle of an operation; so may its lists be")
        most = (c.put + c.pushed - c.flushed).value_()
        for box in ("outbox", "nested"):
            where = f"{box} of CPU {cpu}"
            for block in self.walk(c.member_(box).value_(), most, where):
                self.boxes[block] = where

    def walk(self, block, most, where, within=None):
        """The blocks of a list, which may be within one pool; as get_next() of pyalloc.c."""
        try:
            for _ in range(most):
                pool = block and (within or self.pool_of(block))
                if not pool or not pool.has(block):
                    break
                yield block
                link = prog.read_u64(block)
                block = link ^ block ^ self.key if self.encoded else link
        except FaultError:
            pass    # as a link that leads nowhere
        if block:
            self.complain(f"{where} is corrupt: {block:#x} cannot be its next block")

    def pool_of(self, address):
        """The page of an arena that the address is in, or None; as py_map_has() does."""
        offset = address % self.arena_size
        entry = self.map.arena[address // self.arena_size & self.map.mask.value_()]
        if entry.value_() == address - offset:
            return Pool(self, entry, entry[0].value_(), offset // self.page_size)

    def pools(self, heap):
        for nid in for_each_node(prog):
            arenas = heap.node[nid].arenas.address_of_()
            try:
                for arena in validate_list_for_each_entry("struct py_arena", arenas, "all"):
                    header = arena[0].value_()
                    for index in range(len(header["class"])):
                        yield Pool(self, arena, header, index)
            except (FaultError, ValidationError) as error:
                self.complain(f"the list of arenas of node {nid} is corrupt: {error}")


class Pool:
    """A page of an arena. Without a class it has no block."""

    def __init__(self, py, arena, header, index):
        self.py, self.arena = py, arena
        self.base = arena.value_() + index * py.page_size
        self.class_, self.owner, self.remote, pool = (
            header[field][index] for field in ("class", "owner", "remote", "pool"))
        self.free, self.carved = pool["free"], pool["carved"]
        known = py.blocks[self.class_] > 0
        if not known and self.class_ not in NO_BLOCK:
            py.complain(f"pool {self.base:#x} is corrupt: class {self.class_}")
        self.size = (self.class_ + 1) * ALIGN if known else 0
        self.stride = self.size * py.spread

    def has(self, block):
        return block - self.base in range(0, self.carved * self.stride, self.stride or 1)

    def chain(self):
        """What other CPUs freed: see struct py_chain."""
        first = self.base + (self.remote & CHAIN_OFFSET_MASK) * ALIGN
        last = self.base + (self.remote >> CHAIN_LAST_SHIFT & CHAIN_OFFSET_MASK) * ALIGN
        count = self.remote >> CHAIN_COUNT_SHIFT
        where = f"remote chain of pool {self.base:#x}"
        chain = list(islice(self.py.walk(first, count, where, self), count))
        if chain[-1:] != [last][:count]:
            self.py.complain(f"{where} is corrupt: {count} blocks, and {last:#x} is not the last")
        return dict.fromkeys(chain, where)

    def states(self):
        """Each block, its state, and where it is if in transit."""
        if not self.size:
            return
        free = set(self.py.walk(self.free, self.carved, f"free list of pool {self.base:#x}", self))
        places = {**self.chain(), **self.py.boxes}
        for i in range(self.py.page_size // self.stride):
            block = self.base + i * self.stride
            where = places.get(block, "")
            state = "virgin" if i >= self.carved else "free" if block in free else "in use"
            yield block, "in transit" if where else state, where


def owner(py, args):
    for address in args.address:
        pool = py.pool_of(address)
        print(f"{address:#x}" if pool else f"{address:#x}: not pyalloc's")
        if not pool:
            continue
        for block, state, where in pool.states():
            if 0 <= address - block < pool.size:
                print(f"  state  {state}" + (f", {where}" if where else ""))
                print(f"  block  {block:#x}, {pool.size} bytes, offset {address - block}")
                break
        else:
            print("  state ", NO_BLOCK.get(pool.class_, "no block: between or behind them"))
        if pool.size:
            print(f"  pool   {pool.base:#x}, class {pool.class_}, CPU {pool.owner}")
        print(f"  arena  {pool.arena.value_():#x}, node {pool.arena.node.nid.value_()}, "
              f"heap {pool.arena.heap.name.string_().decode()}")


def live(py, args):
    if args.heap not in (None, *py.heaps):
        sys.exit(f"pyalloc.py: no heap {args.heap}; there are: {', '.join(py.heaps)}")
    for name in [args.heap] if args.heap else py.heaps:
        for pool in py.pools(py.heaps[name]):
            for block, state, _ in pool.states():
                if state == "in use" and args.size in (None, pool.size):
                    print(f"{block:#x} {pool.size} {name}")


def stats(py, args):
    states = ("in use", "free", "in transit", "virgin")
    for name, heap in py.heaps.items():
        count = Counter((pool.size, state) for pool in py.pools(heap)
                        for _, state, _ in pool.states())
        print(f"heap {name}\n  size" + "".join(f"{state:>12}" for state in states))
        for size in sorted({size for size, _ in count}):
            print(f"{size:6}" + "".join(f"{count[size, state]:12}" for state in states))


def hexadecimal(word):
    return int(word, 16)


parser = argparse.ArgumentParser(prog="pyalloc.py", description=__doc__)
commands = parser.add_subparsers(dest="command", required=True)
command = commands.add_parser("owner", help="what is at an address, and whose it is")
command.add_argument("address", nargs="+", type=hexadecimal)
command = commands.add_parser("live", help="the blocks in use: address, size, heap")
command.add_argument("--heap", metavar="NAME", help="of this heap alone")
command.add_argument("--size", metavar="N", type=int, help="those of N bytes alone")
commands.add_parser("stats", help="the blocks of each heap and size, counted")
args = parser.parse_args()
py = Pyalloc()
{"owner": owner, "live": live, "stats": stats}[args.command](py, args)
sys.exit(py.complaints > 0)
