"""Records are written whole, through links that stay, and only where their folder allows it."""

import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.records import Records
from tests.unit.core.release.test_record import WHOLE


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
