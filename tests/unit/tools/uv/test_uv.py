"""The commands sent to uv, and how its answers are parsed."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, BadProject, ToolFailed, ToolMissing
from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.system.process import Completed, SystemRunner
from mlflow_uv.tools.uv.messages import LockState
from mlflow_uv.tools.uv.uv import LockRequest, Uv
from tests.unit.tools.conftest import FakeRunner, completed

EXPORT = ("export", "--frozen", "--no-default-groups", "--no-editable", "--no-annotate", "--no-header")


def uv(runner: FakeRunner, *, asked: str = "/their/uv", own: str | None = None, **variables: str) -> Uv:
    """A uv on behalf of a caller with these variables."""
    return Uv(
        runner,
        variables={"PATH": "/nowhere", **variables},
        named=Path(asked) if asked else None,
        own=Path(own) if own else None,
    )


def answers(**versions: str) -> dict[str, Completed | None]:
    """uvs by their program, each of a version."""
    known = {"their": "0.9.9", **versions}
    return {f"/{name}/uv --version": completed(f"uv {version} (abc 2026-01-01)\n") for name, version in known.items()}


ASKED = LockRequest(respect_env=False, offline=True)
FRESH = "Resolved 2 packages in 1ms\n"
STALE = (
    "DEBUG Resolving despite existing lockfile due to mismatched requirements for: `wine==0.1.0`\n"
    "  Requested: {Requirement}\n"
    "Resolved 2 packages in 1ms\n"
    "error: The lockfile at `uv.lock` needs to be updated, but `--check` was provided.\n"
)
MISSING = "error: Unable to find lockfile at `uv.lock`, but `--check` was provided.\n"
UNSOLVABLE = "error: No solution found when resolving dependencies\n  cause: Because there are no versions of x\n"
OFFLINE = UNSOLVABLE + "\nhint: Packages were unavailable because the network was disabled.\n"
NO_PYTHON = (
    "error: No interpreter found for Python 3.14\n\nhint: A download is available, but uv is set to offline mode\n"
)
BROKEN = "error: Failed to parse{}\n  cause: TOML parse error at line {}, column 1\n     |\n     unclosed array\n"
BROKEN_LOCK, BROKEN_TABLE = BROKEN.format(" `uv.lock`", 7), BROKEN.format(": pyproject.toml", 3)
BROKEN_MEMBER = BROKEN.format(": `libs/a b/pyproject.toml`", 2)
NOT_TEXT = "error: failed to read from file `/x/uv.lock`: stream did not contain valid UTF-8\n"
NEWER = "error: The lockfile at `uv.lock` uses an unsupported schema version (v2, but only v1 is supported).\n"


@pytest.mark.parametrize(
    ("done", "state", "cause", "file", "line"),
    [
        (completed(stderr=FRESH), LockState.FRESH, None, "uv.lock", 1),
        (completed(stderr="Resolved in 1ms\n"), LockState.FRESH, None, "uv.lock", 1),
        (completed(stderr=STALE, code=1), LockState.STALE, Cause.UNKNOWN, "uv.lock", 1),
        (completed(stderr=MISSING, code=1), LockState.MISSING, Cause.MISSING, "uv.lock", 1),
        (completed(stderr=UNSOLVABLE, code=1), LockState.UNSOLVABLE, Cause.UNSOLVABLE, "pyproject.toml", 1),
        (completed(stderr=OFFLINE, code=1), LockState.UNVERIFIABLE, Cause.NETWORK, "uv.lock", 1),
        (completed(stderr=NO_PYTHON, code=2), LockState.UNVERIFIABLE, Cause.INTERPRETER, "uv.lock", 1),
        (completed(stderr=BROKEN_LOCK, code=2), LockState.UNREADABLE, Cause.UNREADABLE, "uv.lock", 7),
        (completed(stderr=BROKEN_TABLE, code=2), LockState.UNREADABLE, Cause.UNREADABLE, "pyproject.toml", 3),
        (completed(stderr=BROKEN_MEMBER, code=2), LockState.UNREADABLE, Cause.UNREADABLE, "libs/a b/pyproject.toml", 2),
        (completed(stderr=NOT_TEXT, code=2), LockState.UNREADABLE, Cause.UNREADABLE, "/x/uv.lock", 1),
        (completed(stderr=NEWER, code=2), LockState.UNREADABLE, Cause.FORMAT, "uv.lock", 1),
    ],
)
def test_the_words_of_uv_become_a_verdict(
    project: Project, done: Completed, state: LockState, cause: Cause | None, file: str, line: int
) -> None:
    """
    uv ends with 1 or 2 for many reasons; its words say which, in which file, on which line.
    """
    runner = FakeRunner(answers() | {"lock --check": done})

    verdict = uv(runner).lock_state(project, ASKED)

    assert (state, cause, file, line) == (verdict.state, verdict.cause, verdict.file, verdict.line)
    assert ("/their/uv", "lock", "--check", "--offline") == runner.argv


def test_a_lock_that_has_its_answer_costs_one_process(project: Project) -> None:
    """
    What says that it resolved is a uv, without being asked for its version.
    """
    runner = FakeRunner(answers() | {"lock --check": completed(stderr=FRESH)})

    uv(runner).lock_state(project, ASKED)

    assert 1 == len(runner.asked)


@pytest.mark.parametrize(
    "done", [completed(), completed("uv is disabled here\n"), completed(stderr="Resolved\n")], ids=str
)
def test_what_ends_well_and_says_nothing_is_not_believed(project: Project, done: Completed) -> None:
    """
    A shim in place of uv would call every lock fresh.
    """
    runner = FakeRunner({"lock --check": done, "--version": completed("shim\n")})

    with pytest.raises(ToolMissing, match="is not uv"):
        uv(runner).lock_state(project, ASKED)


def test_a_uv_that_the_project_does_not_accept_gives_way_to_one_that_it_does(project: Project, tmp_path: Path) -> None:
    """
    uv itself refuses by `required-version`; then, and only then, versions are asked for.
    """
    (tmp_path / "uv").touch(mode=0o755)
    theirs, ours = str(tmp_path / "uv"), "/own/uv"
    refusal = "error: Required uv version `>=0.9` does not match the running version `0.1.0`.\n"
    runner = FakeRunner(
        {
            f"{theirs} lock": completed(stderr=refusal, code=2),
            f"{theirs} --version": completed("uv 0.1.0\n"),
            f"{ours} --version": completed("uv 0.9.1\n"),
            f"{ours} lock": completed(stderr=FRESH),
        }
    )
    program = Uv(runner, variables={"PATH": str(tmp_path)}, named=None, own=Path(ours))

    verdict = program.lock_state(requiring(project, ">=0.9"), ASKED)

    assert (LockState.FRESH, ours) == (verdict.state, runner.argv[0])


def test_why_uv_would_resolve_again_is_the_reason_it_gives(project: Project) -> None:
    """
    What changed is worth more than that something did; uv is told to say it.
    """
    runner = FakeRunner(answers() | {"lock --check": completed(stderr=STALE, code=1)})

    verdict = uv(runner).lock_state(project, ASKED)

    assert "mismatched requirements for: `wine==0.1.0`" == verdict.again
    assert "debug" in runner.asked[-1].variables["RUST_LOG"]


def test_anything_else_is_no_answer(project: Project) -> None:
    """
    A build that fails says nothing of the lock; what uv said is kept.
    """
    stderr = "error: Failed to generate package metadata for `x`\n  cause: The build backend returned an error\n"
    runner = FakeRunner(answers() | {"lock --check": completed(stderr=stderr, code=2)})

    verdict = uv(runner).lock_state(project, ASKED)

    why = "Failed to generate package metadata for `x`: The build backend returned an error"
    assert (LockState.UNVERIFIABLE, Cause.UNKNOWN, why) == (verdict.state, verdict.cause, verdict.complaint)


@pytest.mark.parametrize(
    ("stderr", "state", "changes"),
    [
        ("Add x v1\nUpdate y v1 -> v2\n", LockState.STALE, ("Add x v1", "Update y v1 -> v2")),
        ("Remove z v3\n", LockState.STALE, ("Remove z v3",)),
        ("Lockfile changes detected\n", LockState.STALE, ()),
        ("No lockfile changes detected\n", LockState.FRESH, ()),
    ],
)
def test_changes_are_uv_s_own_lines(project: Project, stderr: str, state: LockState, changes: tuple[str, ...]) -> None:
    """
    What `uv lock` would do is said line by line; nothing at all is a fresh lock.
    """
    runner = FakeRunner(answers() | {"lock --dry-run": completed(stderr=FRESH + stderr)})

    found = uv(runner).lock_state(project, replace(ASKED, offline=False, changes=True))

    assert (state, changes) == (found.state, found.changes)
    assert ("/their/uv", "lock", "--dry-run") == runner.argv


def test_nobody_waits_long_for_a_network_that_is_not_there(project: Project) -> None:
    """
    uv would try four times; the caller's own patience goes before ours.
    """
    runner = FakeRunner(answers() | {"lock": completed(stderr=FRESH)})
    request = replace(ASKED, offline=False)

    uv(runner).lock_state(project, request)
    uv(runner, UV_HTTP_RETRIES="9").lock_state(project, request)
    uv(runner).lock_state(project, ASKED)

    assert ["1", "9", None] == [command.variables.get("UV_HTTP_RETRIES") for command in runner.asked]


def test_a_question_may_leave_variables_out_and_name_an_interpreter(project: Project) -> None:
    """
    Two ways to find out what a verdict depends on.
    """
    runner = FakeRunner(answers() | {"lock": completed(stderr=FRESH)})
    request = replace(ASKED, without=frozenset({"UV_DEFAULT_INDEX"}), python=Path("/p/python"))

    uv(runner, UV_DEFAULT_INDEX="https://index.test", UV_INDEX="x=y").lock_state(project, request)

    seen = runner.asked[-1]
    assert ("/their/uv", "lock", "--check", "--offline", "--python", "/p/python") == seen.argv
    assert {"UV_INDEX"} == {name for name in seen.variables if "INDEX" in name}


@pytest.mark.parametrize("respect", [True, False])
def test_the_callers_variables_steer_only_if_they_may(project: Project, respect: bool) -> None:
    """
    What changes an answer reaches uv with `respect-env` alone, and is named otherwise.
    """
    runner = FakeRunner(answers() | {"lock --check": completed(stderr=FRESH)})
    program = uv(runner, UV_EXCLUDE_NEWER="2020-01-01", UV_INDEX_URL="https://index.test")

    program.lock_state(project, replace(ASKED, respect_env=respect))

    seen = runner.asked[-1].variables
    assert (respect, "https://index.test") == ("UV_EXCLUDE_NEWER" in seen, seen["UV_INDEX_URL"])
    assert (() if respect else ("UV_EXCLUDE_NEWER",)) == program.set_aside(respect_env=respect)


@pytest.mark.parametrize(
    ("selection", "flags"),
    [
        (Selection(), ("--package", "wine")),
        (Selection(package="core"), ("--package", "core")),
        (Selection(extras=("a", "b")), ("--package", "wine", "--extra", "a", "--extra", "b")),
        (Selection(groups=("c",)), ("--package", "wine", "--group", "c")),
    ],
)  # fmt: skip
def test_a_selection_is_exported_and_nothing_more(
    project: Project, selection: Selection, flags: tuple[str, ...]
) -> None:
    """
    Default groups are for developers: what is served is the project, and what was selected by name.
    """
    runner = FakeRunner(answers() | {"export": completed("b==2\n./core\na==1\n")})

    found = uv(runner).export(project, selection)

    assert ("/their/uv", *EXPORT, *flags) == runner.argv
    assert ("a==1\nb==2\n", 1) == (found.text, len(found.local))


def test_a_virtual_root_exports_the_whole_workspace(project: Project) -> None:
    """
    A root without `[project]` has no package of its own to name.
    """
    runner = FakeRunner(answers())

    uv(runner).export(replace(project, manifest={"tool": {"uv": {"workspace": {"members": ["a"]}}}}), Selection())

    assert ("/their/uv", *EXPORT) == runner.argv


@pytest.mark.parametrize(
    "stderr",
    [
        "error: Extra `x` is not defined in the project's `optional-dependencies` table\n",
        "error: Group `x` is not defined in the project's `dependency-groups` table\n",
        "error: Package `x` not found in workspace\n",
    ],
)
def test_a_selection_that_the_lock_does_not_have_is_the_users_mistake(project: Project, stderr: str) -> None:
    """
    An extra that is not there is no failure of uv.
    """
    runner = FakeRunner(answers() | {"export": completed(stderr=stderr, code=2)})

    with pytest.raises(BadInput, match="the selection is not in the lock"):
        uv(runner).export(project, Selection(extras=("x",)))


def test_an_export_that_is_not_exact_is_refused(project: Project) -> None:
    """
    If uv ever writes a line that could install two different things, we say so.
    """
    runner = FakeRunner(answers() | {"export": completed("a>=1\n")})

    with pytest.raises(ToolFailed, match="not an exact"):
        uv(runner).export(project, Selection())


def test_an_environment_is_synced_into_its_own_folder(project: Project) -> None:
    """
    The checkout's `.venv` is neither made nor changed: uv is pointed to a folder of ours, and checks the lock.
    """
    runner = FakeRunner(answers())

    found = uv(runner, UV_PROJECT_ENVIRONMENT="/theirs").sync(
        project, Selection(), Path("/private"), on_line=lambda _line: None
    )

    command = runner.asked[-1]
    assert ("/their/uv", "sync", "--locked") == command.argv[:3]
    assert ("/private", Path("/private/bin/python")) == (command.variables["UV_PROJECT_ENVIRONMENT"], found)


# which uv


def requiring(project: Project, versions: str) -> Project:
    """The project, with `required-version`."""
    return replace(project, manifest={**project.manifest, "tool": {"uv": {"required-version": versions}}})


@pytest.mark.parametrize(
    ("required", "path", "own", "chosen"),
    [
        (None, "0.1.0", "0.9.1", "path"),
        (">=0.9", "0.9.1", "0.9.2", "path"),
        (">=0.9", "0.8.1", "0.9.2", "own"),
        ("0.9.2", "0.9.1", "0.9.2", "own"),
        ("==0.9.*", "0.9.7", None, "path"),
        (">=0.9", "0.10.0rc1", None, "path"),
        (None, None, "0.9.1", "own"),
    ],
)
def test_the_uv_on_path_goes_before_ours_if_the_project_accepts_it(
    project: Project, tmp_path: Path, required: str | None, path: str | None, own: str | None, chosen: str
) -> None:
    """
    The caller's own choice of uv comes first, unless `required-version` rules it out.
    """
    programs = {"path": tmp_path / "bin" / "uv", "own": tmp_path / "own" / "uv"}
    for program in programs.values():
        program.parent.mkdir()
    if path:
        programs["path"].touch(mode=0o755)
    runner = FakeRunner(
        {
            f"{programs['path']} --version": completed(f"uv {path}\n"),
            f"{programs['own']} --version": completed(f"uv {own}\n"),
        }
    )
    variables = {"PATH": str(programs["path"].parent)}
    uv = Uv(runner, variables=variables, named=None, own=programs["own"] if own else None)

    found = uv.program(requiring(project, required) if required else project)

    assert str(programs[chosen]) == found


@pytest.mark.parametrize(
    "content",
    ["#!/bin/sh\necho junk\n", "#!/bin/sh\necho uv is disabled here\n", "#!/bin/sh\nexit 1\n", "junk", "#!/no/such\n"],
    ids=["prints junk", "prints words", "fails", "no program", "no interpreter"],
)
@pytest.mark.parametrize("own", [True, False])
def test_a_uv_on_path_that_is_not_uv_is_passed_over(tmp_path: Path, project: Project, content: str, own: bool) -> None:
    """
    A shim that ends well is not believed: it would call every lock fresh.
    """
    shim, real = tmp_path / "shim" / "uv", tmp_path / "own" / "uv"
    for program, text in ((shim, content), (real, "#!/bin/sh\necho uv 0.9.9\n")):
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(0o755)
    uv = Uv(SystemRunner(), variables={"PATH": str(shim.parent)}, named=None, own=real if own else None)

    try:
        found = uv.program(project)
    except ToolMissing as error:
        found = error.why

    assert (str(real) if own else f"{shim} prints no version") == found


def test_a_uv_is_asked_for_its_version_once(project: Project) -> None:
    """
    Every request starts with which uv to ask; that costs one process, not one each time.
    """
    runner = FakeRunner(answers(own="0.9.9"))
    program = uv(runner, asked="", own="/own/uv")

    program.program(project)
    program.program(project)
    program.install(Path("/r.txt"), Path("/e"), python="3.12", hashed=True, resolved=True, indexes={}, on_line=print)

    assert 1 == sum("--version" in command.argv for command in runner.asked)


def test_the_first_environment_of_a_cache_has_a_folder_to_be_created_in(project: Project, tmp_path: Path) -> None:
    """
    A new machine has none of the folders of the cache yet, and uv is started in one of them.
    """
    runner = FakeRunner(answers(own="0.9.9"))
    program = uv(runner, asked="", own="/own/uv")
    program.program(project)

    program.create(tmp_path / "new" / "serving" / "key", python="3.12", on_line=print)

    assert tmp_path / "new" / "serving" == runner.asked[-1].folder
    assert runner.asked[-1].folder.is_dir()


def test_no_uv_that_the_project_accepts_names_all_of_them(project: Project) -> None:
    """
    Who must install another uv wants to know which ones were considered.
    """
    runner = FakeRunner(answers(own="0.8.0"))

    with pytest.raises(ToolMissing) as caught:
        uv(runner, asked="", own="/own/uv").program(requiring(project, ">=0.9"))

    assert ('no installed uv satisfies `required-version = ">=0.9"`', "/own/uv is 0.8.0") == (
        caught.value.what,
        caught.value.why,
    )


def test_no_uv_at_all_is_said(project: Project) -> None:
    """
    Without any uv there is a command that installs one.
    """
    with pytest.raises(ToolMissing) as caught:
        uv(FakeRunner(), asked="").program(project)

    assert "uv is not installed: it is not on PATH. Fix: pip install uv" == str(caught.value)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (completed("uv 0.8.0\n"), "`/their/uv` is uv 0.8.0"),
        (completed("Python 3.11\n"), "`/their/uv` is not uv"),
        (completed("uv 0.9.9\n", code=1), "`/their/uv` is not uv"),
        (None, "`/their/uv` is not uv"),
    ],
)
def test_a_uv_that_was_asked_for_is_used_or_refused(project: Project, answer: Completed | None, what: str) -> None:
    """
    A uv that somebody named is never silently replaced by another.
    """
    runner = FakeRunner({"/their/uv --version": answer})

    with pytest.raises(ToolMissing) as caught:
        uv(runner, own="/own/uv").program(requiring(project, ">=0.9"))

    assert what == caught.value.what


def test_a_uv_named_by_a_relative_path_is_found_from_where_it_was_named(project: Project) -> None:
    """
    `--uv tools/uv` is relative to the caller's folder, although uv runs in the project's.
    """
    runner = FakeRunner({"tools/uv --version": completed("uv 0.9.9\n")})

    found = uv(runner, asked="tools/uv").program(project)

    assert str(Path.cwd() / "tools" / "uv") == found


def test_uv_toml_goes_before_the_table_in_pyproject(project: Project) -> None:
    """
    uv ignores `[tool.uv]` where there is a uv.toml, and so do we.
    """
    (project.root / "uv.toml").write_text('required-version = ">=0.8"\n')

    found = uv(FakeRunner(answers())).program(requiring(project, ">=99"))

    assert "/their/uv" == found


def test_a_range_that_is_none_is_the_projects_mistake(project: Project) -> None:
    """
    `required-version = "newest"` cannot be satisfied by installing anything.
    """
    with pytest.raises(BadProject, match="not a version range"):
        uv(FakeRunner(answers())).program(requiring(project, "newest"))
