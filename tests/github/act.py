"""Runs a consumer's workflow with this checkout as its action, on a local GitHub runner (act)."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests import checkout
from tests.runner import Obeyed, obeyed
from tests.waiting import CEILING_S

PROGRAMS = Path(sys.executable).parent
OWNER = "someone"
ACTION = f"{OWNER}/mlflow-uv-action"
REF = "v1"
KEEP = "keep-the-workspace"
LEVELS = ("error", "warning", "notice")
# What a step sees of this machine: how to reach a network, and nothing else.
ALLOWED = (
    "ALL_PROXY", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "NO_PROXY", "PIP_CERT", "PIP_DEFAULT_TIMEOUT",
    "PIP_INDEX_URL", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "UV_CACHE_DIR",
    "UV_DEFAULT_INDEX", "UV_INDEX_URL",
)  # fmt: skip
# act gives composite actions INPUT_* variables, which real runners do not: a test that leaned on them would lie. And it
# runs every job on this one machine: here each has a home of its own, and may have an engine of its own. Our own Python
# does it, because the machine's may be a script for bash, which is this one.
BASH = """#!{python} -I
import os, sys
kept = {{name: value for name, value in os.environ.items() if not name.startswith("INPUT_")}}
kept |= {machines!r}.get(kept.get("GITHUB_JOB"), {{}})
os.makedirs(kept["HOME"], exist_ok=True)
os.execve("/bin/bash", ["bash", *sys.argv[1:]], kept)
"""


@dataclass(frozen=True)
class Annotation:
    """What GitHub shows beside a line of a file."""

    level: str
    message: str
    title: str = ""
    file: str = ""
    line: int | None = None


@dataclass(frozen=True)
class Run:
    """
    How a workflow went.

    `commands` are what GitHub's own runner would obey of the log, `annotations` those of them that it shows.
    """

    ok: bool
    workspaces: Mapping[str, Path]
    log: str
    commands: tuple[Obeyed, ...]
    annotations: tuple[Annotation, ...]
    outputs: Mapping[str, Mapping[str, str]]
    results: Mapping[str, str]
    summary: str

    @property
    def workspace(self) -> Path:
        """The folder of the only job, as its steps left it."""
        (folder,) = self.workspaces.values()
        return folder

    def of(self, level: str) -> list[Annotation]:
        """The annotations of a level."""
        return [annotation for annotation in self.annotations if annotation.level == level]


@dataclass
class Consumer:
    """
    A user's repository, and the runner that works for it.

    `programs` are what its PATH has besides the machine's own: `uv`, as after a step that sets uv up.
    """

    folder: Path
    action: Path
    home: Path
    programs: tuple[Path, ...] = ()
    timeout_s: float = 3 * CEILING_S

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file into the repository."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(
        self,
        workflow: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        event: str = "push",
        payload: Mapping[str, Any] | None = None,
        options: tuple[str, ...] = (),
        engines: Mapping[str, str] | None = None,
        committed: Callable[[Path], object] | None = None,
    ) -> Run:
        """
        Commit the files, then run a workflow on that commit; `committed` is called with the folder between both.

        Of several jobs each is on a machine of its own: nothing lies in its HOME. So is a job that `engines` names,
        with what DOCKER_HOST says there; the others have this machine's engine.

        `workflow` says `uses: ACTION/actions/STEP@v1` and has `actions/checkout` as everybody has it; `payload` is the
        document of the event, without which act makes one that has almost nothing; `env` is set for the whole job. What
        each job leaves in its folder is kept, including its `.git`.
        """
        for name, content in (files or {}).items():
            self.write(name, content)
        kept = self.folder.parent / "kept"
        document = _keeping(yaml.safe_load(re.sub(r"\bACTION(?=[/@])", ACTION, workflow)), kept)
        path = self.write(".github/workflows/test.yml", yaml.safe_dump(document, sort_keys=False))
        machines = self._machines(document["jobs"], engines or {})
        checkout.repository(self.folder)
        if committed is not None:
            committed(self.folder)
        argv = [
            str(PROGRAMS / "act"),
            event,
            "--workflows",
            str(path),
            "--platform",
            "ubuntu-latest=-self-hosted",
            "--json",
        ]
        argv += ["--local-repository", f"{ACTION}@{REF}={self.action}", "--no-cache-server", *options]
        if payload is not None:
            document_of_event = kept.parent / "event.json"
            document_of_event.write_text(json.dumps(payload))
            argv += ["--eventpath", str(document_of_event)]
        for flag, pairs in (("--env", env), ("--secret", secrets)):
            for name, value in (pairs or {}).items():
                argv += [flag, f"{name}={value}"]
        done = subprocess.run(
            argv, cwd=self.folder, env=self._variables(machines), capture_output=True, text=True, check=False,
            timeout=self.timeout_s,
        )  # fmt: skip
        workspaces = {folder.parent.name: folder for folder in sorted(kept.glob("*/*"))}
        return read(done.stdout, ok=done.returncode == 0, workspaces=workspaces, complaint=done.stderr)

    def _machines(self, jobs: Collection[str], engines: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """The variables of each job that has a machine of its own."""
        apart = {*jobs, *engines} if len(jobs) > 1 else engines
        place = Path(tempfile.mkdtemp(prefix="machines-", dir=self.folder.parent))
        hosts = {job: {"DOCKER_HOST": host} for job, host in engines.items() if host}
        return {job: {"HOME": str(place / job), **hosts.get(job, {})} for job in apart}

    def _variables(self, machines: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        # The first folder of our own PATH holds the programs of our lock: a user has none of them.
        _, *machine = os.environ["PATH"].split(os.pathsep)
        kept = {name: os.environ[name] for name in ALLOWED if name in os.environ}
        return {**kept, "HOME": str(self.home), "PATH": os.pathsep.join([str(self._shelf(machines)), *machine])}

    def _shelf(self, machines: Mapping[str, Mapping[str, str]]) -> Path:
        program_folder = Path(tempfile.mkdtemp(prefix="bin-", dir=self.folder.parent))
        (program_folder / "bash").write_text(BASH.format(python=sys.executable, machines=machines))
        (program_folder / "bash").chmod(0o755)
        for program in self.programs:
            (program_folder / program.name).symlink_to(program)
        return program_folder


def _keeping(workflow: dict[Any, Any], kept: Path) -> dict[Any, Any]:
    """The workflow with a last step in each job that keeps its folder, which act removes. A matrix has many of one."""
    jobs = dict(workflow["jobs"])
    for name, job in jobs.items():
        if "steps" in job:
            run = f'mkdir -p "{kept / name}" && cp -a "$GITHUB_WORKSPACE/." "$(mktemp -d "{kept / name}/XXXXXX")"'
            jobs[name] = {**job, "steps": [*job["steps"], {"id": KEEP, "if": "always()", "shell": "bash", "run": run}]}
    # YAML 1.1 reads the key `on` as true.
    return {"on" if key is True else key: value for key, value in {**workflow, "jobs": jobs}.items()}


def read(lines: str, *, ok: bool, workspaces: Mapping[str, Path], complaint: str = "") -> Run:
    """Read what act wrote, one JSON object a line."""
    events = [event for event in _events(lines) if event.get("stepID") != [KEEP]]
    logs: dict[tuple[str, ...], str] = {}
    for event in events:
        step = (event.get("jobID", ""), *event.get("stepID", ()))
        logs[step] = logs.get(step, "") + _line(event)
    # act's own reading of a line differs from GitHub's, in both directions.
    commands = tuple(command for log in logs.values() for command in obeyed(log))
    outer = [event for event in events if len(event.get("stepID", ())) == 1]
    outputs: dict[str, dict[str, str]] = {}
    for event in outer:
        if event.get("command") == "set-output":
            outputs.setdefault(event["stepID"][0], {})[event["name"]] = event["arg"]
    results = {
        event["stepID"][0]: event["stepResult"]
        for event in outer
        if "stepResult" in event and event.get("stage") == "Main"
    }
    return Run(
        ok=ok,
        workspaces=workspaces,
        log="".join(map(_line, events)) + complaint,
        commands=commands,
        annotations=tuple(_annotation(command) for command in commands if command.name in LEVELS),
        outputs=outputs,
        results=results,
        summary="".join(event["content"] for event in outer if event.get("command") == "summary"),
    )


def _events(lines: str) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _line(event: Mapping[str, Any]) -> str:
    """What a step printed, as it printed it."""
    return str(event.get("raw") or (event["msg"] if event.get("raw_output") else ""))


def _annotation(command: Obeyed) -> Annotation:
    parts = command.properties
    line = parts.get("line")
    return Annotation(
        level=command.name,
        message=command.data,
        title=parts.get("title", ""),
        file=parts.get("file", ""),
        line=int(line) if line else None,
    )


def published(folder: Path) -> Path:
    """
    Copy this checkout as act can use it.

    `uses: $/x` means our own repository at the caller's pin; act does not know it, so the copy names it.
    """
    checkout.materialise(folder)
    for path in (*folder.rglob("action.yml"), *folder.glob(".github/workflows/*.y*ml")):
        text = path.read_text()
        path.write_text(re.sub(r"(uses:\s*['\"]?)\$/([^\s'\"]+)", rf"\g<1>{ACTION}/\g<2>@{REF}", text))
    return folder
