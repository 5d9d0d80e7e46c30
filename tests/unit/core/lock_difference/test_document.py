"""A comparison as JSON, written here and read from untrusted sources."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse
from mlflow_uv.core.lock_difference.comment import comment_of
from mlflow_uv.core.lock_difference.comparison import (
    LockChange,
    LockComparison,
    RepositoryComparison,
    TargetComparison,
    TargetProblem,
)
from mlflow_uv.core.lock_difference.document import (
    LIMIT,
    MOST_PACKAGES,
    InvalidComparison,
    comparison_document,
    read_comparison,
)
from mlflow_uv.core.lock_difference.lock_update import LockHunk, LockUpdate

CHANGE = PackageChange(name="grape", kind=ChangeKind.UPDATED, before="1.0", after="2.0", use=PackageUse.SERVED)
TARGET = TargetComparison(
    target="linux-x86_64-py3.11",
    bytes_after=5,
    problems=(TargetProblem(package="grape", version="2.0", method="cannot be installed"),),
)
LOCK = LockComparison(
    path="models/wein ü/uv.lock",
    change=LockChange.CHANGED,
    packages=(CHANGE,),
    targets=(TARGET,),
    settings=("a: 1 → 2",),
)
UPDATE = LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=2, lines=("-a", "+b")),))
VULNERABLE = replace(LOCK, packages=(replace(CHANGE, vulnerabilities=("GHSA-1, high",)),))
COMPARISON = RepositoryComparison(base="a" * 40, head="b" * 40, pull_request=3, locks=(VULNERABLE,), updates=(UPDATE,))


def changed(**parts: Any) -> bytes:
    """The document with other values at its paths, such as `locks.0.path`."""
    document = json.loads(comparison_document(COMPARISON))
    for path, value in parts.items():
        *places, last = path.split("__")
        inner = document
        for place in places:
            inner = inner[int(place) if place.isdigit() else place]
        inner[last] = value
    return json.dumps(document).encode()


def test_what_is_written_is_read_back() -> None:
    """
    Every part, the enums too.
    """
    assert COMPARISON == read_comparison(comparison_document(COMPARISON))


@pytest.mark.parametrize(
    "parts",
    [
        {"schema": "mlflow-uv/lock-comparison/2"},
        {"markdown": "<!-- anything -->"},
        {"locks__0__settings": ["x" * 301]},
        {"locks__0__settings": ["x"] * 51},
        {"locks__0__settings": [1]},
        {"base": "main"},
        {"head": "b" * 39 + "\n"},
        {"head_of_pull_request": "--help"},
        {"pull_request": -1},
        {"pull_request": "3"},
        {"pull_request": True},
        {"locks__0__change": "burnt"},
        {"locks__0__path": ""},
        {"locks__0__path": "x" * 1001},
        {"locks__0__note": "x" * 1001},
        {"locks__0__moved_from": "x" * 1001},
        {"locks__0__left_out": -1},
        {"left_out_locks": -1},
        {"left_out_packages": 1 << 61},
        {"locks__0__packages__0__name": "@everyone"},
        {"locks__0__packages__0__name": "grape\n"},
        {"locks__0__packages__0__name": "<b>grape</b>"},
        {"locks__0__packages__0__after": "2.0\u202e"},
        {"locks__0__packages__0__after": "| 2.0"},
        {"locks__0__packages__0__source_after": "x" * 1001},
        {"locks__0__packages__0__files": "x" * 1001},
        {"locks__0__packages__0__yanked": "true"},
        {"locks__0__packages__0__vulnerabilities": ["x" * 1001]},
        {"locks__0__packages__0__vulnerabilities": ["x"] * 21},
        {"locks__0__packages__0__vulnerabilities": "x"},
        {"vulnerable_checked": 1},
        {"locks__0__targets__0__target": "linux](http://evil.test)"},
        {"locks__0__targets__0__bytes_after": 1 << 61},
        {"locks__0__targets__0__bytes_after": 1.5},
        {"locks__0__targets__0__problems__0__package": "#1"},
        {"locks__0__targets__0__problems__0__method": "x" * 1001},
        {"locks": [{}] * 101},
    ],
    ids=str,
)
def test_what_is_no_comparison_is_refused(parts: dict[str, Any]) -> None:
    """
    Unknown parts, other types, and texts that are no name, version, commit or target.
    """
    with pytest.raises(InvalidComparison):
        read_comparison(changed(**parts))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b"null", b'"x"', b" " * (LIMIT + 1)], ids=len)
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """
    Broken, deep and large documents end in the same error.
    """
    with pytest.raises(InvalidComparison):
        read_comparison(data)


def test_a_document_of_ours_is_always_within_the_limits() -> None:
    """
    Of thousands of packages in many locks some are counted, and a name that no package can have is one of these.
    """
    many = tuple(replace(CHANGE, name=f"grape-{number}", use=PackageUse.DEVELOPMENT) for number in range(100))
    strange = replace(CHANGE, name="no name")
    locks = tuple(replace(LOCK, path=f"{number}/uv.lock", packages=(*many, strange, CHANGE)) for number in range(110))

    found = read_comparison(comparison_document(replace(COMPARISON, locks=locks)))

    first = found.locks[0]
    assert (100, True) == (len(found.locks), 0 < len(first.packages) < MOST_PACKAGES)
    assert ("grape", 102) == (first.packages[0].name, len(first.packages) + first.left_out)


def test_what_a_document_leaves_out_is_counted_and_harmless() -> None:
    """
    Of many locks those with a warning are kept, of many packages those that come from elsewhere.
    """
    evil = replace(CHANGE, name="evil", source_before="https://a.test", source_after="https://b.test")
    many = tuple(replace(CHANGE, name=f"grape-{number}") for number in range(2000))
    locks = tuple(replace(LOCK, path=f"{number}/uv.lock", targets=()) for number in range(299))
    last = replace(LOCK, path="z/uv.lock", packages=(*many, evil), targets=())

    found = read_comparison(comparison_document(replace(COMPARISON, locks=(*locks, last), updates=())))

    assert ("z/uv.lock", "evil", 200, 200) == (
        found.locks[0].path,
        found.locks[0].packages[0].name,
        found.left_out_locks,
        found.left_out_packages,
    )
    total = len(locks) + len(many) + 1
    assert found.verdict.startswith(f"{total} packages changed (")
    assert "\n\n200 locks more: the comparison has a limited size.\n" in comment_of(found)


def test_long_updates_are_only_named() -> None:
    """
    The commands remain where the document would be too large.
    """
    long = replace(UPDATE, hunks=(LockHunk(first_line=1, lines=("-" + "a" * 999,) * 400),))

    found = read_comparison(comparison_document(replace(COMPARISON, updates=(long,) * 30)))

    assert ((LockUpdate(path="uv.lock"),) * 20, COMPARISON.locks) == (found.updates, found.locks)
