"""How long the parts of a step took on this machine."""

from pathlib import Path

import pytest

from mlflow_uv.surfaces.durations import Durations


def file_of(cache: Path) -> Path:
    """The only file."""
    (file,) = (cache / "durations").iterdir()
    return file


def test_the_next_run_expects_the_middle_of_the_last_five(tmp_path: Path) -> None:
    """
    One slow run changes nothing, and an old one is forgotten; another project has times of its own.
    """
    for seconds in (900.0, 10.0, 11.0, 12.0, 13.0, 600.0):
        Durations(tmp_path, Path("/wine")).add({"train": seconds})

    wine, cork = Durations(tmp_path, Path("/wine")), Durations(tmp_path, Path("/cork"))

    assert (12.0, None, None) == (wine.expected("train"), wine.expected("other"), cork.expected("train"))


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", '{"train": 1}', '{"train": ["1"]}', '{"train": [-1]}', '{"train": [1e999]}', '{"train": []}',
        "[" * 9000,
    ],
)  # fmt: skip
def test_a_file_that_is_not_one_of_ours_is_replaced(tmp_path: Path, content: str) -> None:
    """
    Nothing depends on it but what is shown.
    """
    Durations(tmp_path, Path("/wine")).add({"other": 1.0})
    file_of(tmp_path).write_text(content)

    before = Durations(tmp_path, Path("/wine")).expected("train")
    Durations(tmp_path, Path("/wine")).add({"train": 3.0})

    assert (None, 3.0) == (before, Durations(tmp_path, Path("/wine")).expected("train"))


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """
    The step has done its work by then.
    """
    (tmp_path / "durations").write_text("a file")
    durations = Durations(tmp_path, Path("/wine"))

    durations.add({"train": 3.0})

    assert Durations(tmp_path, Path("/wine")).expected("train") is None


def test_the_file_stays_small(tmp_path: Path) -> None:
    """
    Parts that nothing uses any more are forgotten first.
    """
    durations = Durations(tmp_path, Path("/wine"))
    durations.add({f"part {at}": 1.0 for at in range(1000)})
    durations.add({"part 900": 1.0})

    now = Durations(tmp_path, Path("/wine"))
    assert (None, 1.0, 1.0) == (now.expected("part 1"), now.expected("part 900"), now.expected("part 999"))
    assert file_of(tmp_path).stat().st_size < 10_000
