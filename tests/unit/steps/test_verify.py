"""Tests what verify reports about the ways of serving a version, and what it refuses."""

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput, Cancelled
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report, Severity
from mlflow_uv.core.model import model_files
from mlflow_uv.payloads.messages.models import DownloadModel
from mlflow_uv.payloads.messages.registry import DescribeVersion, FindVersions, FoundVersions
from mlflow_uv.payloads.messages.request import Request
from mlflow_uv.steps import verify
from mlflow_uv.tools.mlflow.records import Records
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.messages import VERSION

RECORDED = {model_files.CASES: [{"inputs": [1]}], model_files.ANSWERS: [[1.0]]}
REASON = "the model does not list the packages that it needs: it has no requirements.txt"


@dataclass
class Registry:
    """A server with one version, whose model lists no packages, and the requests that it got."""

    files: dict[str, str] = field(
        default_factory=lambda: {
            model_files.PYTHON: "3.12.1\n",
            **{name: json.dumps(content) for name, content in RECORDED.items()},
        }
    )
    requests: list[Request] = field(default_factory=list)

    def store(self, _uri: str | None, *, embedded: bool) -> Store:
        """See Mlflow."""
        assert not embedded
        return Store(uri="https://store.test", kind=StoreKind.SERVER, variables={})

    def resolve_embedded(self, store: Store, _python: Path, _project: Path) -> Store:
        """See Mlflow."""
        return store

    def ask(self, _python: Path, _store: Store, request: Request, _response: type) -> object:
        """See Mlflow."""
        self.requests.append(request)
        version = replace(VERSION, run_id=None, tags={})
        match request:
            case FindVersions():
                return FoundVersions(versions=(version,))
            case DescribeVersion():
                return version
            case DownloadModel(destination=destination):
                for name, text in self.files.items():
                    path = Path(destination) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)
                return None
        raise AssertionError(request)


@pytest.fixture
def registry() -> Registry:
    """A version with one recorded request."""
    return Registry()


@pytest.fixture
def tools(registry: Registry, tmp_path: Path) -> Tools:
    """Tools on a machine without conda and pyenv."""
    host = Host.of(
        {"PATH": str(tmp_path), "MLFLOW_UV_HOME": str(tmp_path / "home")}, folder=tmp_path, python=Path(sys.executable)
    )
    found = SimpleNamespace(
        host=host,
        clock=SimpleNamespace(now_s=lambda: 0.0),
        mlflow=registry,
        records=Records(host),
        environments=SimpleNamespace(registry_client=lambda *_: tmp_path / "python"),
        runner=None,
        console=KeptConsole(),
        secrets=(),
    )
    return cast("Tools", found)


@pytest.fixture
def inputs(tmp_path: Path) -> Callable[..., verify.Inputs]:
    """Inputs about the version, outside of a project."""

    def of(*ways: str, **more: object) -> verify.Inputs:
        given = {"version_uri": "models:/wine/1", "dry_run": True, **more}
        return verify.Inputs(project=tmp_path, ways=ways, **given)  # type: ignore[arg-type]

    return of


def test_each_way_is_reported_with_its_verdict(
    inputs: Callable[..., verify.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    As output, finding, row and test case; the registry's name and number are those of the version.
    """
    file = tmp_path / "results" / "junit.xml"

    report = verify.run(inputs("uv-serve", "image", junit_file=file), tools)

    outputs = report.outputs
    assert ("wine", "1", (), ("uv-serve",), ("image",), file) == (
        outputs.model_name, outputs.version, outputs.equal, outputs.unequal, outputs.unavailable, outputs.junit_file,
    )  # fmt: skip
    assert [
        ("way-failed", REASON),
        ("way-unavailable", "its record names no image"),
        ("not-isolated", "no container is used by `uv-serve`"),
    ] == [(finding.rule, finding.why) for finding in report.findings]
    assert [("uv-serve", "✗ failed"), ("image", "? cannot run here")] == [row[:2] for row in report.tables[0].rows]
    (suite,) = ET.parse(file).getroot()  # ours
    assert ("wine version 1", ["uv-serve", "image"]) == (suite.get("name"), [case.get("name") for case in suite])


@pytest.mark.parametrize(
    ("ways", "severity", "ok"),
    [((), Severity.NOTICE, False), (("image",), Severity.ERROR, False)],
    ids=["all", "named"],
)
def test_a_way_that_cannot_run_here_is_an_error_only_if_it_was_named(
    inputs: Callable[..., verify.Inputs], tools: Tools, ways: tuple[str, ...], severity: Severity, *, ok: bool
) -> None:
    """
    Without names, all that this machine can run are tried.
    """
    report = verify.run(inputs(*ways), tools)

    (unavailable,) = [finding for finding in report.findings if finding.rule == "way-unavailable"]
    assert (severity, ok) == (unavailable.severity, report.ok)


@pytest.mark.parametrize(
    ("ways", "summary"),
    [
        (("uv-load",), "wine version 1: uv-load does not give the predictions of training"),
        (("uv-load", "process"), "wine version 1: uv-load, process do not give the predictions of training"),
        (("image",), "wine version 1: no way of serving can be tried on this machine"),
    ],
)
def test_the_summary_names_the_ways(
    inputs: Callable[..., verify.Inputs], tools: Tools, ways: tuple[str, ...], summary: str
) -> None:
    """
    Those that are not equal, else how many are.
    """
    report = verify.run(inputs(*ways), tools)

    assert summary == report.summary


def test_an_unknown_way_is_refused_before_the_registry_is_contacted(
    inputs: Callable[..., verify.Inputs], tools: Tools, registry: Registry
) -> None:
    """
    A mistake in a word costs no download.
    """
    with pytest.raises(BadInput) as refused:
        verify.run(inputs("uvv"), tools)

    assert ("`uvv` is not a way of serving a model", []) == (refused.value.what, registry.requests)


@pytest.mark.parametrize("file", [model_files.CASES, model_files.ANSWERS])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "its file {file} is missing"),
        ("{", "its file {file} is not JSON: "),
        ("[]", f"{model_files.CASES} and {model_files.ANSWERS} are not lists of the same length"),
        ('{"inputs": [1]}', f"{model_files.CASES} and {model_files.ANSWERS} are not lists of the same length"),
    ],
)
def test_without_recorded_predictions_there_is_nothing_to_compare(
    inputs: Callable[..., verify.Inputs], tools: Tools, registry: Registry, file: str, text: str | None, why: str
) -> None:
    """
    A model of others, or one without an input example, is wrong input and not a broken way.
    """
    registry.files.pop(file)
    registry.files.setdefault("MLmodel", "")
    if text is not None:
        registry.files[file] = text

    with pytest.raises(BadInput) as refused:
        verify.run(inputs("uv-load"), tools)

    what = "wine version 1 has no recorded predictions to compare with"
    assert (what, True) == (refused.value.what, str(refused.value.why).startswith(why.format(file=file)))
    assert "log it with input_example=…, then mlflow-uv log-model" == str(refused.value.fix)


def test_results_of_a_version_without_a_record_are_reported_and_not_recorded(
    inputs: Callable[..., verify.Inputs], tools: Tools
) -> None:
    """
    The warning says why.
    """
    report = verify.run(inputs("image", dry_run=False), tools)

    finding = report.findings[-1]
    assert ("verification-not-recorded", Severity.WARNING) == (finding.rule, finding.severity)
    assert "its run has no release record" == finding.why


def test_a_file_that_is_no_record_is_refused(
    inputs: Callable[..., verify.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    `version-uri` with a file is a record; any other word is the URI of a version.
    """
    file = tmp_path / "record.json"
    file.write_text("[]")

    for word, what in ((str(file), "is not a release record"), ("wine.json", "is not the URI of a version")):
        with pytest.raises(BadInput) as refused:
            verify.run(inputs("image", version_uri=word), tools)
        assert what in str(refused.value.what)


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_time_limit_that_ends_everything_is_refused(
    inputs: Callable[..., verify.Inputs], tools: Tools, registry: Registry, seconds: float
) -> None:
    """
    Before the registry is contacted, with the default.
    """
    with pytest.raises(BadInput) as refused:
        verify.run(inputs("uv-load", time_limit=seconds), tools)

    error = refused.value
    assert ("--time-limit 600", []) == (str(error.fix), registry.requests)
    assert f"`time-limit` is {seconds:g}, and must be at least 1 second" == error.what


class CancelledAt(KeptConsole):
    """A console on which somebody cancels the step when a group begins."""

    def __init__(self, title: str, signal: BaseException) -> None:
        super().__init__()
        self._title = title
        self._signal = signal

    @contextmanager
    def group(self, title: str, *, folded: bool = True) -> Iterator[None]:
        """See Console."""
        if title == self._title:
            raise self._signal
        with super().group(title, folded=folded):
            yield


@pytest.mark.parametrize(("signal", "code"), [(Cancelled(), 143), (KeyboardInterrupt(), 130)], ids=["TERM", "INT"])
def test_a_cancelled_step_reports_the_ways_that_were_tried(
    inputs: Callable[..., verify.Inputs], tools: Tools, tmp_path: Path, signal: BaseException, code: int
) -> None:
    """
    With an error that names the others; the JUnit file has those that were tried.
    """
    file = tmp_path / "junit.xml"
    cast("SimpleNamespace", tools).console = CancelledAt("image", signal)

    with pytest.raises(Cancelled) as cancelled:
        verify.run(inputs("image", "process", junit_file=file), tools)

    report = cancelled.value.so_far
    assert isinstance(report, Report)
    summary = "wine version 1: cancelled after 1 of 2 ways; process does not give the predictions of training"
    assert (code, summary, ("process",)) == (cancelled.value.exit_code, report.summary, report.outputs.unequal)
    finding = report.findings[-1]
    assert ("cancelled", "`image` was not tried", False) == (finding.rule, finding.why, report.ok)
    assert 1 == len(list(ET.parse(file).getroot().iter("testcase")))


def test_a_variable_that_is_not_set_is_refused(inputs: Callable[..., verify.Inputs], tools: Tools) -> None:
    """
    Before anything is served.
    """
    with pytest.raises(BadInput, match="which is not set here"):
        verify.run(inputs("uv-load", serve_env=("MODEL_KEY",)), tools)


def test_a_link_in_the_checkout_does_not_lead_the_results_out_of_it(
    inputs: Callable[..., verify.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    A pull request can add one; the file behind it stays.
    """
    outside = tmp_path.parent / f"{tmp_path.name}-outside.xml"
    outside.write_text("mine")
    (tmp_path / ".git").mkdir()
    link = tmp_path / "junit.xml"
    link.symlink_to(outside)

    with pytest.raises(BadInput):
        verify.run(inputs("image", junit_file=link), tools)

    assert "mine" == outside.read_text()
