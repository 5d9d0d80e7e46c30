"""A report is written about any version, and logged only where there is a run to log it to."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.payloads.messages.registry import DescribeName, RegisteredName
from mlflow_uv.payloads.messages.request import Request
from mlflow_uv.steps import report
from mlflow_uv.tools.mlflow.records import Records
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.unit.steps.test_verify import Registry


@dataclass
class NamedRegistry(Registry):
    """A registry in a database with one version that no run and no record is about."""

    def store(self, _uri: str | None, *, embedded: bool) -> Store:
        """See Mlflow."""
        assert not embedded
        return Store(uri="sqlite:///mlflow.db", kind=StoreKind.DATABASE, variables={})

    def ask(self, python: Path, store: Store, request: Request, response: type) -> object:
        """See Mlflow."""
        if isinstance(request, DescribeName):
            return RegisteredName(exists=True)
        return super().ask(python, store, request, response)


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Tools on a machine without an engine."""
    host = Host.of(
        {"PATH": str(tmp_path), "MLFLOW_UV_HOME": str(tmp_path / "home")}, folder=tmp_path, python=Path(sys.executable)
    )
    found = SimpleNamespace(
        host=host,
        clock=SimpleNamespace(now_s=lambda: 0.0, date_s=lambda: 0.0),
        mlflow=NamedRegistry(),
        records=Records(host),
        environments=SimpleNamespace(registry_client=lambda *_: tmp_path / "python"),
        console=KeptConsole(),
        secrets=(),
    )
    return cast("Tools", found)


@pytest.fixture
def inputs(tmp_path: Path) -> Callable[..., report.Inputs]:
    """Inputs about the version, outside of a project."""

    def of(**more: object) -> report.Inputs:
        given = {"version_uri": "models:/wine/1", "report_file": tmp_path / "out" / "wine.html", **more}
        return report.Inputs(project=tmp_path, **given)  # type: ignore[arg-type]

    return of


def test_a_version_without_a_record_has_a_report_too(
    inputs: Callable[..., report.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    What its tags do not tell is unverified, in the page and in the chain.
    """
    answer = report.run(inputs(), tools)

    page = (tmp_path / "out" / "wine.html").read_text()
    assert ("1", (), True) == (answer.outputs.version, answer.outputs.broken, answer.ok)
    assert "Written 1970-01-01 00:00 UTC" in page
    assert {"?"} == {link.mark.value for link in answer.chain}
    assert "as far as it can be verified here" in answer.verdict


def test_a_report_is_not_logged_without_a_run(
    inputs: Callable[..., report.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    The input that asks for it is refused, before anything is written.
    """
    with pytest.raises(BadInput) as refused:
        report.run(inputs(log_report=True), tools)

    assert "has no run to log the report to" in refused.value.what
    assert "--no-log-report" == refused.value.fix
    assert not (tmp_path / "out").exists()
