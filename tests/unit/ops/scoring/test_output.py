"""What a reader of an output sees, whatever happens to the run that writes it."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.scoring.layout import rejects_name
from mlflow_uv.core.scoring.manifest import InputFile, Manifest, Part
from mlflow_uv.ops.scoring.output import Output, opened_output

INPUT = InputFile(name="a.csv", size=4, mtime_ns=1, sha256="1" * 64)


def staged(output: Output, text: str, *, number: int = 0, last: bool = True) -> None:
    """Stage one part with a row of text."""
    name = f"a-{number:05d}.csv"
    with output.writing(name) as file:
        file.write(text.encode())
        file.finish()
    output.add(
        Part(
            input="a.csv", number=number, first_row=number, end_row=number + 1, end_offset=2, last=last, name=name,
            rows=1, size=file.size, sha256=file.sha256, rejects=rejects_name(name), rejected=0, rejects_size=0,
            rejects_sha256="",
        )
    )  # fmt: skip


def visible(folder: Path) -> dict[str, str]:
    """The files that a reader of the folder sees."""
    return {path.name: path.read_text() for path in folder.glob("[!_]*")}


def begun(output: Output, key: str, *inputs: InputFile) -> Output:
    """The output for a run of this key."""
    output.begin(key, {}, inputs or (INPUT,), strict=False)
    return output


def test_nothing_is_visible_before_all_is_complete(tmp_path: Path) -> None:
    """
    A part that was not finished leaves nothing; the complete parts appear together.
    """
    folder = tmp_path / "scores"
    with opened_output(folder, tmp_path / "a.csv") as output:
        begun(output, "k")
        staged(output, "1", last=False)
        with output.writing("a-00001.csv") as file:
            file.write(b"half")
        before = visible(folder)
        staged(output, "2", number=1)
        output.publish()

    assert ({}, {"a-00000.csv": "1", "a-00001.csv": "2"}) == (before, visible(folder))
    assert [] == list(folder.rglob("*.writing"))


def test_an_interrupted_run_goes_on_after_its_last_part(tmp_path: Path) -> None:
    """
    Its staged parts are kept, with what was written of another part removed.
    """
    folder = tmp_path / "scores"
    with opened_output(folder, tmp_path / "a.csv") as output:
        staged(begun(output, "k"), "1", last=False)
        (folder / "_mlflow-uv" / "parts" / "a-00001.csv.writing").write_text("half")

    with opened_output(folder, tmp_path / "a.csv") as output:
        begun(output, "k")

        assert ["a-00000.csv"] == [part.name for part in output.manifest.parts]
        assert ["a-00000.csv"] == [path.name for path in (folder / "_mlflow-uv" / "parts").iterdir()]


def test_another_model_replaces_a_result_when_it_is_complete(tmp_path: Path) -> None:
    """
    Until then the old result is whole; parts of two models are never side by side, not after a crash either.
    """
    folder = tmp_path / "scores"
    with opened_output(folder, tmp_path / "a.csv") as output:
        staged(begun(output, "old"), "old 1", last=False)
        staged(output, "old 2", number=1)
        output.publish()
    with opened_output(folder, tmp_path / "a.csv") as output:
        staged(begun(output, "new"), "new 1")
        during = visible(folder)

    with opened_output(folder, tmp_path / "a.csv") as output:
        begun(output, "new")
        output.publish()

    assert {"a-00000.csv": "old 1", "a-00001.csv": "old 2"} == during
    assert {"a-00000.csv": "new 1"} == visible(folder)


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_part_that_somebody_changed_is_scored_again(tmp_path: Path, change: str) -> None:
    """
    The manifest says what a part has to be; a file that only has its name is none.
    """
    folder = tmp_path / "scores"
    with opened_output(folder, tmp_path / "a.csv") as output:
        staged(begun(output, "k"), "1")
        output.publish()
    if change == "edited":
        (folder / "a-00000.csv").write_text("7")
    else:
        (folder / "a-00000.csv").unlink()

    with opened_output(folder, tmp_path / "a.csv") as output:
        begun(output, "k")

        assert () == output.manifest.parts


def test_what_is_not_an_output_is_never_replaced(tmp_path: Path) -> None:
    """
    A folder with other files, a file, the input itself and a folder in it are refused, and nothing is written.
    """
    source = tmp_path / "data"
    source.mkdir()
    (source / "a.csv").write_text("x\n1\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")

    for folder in (other, source / "a.csv", source, source / "scores", tmp_path):
        with pytest.raises(BadInput) as caught, opened_output(folder, source):
            pass
        assert "--output" in caught.value.fix

    assert ["a.csv"] == [path.name for path in source.iterdir()]
    assert {"notes.txt": "mine"} == visible(other)


def test_one_run_at_a_time_writes_an_output(tmp_path: Path) -> None:
    """
    A second one is refused while the first runs.
    """
    with (
        opened_output(tmp_path / "scores", tmp_path / "a.csv"),
        pytest.raises(BadInput, match="another process writes"),
        opened_output(tmp_path / "scores", tmp_path / "a.csv"),
    ):
        pass


@pytest.mark.parametrize("place", ["sub", "_mlflow-uv", "_mlflow-uv/lock", "_rejects", "a-00000.csv"])
def test_a_link_in_the_output_is_refused_and_what_is_behind_it_stays(tmp_path: Path, place: str) -> None:
    """
    A checkout may hold one, with a manifest that names what is behind it as replaced.
    """
    folder, behind = tmp_path / "scores", tmp_path / "behind"
    behind.mkdir()
    (behind / "mine").write_text("precious")
    (folder / place).parent.mkdir(parents=True)
    if place != "_mlflow-uv":
        (folder / "_mlflow-uv").mkdir(exist_ok=True)
        text = Manifest(key="x", run={}, inputs=(), replaced=("sub/mine", "a-00000.csv")).to_json()
        (folder / "_mlflow-uv" / "manifest.json").write_text(text)
    (folder / place).symlink_to(behind if "." not in place and "lock" not in place else behind / "mine")

    with pytest.raises(BadInput, match="has a link or a device") as refused, opened_output(folder, tmp_path / "a.csv"):
        pass

    assert f"`{place}` leads to files that are not part of the output" == refused.value.why
    assert {"mine": "precious"} == visible(behind)


def test_the_file_that_locks_an_output_is_not_emptied(tmp_path: Path) -> None:
    """
    It is opened by every run, also by one that is refused.
    """
    folder = tmp_path / "scores"
    with opened_output(folder, tmp_path / "a.csv") as output:
        begun(output, "k")
        staged(output, "1")
        output.publish()
    (folder / "_mlflow-uv" / "lock").write_text("held")

    with opened_output(folder, tmp_path / "a.csv"):
        pass

    assert "held" == (folder / "_mlflow-uv" / "lock").read_text()
