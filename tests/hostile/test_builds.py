"""
That no code of a checkout is run where builds are refused, whatever the checkout says, and what is told all the same.

Each way to name a program leaves a canary when plain uv is asked, so that a test here can fail.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BuildRefused
from mlflow_uv.command.host import Host
from mlflow_uv.command.inputs import Builds
from mlflow_uv.command.report import Report
from mlflow_uv.core.export.portability import LocalPackages
from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.steps import check_lock, export
from mlflow_uv.surfaces.github import main
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.uv.messages import LockState
from tests import projects

BACKEND = """\
import pathlib
pathlib.Path({canary!r}).touch()
def get_requires_for_build_wheel(settings=None): return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "{name}-0.1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.2\\nName: {name}\\nVersion: 0.1.0\\nRequires-Python: >=3.9\\n")
    return info.name
def build_wheel(folder, settings=None, metadata=None): raise SystemExit("no wheel")
get_requires_for_build_editable = get_requires_for_build_wheel
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
build_editable = build_wheel
"""
BUILT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
LOOSEN = ('requires-python = ">=3.9"', 'requires-python = ">=3.10"')


def package(folder: Path, *, name: str = "wine", dynamic: tuple[str, ...] = ("dependencies",), more: str = "") -> Path:
    """A package whose build backend leaves a canary beside the checkout; fields that are dynamic, only it tells."""
    projects.project(folder, name=name, more=f"{more}\n{BUILT}")
    canary = str(folder.parents[len(folder.parts) - 1 - folder.parts.index("checkout")] / "canary")
    (folder / "backend.py").write_text(BACKEND.format(canary=canary, name=name))
    edit(folder / "pyproject.toml", 'version = "0.1.0"\n', "" if "version" in dynamic else 'version = "0.1.0"\n')
    if "dependencies" in dynamic:
        edit(folder / "pyproject.toml", "dependencies = []\n", "")
    edit(folder / "pyproject.toml", "[project]\n", f"[project]\ndynamic = {json.dumps(dynamic)}\n")
    return folder


def edit(file: Path, before: str, after: str) -> None:
    """Replace a text in a file."""
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An empty checkout."""
    (tmp_path / "checkout").mkdir()
    return tmp_path / "checkout"


def ran(checkout: Path) -> bool:
    """Whether code of the checkout ran since this was asked last."""
    canary = checkout.parent / "canary"
    found = canary.exists()
    canary.unlink(missing_ok=True)
    return found


def plain(folder: Path, *argv: str) -> None:
    """What plain uv says, without what it remembers of earlier builds."""
    subprocess.run(["uv", "lock", "--offline", "--no-cache", *argv], cwd=folder, check=False, capture_output=True)


def checked(
    folder: Path, builds: Builds = Builds.REFUSE, *, untrusted: bool = False, **variables: str
) -> Report[check_lock.Outputs]:
    """What the step says, on a machine where nothing was built yet."""
    own = {"UV_CACHE_DIR": str(folder.parent / "cache"), "MLFLOW_UV_HOME": str(folder.parent / "ours")}
    host = Host.of({**os.environ, **own, **variables}, folder=folder, python=Path(sys.executable))
    with locktools(replace(host, untrusted_event=untrusted), console=terminal()) as tools:
        return check_lock.run(check_lock.Inputs(project=folder, offline=True, builds=builds), tools)


# Ways to have code run, and what can be told without.


def dynamic_dependencies(checkout: Path) -> str:
    """Only a build tells the requirements."""
    package(checkout)
    projects.lock(checkout)
    return "wine"


def dynamic_version(checkout: Path) -> str:
    """Only a build tells the version: uv does not ask for it until something changed."""
    package(checkout, dynamic=("version",))
    projects.lock(checkout)
    return "wine"


def member(checkout: Path) -> str:
    """A package of the workspace."""
    more = '[tool.uv.workspace]\nmembers = ["grape"]\n[tool.uv.sources]\ngrape = { workspace = true }\n'
    projects.project(checkout, "grape", more=more)
    package(checkout / "grape", name="grape")
    projects.lock(checkout)
    return "grape"


def editable_source(checkout: Path) -> str:
    """A folder of the checkout, editable, which `--no-build` builds."""
    projects.project(checkout, "grape", more='[tool.uv.sources]\ngrape = { path = "grape", editable = true }\n')
    package(checkout / "grape", name="grape")
    projects.lock(checkout)
    return "grape"


def folder_source(checkout: Path) -> str:
    """A folder of the checkout."""
    projects.project(checkout, "grape", more='[tool.uv.sources]\ngrape = { path = "grape" }\n')
    package(checkout / "grape", name="grape")
    projects.lock(checkout)
    return "grape"


def shared_environment(checkout: Path) -> str:
    """Without a private environment for builds."""
    package(checkout, more="[tool.uv]\nno-build-isolation = true\n")
    projects.lock(checkout)
    return "wine"


def allowed_by_the_checkout(checkout: Path) -> str:
    """Settings of the checkout that speak for builds."""
    package(
        checkout, more='[tool.uv]\nno-build = false\nno-binary-package = ["wine"]\npython-downloads = "automatic"\n'
    )
    projects.lock(checkout)
    return "wine"


def own_environment(checkout: Path) -> str:
    """An interpreter that was committed where uv keeps environments."""
    projects.project(checkout)
    projects.lock(checkout)
    script(checkout / ".venv" / "bin" / "python", checkout.parent / "canary")
    (checkout / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.2\n")
    return ""


def named_interpreter(checkout: Path) -> str:
    """An interpreter that is a path in the file that names one."""
    projects.project(checkout)
    projects.lock(checkout)
    script(checkout / "snake", checkout.parent / "canary")
    (checkout / ".python-version").write_text("./snake\n")
    return ""


def named_interpreter_alone(checkout: Path) -> str:
    """The same in a project that does not say for which Pythons it is."""
    named_interpreter(checkout)
    edit(checkout / "pyproject.toml", 'requires-python = ">=3.9"\n', "")
    return ""


def script(path: Path, canary: Path) -> None:
    """A program that leaves the canary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\ntouch "{canary}"\nexit 1\n')
    path.chmod(0o755)


WAYS = (
    dynamic_dependencies, member, editable_source, folder_source, shared_environment, allowed_by_the_checkout,
    own_environment, named_interpreter,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_code_of_the_checkout_is_run_where_builds_are_refused(checkout: Path, way: Callable[[Path], str]) -> None:
    """
    A lock that is fresh: it is called so, or unverifiable with the package that would have to be built.
    """
    name = way(checkout)
    ran(checkout)

    report = checked(checkout)
    ours = ran(checkout)
    plain(checkout, "--check")

    assert (False, True) == (ours, ran(checkout))
    state = LockState.UNVERIFIABLE if name else LockState.FRESH
    assert (state, (Cause.BUILD,) if name else ()) == (report.outputs.verdict, report.outputs.causes)
    assert [f"`{name}` would have to be built, and builds are refused"] * bool(name) == [
        finding.why for finding in report.findings
    ]


@pytest.mark.parametrize("way", [*WAYS, dynamic_version])
def test_no_code_is_run_for_a_lock_that_is_stale_either(checkout: Path, way: Callable[[Path], str]) -> None:
    """
    What our own reading of the files tells is told, with its line; the rest is unverifiable.
    """
    way(checkout)
    edit(checkout / "pyproject.toml", *LOOSEN)
    ran(checkout)

    report = checked(checkout)
    ours = ran(checkout)
    plain(checkout)

    assert (False, True) == (ours, ran(checkout))
    assert (LockState.STALE, (Cause.REQUIRES_PYTHON,)) == (report.outputs.verdict, report.outputs.causes)


def test_an_interpreter_of_the_checkout_is_not_run_where_nothing_says_for_which_pythons_it_is(checkout: Path) -> None:
    """
    Then the interpreter decides about the lock; it is chosen among those of the machine.
    """
    named_interpreter_alone(checkout)
    ran(checkout)

    checked(checkout)
    ours = ran(checkout)
    plain(checkout, "--check")

    assert (False, True) == (ours, ran(checkout))


def test_a_cache_of_the_checkout_is_not_taken(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A cache says what interpreters are, and what builds told: one that was committed is nobody's.
    """
    projects.project(checkout, more='[tool.uv]\ncache-dir = "cache"\n')
    monkeypatch.delenv("UV_CACHE_DIR")

    verdict = checked(checkout, UV_CACHE_DIR="", HOME=str(checkout.parent)).outputs.verdict
    ours = (checkout / "cache").exists()
    subprocess.run(["uv", "lock", "--offline", "--quiet"], cwd=checkout, check=True)

    assert (LockState.MISSING, False, True) == (verdict, ours, (checkout / "cache").exists())


def test_a_version_that_only_a_build_tells_is_not_needed_for_a_fresh_lock(checkout: Path) -> None:
    """
    As packages have that take it from git: their locks do not hold it.
    """
    dynamic_version(checkout)
    ran(checkout)

    report = checked(checkout)

    assert (LockState.FRESH, (), False) == (report.outputs.verdict, report.findings, ran(checkout))


def test_what_the_message_advises_decides(checkout: Path) -> None:
    """
    On a machine where the code may run, the command tells; so does the step, where builds are allowed.
    """
    dynamic_dependencies(checkout)
    (finding,) = checked(checkout).findings

    command = finding.fix.partition(",")[0]
    done = subprocess.run(["sh", "-c", command], cwd=checkout, capture_output=True, check=False)
    allowed = checked(checkout, Builds.ALLOW)

    assert "uv lock --check, where its code may run; or --builds allow" == finding.fix
    assert (0, LockState.FRESH) == (done.returncode, allowed.outputs.verdict)


@pytest.mark.parametrize(
    ("builds", "untrusted", "expected"),
    [
        (Builds.AUTO, False, True), (Builds.AUTO, True, False), (Builds.ALLOW, True, True),
        (Builds.ALLOW, False, True), (Builds.REFUSE, True, False), (Builds.REFUSE, False, False),
    ],
)  # fmt: skip
def test_code_of_an_untrusted_event_is_not_run_unless_it_is_allowed(
    checkout: Path, builds: Builds, *, untrusted: bool, expected: bool
) -> None:
    """
    By default for a pull request from a fork; who wrote the workflow may say otherwise, both ways.
    """
    dynamic_dependencies(checkout)
    ran(checkout)

    report = checked(checkout, builds, untrusted=untrusted)

    assert (expected, expected) == (ran(checkout), report.outputs.verdict is LockState.FRESH)


def test_a_setting_of_the_checkout_does_not_allow_builds(checkout: Path) -> None:
    """
    What a pull request writes into `[tool.mlflow-uv]` decides nothing about its own code.
    """
    package(checkout, more='[tool.mlflow-uv]\nbuilds = "allow"\n')
    projects.lock(checkout)
    ran(checkout)

    code, _, _ = on_github(checkout, "check-lock", fork=True)

    assert (2, False) == (code, ran(checkout))


def on_github(
    checkout: Path, step: str, *, fork: bool, event: str = "pull_request", **inputs: str
) -> tuple[int, str, str]:
    """Run a step as the action does, for a pull request; the exit code, outputs and the summary."""
    head = {"full_name": "other/wine" if fork else "team/wine", "id": 2 if fork else 1}
    payload = {"pull_request": {"head": {"repo": head}, "base": {"repo": {"full_name": "team/wine", "id": 1}}}}
    place = checkout.parent
    (place / "event.json").write_text(json.dumps(payload))
    (place / "outputs").unlink(missing_ok=True)
    os.environ |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(place / "event.json"),
        "GITHUB_OUTPUT": str(place / "outputs"),
        "GITHUB_STEP_SUMMARY": str(place / "summary"),
        "GITHUB_WORKSPACE": str(checkout),
        "MLFLOW_UV_INPUTS": json.dumps({"project": str(checkout), **inputs}),
        "UV_CACHE_DIR": str(place / "cache"),
    }
    code = main([step])
    outputs = place / "outputs"
    return code, outputs.read_text() if outputs.exists() else "", (place / "summary").read_text()


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target"])
@pytest.mark.parametrize("step", ["check-lock", "export"])
def test_on_github_a_fork_s_pull_request_runs_no_code(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, step: str, event: str
) -> None:
    """
    Without a word in the workflow; the summary says which package it was, and why.
    """
    dynamic_dependencies(checkout)
    ran(checkout)
    monkeypatch.chdir(checkout)

    code, _, summary = on_github(checkout, step, fork=True, event=event)

    assert (16 if step == "export" else 1, False) == (code, ran(checkout))
    assert "would have to be built, and builds are refused for a pull request from a fork" in summary


@pytest.mark.parametrize(("fork", "inputs"), [(False, {}), (True, {"builds": "allow"})], ids=["own", "said so"])
def test_on_github_everybody_else_s_code_is_run(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, *, fork: bool, inputs: dict[str, str]
) -> None:
    """
    A pull request within the repository, and one from a fork where the workflow says that builds are allowed.
    """
    dynamic_dependencies(checkout)
    ran(checkout)
    monkeypatch.chdir(checkout)

    code, outputs, _ = on_github(checkout, "check-lock", fork=fork, **inputs)

    assert (0, True) == (code, ran(checkout))
    assert "verdict" in outputs


def test_export_builds_no_wheel_where_builds_are_refused(checkout: Path) -> None:
    """
    A local package as a wheel is a build; what a list says needs none.
    """
    package(checkout, dynamic=())
    projects.lock(checkout)
    host = Host.of(os.environ, folder=checkout, python=Path(sys.executable))
    inputs = export.Inputs(project=checkout, requirements_file=Path("list.txt"), builds=Builds.REFUSE)
    ran(checkout)

    with locktools(host, console=terminal()) as tools:
        omitted = export.run(replace(inputs, local_packages=LocalPackages.OMIT), tools)
        with pytest.raises(BuildRefused) as caught:
            export.run(replace(inputs, local_packages=LocalPackages.WHEELS), tools)

    assert (True, False) == (omitted.ok, ran(checkout))
    expected = ("`checkout` would have to be built", "--builds allow")
    assert expected == (caught.value.what, caught.value.fix)
