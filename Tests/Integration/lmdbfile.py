"""Reads LMDB 0.9 data files byte by byte, without liblmdb: what rows a damaged file holds, which bytes of it carry
them, and which pages are free. Damage raises `Malformed`, never worse."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = 0xBEEFC0DE
HEADER = 16
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG_DATA, SUB_DATABASE, DUPLICATES = 1, 2, 4
NO_PAGE = (1 << 64) - 1
FREE_PAGES, MAIN = 0, 1
"""The one row of the main tree that describes no database: what sums up the snapshot before."""
SUM = b"free pages"


class Malformed(Exception):
    pass


@dataclass
class Tree:
    flags: int
    depth: int
    entries: int
    root: int


@dataclass
class Dump:
    transaction: int
    last_page: int
    """Rows of each named database, in the order of its tree."""
    rows: dict[str, list[tuple[bytes, bytes]]]
    """What carries them: page numbers by kind."""
    pages: dict[str, list[int]] = field(default_factory=dict)
    """Byte ranges of values and keys in the file, by database."""
    spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    """The row that sums the snapshot before up: transaction, sum, check."""
    sum: bytes = b""

    @property
    def live(self) -> set[int]:
        return {page for pages in self.pages.values() for page in pages}


class DataFile:
    def __init__(self, data: bytes):
        self.data = data
        metas = [meta for meta in (self._meta(0, None), self._meta(1, None)) if meta]
        if not metas:
            raise Malformed("no meta page")
        self.page_bytes = metas[0][0]
        second = self._meta(1, self.page_bytes)
        metas = [meta for meta in (self._meta(0, None), second) if meta]
        _, self.transaction, self.last_page, self.trees = max(metas, key=lambda meta: meta[1])

    @classmethod
    def read(cls, path: Path):
        return cls(path.read_bytes())

    def dump(self, with_free_pages: bool = True) -> Dump:
        dump = Dump(self.transaction, self.last_page, {})
        self._seen: set[int] = set()
        names = self._rows(self.trees[MAIN], "main", dump, named=True)
        for name, tree in names:
            if name == SUM:
                dump.sum = tree
                continue
            text = name.decode("latin-1")
            dump.rows[text] = list(self._rows(tree, text, dump))
            if len(dump.rows[text]) != tree.entries:
                raise Malformed(f"{text} counts {tree.entries} rows and has {len(dump.rows[text])}")
        if not with_free_pages:
            return dump
        self._add_free(dump)
        return dump

    def free(self) -> list[int]:
        """The pages listed as free, without a look at any other tree."""
        dump = Dump(self.transaction, self.last_page, {})
        self._seen = set()
        self._add_free(dump)
        return dump.free

    def _add_free(self, dump: Dump):
        for _, value in self._rows(self.trees[FREE_PAGES], "free list", dump):
            count = struct.unpack_from("<Q", value)[0]
            if len(value) < 8 * (count + 1):
                raise Malformed("a list of free pages is longer than its row")
            dump.free += struct.unpack_from(f"<{count}Q", value, 8)

    def _meta(self, number: int, page_bytes: int | None):
        """Page size, transaction, last page and the two trees; nil where there is no such page."""
        offset = number * (page_bytes or 4096)
        if len(self.data) < offset + 200:
            return None
        magic, version = struct.unpack_from("<II", self.data, offset + HEADER)
        if magic != MAGIC or version & 0xFFFF not in (1, 999):
            return None
        trees = []
        for which in range(2):
            pad, flags, depth, _, _, _, entries, root = struct.unpack_from(
                "<IHHQQQQQ", self.data, offset + HEADER + 24 + 48 * which)
            if which == FREE_PAGES:
                size = pad
            trees.append(Tree(flags, depth, entries, root))
        last, transaction = struct.unpack_from("<QQ", self.data, offset + HEADER + 120)
        return size, transaction, last, trees

    def _page(self, number: int):
        if not 2 <= number <= self.last_page or number in self._seen:
            raise Malformed(f"page {number} is out of place")
        self._seen.add(number)
        start = number * self.page_bytes
        if start + self.page_bytes > len(self.data):
            raise Malformed(f"page {number} is beyond the file")
        own, _, flags, lower, upper = struct.unpack_from("<QHHHH", self.data, start)
        if own != number:
            raise Malformed(f"page {number} says it is {own}")
        return start, flags, lower, upper

    def _rows(self, tree: Tree, name: str, dump: Dump, named: bool = False):
        if tree.root == NO_PAGE:
            return []
        found = []
        stack = [tree.root]
        leaves = []
        while stack:
            number = stack.pop()
            start, flags, lower, upper = self._page(number)
            dump.pages.setdefault(name, []).append(number)
            if not HEADER <= lower <= upper <= self.page_bytes:
                raise Malformed(f"page {number} has its ends in another order")
            count = (lower - HEADER) // 2
            offsets = struct.unpack_from(f"<{count}H", self.data, start + HEADER)
            if any(not upper <= offset <= self.page_bytes - 8 for offset in offsets):
                raise Malformed(f"page {number} has a node outside of it")
            if flags & ~0x10 == BRANCH:
                children = []
                for offset in offsets:
                    low, high, node_flags, _ = struct.unpack_from("<HHHH", self.data, start + offset)
                    children.append(low | high << 16 | node_flags << 32)
                stack += reversed(children)
            elif flags & ~0x10 == LEAF:
                leaves.append((number, start, offsets))
            else:
                raise Malformed(f"page {number} is of another kind: {flags}")
        for number, start, offsets in leaves:
            for offset in offsets:
                found.append(self._node(number, start, offset, name, dump, named))
        return found

    def _node(self, number: int, start: int, offset: int, name: str, dump: Dump, named: bool):
        low, high, flags, key_bytes = struct.unpack_from("<HHHH", self.data, start + offset)
        length = low | high << 16
        key_start = start + offset + 8
        value_start = key_start + key_bytes
        end = start + self.page_bytes
        key = self.data[key_start:value_start]
        if value_start > end or flags & ~(BIG_DATA | SUB_DATABASE):
            raise Malformed(f"page {number} has a node that can't be")
        spans = dump.spans.setdefault(name, [])
        spans.append((key_start, value_start))
        if flags & BIG_DATA:
            overflow = struct.unpack_from("<Q", self.data, value_start)[0]
            first, page_flags, *_ = self._page(overflow)
            pages = struct.unpack_from("<I", self.data, first + 12)[0]
            if page_flags & ~0x10 != OVERFLOW or pages != (HEADER + length + self.page_bytes - 1) // self.page_bytes:
                raise Malformed(f"page {overflow} is no overflow page of {length} bytes")
            if overflow + pages - 1 > self.last_page:
                raise Malformed(f"the value at page {overflow} goes beyond the last page")
            for extra in range(1, pages):
                if overflow + extra in self._seen:
                    raise Malformed(f"page {overflow + extra} is used twice")
                self._seen.add(overflow + extra)
            dump.pages[name] += range(overflow, overflow + pages)
            value_start = first + HEADER
            end = first + pages * self.page_bytes
        if value_start + length > end:
            raise Malformed(f"page {number} has a value beyond its end")
        value = self.data[value_start : value_start + length]
        spans.append((value_start, value_start + length))
        if named and key == SUM and not flags & SUB_DATABASE:
            return key, value
        if named:
            if not flags & SUB_DATABASE or length != 48:
                raise Malformed("a name without a database")
            _, tree_flags, depth, _, _, _, entries, root = struct.unpack("<IHHQQQQQ", value)
            return key, Tree(tree_flags, depth, entries, root)
        return key, value


def logical(data: bytes):
    """What a data file says, to compare: the rows of all databases, or None where it can't be read."""
    try:
        return DataFile(data).dump(with_free_pages=False).rows
    except (Malformed, struct.error, UnicodeError):
        return None
