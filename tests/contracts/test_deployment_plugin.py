"""Contract: a plugin of `mlflow.deployments` that MLflow itself finds and calls."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import NotServing
from mlflow_uv.command.host import Host
from mlflow_uv.core.deploy.plugin_settings import PluginSettings
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.ops.deploy.mlflow import MlflowDeployment
from mlflow_uv.tools.cloud.plugin import MlflowPlugin
from mlflow_uv.tools.toolbox import toolbox
from tests.console import KeptConsole
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import working
from tests.unit.ops.deploy.platforms import KeptNotes, options_of
from tests.unit.ops.deploy.test_target import roll_out

PLUGIN = Path(__file__).parents[1] / "stand_ins/mlflow_plugin.py"
REQUESTS: tuple[tuple[dict[str, Any], Any], ...] = (
    ({"inputs": [1, 2]}, {"predictions": [2, 4]}),
    ({"instances": [[1.5]]}, {"predictions": [[3.0]]}),
    ({"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}, {"predictions": [{"a": 2}, {"a": 4}]}),
    ({"dataframe_records": [{"a": 1}]}, {"predictions": [{"a": 2}]}),
)


@pytest.fixture
def plugged(mlflow: MlflowInterpreter, tmp_path: Path) -> MlflowInterpreter:
    """An interpreter with MLflow and the packages of the wine project, in which a plugin is installed."""
    subprocess.run([mlflow.python, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    found = subprocess.run(
        [mlflow.python, "-c", "import mlflow, pathlib; print(pathlib.Path(mlflow.__file__).parents[1])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    installed = tmp_path / "plugin"
    about = installed / "cellar-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cellar\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mlflow.deployments]\ncellar = mlflow_plugin\n")
    shutil.copy(PLUGIN, installed)
    (packages,) = (tmp_path / "env/lib").glob("python*/site-packages")
    (packages / "plugged.pth").write_text(f"{found.stdout.strip()}\n{installed}\n")
    return MlflowInterpreter(python=tmp_path / "env/bin/python", payloads=mlflow.payloads)


def test_a_plugin_creates_updates_finds_and_removes_a_deployment(plugged: MlflowInterpreter, tmp_path: Path) -> None:
    """
    Requests in each of MLflow's formats are answered, and what the plugin raises is the reason for none.
    """
    cellar, place = tmp_path / "cellar", {"target": f"cellar:{tmp_path / 'cellar'}", "name": "prod"}
    cellar.mkdir()

    with working(plugged, tmp_path) as worker:

        def do(action: str, **more: Any) -> Any:
            return worker.ask("call-plugin", action=action, **place, **more)

        before = do("find")["deployment"]
        created = do("create", model_uri="models:/wine/1", config={"size": "s"})["deployment"]
        answers = [json.loads(do("predict", inputs=json.dumps(body))["prediction"]) for body, _ in REQUESTS]
        (cellar / "faults.json").write_text('{"2": "wrong", "3": "ends"}')
        do("update", model_uri="models:/wine/2")
        wrong = do("predict", inputs='{"inputs": [1]}')["prediction"]
        failed = worker.respond("call-plugin", {"action": "update", "model_uri": "models:/wine/3", **place})
        do("delete")
        after, unanswered = do("find")["deployment"], do("predict", inputs='{"inputs": [1]}')
        unknown = worker.respond("call-plugin", {"action": "find", "target": "nobody", "name": "prod"})

    assert (None, {"name": "prod", "config": {"size": "s"}}, None) == (before, created, after)
    assert [answer for _, answer in REQUESTS] == answers
    assert {"predictions": [3]} == json.loads(wrong)
    assert "the machine ran out of memory" in failed["error"]["message"]
    assert (None, True) == (unanswered["prediction"], "prod.deployment" in unanswered["reason"])
    assert ("invalid", "unexpected") == (unknown["error"]["kind"], failed["error"]["kind"])
    assert "nobody" in unknown["error"]["message"]


@pytest.mark.extended
def test_a_plugin_that_hangs_is_stopped_and_returned_from(plugged: MlflowInterpreter, tmp_path: Path) -> None:
    """
    The time limit is for each of its calls; the version before is deployed again.
    """
    cellar = tmp_path / "cellar"
    cellar.mkdir()
    host = Host.of({**os.environ, "MLFLOW_UV_HOME": str(tmp_path / "home")}, folder=tmp_path, python=plugged.python)
    settings, notes = PluginSettings(target="mlflow", plugin="cellar"), KeptNotes()
    options = replace(options_of(settings), deadline_s=90)
    with toolbox(host, console=KeptConsole()) as tools:
        plugin = MlflowPlugin(
            mlflow=tools.mlflow,
            python=plugged.python,
            store=tools.mlflow.store(f"sqlite:///{tmp_path / 'store.db'}", embedded=False),
            target=f"cellar:{cellar}",
            name=options.name,
            deadline_s=options.deadline_s,
        )

        def target() -> MlflowDeployment:
            return MlflowDeployment(options, plugin, notes, tools)

        first = roll_out(target(), "1")
        (cellar / "faults.json").write_text('{"2": "hangs"}')
        with pytest.raises(NotServing, match=r"the plugin `cellar:.*` does not update `prod` within 90 s") as late:
            roll_out(target(), "2")
        deployed = target().observe()

    assert ([], ("1", RUNNING)) == ([*first.findings], (deployed.version, deployed.facts["state"]))
    assert "--deadline SECONDS" in str(late.value.fix)
    assert "1" == json.loads((cellar / "prod.deployment").read_text())["version"]
