"""One run that deploys to a host: `python host_run.py FOLDER MODEL IMAGE NAME PROXY`; it says when it has planned."""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from mlflow_uv.command.errors import StepError
from mlflow_uv.core.deploy.settings import HostSettings
from mlflow_uv.core.release.record import ImageLink, Record
from mlflow_uv.core.security.serve_env import NO_VARIABLES
from mlflow_uv.ops.deploy.host_service import HostService
from mlflow_uv.ops.deploy.target import DeploymentOptions, WantedVersion
from mlflow_uv.tools.engines.choice import Engines
from mlflow_uv.tools.engines.deployed import ComposeContainers
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import Tools

WAITING_S = 600.0


def main(folder: Path, model: str, image: str, name: str, proxy: str) -> None:
    """Plan, wait for the file `go`, create the new version, and print what happened; a run that fails returns."""
    engines = Engines(SystemRunner(), variables=dict(os.environ), on_line=lambda _: None)
    options = DeploymentOptions(
        name=name, settings=HostSettings(target="compose"), is_preview=False, proxy_image=proxy, deadline_s=5,
        answer_s=5, model=model,
    )  # fmt: skip
    link = ImageLink(kind="image", id=image, tag=image, base="b", base_digest="d", digest=image)
    record: Any = SimpleNamespace(image=link, model=SimpleNamespace(sha256="m", model_id="m", run_id="r"))
    wanted = WantedVersion(
        model=model, version="1", record=cast("Record", record), address=image, serve_env=NO_VARIABLES
    )
    target = HostService(
        options, engines.deployed(ComposeContainers, name), cast("Tools", SimpleNamespace(clock=SystemClock()))
    )
    target.plan(wanted)
    (folder / f"{model}.planned").touch()
    until = time.monotonic() + WAITING_S
    while not (folder / "go").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    try:
        target.apply(wanted)
        print("created")
    except StepError as error:
        print(type(error).__name__, error.text, file=sys.stderr)
        print(type(error).__name__)
        target.undo()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
