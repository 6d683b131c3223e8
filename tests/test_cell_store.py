"""The store of finished cells: bounded in bytes, least recently used first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_skip.sweep.cell_store import CellStore, FinishedCell

ONE = 4 * 4 * 3


def cell(size=4, mode="RGB"):
    return FinishedCell(Image.new(mode, (size, size)), "infotext")


def test_what_was_put_is_found_by_its_identity():
    store, one = CellStore(lambda: 10 * ONE), cell()
    store.put("a", one)
    assert store.get("a") is one and "a" in store and store.get("b") is None and "b" not in store


def test_what_has_no_identity_is_not_kept():
    store = CellStore(lambda: 10 * ONE)
    store.put(None, cell())
    assert store.get(None) is None and None not in store and store.size == 0


@pytest.mark.parametrize(("mode", "bytes_"), [("L", 16), ("RGB", 48), ("RGBA", 64)])
def test_bytes(mode, bytes_):
    assert cell(mode=mode).size == bytes_


def test_the_least_recently_used_goes():
    store = CellStore(lambda: 3 * ONE)
    for name in "abc":
        store.put(name, cell())
    store.get("a")
    store.put("d", cell())
    assert [name in store for name in "abcd"] == [True, False, True, True]
    store.put("c", cell())  # again
    store.put("e", cell())
    assert [name in store for name in "abcde"] == [False, False, True, True, True] and store.size == 3 * ONE


def test_what_is_larger_than_all_is_not_kept_and_a_smaller_limit_holds_at_once():
    limit = [3 * ONE]
    store = CellStore(lambda: limit[0])
    store.put("a", cell(100))
    assert "a" not in store
    store.put("b", cell())
    store.put("c", cell())
    limit[0] = ONE
    assert store.get("b") is None and store.get("c") is not None
    limit[0] = 0
    assert store.get("c") is None and store.size == 0


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 6), st.booleans()), max_size=40), st.integers(0, 200)
)
def test_it_never_holds_more_than_the_limit(steps, limit):
    store = CellStore(lambda: limit)
    for name, size, put in steps:
        if put:
            store.put(name, cell(size))
        else:
            store.get(name)
        assert store.size <= limit
