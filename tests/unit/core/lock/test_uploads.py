"""Upload times of locked files, and the `exclude-newer` that a lock records."""

from datetime import UTC, datetime

import pytest

from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.uploads import Cutoff, cutoff_of, latest_upload

NOON_S = 1_780_315_200.0  # 2026-06-01T12:00:00Z
LOCK = 'version = 1\nrequires-python = ">=3.11"\n[options]\n{options}\n[[package]]\nname = "grape"\nversion = "1.0"\n'
REGISTRY = 'source = { registry = "https://index.test/simple" }\n'


def cutoff(options: str, name: str = "grape") -> Cutoff | None:
    """The cutoff of a package at noon."""
    return cutoff_of(read_lockfile((LOCK.format(options=options) + REGISTRY).encode()), name, now_s=NOON_S)


@pytest.mark.parametrize(
    ("options", "moment", "text"),
    [
        ('exclude-newer = "2026-05-01T00:00:00Z"', datetime(2026, 5, 1, tzinfo=UTC), "2026-05-01T00:00:00Z"),
        ("exclude-newer = 2026-05-01T02:00:00+02:00", datetime(2026, 5, 1, tzinfo=UTC), "2026-05-01 02:00:00+02:00"),
        ('exclude-newer = "2026-05-01"', datetime(2026, 5, 1, tzinfo=UTC), "2026-05-01"),
        ('exclude-newer-span = "P1W"', datetime(2026, 5, 25, 12, tzinfo=UTC), "P1W"),
        ('exclude-newer-span = "P1DT36H30M"', datetime(2026, 5, 29, 23, 30, tzinfo=UTC), "P1DT36H30M"),
        ('exclude-newer-span = "P1M"', datetime(2026, 5, 4, 12, tzinfo=UTC), "P1M"),
        ('exclude-newer-span = "P1Y"', datetime(2025, 6, 1, 12, tzinfo=UTC), "P1Y"),
    ],
)
def test_a_cutoff_is_a_moment_or_a_span_before_now(options: str, moment: datetime, text: str) -> None:
    """
    A month counts 28 days and a year 365, the shortest that they can be, so that no file is reported too early.
    """
    assert Cutoff(moment=moment, text=text) == cutoff(options)


@pytest.mark.parametrize("options", ["", 'exclude-newer = "some day"', 'exclude-newer-span = "a week"'])
def test_without_a_readable_time_there_is_no_cutoff(options: str) -> None:
    """
    What uv would not have written is no reason to report a file.
    """
    assert cutoff(options) is None


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ('grape = "2026-04-01T00:00:00Z"', "2026-04-01T00:00:00Z"),
        ('grape = { timestamp = "2026-04-01T00:00:00Z" }', "2026-04-01T00:00:00Z"),
        ('grape = { timestamp = "2026-04-01T00:00:00Z", span = "P2D" }', "P2D"),
        ("grape = false", None),
        ('hop = "2026-04-01T00:00:00Z"', "2026-05-01T00:00:00Z"),
    ],
    ids=["moment", "table", "span", "excepted", "another package's"],
)
def test_the_cutoff_of_a_package_takes_precedence(own: str, text: str | None) -> None:
    """
    `exclude-newer-package` may also except a package from the cutoff of the lock.
    """
    found = cutoff(f'exclude-newer = "2026-05-01T00:00:00Z"\n[options.exclude-newer-package]\n{own}')

    assert text == (found.text if found else None)


SDIST = 'sdist = { url = "https://f.test/a.tar.gz", upload-time = "2026-05-02T00:00:00Z" }\n'
WHEEL = 'wheels = [{ url = "https://f.test/a-1.0-py3-none-any.whl", upload-time = "2026-05-01T00:00:00Z" }]\n'
UNDATED = 'wheels = [{ url = "https://f.test/a-1.0-py3-none-any.whl" }]\n'


@pytest.mark.parametrize(
    ("files", "newest"),
    [
        (SDIST + WHEEL, datetime(2026, 5, 2, tzinfo=UTC)),
        (WHEEL.replace("2026-05-01T00:00:00Z", "2026-05-03"), datetime(2026, 5, 3, tzinfo=UTC)),
        (SDIST + UNDATED, datetime(2026, 5, 2, tzinfo=UTC)),
        (UNDATED, None),
        ("", None),
    ],
    ids=["sdist", "day", "some", "none", "no files"],
)
def test_the_newest_file_of_a_package_counts(files: str, newest: datetime | None) -> None:
    """
    An index that gives no upload times leaves nothing to compare.
    """
    (package,) = read_lockfile((LOCK.format(options="") + REGISTRY + files).encode()).packages

    assert newest == latest_upload(package)
