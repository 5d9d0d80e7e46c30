"""TOML and JSON from outside: deep, long and winding ones are refused at their line, or read in one pass."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow_uv_hooks.hook import main as hook

from mlflow_uv.core.freshness.declared_requirements import ProjectManifest, Workspace, declared_requirements
from mlflow_uv.core.freshness.staleness import differences
from mlflow_uv.core.lock.installable import fits
from mlflow_uv.core.lock.lockfile import NotALock, read_lockfile
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.security.documents import parse_json
from mlflow_uv.core.security.size_limits import LOCK_LIMIT, MANIFEST_LIMIT
from mlflow_uv.core.security.toml_documents import DEPTH, Unbounded, Unparsable, parse_toml
from mlflow_uv.surfaces.cli import main
from mlflow_uv.tools.project.files import UnreadableProject, read_manifest

HEAD = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\n'
DEEP = {
    "arrays": "x = " + "[" * 100_000 + "]" * 100_000,
    "arrays that do not end": "x = " + "[" * 100_000,
    "inline tables": "x = " + "{a=" * 50_000 + "1" + "}" * 50_000,
    "a key of many parts": ".".join(["a"] * 50_000) + " = 1",
    "a header of many parts": "[" + ".".join(["a"] * 50_000) + "]",
    "tolerated by the parser": "x = " + "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
    "a key tolerated by the parser": ".".join(["a"] * (DEPTH + 2)) + " = 1",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_deep_manifest_is_refused_at_its_line(tmp_path: Path, text: str) -> None:
    """
    As what it is, at the file and line.
    """
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text(f'{HEAD}s = """\n[[[[ # " \n"""\n# [[[[[[\n{text}\n')

    with pytest.raises(UnreadableProject) as caught:
        read_manifest(manifest)

    assert (manifest, 9, f"it is nested in more than {DEPTH} levels") == (
        caught.value.path,
        caught.value.line,
        caught.value.why,
    )


@pytest.mark.parametrize("step", ["check-lock", "check-targets", "export", "log-model", "doctor"])
@pytest.mark.parametrize("text", [DEEP["arrays"], DEEP["a key of many parts"]], ids=["arrays", "key"])
def test_no_step_falls_over_a_deep_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str, text: str
) -> None:
    """
    It is a finding or the project's error, never an internal error; doctor goes on.
    """
    (tmp_path / "pyproject.toml").write_text(f"{HEAD}{text}\n")
    (tmp_path / "uv.lock").write_text("version = 1\n")

    code = main([step, "--project", str(tmp_path)])

    output = "".join(capsys.readouterr())
    assert (code, f"nested in more than {DEPTH} levels" in output) == (
        {"check-lock": 1, "doctor": 0}.get(step, 4),
        True,
    )
    assert "Traceback" not in output


@pytest.mark.parametrize("step", ["check-lock", "check-targets", "export", "log-model"])
@pytest.mark.parametrize("name", ["uv.lock", "uv.toml", ".python-version"])
def test_no_step_reads_what_has_no_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str, name: str
) -> None:
    """
    A link to a device fills the memory, and a pipe that nobody writes to is waited for; uv is not asked about either.
    """
    (tmp_path / "pyproject.toml").write_text(HEAD)
    os.mkfifo(tmp_path / name)

    code = main([step, "--project", str(tmp_path)])

    output = "".join(capsys.readouterr())
    assert (code, "it is a device or a pipe, not a file" in output) == ({"check-lock": 1}.get(step, 4), True)


@pytest.mark.parametrize("step", ["check-lock", "export"])
def test_no_settings_above_a_project_are_read_without_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    """
    uv reads those of the folders above, too.
    """
    (tmp_path / "wine").mkdir()
    (tmp_path / "wine" / "pyproject.toml").write_text(HEAD)
    os.mkfifo(tmp_path / "uv.toml")

    code = main([step, "--project", str(tmp_path / "wine")])

    told = "".join(capsys.readouterr())
    assert (code, "it is a device or a pipe, not a file" in told) == ({"check-lock": 1}.get(step, 4), True)


def test_a_member_that_has_no_end_is_refused(tmp_path: Path) -> None:
    """
    Whatever reads a manifest asks first whether it is a file.
    """
    os.mkfifo(tmp_path / "pyproject.toml")

    with pytest.raises(UnreadableProject, match="it is a device or a pipe, not a file"):
        read_manifest(tmp_path / "pyproject.toml")


def test_a_large_manifest_is_refused(tmp_path: Path) -> None:
    """
    Before it is parsed; both sizes are named.
    """
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text("#" * (7 * MANIFEST_LIMIT))

    with pytest.raises(UnreadableProject) as caught:
        read_manifest(manifest)

    assert "too large to read: it has 7.0 MB, and no more than 1 MB are read. Fix: shorten" in str(caught.value)


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_deep_lock_is_no_lock(text: str) -> None:
    """
    At its line, as any other text that is none.
    """
    with pytest.raises(NotALock) as caught:
        read_lockfile(f"version = 1\n{text}\n".encode())

    assert 2 == caught.value.line


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "[1,\n2,\n", "\x00"])
def test_json_is_refused_and_nothing_falls_over(text: str) -> None:
    """
    Of a record, of a model or of a server.
    """
    with pytest.raises(ValueError, match=r"it is nested too deeply|line") as caught:
        parse_json(text)

    assert isinstance(caught.value, Unparsable)


def test_what_is_read_as_before() -> None:
    """
    The bounds are above whatever a project holds.
    """
    deep = "x = " + "[" * (DEPTH - 1) + "]" * (DEPTH - 1)

    assert ["x"] == list(parse_toml(deep.encode(), limit=MANIFEST_LIMIT))
    assert {"a": 1} == parse_json('{"a": 1}')
    assert LOCK_LIMIT > 10 * MANIFEST_LIMIT


def test_bytes_that_are_no_text_are_refused_at_their_line() -> None:
    """
    The line is where the first of them stands.
    """
    with pytest.raises(Unparsable) as caught:
        parse_toml(b'a = 1\nb = "\xe8"\n', limit=100)

    assert (2, False) == (caught.value.line, isinstance(caught.value, Unbounded))


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, ours and Python's own: a measure of work that no other process disturbs."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _requirements(number: int) -> str:
    return "dependencies = [" + "".join(f'"p{n}>=1",\n' for n in range(number)) + "]\n"


def _sources(number: int) -> str:
    table = "".join(f'p{n} = {{ path = "p{n}" }}\n' for n in range(number))
    return f"{_requirements(number)}[tool.uv.sources]\n{table}"


def _chain(number: int) -> str:
    groups = "".join(f'g{n} = [{{ include-group = "g{n - 1}" }}]\n' for n in range(1, number))
    return f'[dependency-groups]\ng0 = ["p"]\n{groups}'


def _twice(number: int) -> str:
    groups = "".join(f'g{n} = [{{ include-group = "g{n - 1}" }}, {{ include-group = "g{n - 1}" }}]\n' for n in
                     range(1, number))  # fmt: skip
    return f'[dependency-groups]\ng0 = ["p"]\n{groups}'


def _pythons(number: int) -> str:
    groups = "".join(f'g{n} = ["p"]\n' for n in range(number))
    table = "".join(f'g{n} = {{ requires-python = ">=3.11" }}\n' for n in range(number))
    return f"[dependency-groups]\n{groups}[tool.uv.dependency-groups]\n{table}"


@pytest.mark.parametrize("shape", [_requirements, _sources, _chain, _twice, _pythons])
def test_reading_what_a_manifest_wants_takes_as_long_as_it_is(shape: Callable[[int], str]) -> None:
    """
    Twice the requirements, sources or groups are twice the work; groups that include one twice do not double each time.
    """
    work = []
    for number in (200, 400):
        table = parse_toml((HEAD + shape(number)).encode(), limit=MANIFEST_LIMIT)

        def read(table: dict[str, object] = table) -> None:
            manifest = ProjectManifest(file="pyproject.toml", folder="/w", table=table)
            declared_requirements(manifest, Workspace(root=manifest, members=(manifest,), settings=manifest))

        work.append(calls(read))

    assert work[1] < 2.5 * work[0]


@pytest.mark.parametrize("shape", [
    _requirements, _sources, _chain, lambda n: "# x\n" * n, lambda n: "".join(f"[[a]]\nb.c{k} = 1\n" for k in range(n)),
    lambda n: "x = {" + ",".join(f"k{k} = [1, [2]]" for k in range(n)) + "}",
])  # fmt: skip
def test_finding_lines_takes_as_long_as_the_text_is(shape: Callable[[int], str]) -> None:
    """
    Every key has its line after one pass.
    """
    work = [calls(lambda number=number: key_lines(shape(number))) for number in (500, 1000)]  # type: ignore[misc]

    assert work[1] < 2.5 * work[0]


def _marked(number: int) -> str:
    names = ("os_name", "platform_machine", "platform_release", "platform_version", "platform_python_implementation")
    marker = " and ".join(f"{name} != 'v{n}'" for name in names for n in range(number))
    return f'dependencies = ["p>1; {marker}"]\n'


def _conflicting(number: int) -> str:
    groups = "".join(f'g{n} = []\nh{n} = [{{ include-group = "g{n}" }}]\n' for n in range(number))
    conflict = ", ".join(f'{{ group = "g{n}" }}' for n in range(number))
    return f"[dependency-groups]\n{groups}[tool.uv]\nconflicts = [[{conflict}]]\n"


@pytest.mark.parametrize("shape", [_marked, _conflicting])
def test_what_multiplies_is_not_worked_out(shape: Callable[[int], str]) -> None:
    """
    Markers over many variables, conflicts between groups that others include: twice as many would be a million times.
    """
    table = parse_toml((HEAD + shape(40)).encode(), limit=MANIFEST_LIMIT)
    manifest = ProjectManifest(file="pyproject.toml", folder="/w", table=table)
    lock = read_lockfile(
        b'version = 1\nrequires-python = ">=3.11"\n[[package]]\nname = "a"\nversion = "1"\n'
        b'source = { virtual = "." }\ndependencies = [{ name = "p" }]\n'
        b'[package.metadata]\nrequires-dist = [{ name = "p", specifier = ">2" }]\n'
    )

    assert (
        calls(
            lambda: list(differences(lock, Workspace(root=manifest, members=(manifest,), settings=manifest), reason=""))
        )
        < 1_000_000
    )


def test_a_wheel_that_stands_for_everything_stands_for_nothing() -> None:
    """
    The three parts of its name multiply.
    """
    parts = ".".join(f"a{n}" for n in range(2000))

    assert not fits(f"p-1-{parts}-{parts}-{parts}.whl", frozenset({"a1-a1-a1"}))


def test_an_included_group_wants_what_it_wanted() -> None:
    """
    Its own requirements, and those of the groups it includes, at the line that includes them.
    """
    text = """
        [dependency-groups]
        all = ["a", { include-group = "Some" }, { include-group = "other" }]
        some = ["b>1", { include-group = "other" }]
        other = ["c"]
        round = ["d", { include-group = "round" }]
    """
    manifest = ProjectManifest(file="pyproject.toml", folder="/w", table=parse_toml(text.encode(), limit=1000))

    found = declared_requirements(manifest, Workspace(root=manifest, members=(manifest,), settings=manifest)).scopes

    assert {"all": ["a", "b>1", "c"], "some": ["b>1", "c"], "other": ["c"], "round": ["d"]} == {
        scope.name: [one.text for one in wanted] for scope, wanted in found.items()
    }
    assert [None, 1, 1] == [
        one.via and one.via.path[-1] for scope, wanted in found.items() if scope.name == "all" for one in wanted
    ]


def test_a_marker_of_many_brackets_is_the_projects_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What Python's own parsers fall over is told in a sentence.
    """
    marker = "(" * 3000 + "python_version > '3'" + ")" * 3000
    (tmp_path / "pyproject.toml").write_text(f'{HEAD}[tool.mlflow-uv.policy]\nexcluded = ["a; {marker}"]\n')

    code = main(["check-lock", "--format", "json", "--project", str(tmp_path)])

    out, err = capsys.readouterr()
    assert (4, "Traceback" in err, "nested too deeply" in json.loads(out)["error"]["what"]) == (code, False, True)


def test_a_hook_says_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No trace for what a project holds.
    """
    marker = "(" * 3000 + "python_version > '3'" + ")" * 3000
    (tmp_path / "pyproject.toml").write_text(f'{HEAD}[tool.mlflow-uv.policy]\nexcluded = ["a; {marker}"]\n')
    subprocess.run(("uv", "lock", "--offline", "--quiet"), cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)

    code = hook(["check-lock", "uv.lock"])

    err = capsys.readouterr().err
    assert (4, False, True) == (code, "Traceback" in err, "nested too deeply" in err)
