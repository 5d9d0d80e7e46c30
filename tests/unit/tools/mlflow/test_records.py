"""Records are written whole, through links that stay, and only where their folder allows it."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.surfaces.cli import _parsed, given_in
from mlflow_uv.tools.mlflow.records import Records
from tests.unit.core.release.test_record import WHOLE


def parsed(records: Records, path: Path) -> tuple[str, Mapping[str, object]]:
    """The step and the inputs of the command that an unreadable record is fixed by."""
    with pytest.raises(BadInput) as caught:
        records.load(path)
    namespace = _parsed(shlex.split(caught.value.fix.partition(", or ")[0])[1:])
    return namespace.step.name, given_in(namespace)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """The records of one machine."""
    variables = {"MLFLOW_UV_HOME": str(tmp_path / "home")}
    return Records(Host.of(variables, folder=tmp_path, python=Path(sys.executable)))


def test_a_staged_record_is_written_through_a_link(records: Records, tmp_path: Path) -> None:
    """
    The link stays, its target holds the record, and nothing is staged any more.
    """
    link, file = tmp_path / "record.json", tmp_path / "kept.json"
    link.symlink_to(file)
    records.stage(link, WHOLE)

    records.take_staged(link, WHOLE)

    assert (True, WHOLE, None) == (link.is_symlink(), records.load(file), records.staged(link))


def test_a_link_out_of_the_checkout_is_refused_before_anything_is_tagged(records: Records, tmp_path: Path) -> None:
    """
    Staging a record already says so.
    """
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "record.json").symlink_to(tmp_path / "precious")

    with pytest.raises(BadInput, match="is not written"):
        records.stage(checkout / "record.json", WHOLE)

    assert not (tmp_path / "precious").exists()


def test_the_fix_of_a_record_that_was_named_names_it_again(records: Records, tmp_path: Path) -> None:
    """
    The command that is printed writes the record where the next step reads it.
    """
    broken, missing, default = tmp_path / "a b.json", tmp_path / "c.json", records.path(None, tmp_path)
    default.parent.mkdir(parents=True)
    for path in (broken, default):
        path.write_text("{}")

    commands = [parsed(records, path) for path in (broken, missing, default)]

    assert [("release", {"record": "a b.json"}), ("log-model", {"record": "c.json"}), ("release", {})] == commands


def test_a_record_that_is_a_folder_is_another_file(records: Records, tmp_path: Path) -> None:
    """
    No release writes a record over a folder, so that another file is the only fix.
    """
    with pytest.raises(BadInput) as caught:
        records.load(tmp_path)

    assert (f"`{tmp_path}` cannot be read", "Is a directory", "--record FILE") == (
        caught.value.what,
        caught.value.why,
        caught.value.fix,
    )
