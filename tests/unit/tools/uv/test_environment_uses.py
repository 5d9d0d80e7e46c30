"""Tests which environments of a cache are removed."""

import os
from pathlib import Path

from mlflow_uv.tools.uv.environment_uses import LONGEST_S, MOST, RECENT_S, hold, remove_unused

NOW_S = 2_000_000_000.0


def environment(cache: Path, name: str, *, unused_s: float) -> Path:
    """An environment that was used some time ago."""
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    (cache / f"{name}.files.json").touch()
    os.utime(folder, (NOW_S - unused_s, NOW_S - unused_s))
    return folder


def names(cache: Path) -> list[str]:
    """What is in the cache."""
    return sorted(path.name for path in cache.iterdir())


def test_one_that_was_not_used_for_long_is_removed_with_its_state(tmp_path: Path) -> None:
    """
    The others stay, and so does what is no environment.
    """
    environment(tmp_path, "old", unused_s=LONGEST_S + 1)
    environment(tmp_path, "new", unused_s=LONGEST_S - 1)
    (tmp_path / "other").mkdir()
    os.utime(tmp_path / "other", (0, 0))

    remove_unused(tmp_path, now_s=NOW_S)

    assert ["new", "new.files.json", "other"] == names(tmp_path)


def test_of_many_those_are_removed_that_were_not_used_for_the_longest_time(tmp_path: Path) -> None:
    """
    But none that was used within a day, however many these are.
    """
    for number in range(MOST + 2):
        environment(tmp_path / "many", f"{number:02}", unused_s=RECENT_S * 2 + number)
        environment(tmp_path / "recent", f"{number:02}", unused_s=number)

    remove_unused(tmp_path / "many", now_s=NOW_S)
    remove_unused(tmp_path / "recent", now_s=NOW_S)

    kept = [sum(path.is_dir() for path in (tmp_path / name).iterdir()) for name in ("many", "recent")]
    assert ([MOST, MOST + 2], False) == (kept, (tmp_path / "many" / f"{MOST:02}").exists())


def test_one_that_a_process_uses_stays(tmp_path: Path) -> None:
    """
    Also if it began long ago; once the process has ended, it is removed.
    """
    folder = environment(tmp_path, "old", unused_s=LONGEST_S + 1)
    held: dict[Path, int] = {}
    hold(folder, held)
    hold(folder, held)
    used_s = folder.stat().st_mtime
    os.utime(folder, (0, 0))

    remove_unused(tmp_path, now_s=NOW_S)
    kept = names(tmp_path)
    os.close(held[folder])
    remove_unused(tmp_path, now_s=NOW_S)

    assert (True, ["old", "old.files.json"], []) == (used_s > 1, kept, names(tmp_path))


def test_using_one_keeps_it_for_later(tmp_path: Path) -> None:
    """
    The time of its last use counts, and not when it was made; one that is not there is no error.
    """
    folder = environment(tmp_path, "old", unused_s=LONGEST_S + 1)
    held: dict[Path, int] = {}
    hold(folder, held)
    hold(tmp_path / "missing", held)
    os.close(held.pop(folder))

    remove_unused(tmp_path, now_s=folder.stat().st_mtime + RECENT_S)

    assert ({}, ["old", "old.files.json"]) == (held, names(tmp_path))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """
    What it leads to is not in the cache.
    """
    elsewhere = environment(tmp_path / "elsewhere", "old", unused_s=LONGEST_S + 1)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "link").symlink_to(elsewhere)

    remove_unused(tmp_path / "cache", now_s=NOW_S)

    assert (["link"], True) == (names(tmp_path / "cache"), (elsewhere / "pyvenv.cfg").exists())
