"""Which contents have the same digest, and which do not."""

import random
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.release.digests import canonical, lock_digest, sha256, tree_digest

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_digest_is_plain_hex() -> None:
    """
    A digest is the sha256 in hex, without an algorithm's prefix.
    """
    found = sha256(b"")

    assert found == EMPTY


@given(st.dictionaries(st.text(), JSON, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_is_not_identity(value: dict[str, object], chance: random.Random) -> None:
    """
    The same object gives the same bytes, whoever built it in which order.
    """
    keys = list(value)
    chance.shuffle(keys)
    shuffled = {key: value[key] for key in keys}

    found = canonical(shuffled)

    assert canonical(value) == found


@pytest.mark.parametrize("rewritten", [b"a\r\nb\r\n", b"a\rb\r", b"a\nb\n"])
def test_line_ends_of_a_checkout_are_not_part_of_a_lock(rewritten: bytes) -> None:
    """
    git may write CRLF on one machine and LF on another; it is the same lock.
    """
    found = lock_digest(rewritten)

    assert sha256(b"a\nb\n") == found


def test_any_other_byte_of_a_lock_is_part_of_it() -> None:
    """
    A space more is another lock: uv wrote something else.
    """
    one, other = lock_digest(b"version = 1\n"), lock_digest(b"version =  1\n")

    assert one != other


FILES = (
    (PurePosixPath("MLmodel"), "aa"),
    (PurePosixPath("data/model.pkl"), "bb"),
    (PurePosixPath("requirements.txt"), "cc"),
)


def test_the_order_in_which_a_store_lists_files_is_not_identity() -> None:
    """
    Stores list files in any order; the model is the same.
    """
    found = tree_digest(reversed(FILES))

    assert tree_digest(FILES) == found


@pytest.mark.parametrize(
    "changed",
    [
        FILES[:2],
        (*FILES, (PurePosixPath("code/x.py"), "dd")),
        (*FILES[:2], (PurePosixPath("requirements.txt"), "cd")),
        (*FILES[:2], (PurePosixPath("requirements.in"), "cc")),
    ],
    ids=["one less", "one more", "other bytes", "other name"],
)
def test_every_file_of_a_model_is_part_of_it(changed: tuple[tuple[PurePosixPath, str], ...]) -> None:
    """
    A file less, more, changed or renamed makes another model.
    """
    found = tree_digest(changed)

    assert tree_digest(FILES) != found


def test_what_mlflow_adds_on_download_is_not_part_of_the_model() -> None:
    """
    `registered_model_meta` appears when a model comes through a version; the same name deeper down is the user's.
    """
    through_a_version = tree_digest((*FILES, (PurePosixPath("registered_model_meta"), "ee")))
    deeper = tree_digest((*FILES, (PurePosixPath("data/registered_model_meta"), "ee")))

    assert (True, False) == (tree_digest(FILES) == through_a_version, tree_digest(FILES) == deeper)
