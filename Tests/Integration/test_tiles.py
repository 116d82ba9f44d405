"""Tiles read over HTTP (C2SP tlog-tiles) rebuild the whole tree and hold every entry."""

import pytest

import events
import verifier

FULL = 256


@pytest.fixture(scope="module")
def grown(shared):
    """More entries than a tile of hashes holds, so that a full tile, a partial one and a second level exist."""
    while shared.size < 2 * FULL + 10:
        shared.append(*(events.closure() for _ in range(100)))
    return shared


@pytest.fixture
def tile(grown):
    http = grown.http()

    def get(level, number: int, width: int = FULL) -> bytes:
        suffix = "" if width == FULL else f".p/{width}"
        answer = http.ask("GET", f"/tile/{level}/{number:03d}{suffix}")
        assert answer.status == 200, answer
        return answer.body

    yield get
    http.close()


def widths(count: int) -> list[int]:
    """Widths of the tiles that `count` hashes of a level fill."""
    return [FULL] * (count // FULL) + ([count % FULL] if count % FULL else [])


def hashes(data: bytes) -> list[bytes]:
    assert len(data) % 32 == 0
    return [data[place : place + 32] for place in range(0, len(data), 32)]


def test_tiles_rebuild_the_signed_root(grown, tile):
    http = grown.http()
    checkpoint = verifier.verify_note(http.ask("GET", "/checkpoint").body.decode(), grown.vkey)
    http.close()
    leaves = [leaf for n, width in enumerate(widths(checkpoint.size)) for leaf in hashes(tile(0, n, width))]
    assert len(leaves) == checkpoint.size
    assert verifier.tree_root(leaves) == checkpoint.root
    level = [verifier.tree_root(leaves[n * FULL : (n + 1) * FULL]) for n in range(checkpoint.size // FULL)]
    assert hashes(tile(1, 0, len(level))) == level


def test_entry_bundles_hold_every_entry(grown, tile):
    rows = grown.entries()
    read = []
    for number, width in enumerate(widths(len(rows))):
        bundle = tile("entries", number, width)
        while bundle:
            length = int.from_bytes(bundle[:2])
            read.append(bundle[2 : 2 + length])
            assert len(read[-1]) == length
            bundle = bundle[2 + length :]
    assert read == [row["entry"].encode() for row in rows]
    verifier.verify_entries(read)


@pytest.mark.parametrize("width", [1, 2, 255])
def test_a_partial_tile_stays_what_it_was_when_the_tree_grows(grown, tile, width):
    assert tile(0, 0, width) == tile(0, 0)[: 32 * width]
    assert tile("entries", 0).startswith(tile("entries", 0, width))


def test_tiles_the_tree_does_not_fill_are_not_there(grown):
    size = grown.size
    http = grown.http()
    last, width = divmod(size, FULL)
    for path in (f"/tile/0/{last:03d}", f"/tile/0/{last:03d}.p/{width + 1}", f"/tile/0/{last + 1:03d}.p/1",
                 "/tile/1/000", f"/tile/1/000.p/{last + 1}", "/tile/2/000.p/1", f"/tile/entries/{last:03d}",
                 f"/tile/entries/{last:03d}.p/{width + 1}"):
        assert http.ask("GET", path).status == 404, path
    http.close()
