"""Every command of the tutorial is run, in its order, from an empty folder."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.house.files import ROOT
from tests.waiting import CEILING_S

BLOCK = re.compile(r"(?:^<!-- ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str, str]]:
    """The comment above each block, its language and its text."""
    return [(match[1] or "", match[2], match[3]) for match in BLOCK.finditer(text)]


def script_of(text: str, examples: Path) -> str:
    """A program for bash that does what the page says: its commands, and its files where they are named."""
    lines = ["set -euo pipefail"]
    for comment, language, body in blocks(text):
        name = comment.removeprefix("examples/tutorial/")
        if language == "python":
            lines.append(f"cp '{examples / name}' {name}")
        elif comment.endswith(".toml"):
            lines.append(f"cat '{examples / name}' >>pyproject.toml")
        elif language == "sh" and comment.startswith("exit code "):
            code = comment.removeprefix("exit code ")
            lines.append(f"code=0; {body.strip()} || code=$?; test $code = {code}")
        elif language == "sh" and not comment.startswith("not run"):
            lines += [
                word for line in body.strip().splitlines() for word in (f"echo '### {line.split()[0]}' >&2", line)
            ]
    return "\n".join(lines) + "\n"


def test_the_program_is_what_the_page_says() -> None:
    """
    A command of each section is in it, files are where they are named, and an expected failure is one.
    """
    script = script_of((ROOT / "docs/tutorial.md").read_text(), Path("/examples"))

    expected = ["uv init --bare", "cp '/examples/train.py' train.py", "mlflow-uv init", "mlflow-uv release",
                "test $code = 1", "cat '/examples/evaluation.toml'", "mlflow-uv promote",
                "mlflow-uv rollback"]  # fmt: skip
    places = [script.find(words) for words in expected]
    assert (True, False) == (-1 not in places and places == sorted(places), "uv tool install" in script)


@pytest.mark.extended
@pytest.mark.installs
def test_the_tutorial_leads_to_a_promoted_model(tmp_path: Path) -> None:
    """
    From an empty folder to two versions, a champion, and back; without an engine, which the page permits.
    """
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mlflow-uv").symlink_to(ROOT / "bin/mlflow-uv")
    for name in ("docker", "podman"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    identity = {f"GIT_{role}_{part}": "a@b.test" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    variables = {**os.environ, **identity, "MLFLOW_UV_HOME": str(tmp_path / "home"),
                 "PATH": f"{programs}:{os.environ['PATH']}"}  # fmt: skip
    script = script_of((ROOT / "docs/tutorial.md").read_text(), ROOT / "examples/tutorial")

    output = tmp_path / "output.txt"
    with output.open("w") as stream:
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=variables, stdout=stream,
                              stderr=subprocess.STDOUT, check=False, timeout=4 * CEILING_S)  # fmt: skip

    printed = output.read_text()
    assert done.returncode == 0, printed[-9000:]
    page = (tmp_path / "wine/mlflow-uv-report.html").read_text()
    assert ("Changed since the champion", "<h3>metrics</h3>") == tuple(
        shown for shown in ("Changed since the champion", "<h3>metrics</h3>") if shown in page
    )
    moves = re.findall(r"champion[^\n]*version (\d)|version (\d)[^\n]*champion", printed)
    assert {"2", "3"} == {number for move in moves for number in move if number}
