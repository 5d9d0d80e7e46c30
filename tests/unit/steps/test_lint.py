"""What lint reports and corrects, in real repositories."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report, Severity
from mlflow_uv.command.wording import CommandLine
from mlflow_uv.core.lint.catalog import rules
from mlflow_uv.steps import lint
from mlflow_uv.steps.lint import Inputs, Outputs
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import LockTools, locktools
from tests.house.files import ROOT

MANIFEST = '[project]\nname = "wine"\nversion = "1"\n'
LOCK = 'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "mlflow"\nversion = "3.4.0"\n'
URI = 'mlflow.set_tracking_uri("http://localhost:5000")\n'


@pytest.fixture
def lint_tools(tmp_path: Path) -> Iterator[LockTools]:
    """The real tools, started in a repository with a project."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    (tmp_path / "uv.lock").write_text(LOCK)
    host = Host.of({"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home")}, folder=tmp_path, python=Path("/python"))
    with locktools(host, console=terminal(CommandLine())) as tools:
        yield tools


def places(report: Report[Outputs], folder: Path) -> list[tuple[str, str, int]]:
    """The rule, path and line of each finding."""
    return [(f.rule, str(f.path and f.path.relative_to(folder)), f.line) for f in report.findings]


def test_a_finding_names_its_rule_and_place(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    The rule is in its message, so that it can be silenced.
    """
    (tmp_path / "ü train.py").write_text(URI)

    report = lint.run(Inputs(project=tmp_path), lint_tools)

    assert [("lint-tracking-uri", "ü train.py", 1)] == places(report, tmp_path)
    assert ("1 finding in 3 files", "the tracking URI is written into the code [tracking-uri]") == (
        report.summary,
        report.findings[0].what,
    )


@pytest.mark.parametrize("size", [2_000_000, 2_000_001])
def test_a_file_that_is_too_large_is_named(tmp_path: Path, lint_tools: LockTools, size: int) -> None:
    """
    What is not read is not clean: a warning names it. A model of that size is no text that a rule reads.
    """
    (tmp_path / "train.py").write_text(URI.ljust(size, "#"))
    (tmp_path / "data.bin").write_bytes(b"x" * size)

    report = lint.run(Inputs(project=tmp_path), lint_tools)

    expected = ("lint-tracking-uri", Severity.ERROR) if size == 2_000_000 else ("lint-unchecked", Severity.WARNING)
    assert [(*expected, "train.py")] == [(f.rule, f.severity, f.path and f.path.name) for f in report.findings]


def test_stores_count_if_the_index_has_them(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    Also if they are ignored by now; a store that is not tracked is nobody's mistake.
    """
    for name in ("mlruns", "other/mlruns"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "meta.yaml").write_text("")
    subprocess.run(["git", "-C", str(tmp_path), "add", "mlruns"], check=True)
    (tmp_path / ".gitignore").write_text("mlruns/\n")

    report = lint.run(Inputs(project=tmp_path), lint_tools)

    assert [("lint-committed-store", "mlruns/meta.yaml", 1)] == places(report, tmp_path)
    fix = report.findings[0].fix.partition(", and")[0]
    subprocess.run(fix, shell=True, cwd=tmp_path, check=True, capture_output=True)
    assert () == lint.run(Inputs(project=tmp_path), lint_tools).findings


def test_the_fix_of_a_committed_model_removes_it_from_the_index(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    Also with names that look like flags or need quotes; the files stay.
    """
    names = ["-a.pkl", "b c.pkl", *(f"m/{number}.pkl" for number in range(7))]
    (tmp_path / "m").mkdir()
    for name in names:
        (tmp_path / name).write_text("x")
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)

    for finding in lint.run(Inputs(project=tmp_path), lint_tools).findings:
        command = finding.fix.partition("then ")[2].partition(", and")[0]
        subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)

    assert all((tmp_path / name).exists() for name in names)
    (tmp_path / ".gitignore").write_text("*.pkl\n")
    assert () == lint.run(Inputs(project=tmp_path), lint_tools).findings


def test_rules_and_files_are_chosen(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    An optional rule is checked where it is chosen, or added by the project.
    """
    (tmp_path / "a.ipynb").write_text('{"outputs": [{}]}')
    (tmp_path / "b.py").write_text(URI)
    optional = Inputs(project=tmp_path, rules=("notebook-outputs",))

    answers = [
        places(lint.run(inputs, lint_tools), tmp_path)
        for inputs in (optional, Inputs(project=tmp_path, files=(str(tmp_path / "a.ipynb"),)))
    ]
    (tmp_path / "pyproject.toml").write_text(
        f'{MANIFEST}[tool.mlflow-uv.lint]\nadd = ["notebook-outputs"]\nwarn = ["notebook-outputs", "tracking-uri"]\n'
    )
    report = lint.run(Inputs(project=tmp_path), lint_tools)

    assert [[("lint-notebook-outputs", "a.ipynb", 1)], []] == answers
    assert ([Severity.WARNING] * 2, True) == ([finding.severity for finding in report.findings], report.ok)


def test_settings_that_cannot_be_read_are_no_secret(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    A manifest that is not TOML silences nothing, and a warning at its line says so.
    """
    (tmp_path / "pyproject.toml").write_text(MANIFEST + '[tool.mlflow-uv.lint]\nignore = ["tracking-uri"\n')
    (tmp_path / "train.py").write_text(URI)

    report = lint.run(Inputs(project=tmp_path), lint_tools)

    assert {("lint-tracking-uri", "train.py", 1), ("lint-settings", "pyproject.toml", 6)} <= set(
        places(report, tmp_path)
    )
    assert [Severity.WARNING] == [f.severity for f in report.findings if f.rule == "lint-settings"]


def test_an_unknown_rule_is_an_error(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    With the most similar one.
    """
    with pytest.raises(BadInput, match="does not know `tracking-url`: did you mean `tracking-uri`"):
        lint.run(Inputs(project=tmp_path, rules=("tracking-url",)), lint_tools)


def test_what_needs_no_decision_is_corrected_once(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    The rest is reported, and a second run changes nothing.
    """
    requirements = tmp_path / "requirements.txt"
    requirements.write_bytes(b"\xef\xbb\xbf# list\r\nmlflow == 2.9.1  # why\r\n")
    (tmp_path / "train.py").write_text(URI)

    first = lint.run(Inputs(project=tmp_path, fix=True), lint_tools)
    second = lint.run(Inputs(project=tmp_path, fix=True), lint_tools)

    assert b"\xef\xbb\xbf# list\r\nmlflow ==3.4.0  # why\r\n" == requirements.read_bytes()
    assert (("requirements.txt",), ()) == (first.outputs.corrected, second.outputs.corrected)
    assert [("lint-tracking-uri", "train.py", 1)] == places(first, tmp_path) == places(second, tmp_path)


def test_excluded_folders_are_skipped(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    With a repository and without one.
    """
    (tmp_path / "demo/x").mkdir(parents=True)
    (tmp_path / "demo/x/a.py").write_text(URI)

    with_git = lint.run(Inputs(project=tmp_path, exclude=("demo",)), lint_tools)
    without = lint.run(Inputs(project=tmp_path / "demo", exclude=("x",)), lint_tools)

    assert ((), ()) == (with_git.findings, without.findings)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").iterdir()), ids=lambda path: path.name)
def test_examples_have_no_finding(path: Path, lint_tools: LockTools) -> None:
    """
    With every rule.
    """
    every = tuple(rule.name for rule in rules())

    assert () == lint.run(Inputs(project=path, rules=every), lint_tools).findings


def test_hostile_files_end_in_a_report(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    Whatever they contain: no error, nothing from outside, and seconds at most.
    """
    bodies = {
        "empty": b"",
        "nul": b"\0" * 100,
        "latin": "# pass: \xff\xfe postgresql://a:kolibri7@b.c/d".encode("latin-1"),
        "deep": b"[" * 100_000,
        "long": b"RUN uv sync " + b"a" * 500_000,
        "quotes": b"\"'" * 50_000,
        "urls": b"a://" * 50_000,
        "dashes": b"- a==1\n" * 50_000,
        "brackets": b'"outputs": [{' * 20_000,
        "manifest": b"[manifest]\nrequirements = [" + b"[" * 20_000,
    }
    names = [
        "Dockerfile", "requirements.txt", "conda.yaml", "MLproject", ".python-version", "a.py", "a.ipynb", ".env",
        ".pre-commit-config.yaml", ".github/workflows/a.yml", "-x.py", "::x.py", "a b.toml", "x.py.lock",
    ]  # fmt: skip
    for body, data in bodies.items():
        for name in names:
            (tmp_path / body / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / body / name).write_bytes(data)
        (tmp_path / body / "uv.lock").write_bytes(data)
    (tmp_path / "link.py").symlink_to("/dev/zero")

    report = lint.run(Inputs(project=tmp_path, rules=tuple(rule.name for rule in rules())), lint_tools)

    assert "kolibri7" not in "".join(finding.text for finding in report.findings)


def test_a_fix_names_files_as_seen_from_the_checked_folder(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    A list may be in a folder below the lock, and a lock in a folder below the checked one.
    """
    for path, text in {
        "requirements/dev.txt": "mlflow==1\n",
        "web/uv.lock": LOCK,
        "web/requirements.txt": "mlflow==1\n",
        "jobs/train.py": '# /// script\n# dependencies = ["mlflow"]\n# ///\n',
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)

    report = lint.run(Inputs(project=tmp_path, rules=("requirements-drift", "script-lock")), lint_tools)

    assert [
        "uv lock --script jobs/train.py",
        "uv export --no-emit-project --output-file requirements/dev.txt",
        "uv export --directory web --no-emit-project --output-file requirements.txt",
    ] == [finding.fix for finding in report.findings]


def test_a_fix_works_in_the_current_folder(tmp_path: Path, lint_tools: LockTools) -> None:
    """
    The command names files below the project, and the shell is above it: the command goes there first.
    """
    project = tmp_path / "mein modell"
    project.mkdir()
    (project / "pyproject.toml").write_text(MANIFEST)
    (project / "uv.lock").write_text(LOCK)
    (project / "mlruns").mkdir()
    (project / "mlruns" / "meta.yaml").write_text("x")
    (project / "model.pkl").write_text("x")
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)

    report = lint.run(Inputs(project=project), lint_tools)

    store, model = sorted((finding for finding in report.findings), key=lambda finding: finding.rule, reverse=True)
    assert model.fix.endswith("git rm --cached -- model.pkl, and ignore it in .gitignore (in mein modell)")
    command = store.fix.partition(", and add")[0]
    assert "cd 'mein modell' && git rm -r --cached -- mlruns" == command
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert ["lint-committed-model"] == [f.rule for f in lint.run(Inputs(project=project), lint_tools).findings]
