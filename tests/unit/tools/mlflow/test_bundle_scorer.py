"""Tests how the scorer of a bundle is called."""

import json
from pathlib import Path

from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.bundle_scorer import EDGE, BundleScorer, ScoredBundle
from mlflow_uv.tools.system.process import Command, Completed
from tests.unit.tools.conftest import FakeRunner, completed


class Scoring(FakeRunner):
    """A scorer that writes its answers."""

    def run(self, command: Command) -> Completed:
        """See FakeRunner."""
        measured = {"answers": [{"outputs": {"label": [1]}}], "row_s": 0.001, "memory": 7}
        Path(command.argv[5]).write_text(json.dumps(measured))
        return super().run(command)


def scorer(folder: Path, runner: FakeRunner) -> BundleScorer:
    """The scorer on a machine with credentials."""
    variables = {"PATH": "/usr/bin", "AWS_SECRET_ACCESS_KEY": "canary-1", "MLFLOW_UV_HOME": str(folder / "home")}
    host = Host.of(variables, folder=folder, python=Path("python"))
    return BundleScorer(runner=runner, host=host, on_line=print, timeout_s=60.0)


def test_a_bundle_is_scored_without_credentials_and_with_a_limit(tmp_path: Path) -> None:
    """
    By its own interpreter, isolated from the caller's paths.
    """
    runner, requests = Scoring(), tmp_path / "rows.json"

    scored = scorer(tmp_path, runner).score(Path("/edge/python"), tmp_path / "bundle", requests, repeats=9)

    (command,) = runner.asked
    assert ScoredBundle(answers=({"outputs": {"label": [1]}},), row_s=0.001, memory=7) == scored
    out = str(tmp_path / "converted.json")
    assert (
        "/edge/python", "-I", str(EDGE / "measure.py"), str(tmp_path / "bundle"), str(requests), out, "9",
    ) == command.argv  # fmt: skip
    assert (60.0, True, False) == (command.timeout_s, command.foreign, "canary-1" in command.variables.values())


def test_a_model_that_does_not_load_is_a_reason(tmp_path: Path) -> None:
    """
    The last line of onnxruntime, without a traceback.
    """
    runner = FakeRunner({"measure.py": completed(stderr="Traceback\nFail: no locale\n", code=1)})

    reason = scorer(tmp_path, runner).score(Path("python"), tmp_path, tmp_path / "rows.json", repeats=1)

    assert "Fail: no locale" == reason
