"""The findings of check-targets: what installs on each target, what prevents the rest, and the fix."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, BadProject
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report, Severity
from mlflow_uv.command.wording import CommandLine
from mlflow_uv.steps import check_targets
from mlflow_uv.steps.check_targets import Inputs, Outputs
from mlflow_uv.surfaces.terminal import as_json

MANIFEST = '[project]\nname = "wine"\nversion = "0.1.0"\n'
HEAD = 'version = 1\nrevision = 3\nrequires-python = ">=3.10"\n'
WINE = (
    '[[package]]\nname = "wine"\nversion = "0.1.0"\nsource = { editable = "." }\ndependencies = [{ name = "grape" }]\n'
)
MAIN = "https://index.test/simple"
MARKER = "sys_platform == 'darwin' and platform_machine == 'arm64'"
LINUX, ARM, MAC = "linux-x86_64-py3.11", "linux-aarch64-py3.12", "macos-arm64-py3.12"


def package(  # each word is one key of the lock
    name: str,
    *tags: str,
    source: str = f'registry = "{MAIN}"',
    version: str = "1.0",
    sdist: bool = False,
    needs: str = "",
) -> str:
    """A package of the lock with a wheel a tag."""
    files = "".join(f'    {{ url = "https://files.test/{name}-{version}-{tag}.whl" }},\n' for tag in tags)
    lines = [
        "[[package]]", f'name = "{name}"', f'version = "{version}"', f"source = {{ {source} }}",
        f'dependencies = [{{ name = "{needs}" }}]' if needs else "",
        f'sdist = {{ url = "https://files.test/{name}-{version}.tar.gz" }}' if sdist else "",
        f"wheels = [\n{files}]" if tags else "",
    ]  # fmt: skip
    return "\n".join(filter(None, lines)) + "\n"


@pytest.fixture
def ask(tmp_path: Path, tools):
    """Ask about a lock of these packages, with wine as the project."""

    def asked(*packages: str, targets: tuple[str, ...] = (LINUX,), more: str = "", **inputs) -> Report[Outputs]:
        (tmp_path / "pyproject.toml").write_text(MANIFEST)
        (tmp_path / "uv.lock").write_text("\n".join((HEAD + more, *packages, WINE)))
        return check_targets.run(Inputs(project=tmp_path, targets=targets, **inputs), tools())

    return asked


def places(report: Report[Outputs]) -> list[tuple[str, Severity, int]]:
    """Which rules were broken how badly, and on which lines."""
    return [(finding.rule, finding.severity, finding.line) for finding in report.findings]


def line(tmp_path: Path, name: str) -> int:
    """Where a package begins."""
    lines = (tmp_path / "uv.lock").read_text().splitlines()
    return lines.index(f'name = "{name}"')  # one line below `[[package]]`, and counted from 0


def test_a_lock_that_installs_everywhere_is_one_line(ask) -> None:
    """
    How many packages, where; no table, no finding.
    """
    report = ask(package("grape", "py3-none-any"), targets=(LINUX, MAC))

    assert (True, (), ()) == (report.ok, report.findings, report.tables)
    assert f"2 packages install on {LINUX}; 2 packages install on {MAC}" == report.summary


def test_what_has_neither_wheel_nor_source_cannot_be_installed(ask, tmp_path: Path) -> None:
    """
    An error on its line, with who needs it and what makes uv look for another version.
    """
    report = ask(
        package("grape", "py3-none-any", needs="yeast"),
        package("yeast", "cp311-cp311-manylinux2014_x86_64"),
        targets=(LINUX, ARM),
    )

    (finding,) = report.findings
    assert [("target-cannot-install", Severity.ERROR, line(tmp_path, "yeast"))] == places(report)
    assert f"`yeast` 1.0 cannot be installed on {ARM}" == finding.what
    assert finding.why.endswith("needed by wine > grape")
    assert "required-environments = [\"sys_platform == 'linux' and platform_machine == 'aarch64'\"]" in finding.fix
    assert f"3 packages install on {LINUX}; 1 of 3 packages cannot be installed on {ARM}" == report.summary


def test_one_package_on_several_targets_is_one_finding(ask) -> None:
    """
    It names all of them.
    """
    report = ask(package("grape", "py3-none-win_amd64"), targets=(LINUX, ARM, MAC))

    assert [f"`grape` 1.0 cannot be installed on {LINUX}, {ARM}, {MAC}"] == [one.what for one in report.findings]


def test_what_has_only_its_source_is_built_there(ask, tmp_path: Path) -> None:
    """
    A warning: it may work.
    """
    report = ask(package("grape", "py3-none-win_amd64", sdist=True))

    assert (True, [("target-built", Severity.WARNING, line(tmp_path, "grape"))]) == (report.ok, places(report))
    assert f"2 packages install on {LINUX}, 1 of them built there" == report.summary


def test_a_package_from_git_takes_git_there(ask, tmp_path: Path) -> None:
    """
    A warning, whatever the platform.
    """
    report = ask(package("grape", source='git = "https://git.test/grape#0123"'))

    assert [("target-git", Severity.WARNING, line(tmp_path, "grape"))] == places(report)


def test_the_table_has_the_rows_that_matter(ask) -> None:
    """
    Packages by targets; a package that is a wheel everywhere is not in it, nor in the output.
    """
    report = ask(
        package("grape", "py3-none-any", needs="yeast"),
        package("yeast", "cp311-cp311-manylinux2014_x86_64", needs="torch"),
        package("torch", "py3-none-any", version="2.4.0+cu121"),
        targets=(LINUX, ARM),
    )

    (table,) = report.tables
    assert ("package", LINUX, ARM, "needed by") == table.columns
    assert (
        ("yeast 1.0", "wheel", "cannot be installed", "wine > grape"),
        ("torch 2.4.0+cu121", "wheel (local build)", "wheel (local build)", "wine > grape > yeast"),
    ) == table.rows
    assert [("torch", LINUX), ("yeast", ARM), ("torch", ARM)] == [(x.name, x.target) for x in report.outputs.packages]


def test_a_program_gets_the_same_as_json(ask) -> None:
    """
    Name, version, target, verdict and the way to it.
    """
    report = ask(package("grape", "py3-none-win_amd64"))

    text = as_json("check-targets", report, CommandLine(), ())

    assert '"verdict": "cannot be installed"' in text
    assert '"local-build": ""' in text


def test_a_local_build_is_named_with_its_index(ask) -> None:
    """
    A notice: it is meant for one kind of machine, and one index has it.
    """
    report = ask(package("grape", "py3-none-any", version="2.4.0+cu121"))

    (finding,) = report.findings
    assert ("target-local-build", Severity.NOTICE) == (finding.rule, finding.severity)
    assert "`cu121`" in finding.why
    assert MAIN in finding.why


@pytest.mark.parametrize(
    ("address", "rule", "severity"),
    [
        ("../wheels", "target-folder", Severity.ERROR),
        ("http://127.0.0.1:3141/root", "target-private", Severity.WARNING),
        ("https://devpi.internal/simple", "target-private", Severity.WARNING),
        ("https://second.test/simple", "target-index", Severity.NOTICE),
    ],
)
def test_an_index_that_may_not_be_reached_is_said_once(ask, tmp_path: Path, address: str, rule: str, severity) -> None:
    """
    Once for all its packages, on the line of the first.
    """
    report = ask(
        package("cork", "py3-none-any"),
        package("glue", "py3-none-any"),
        package("malt", "py3-none-any"),
        package("grape", "py3-none-any", needs="yeast", source=f'registry = "{address}"'),
        package("yeast", "py3-none-any", source=f'registry = "{address}"'),
    )

    assert [(rule, severity, line(tmp_path, "grape"))] == places(report)
    assert f"grape, yeast come from {address}" == report.findings[0].what


def test_an_index_that_is_a_folder_is_in_the_summary(ask) -> None:
    """
    It fails the step although every package has a wheel.
    """
    report = ask(package("grape", "py3-none-any", source='registry = "../wheels"'))

    assert (False, f"2 packages install on {LINUX}; an index is a folder on one machine") == (report.ok, report.summary)


def test_a_chosen_file_that_does_not_fit_is_replaced_where_it_was_chosen(ask) -> None:
    """
    uv cannot look for another version of a URL or path.
    """
    report = ask(
        package("grape", "py3-none-win_amd64", source='url = "https://files.test/grape-1.0-py3-none-win_amd64.whl"')
    )

    assert (
        "a source of `grape` for this platform, with a marker, in [tool.uv.sources], then `uv lock`"
        == report.findings[0].fix
    )


@pytest.mark.parametrize(
    ("reachable", "rules"),
    [
        ((), ["target-private"]),
        (("http://devpi:3141/root", MAIN), []),
        (("http://devpi:3141/", "index.test"), []),
        (("http://devpi:3141/ro", MAIN), ["target-unreachable"]),
        (("devpi",), ["target-unreachable"]),
        ((MAIN,), ["target-unreachable"]),
    ],
)
def test_the_caller_may_say_what_is_reached(ask, reachable: tuple[str, ...], rules: list[str]) -> None:
    """
    By host or by the beginning of the address; any other index is then a warning, the main one too.
    """
    report = ask(
        package("grape", "py3-none-any", needs="yeast", source='registry = "http://devpi:3141/root"'),
        package("glue", "py3-none-any"),
        package("yeast", "py3-none-any"),
        reachable_indexes=reachable,
    )

    assert rules == [finding.rule for finding in report.findings]


@pytest.mark.parametrize(
    ("more", "target", "line", "fix"),
    [
        ("", "linux-x86_64-py3.9", 3, "change `requires-python`, then `uv lock`"),
        (
            "supported-markers = [\"sys_platform == 'linux'\"]\n",
            MAC,
            4,
            f'add "{MARKER}" to `environments` in [tool.uv], then `uv lock`',
        ),
    ],
)
def test_a_target_that_the_lock_was_not_made_for_is_an_error(ask, more: str, target: str, line: int, fix: str) -> None:
    """
    On the line of the lock that says so; the other targets are answered all the same.
    """
    report = ask(package("grape", "py3-none-any"), more=more, targets=(target, LINUX))

    assert [("target-not-covered", Severity.ERROR, line)] == places(report)
    assert fix == report.findings[0].fix
    assert f"the lock does not cover {target}; 2 packages install on {LINUX}" == report.summary


def test_without_targets_it_is_the_serving_image(ask, tools, tmp_path: Path) -> None:
    """
    Of this machine's architecture, with the Python that the project pins.
    """
    (tmp_path / ".python-version").write_text("3.12\n")

    report = ask(package("grape", "py3-none-any"), targets=())

    machine = tools.host.machine.replace("arm64", "aarch64")
    assert (f"linux-{machine}-py3.12",) == report.outputs.targets


@pytest.mark.parametrize(
    ("python", "event", "minor"),
    [("3.12.4", "", "3.12"), (None, "", "3.10"), ("3.12.4", "pull_request", "3.10")],
    ids=["the one that trains here", "none is here", "a pull request from a fork"],
)
def test_without_a_pin_it_is_the_python_that_trains_here(
    tools, tmp_path: Path, python: str | None, event: str, minor: str
) -> None:
    """
    The image gets the Python of the training, which is the lowest that the lock allows by chance alone.
    """
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    (tmp_path / "uv.lock").write_text("\n".join((HEAD, package("grape", "py3-none-any"), WINE)))
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event} if event else {}
    host = Host.of(variables, folder=tmp_path, python=Path(sys.executable))
    found = replace(tools, host=host, uv=replace(tools.uv, python=python))

    report = check_targets.run(Inputs(project=tmp_path), found())

    assert [minor] == [target.rpartition("-py")[2] for target in report.outputs.targets]


def test_a_wrong_target_is_wrong_input(ask) -> None:
    """
    Nothing is said of the others.
    """
    with pytest.raises(BadInput):
        ask(package("grape", "py3-none-any"), targets=(LINUX, "mars-arm64-py3.11"))


@pytest.mark.parametrize(
    ("data", "rule", "line"),
    [
        (None, "lock-missing", 1),
        (b"version = 1\n<<<<<<< HEAD\n", "lock-unreadable", 2),
        (b"version = 99\n", "lock-unreadable", 1),
        (b"version = 1\nrequires-python = 'old'\n", "lock-unreadable", 1),
        (b"\xff", "lock-unreadable", 1),
    ],
)  # fmt: skip
def test_a_lock_that_is_none_is_a_finding(tmp_path: Path, tools, data: bytes | None, rule: str, line: int) -> None:
    """
    On its line, with the command that writes another; never a traceback.
    """
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    if data is not None:
        (tmp_path / "uv.lock").write_bytes(data)

    report = check_targets.run(Inputs(project=tmp_path), tools())

    assert [(rule, Severity.ERROR, line)] == places(report)
    assert "uv lock" == report.findings[0].fix


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path)], ids=["folder", "loop"])
def test_a_lock_that_is_no_file_is_a_finding(tmp_path: Path, tools, make) -> None:
    """
    A folder of that name, or a link to itself.
    """
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    make(tmp_path / "uv.lock")

    report = check_targets.run(Inputs(project=tmp_path), tools())

    assert ["lock-unreadable"] == [finding.rule for finding in report.findings]


def test_the_fix_works_where_the_caller_stands(tmp_path: Path, tools) -> None:
    """
    A project elsewhere is named in the command.
    """
    (tmp_path / "my wine").mkdir()
    (tmp_path / "my wine" / "pyproject.toml").write_text(MANIFEST)
    elsewhere = replace(tools, host=replace(tools.host, folder=tmp_path))

    report = check_targets.run(Inputs(project=tmp_path / "my wine"), elsewhere())

    assert "uv lock --project 'my wine'" == report.findings[0].fix


def test_a_folder_without_a_project_is_no_project(tmp_path: Path, tools) -> None:
    """
    The same error as in every step.
    """
    with pytest.raises(BadProject):
        check_targets.run(Inputs(project=tmp_path), tools())
