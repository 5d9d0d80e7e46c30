"""Which parts of an output a later run keeps."""

import json
from dataclasses import replace

import pytest

from mlflow_uv.core.scoring.manifest import (
    InputFile,
    Manifest,
    Part,
    Start,
    gapless,
    is_output,
    kept_parts,
    read_manifest,
    start_of,
)

OLD = InputFile(name="a.csv", size=10, mtime_ns=1, sha256="1" * 64)
OTHER = InputFile(name="b.csv", size=20, mtime_ns=1, sha256="2" * 64)


def part(name: str, number: int, first: int, end: int, *, last: bool = False, rejected: int = 0) -> Part:
    """A part of an input, with its rows."""
    return Part(
        input=name, number=number, first_row=first, end_row=end, end_offset=end * 10, last=last,
        name=f"{name}-{number}.parquet", rows=end - first - rejected, size=5, sha256="a" * 64,
        rejects=f"_rejects/{name}-{number}.jsonl", rejected=rejected, rejects_size=3, rejects_sha256="b" * 64,
    )  # fmt: skip


MANIFEST = Manifest(
    key="k",
    run={"model_name": "wine"},
    inputs=(OLD, OTHER),
    parts=(part("a.csv", 0, 0, 3), part("a.csv", 1, 3, 6, last=True), part("b.csv", 0, 0, 4, rejected=1)),
    replaced=("old-0.csv",),
)


def test_a_manifest_is_read_as_it_was_written() -> None:
    """
    Nothing is lost between two runs.
    """
    assert MANIFEST == read_manifest(MANIFEST.to_json().encode())


@pytest.mark.parametrize(
    ("key", "inputs", "kept"),
    [
        ("k", (OLD, OTHER), MANIFEST.parts),
        ("k", (replace(OLD, mtime_ns=9), OTHER), MANIFEST.parts),
        ("another model", (OLD, OTHER), ()),
        ("k", (replace(OLD, sha256="3" * 64), OTHER), MANIFEST.parts[2:]),
        ("k", (replace(OLD, size=11), OTHER), MANIFEST.parts[2:]),
        ("k", (OTHER,), MANIFEST.parts[2:]),
        ("k", (InputFile(name="c.csv", size=1, mtime_ns=1, sha256="4" * 64),), ()),
    ],
)
def test_parts_of_the_same_run_and_unchanged_inputs_are_kept(
    key: str, inputs: tuple[InputFile, ...], kept: tuple[Part, ...]
) -> None:
    """
    A file that was only touched is unchanged; another model or another content is scored anew.
    """
    assert kept == kept_parts(MANIFEST, key, inputs)


def test_a_part_after_a_gap_is_not_kept() -> None:
    """
    Rows in the gap would be missing: everything after it is scored again.
    """
    assert (part("a.csv", 0, 0, 3),) == gapless((part("a.csv", 2, 6, 9, last=True), part("a.csv", 0, 0, 3)))
    assert () == gapless((part("a.csv", 1, 3, 6),))


def test_an_input_is_continued_after_its_last_part() -> None:
    """
    At the row, and the byte, at which the next part starts.
    """
    assert Start() == start_of("c.csv", MANIFEST.parts)
    assert Start(number=1, row=4, offset=40) == start_of("b.csv", MANIFEST.parts)
    assert start_of("a.csv", MANIFEST.parts) is None


def test_files_of_others_are_told_apart() -> None:
    """
    A file that no run wrote is never replaced.
    """
    names = ("a.csv-0.parquet", "_rejects/b.csv-0.jsonl", "_rejects/a.csv-0.jsonl", "old-0.csv", "notes.txt")

    assert [True, True, False, True, False] == [is_output(name, MANIFEST) for name in names]
    assert [True, False] == [is_output(name, None) for name in ("_mlflow-uv/manifest.json", "a.csv-0.parquet")]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"parts": None},
        {"inputs": [{}]},
        {"replaced": ["../other/file"]},
        {"replaced": ["/etc/passwd"]},
        {"replaced": ["_mlflow-uv/manifest.json"]},
        {"parts": [{**json.loads(MANIFEST.to_json())["parts"][0], "rows": "3"}]},
        {"parts": [{**json.loads(MANIFEST.to_json())["parts"][0], "name": "../a"}]},
    ],
)
def test_a_manifest_of_somebody_else_is_refused(change: dict[str, object]) -> None:
    """
    It decides what is deleted: it names nothing outside of the output.
    """
    text = json.dumps({**json.loads(MANIFEST.to_json()), **change})

    with pytest.raises(ValueError, match=r"^it\b"):
        read_manifest(text.encode())
