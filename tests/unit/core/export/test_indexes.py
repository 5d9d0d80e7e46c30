"""The index options that a requirements list needs for pip and uv to find the lock's packages."""

import pytest

from mlflow_uv.core.export.indexes import (
    Index,
    declared_indexes,
    option_lines,
    registries,
    used_indexes,
)
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.lock.lockfile import read_lockfile

PUBLIC, MIRROR, GPU, OTHER = (f"https://{name}.test/simple" for name in ("public", "mirror", "gpu", "other"))


def lines(*sources: str, indexes: tuple[Index, ...] = (), pins: str = "", beside: str = ".") -> tuple[str, ...]:
    """The options for packages a, b, c … that a lock has from these registries; `pins` narrows the list."""
    names = "abcdefg"[: len(sources)]
    tables = (
        f'[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ registry = "{source}" }}\n'
        for name, source in zip(names, sources, strict=True)
    )
    lock = read_lockfile(f"version = 1\n{''.join(tables)}".encode())
    requirements = parse_requirements("".join(f"{name}==1\n" for name in pins or names))
    return option_lines(used_indexes(requirements, lock, indexes), indexes, beside=beside)


def test_the_public_default_is_not_named() -> None:
    """
    Whoever installs has a default of their own; only what differs from it is written.
    """
    found = lines(PUBLIC, GPU, indexes=(Index(url=GPU, explicit=True),))

    assert (f"--extra-index-url {GPU}",) == found


def test_an_index_that_nothing_listed_comes_from_is_not_named() -> None:
    """
    The list asks only where it has to.
    """
    found = lines(PUBLIC, GPU, indexes=(Index(url=GPU),), pins="a")

    assert () == found


def test_a_default_of_the_project_replaces_the_public_one() -> None:
    """
    The public index must not be asked where the project does not ask it.
    """
    found = lines(MIRROR, GPU, indexes=(Index(url=GPU), Index(url=MIRROR, default=True)))

    assert (f"--index-url {MIRROR}", f"--extra-index-url {GPU}") == found


@pytest.mark.parametrize(
    ("sources", "indexes", "expected"),
    [
        (("wheels",), (Index(url="wheels", flat=True),), ("--find-links ../wheels",)),
        (("wheels",), (Index(url="wheels", flat=True, default=True),), ("--no-index", "--find-links ../wheels")),
        (
            ("wheels", GPU),
            (Index(url="wheels", flat=True, default=True), Index(url=GPU)),
            (f"--index-url {GPU}", "--find-links ../wheels"),
        ),
        (("all wheels",), (Index(url="all wheels", flat=True),), ('--find-links "../all wheels"',)),
        ((GPU,), (Index(url=GPU, flat=True),), (f"--find-links {GPU}",)),
        (("simple",), (Index(url="simple"),), ()),
        (("https://x.test/${TOKEN}/simple",), (Index(url="https://x.test/${TOKEN}/simple"),), ()),
    ],
    ids=["folder", "only a folder", "folder and index", "space", "flat page", "folder of names", "variable"],
)
def test_folders_and_flat_pages_are_named_as_pip_reads_them(
    sources: tuple[str, ...], indexes: tuple[Index, ...], expected: tuple[str, ...]
) -> None:
    """
    A flat folder as seen from the list; what no option can say is left out, and a variable is never expanded.
    """
    found = lines(*sources, indexes=indexes, beside="..")

    assert expected == found


def test_several_registries_that_nobody_declared_are_all_named() -> None:
    """
    Of one it is known that it is the default of whoever locked; of two nobody knows which.
    """
    one, two = lines(PUBLIC, PUBLIC), lines(PUBLIC, OTHER)

    assert ((), (f"--extra-index-url {OTHER}", f"--extra-index-url {PUBLIC}")) == (one, two)


def test_indexes_keep_the_order_in_which_they_are_declared() -> None:
    """
    uv asks them in that order.
    """
    found = lines(GPU, OTHER, PUBLIC, indexes=(Index(url=OTHER), Index(url=GPU)))

    assert (f"--extra-index-url {OTHER}", f"--extra-index-url {GPU}") == found


def test_a_trailing_slash_and_credentials_are_the_same_index() -> None:
    """
    The lock has neither password nor, always, the slash of the manifest.
    """
    table = {"index": [{"url": "https://me:secret@gpu.test/simple/?sig=x#y", "explicit": True}]}

    found = lines(PUBLIC, GPU, indexes=declared_indexes(table, folder="."))

    assert (f"--extra-index-url {GPU}/",) == found


def test_declarations_are_read_with_their_old_names() -> None:
    """
    `[[index]]`, `index-url`, `extra-index-url` and `find-links`; a folder is as seen from the lock's.
    """
    table = {
        "index": [{"name": "n", "url": "../wheels", "format": "flat"}, {"url": GPU, "explicit": True}, "nonsense", {}],
        "index-url": MIRROR,
        "extra-index-url": [OTHER],
        "find-links": ["./more"],
    }

    found = declared_indexes(table, folder="packages/core")

    assert (
        Index(name="n", url="packages/wheels", flat=True),
        Index(url=GPU, explicit=True),
        Index(url=MIRROR, default=True),
        Index(url=OTHER),
        Index(url="packages/core/more", flat=True),
    ) == found


@pytest.mark.parametrize("table", [{}, {"index": 3}, {"index": {"url": "x"}}, {"index-url": 3, "find-links": {}}])
def test_what_is_malformed_is_left_to_uv(table: dict[str, object]) -> None:
    """
    uv refuses such a manifest; we do not crash before it does.
    """
    found = declared_indexes(table, folder=".")

    assert () == found


def test_registries_are_seen_without_reading_the_lock() -> None:
    """
    How many there are decides whether the whole lock has to be read.
    """
    text = (
        f'source = {{ registry = "{PUBLIC}" }}\nsource = {{ registry = "../w" }}\nsource = {{ registry = "{PUBLIC}" }}'
    )

    found = registries(text.encode())

    assert {PUBLIC, "../w"} == found
