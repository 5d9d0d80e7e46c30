"""What completes the command line, as bash runs it."""

import subprocess

import pytest

from mlflow_uv.command.step import fields_of
from mlflow_uv.steps.catalog import all_steps
from mlflow_uv.surfaces.cli import main
from mlflow_uv.surfaces.completion import completion


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
