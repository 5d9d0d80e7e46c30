"""The values of two locks that are no packages."""

import pytest

from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock_difference.settings import LONGEST, MOST, setting_changes
from tests.unit.core.lock_difference.locks import HEAD


def changes(before: str, after: str) -> tuple[str, ...]:
    return setting_changes(read_lockfile(f"{HEAD}{before}".encode()), read_lockfile(f"{HEAD}{after}".encode()))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", ()),
        (
            "",
            '[options]\nexclude-newer = "2026-01-01T00:00:00Z"\nprerelease-mode = "allow"\n',
            ("exclude-newer: none → 2026-01-01T00:00:00Z", "prerelease-mode: none → allow"),
        ),
        (
            '[options]\nexclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "P7D"\n',
            '[options]\nexclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "P1D"\n',
            ("exclude-newer-span: P7D → P1D",),
        ),
        (
            '[options.exclude-newer-package]\ntorch = "2026-01-01T00:00:00Z"\n',
            "[options.exclude-newer-package]\ntorch = false\n",
            ("exclude-newer-package.torch: 2026-01-01T00:00:00Z → false",),
        ),
        (
            "",
            '[manifest]\nconstraints = [{ name = "numpy", specifier = "<2" }]\n',
            ('constraints: none → [{"name": "numpy", "specifier": "<2"}]',),
        ),
    ],
)
def test_what_differs_is_named_with_both_values(before: str, after: str, expected: tuple[str, ...]) -> None:
    """
    Options of uv, also of one package, and constraints; the date that uv writes beside a span means nothing.
    """
    assert expected == changes(before, after)


def test_a_new_lock_has_no_changed_settings() -> None:
    """
    There is nothing to compare with.
    """
    assert () == setting_changes(None, read_lockfile(HEAD.encode()))


def test_what_is_shown_is_limited() -> None:
    """
    A lock may have thousands of options with long values.
    """
    rows = "".join(f'{"k" * 400}{number} = "{"v" * 400}"\n' for number in range(200))

    found = changes("", f"[options]\n{rows}")

    assert (MOST, True) == (len(found), max(map(len, found)) <= LONGEST)
