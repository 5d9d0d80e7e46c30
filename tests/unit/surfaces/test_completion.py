"""What completes the command line, as bash, zsh and fish run it."""

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from mlflow_uv.command.step import fields_of
from mlflow_uv.steps.catalog import all_steps
from mlflow_uv.surfaces.cli import main
from mlflow_uv.surfaces.completion import completion
from tests.waiting import CEILING_S


def completed(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    line = " ".join(f"'{word}'" for word in ("mlflow-uv", *words))
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _mlflow_uv; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", f"{completion('bash')}\n{ask}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("check-",), ["check-lock", "check-targets"]),
        (("release", "--serv"), ["--serving", "--serve-memory", "--serve-cpus", "--serve-mounts", "--serve-network"]),
        (("release", "--serving", ""), ["locked", "slim"]),
        (("release", "--serving", "s"), ["slim"]),
        (("check-lock", "--format", ""), ["text", "json"]),
        (("check-lock", "--serv"), []),
        (("check-lock", "uv"), []),
        (("lint", "--qui"), ["--quiet"]),
    ],
)
def test_bash_offers_steps_flags_and_choices(words: tuple[str, ...], offered: list[str]) -> None:
    """
    Of the step that was typed; where a value is a file or a text, bash's own completion is left.
    """
    assert sorted(offered) == sorted(word for word in completed(*words) if not word.startswith("--serve-env"))


def in_fish(folder: Path, line: str) -> list[str]:
    """What fish offers at the end of a line."""
    (folder / "completion.fish").write_text(completion("fish"))
    ask = f"source completion.fish; complete -C '{line}'"
    variables = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask], cwd=folder, env=variables, capture_output=True, text=True, check=True
    )
    return [offer.split("\t")[0] for offer in done.stdout.splitlines()]


def in_zsh(zsh: str, folder: Path, line: str, *, before: str) -> list[str]:
    """What an interactive zsh lists after a tab at the end of a line; `before` is what its configuration has done."""
    (folder / "completion.zsh").write_text(completion("zsh"))
    setup = "PS1= PS2=; stty columns 300 rows 200; setopt AUTO_LIST NO_BASH_AUTO_LIST NO_LIST_TYPES"
    variables = {"HOME": str(folder), "TERM": "dumb", "PATH": os.environ["PATH"]}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(zsh, ["zsh", "-f", "-i"], variables)  # noqa: S606  # no shell starts it: it is one
    try:
        os.write(terminal, f"{setup}; {before}; source completion.zsh; print REA''DY\n".encode())
        read_until(terminal, r"READY\r\n")
        os.write(terminal, f"{line}\t".encode())  # keys that follow at once would suppress the list
        shown = read_until(terminal, r"\n\S.*\n")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", shown).split()


def read_until(terminal: int, end: str) -> str:
    """What a terminal shows until it has shown a pattern, and nothing more for half a second."""
    shown, until = "", time.monotonic() + CEILING_S
    while True:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 65_536).decode()
        elif re.search(end, shown):
            return shown
        assert time.monotonic() < until, shown


OFFERS = [
    ("check-", ["check-lock", "check-targets"], "audit"),
    ("release --serv", ["--serving", "--serve-memory", "--serve-network"], "--embedded"),
    ("release --serving ", ["locked", "slim"], "text"),
    ("check-lock --format ", ["text", "json"], "locked"),
    ("check-lock --project ./fold", ["./folder/"], "--project-name"),
]


@pytest.mark.usefixtures("fish_program")
@pytest.mark.parametrize(("line", "offered", "other"), OFFERS)
def test_fish_offers_steps_flags_choices_and_files(tmp_path: Path, line: str, offered: list[str], other: str) -> None:
    """
    Those of the step that was typed, and of no other one.
    """
    (tmp_path / "folder").mkdir()

    found = in_fish(tmp_path, f"mlflow-uv {line}")

    assert (set(), True) == (set(offered) - set(found), other not in found), found


@pytest.mark.parametrize(
    ("line", "offered", "other", "before"),
    [
        *((*offer, "autoload -U compinit; compinit -u -D") for offer in OFFERS[:4]),
        (*OFFERS[0], "true"),
    ],
)
def test_zsh_offers_steps_flags_and_choices(
    zsh_program: str, tmp_path: Path, line: str, offered: list[str], other: str, before: str
) -> None:
    """
    Also where the configuration has started no completion before.
    """
    found = in_zsh(zsh_program, tmp_path, f"mlflow-uv {line}", before=before)

    assert (set(), True) == (set(offered) - set(found), other not in found), found


def test_fish_gets_every_flag_of_every_step() -> None:
    """
    A line for each, with the summary of a step.
    """
    lines = completion("fish").splitlines()

    for step in all_steps():
        assert any(f" -a {step.name} -d '" in line for line in lines)
        for field in fields_of(step.inputs):
            seen = f"__fish_seen_subcommand_from {step.name}' -l {field.flags[0].removeprefix('--')}"
            assert any(line.split(" -x ")[0].endswith(seen) for line in lines), seen


@pytest.mark.parametrize(("shell", "code"), [("bash", 0), ("zsh", 0), ("fish", 0), ("cmd", 2)])
def test_the_script_is_printed(shell: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """
    For a shell that is not known, an error names those that are.
    """
    try:
        ended = main(["--completion", shell])
    except SystemExit as end:
        ended = int(end.code or 0)

    printed = capsys.readouterr()
    expected = (True, "") if code == 0 else (False, "the shells are bash, zsh, fish")
    assert (code, expected[0]) == (ended, bool(printed.out))
    assert expected[1] in printed.err
