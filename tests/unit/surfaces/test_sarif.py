"""Findings as SARIF: what code scanning needs, and no secrets."""

import json
from pathlib import Path, PurePath

import pytest

from mlflow_uv.command.errors import BadInput, Cancelled, ToolFailed
from mlflow_uv.command.report import Finding, Report, Severity
from mlflow_uv.command.wording import CommandLine
from mlflow_uv.surfaces.cli import main, recorded
from mlflow_uv.surfaces.sarif import SarifFile

URI = 'mlflow.set_tracking_uri("http://localhost:5000")\n'


def log(root: Path, *findings: Finding, secrets: tuple[str, ...] = ()):
    """The run of a report with these findings."""
    file = SarifFile("lint", root, project=root, phrased=str, secrets=lambda: secrets)
    (run,) = file.log(Report(outputs=None, summary="", findings=findings))["runs"]
    return run


def test_a_result_has_its_rule_level_and_place(tmp_path: Path) -> None:
    """
    Rules are listed once; those of lint have a page.
    """
    finding = Finding(rule="lint-tracking-uri", what="a", why="b", fix="c", path=tmp_path / "x/é b.py", line=7)
    other = Finding(rule="lock-option", what="d", severity=Severity.NOTICE)

    run = log(tmp_path, finding, other, finding)

    first, second, _ = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert [0, 1, 0] == [result["ruleIndex"] for result in run["results"]]
    assert ["lint-tracking-uri", "lock-option"] == [rule["id"] for rule in rules]
    assert rules[0]["helpUri"].endswith("/docs/rules/tracking-uri.md")
    assert ("error", "a: b. Fix: c", "note") == (first["level"], first["message"]["text"], second["level"])
    assert [
        {"physicalLocation": {"artifactLocation": {"uri": "x/%C3%A9%20b.py"}, "region": {"startLine": 7}}}
    ] == first["locations"]
    assert "pyproject.toml" == second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("::a.py", "%3A%3Aa.py"),
        ("a#b?c%d.py", "a%23b%3Fc%25d.py"),
        ("\udcff.py", "%FF.py"),
        ("../b", "file:///root/b"),
        ("/etc/passwd", "file:///etc/passwd"),
    ],
)
def test_every_path_is_a_uri(path: str, uri: str) -> None:
    """
    One outside of the checkout is absolute.
    """
    run = log(Path("/root/project"), Finding(rule="r", what="w", path=PurePath(path)))

    assert uri == run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_a_result_stays_the_same_when_lines_move(tmp_path: Path) -> None:
    """
    Its fingerprint has no line.
    """
    prints = [
        log(tmp_path, Finding(rule="r", what=what, path=tmp_path / "a", line=line))["results"][0]["partialFingerprints"]
        for what, line in (("w", 1), ("w", 2), ("v", 1))
    ]

    assert (prints[0], True) == (prints[1], prints[0] != prints[2])


def test_secrets_and_control_characters_are_not_written(tmp_path: Path) -> None:
    """
    Neither in a message nor in a path.
    """
    finding = Finding(rule="r", what="a kolibri7 \x1b[31m", path=tmp_path / "kolibri7.py")

    text = json.dumps(log(tmp_path, finding, secrets=("kolibri7",)))

    assert ("kolibri7" in text, "\\u001b" in text) == (False, False)


def test_an_error_is_a_notification_beside_what_was_found(tmp_path: Path) -> None:
    """
    As of a release that stopped in the middle.
    """
    error = ToolFailed(what="it failed", why="so", fix="this")
    error.so_far = Report(outputs=None, summary="", findings=(Finding(rule="r", what="w"),))

    (run,) = SarifFile("release", tmp_path, project=tmp_path, phrased=str, secrets=tuple).log(error)["runs"]

    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [{"level": "error", "message": {"text": "it failed: so. Fix: this"}}] == invocation[
        "toolExecutionNotifications"
    ]
    assert ["r"] == [result["ruleId"] for result in run["results"]]


def test_the_command_line_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    For findings and for errors, and says the same as without it.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(URI)

    codes = [main(["lint", "--sarif", "out/a b.sarif"]), main(["lint", "--rules", "x", "--sarif", "e.sarif"])]

    good, bad = (json.loads((tmp_path / name).read_text())["runs"][0] for name in ("out/a b.sarif", "e.sarif"))
    assert [1, BadInput.exit_code] == codes
    assert (["lint-tracking-uri"], True) == (
        [result["ruleId"] for result in good["results"]],
        good["invocations"][0]["executionSuccessful"],
    )
    assert not bad["invocations"][0]["executionSuccessful"]


def test_a_link_of_the_checkout_does_not_redirect_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The file that it leads to stays as it is.
    """
    (tmp_path / "secret").write_text("a")
    (tmp_path / "p/.git").mkdir(parents=True)
    (tmp_path / "p/o.sarif").symlink_to("../secret")
    monkeypatch.chdir(tmp_path / "p")

    code = main(["lint", "--sarif", "o.sarif"])

    assert (BadInput.exit_code, "a") == (code, (tmp_path / "secret").read_text())
    assert "a link leads to" in capsys.readouterr().err


def test_a_finding_about_a_project_is_at_its_manifest(tmp_path: Path) -> None:
    """
    The project may be a folder of the checkout.
    """
    file = SarifFile("lint", tmp_path, project=tmp_path / "a", phrased=str, secrets=tuple)

    (run,) = file.log(Report(outputs=None, summary="", findings=(Finding(rule="r", what="w"),)))["runs"]

    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert "a/pyproject.toml" == location["artifactLocation"]["uri"]


@pytest.mark.parametrize(
    ("cancelled", "found"),
    [
        (Cancelled(Report(outputs=None, summary="", findings=(Finding(rule="r", what="w"),))), ["r"]),
        (Cancelled(), []),
        (KeyboardInterrupt(), []),
    ],
)
def test_a_cancelled_step_writes_what_was_found(tmp_path: Path, cancelled: BaseException, found: list[str]) -> None:
    """
    It stays cancelled, also if the file cannot be written.
    """

    def work() -> Report[None]:
        raise cancelled

    (tmp_path / "file").write_text("")
    for path in (tmp_path / "out.sarif", tmp_path / "file" / "out.sarif"):
        with pytest.raises(type(cancelled)):
            recorded(str(path), "verify", CommandLine(), work, secrets=tuple, root=tmp_path, project=tmp_path)

    (run,) = json.loads((tmp_path / "out.sarif").read_text())["runs"]
    (invocation,) = run["invocations"]
    notices = [notice["message"]["text"] for notice in invocation["toolExecutionNotifications"]]
    assert (found, False, ["cancelled"]) == (
        [result["ruleId"] for result in run["results"]], invocation["executionSuccessful"], notices,
    )  # fmt: skip
