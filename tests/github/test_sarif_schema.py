"""What is written as SARIF is valid by the schema of OASIS, which a package of npm carries."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.report import Finding, Report, Severity
from mlflow_uv.surfaces.sarif import SarifFile
from tests.github.npm_packages import installed

SCHEMA = "node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"


def complaints(document: Any, folder: Path) -> str:
    file = folder / "findings.sarif"
    file.write_text(json.dumps(document))
    program = Path(sys.executable).with_name("check-jsonschema")
    # One pattern of the schema is none by the rules of ECMA.
    options = ("--regex-variant", "python", "--schemafile", installed() / SCHEMA)
    argv: list[str | Path] = [program, *options, file]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def document(folder: Path) -> Any:
    file = SarifFile("lint", folder, project=folder, phrased=str, secrets=lambda: ("geheim",))
    findings = [
        Finding(rule="lint-tracking-uri", what="a", why="geheim", fix="c", path=folder / "x/é \udcff b#?%.py", line=7),
        Finding(
            rule="lock-option", what="d\x1b[0m\n::error::", severity=Severity.NOTICE, path=Path("/elsewhere/uv.lock")
        ),
        Finding(rule="lock-option", what="e", severity=Severity.WARNING, path=folder / "uv.lock", line=1),
    ]
    return file.log(Report(outputs=None, summary="", findings=tuple(findings)))


def test_findings_are_valid(tmp_path: Path) -> None:
    """
    Of each severity, in odd paths and outside of the repository, and a run without findings.
    """
    empty = SarifFile("lint", tmp_path, project=tmp_path, phrased=str, secrets=tuple)

    found = [complaints(document(tmp_path), tmp_path),
             complaints(empty.log(Report(outputs=None, summary="")), tmp_path)]  # fmt: skip

    assert ["", ""] == found


@pytest.mark.parametrize(
    "error", [BadInput(what="a", why="b"), ToolFailed(what="a", why="b", fix="c"), KeyboardInterrupt()]
)
def test_a_step_without_a_result_is_valid(tmp_path: Path, error: Any) -> None:
    """
    An error of the step, and a job that was cancelled.
    """
    file = SarifFile("lint", tmp_path, project=tmp_path, phrased=str, secrets=tuple)

    assert "" == complaints(file.log(error), tmp_path)


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "2.0.0"),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
        (("runs", 0, "results", 0, "colour"), "red"),
        (("runs", 0, "tool"), {}),
    ],
)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, path: tuple[Any, ...], value: object) -> None:
    """
    Each a plausible mistake in a valid document.
    """
    wrong = document(tmp_path)
    inner = wrong
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value

    assert "Schema validation errors were encountered" in complaints(wrong, tmp_path)
