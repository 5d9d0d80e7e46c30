"""A record that is there and cannot be read breaks the chain, and is not reported as missing."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.ops.lineage.audit import recomputed
from mlflow_uv.payloads.messages.registry import RegisteredVersion
from mlflow_uv.tools.mlflow.errors import NotInStore
from mlflow_uv.tools.mlflow.records import Records
from tests.messages import VERSION


@dataclass(frozen=True)
class VersionStore:
    """A store with a version and the text of its record, None without one."""

    record: str | None

    def describe_version(self, name: str, version: str) -> RegisteredVersion:
        """Describe it."""
        return replace(VERSION, name=name, version=version, run_id="r", model_id="m-1", tags={})

    def download_version(self, _description: RegisteredVersion, folder: Path) -> None:
        """Write its only file."""
        folder.mkdir()
        (folder / "MLmodel").write_text("flavors: {}\n")

    def download_record(self, _run_id: str, *, path: str, destination: Path) -> None:
        """Write the record."""
        if self.record is None:
            raise NotInStore(what="the tracking server has no such object", why=path)
        destination.write_text(self.record)


@pytest.mark.parametrize(
    ("record", "state", "reason"),
    [
        (None, LinkState.UNVERIFIED, "the version's run has no release record for it"),
        ("", LinkState.BROKEN, "the release record in the run cannot be read: "),
        ('{"schema": 1, "lock": {}}', LinkState.BROKEN, "cannot be read: its link `lock` lacks `sha256`"),
        ('{"schema": 2}', LinkState.BROKEN, "cannot be read: it is not a release record of schema 1"),
    ],
)
def test_a_damaged_record_is_a_broken_link(record: str | None, state: LinkState, reason: str, tmp_path: Path) -> None:
    """
    Its reason is that of the reader; a version that never had one is unverified.
    """
    records = Records(cast("Any", SimpleNamespace(state=tmp_path / "state", folder=tmp_path)))
    registry = SimpleNamespace(
        client=VersionStore(record), tools=SimpleNamespace(records=records), project=None, selection=None
    )

    with recomputed(cast("Any", registry), name="wine", version="1") as audit:
        first = audit.checks[0]

    assert ("record", state, None) == (first.link, first.state, audit.record)
    assert reason in first.reason
