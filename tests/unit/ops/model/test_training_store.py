"""What a training notes of its tracking store, and whether the release may follow it there."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.ops.model.training_store import REFUSAL_S, StoreWatch, followed, watched
from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.mlflow.mlflow import Mlflow
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.project.files import Project, read_project
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import Tools
from tests.ports import free_port
from tests.stores import login_of


@dataclass
class FakeTools:
    """A real reader of stores for a caller, and a console that keeps its messages."""

    host: Host
    lines: list[str] = field(default_factory=list)
    time_s: float = 0.0

    @property
    def clock(self) -> "FakeTools":
        """Itself."""
        return self

    def now_s(self) -> float:
        """See Clock."""
        return self.time_s

    @property
    def console(self) -> "FakeTools":
        """Itself."""
        return self

    @property
    def git(self) -> Git:
        """The real one."""
        return Git(SystemRunner(), variables=dict(os.environ))

    @property
    def mlflow(self) -> Mlflow:
        """Nothing is started where only a store is named."""
        return Mlflow(SystemRunner(), host=self.host, login=login_of(self.host), on_line=self.say, say=self.say)

    def say(self, text: str) -> None:
        """See Console."""
        self.lines.append(text)

    def group(self, title: str) -> AbstractContextManager[Any]:
        """See Console."""
        return nullcontext(title)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without a repository."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "wine"\n[tool.mlflow-uv]\n')
    return read_project(tmp_path)


@pytest.fixture
def watch(project: Project) -> Callable[..., tuple[StoreWatch, FakeTools]]:
    """What watches a training of a caller with these variables, in the embedded store unless another is named."""

    def made(store: str = "", **variables: str) -> tuple[StoreWatch, FakeTools]:
        home = {"HOME": str(project.folder), "MLFLOW_UV_HOME": str(project.folder / "home")}
        host = Host.of({**home, **variables}, folder=project.folder, python=Path(sys.executable))
        tools = FakeTools(host=host)
        store_of_job = tools.mlflow.store(store or None, embedded=False)
        if store_of_job.kind is StoreKind.EMBEDDED:
            store_of_job = replace(store_of_job, uri=f"sqlite:///{project.folder}/embedded.db")
        (project.folder / "notes").unlink(missing_ok=True)
        found = StoreWatch(project=project, store=store_of_job, tools=cast("Tools", tools), folder=project.folder)
        return found, tools

    return made


def note(watch: StoreWatch, *events: tuple[str, str]) -> None:
    """As the plugin notes it, from the project's folder."""
    with (watch.folder / "notes").open("a") as notes:
        for event, uri in events:
            notes.write(json.dumps({"event": event, "uri": uri, "folder": str(watch.project.folder)}) + "\n")


def test_the_store_that_was_handed_is_nothing_to_speak_of(watch) -> None:
    """
    However it is written; an empty URI is none.
    """
    found, tools = watch("sqlite:///own.db")

    note(found, ("set", ""), ("set", found.store.uri), ("set", "sqlite:///own.db"), ("run", "sqlite:///./own.db"))

    assert (False, None, []) == (found.must_stop(), found.own, tools.lines)


@pytest.mark.parametrize(
    ("uri", "own"),
    [
        ("sqlite:///mlflow.db", "sqlite:///{folder}/mlflow.db"),
        ("./mlruns", "file://{folder}/mlruns"),
        ("file:mlruns", "file://{folder}/mlruns"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_where_nobody_named_a_store_it_is_followed(watch, uri: str, own: str) -> None:
    """
    It is said as soon as it is set, and followed when a run begins there.
    """
    found, tools = watch()

    note(found, ("set", uri))
    before = (found.must_stop(), found.own, len(tools.lines))
    note(found, ("run", uri))
    stopped = found.must_stop()

    assert (False, None, 1) == before
    assert (False, own.format(folder=found.project.folder)) == (stopped, found.own.uri)
    assert tools.lines[1].startswith("the release follows the training to ")


@pytest.mark.parametrize(
    ("variables", "uri", "why", "fix"),
    [
        ({}, "sqlite:////srv/mlflow.db", "a setting names a path in the project", "--tracking-uri sqlite:////srv/mlflow.db"),
        ({}, "../mlruns", "a setting names a path in the project", "--tracking-uri file:///"),
        ({}, "postgresql://db/mlflow", "a setting names", "--tracking-uri postgresql://db/mlflow"),
        (
            {"MLFLOW_TRACKING_TOKEN": "canary-1"},
            "http://evil.example.test",
            "MLFLOW_TRACKING_TOKEN would go to",
            "--tracking-uri http://evil.example.test",
        ),
        (
            {"MLFLOW_TRACKING_URI": "https://team.example.test"},
            "https://team.example.test.evil.test",
            "the job decides where credentials go",
            "--tracking-uri https://team.example.test.evil.test",
        ),
        ({}, "http://me:canary-1@evil.example.test", "contain secrets", "MLFLOW_TRACKING_URI, set from a secret"),
        ({}, "postgresql://me:canary-1@db/mlflow", "contain secrets", "MLFLOW_TRACKING_URI, set from a secret"),
    ],
)  # fmt: skip
def test_where_a_checkout_may_not_lead_the_training_is_stopped(
    watch, variables: dict[str, str], uri: str, why: str, fix: str
) -> None:
    """
    At its first run, with the reason and the input that would allow it; no secret is repeated.
    """
    found, tools = watch(**variables)

    note(found, ("set", uri))
    waiting = found.must_stop()
    note(found, ("run", uri))
    stopped = found.must_stop()

    text = f"{found.refusal.what} {found.refusal.why}"
    assert (False, True, None) == (waiting, stopped, found.own)
    assert why in text
    assert found.refusal.fix.startswith(fix)
    assert "canary" not in text + found.refusal.fix + "".join(tools.lines)


def test_a_server_on_this_machine_that_is_not_started_stops_the_training(watch) -> None:
    """
    After half a minute, not after the minutes for which MLflow repeats its requests.
    """
    uri = f"http://127.0.0.1:{free_port()}"
    store_watch, tools = watch()

    note(store_watch, ("set", uri))
    at_first = store_watch.must_stop()
    tools.time_s = REFUSAL_S - 1
    shortly_before = store_watch.must_stop()
    tools.time_s = REFUSAL_S
    stopped = store_watch.must_stop()

    assert (False, False, True) == (at_first, shortly_before, stopped)
    assert f"training was stopped: it logs to `{uri}`, where no server listens" == store_watch.refusal.what
    assert store_watch.refusal.fix.startswith("remove the tracking URI from the training")


def test_the_place_where_the_address_of_that_server_is_written_is_named(watch, project: Project) -> None:
    """
    With the fix for this place, instead of the advice to look for it.
    """
    uri = f"http://127.0.0.1:{free_port()}"
    code = project.folder / "train.py"
    code.write_text(f'import mlflow\nmlflow.set_tracking_uri("http://other.test")\nmlflow.set_tracking_uri("{uri}")\n')
    subprocess.run(("git", "init", "--quiet"), cwd=project.folder, check=True)
    store_watch, tools = watch()

    note(store_watch, ("set", uri))
    store_watch.must_stop()
    tools.time_s = REFUSAL_S
    store_watch.must_stop()

    assert (code, 3) == (store_watch.refusal.path, store_watch.refusal.line)
    assert "remove it, and set MLFLOW_TRACKING_URI where the code runs" == store_watch.refusal.fix


def test_a_server_that_training_starts_late_or_does_not_use_is_no_reason_to_stop(watch) -> None:
    """
    It listens before the time is over, or the code sets another URI after all.
    """
    port = free_port()
    store_watch, tools = watch()

    note(store_watch, ("set", f"http://127.0.0.1:{port}"))
    stopped = [store_watch.must_stop()]
    with socket.create_server(("127.0.0.1", port)):
        tools.time_s = REFUSAL_S
        stopped.append(store_watch.must_stop())
    tools.time_s += REFUSAL_S - 1
    stopped.append(store_watch.must_stop())
    note(store_watch, ("set", "sqlite:///mlflow.db"))
    tools.time_s += REFUSAL_S
    stopped.append(store_watch.must_stop())

    assert [False, False, False, False] == stopped


def test_a_training_that_also_uses_what_it_was_handed_goes_on(watch) -> None:
    """
    Runs of its own elsewhere are its own business, once one was opened where the release looks.
    """
    found, _ = watch("sqlite:///own.db")

    note(found, ("run", "sqlite:///own.db"), ("set", "http://other.test"), ("run", "http://other.test"))

    assert (False, None) == (found.must_stop(), found.own)
    assert "--tracking-uri http://other.test" in found.advice()


def test_half_a_note_is_read_when_it_is_whole(watch) -> None:
    """
    The training writes while it is read.
    """
    found, tools = watch()
    note(found, ("set", "sqlite:///a.db"))
    whole = (found.folder / "notes").read_text()
    (found.folder / "notes").write_text(whole[:-5])

    early = (found.must_stop(), list(tools.lines))
    (found.folder / "notes").write_text(whole)
    late = (found.must_stop(), len(tools.lines))

    assert ((False, []), (False, 1)) == (early, late)


def test_the_plugin_lies_where_only_the_step_can_read(project: Project) -> None:
    """
    The address of a store may hold a password.
    """
    store = Store(uri="sqlite:////x.db", kind=StoreKind.DATABASE, variables={})
    host = Host.of({}, folder=project.folder, python=Path(sys.executable))

    with watched(project, store, cast("Tools", FakeTools(host=host))) as found:
        mode = found.folder.stat().st_mode & 0o777
        given = found.variables({"PYTHONPATH": "/theirs"}, registers=True)
        names = {path.name for path in found.folder.iterdir()}

    assert (0o700, {"PYTHONPATH": f"/theirs:{found.folder}"}) == (mode, given)
    assert {"mlflow_uv_tracking.py", "mlflow_uv_tracking-1.dist-info", "store-uri"} == names
    assert not found.folder.exists()


@pytest.mark.parametrize(
    ("uri", "setting"),
    [
        ("sqlite:///{}/data/mlflow.db", "sqlite:///data/mlflow.db"),
        ("file://{}/mlruns", "./mlruns"),
        ("http://h", "http://h"),
    ],
)
def test_the_setting_that_is_printed_is_relative_to_the_project(project: Project, uri: str, setting: str) -> None:
    """
    It is committed, and means the same on every machine.
    """
    store = Store(uri=uri.format(project.folder), kind=StoreKind.DATABASE, variables={})

    finding = followed(store, project)

    assert (f'add `tracking-uri = "{setting}"` to [tool.mlflow-uv] in pyproject.toml', 3) == (finding.fix, finding.line)


@pytest.mark.parametrize("job", ["", "https://team.example"])
@pytest.mark.parametrize("uri", [
    "http://h/?password=canary-of-training", "sqlite:///x.db?mode=ro&password=canary-of-training",
    "http://u:canary-of-training@h/", "postgresql://u:canary-of-training@h/db", "http://canary-of-training@h:bad/",
])  # fmt: skip
def test_a_password_in_the_address_of_a_training_is_in_no_message(watch, uri: str, job: str) -> None:
    """
    It is the training's own, so that no variable of the job tells what is to be masked.
    """
    found, tools = watch(job, **({"MLFLOW_TRACKING_TOKEN": "token-of-the-job"} if job else {}))

    note(found, ("set", uri), ("run", uri))
    stopped, refusal = found.must_stop(), found.refusal
    assert refusal is not None
    texts = (*tools.lines, refusal.what, refusal.why, refusal.fix, found.advice())

    assert (True, None) == (stopped, found.own)
    assert not [text for text in map(str, texts) if "canary" in text]


@pytest.mark.parametrize("line", [
    b"\xff\xfe", b'{"event": "run", "uri": "http://[h", "folder": "/"}',
    b'{"event": "run", "uri": "sqlite:///\\u0000x.db", "folder": "/"}',
    b'{"event": "run", "uri": "http://h/\\n::error::x", "folder": "/"}', b"[]", b'{"uri": []}',
])  # fmt: skip
def test_a_note_that_no_plugin_writes_is_passed_over(watch, line: bytes) -> None:
    """
    The training can write there too; what follows is heard all the same.
    """
    found, tools = watch()
    (found.folder / "notes").write_bytes(line + b"\n")
    note(found, ("run", "sqlite:///mlflow.db"))

    stopped = found.must_stop()

    assert (False, f"sqlite:///{found.project.folder}/mlflow.db") == (stopped, found.own and found.own.uri)
    assert not [text for text in tools.lines if "[h" in text or "::error" in text]
