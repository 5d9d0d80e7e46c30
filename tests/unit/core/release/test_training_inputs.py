"""The release key: what it depends on, and which change of an input it names."""

import json
from collections.abc import Mapping

import pytest

from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.release.training_inputs import (
    TrainingInputs,
    changed_files,
    local_folders,
    manifest_id,
)

FILES = {"train.py": "aa", "data.csv": "bb"}
PARTS = {"the lock": "c" * 64, "the command": "d" * 64}
MANIFEST = b'[project]\nname = "wine"\nversion = "0.1.0"\n\n[tool.uv]\npackage = true\n'
LOCK = b"""
version = 1
requires-python = ">=3.11"

[[package]]
name = "cork"
version = "1.0"
source = { editable = "libs/cork" }
dependencies = [{ name = "grape" }]

[[package]]
name = "grape"
version = "1.0"
source = { registry = "https://index.test/simple" }

[[package]]
name = "label"
version = "1.0"
source = { directory = "libs/label" }
dependencies = [{ name = "cork" }]

[[package]]
name = "wine"
version = "0.1.0"
source = { editable = "." }
[package.optional-dependencies]
print = [{ name = "label" }]

[[package]]
name = "other"
version = "0.1.0"
source = { editable = "other" }
"""


def inputs(files: Mapping[str, str] = FILES, parts: Mapping[str, str] = PARTS) -> TrainingInputs:
    """Everything that a model depends on."""
    return TrainingInputs(files=files, parts=parts)


def test_the_order_of_inputs_does_not_change_the_key() -> None:
    """
    It is a SHA-256 in hex.
    """
    other = inputs(dict(reversed(FILES.items())), dict(reversed(PARTS.items())))

    assert (inputs().key, 64) == (other.key, len(other.key))


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (inputs(), ()),
        (inputs({**FILES, "train.py": "ee"}), ("files",)),
        (inputs({"train.py": "aa"}), ("files",)),
        (inputs(parts={**PARTS, "the lock": "e" * 64}), ("the lock",)),
        (inputs(parts={"the lock": "c" * 64}), ("the command",)),
        (inputs({}, {**PARTS, "the Python": "f" * 64}), ("files", "the Python")),
    ],
    ids=["nothing", "a file", "a removed file", "a part", "a removed part", "two"],
)
def test_a_change_of_an_input_changes_the_key_and_is_named(changed: TrainingInputs, names: tuple[str, ...]) -> None:
    """
    The tag that is stored with a model is enough to tell what changed since.
    """
    assert (names, bool(names)) == (changed.changed_parts(inputs().tag), changed.key != inputs().key)


@pytest.mark.parametrize("tag", ["", "[]", "not JSON"])
def test_a_tag_without_inputs_is_of_an_older_release(tag: str) -> None:
    """
    Nothing is known of what changed since.
    """
    assert ("the release before recorded no inputs",) == inputs().changed_parts(tag)


def test_the_tag_is_short_and_sorted() -> None:
    """
    Twelve digits of each digest fit into a tag.
    """
    tag = json.loads(inputs().tag)

    assert (["files", "the command", "the lock"], "c" * 12) == (list(tag), tag["the lock"])


def test_files_are_changed_if_they_differ_or_are_on_one_side() -> None:
    """
    In the order of their names.
    """
    changed = changed_files({"a": "1", "b": "1", "d": "1", "same": "1"}, {"a": "2", "c": "1", "d": "2", "same": "1"})

    assert ("a", "b", "c", "d") == changed


@pytest.mark.parametrize(
    ("more", "same"),
    [
        (b"# a comment\n", True),
        (b"[tool.ruff]\nline-length = 100\n", True),
        (b"[tool.mlflow-uv]\nname = 'wine'\n", True),
        (b"[tool.empty]\n", True),
        (b"[tool.poetry]\nname = 'wine'\n", False),
        (b"[tool.other]\nday = 2026-05-01\n", False),
    ],
    ids=["comment", "linter", "own settings", "empty table", "build tool", "unknown tool"],
)
def test_what_no_training_reads_does_not_change_the_manifest(more: bytes, same: bool) -> None:
    """
    Tables of unknown tools count, since a training may read them.
    """
    assert same == (manifest_id(MANIFEST) == manifest_id(MANIFEST + more))


def test_a_manifest_that_is_no_toml_is_its_bytes() -> None:
    """
    Another step rejects it; its digest differs all the same.
    """
    assert manifest_id(b"[project") != manifest_id(b"[project ")


def test_local_packages_are_followed_through_extras_and_each_other() -> None:
    """
    The project's own folder is one of them; a member that it does not need is not.
    """
    folders = list(local_folders(read_lockfile(LOCK), "."))

    assert {".", "libs/cork", "libs/label"} == set(folders)
