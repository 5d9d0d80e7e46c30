"""Every pin of somebody else's action is that of the list, and the script that renews them; with real git."""

from pathlib import Path
from types import ModuleType

import pytest

from tests import checkout
from tests.house.files import ROOT
from tests.house.programs import program_module

PROGRAM = ROOT / ".ci" / "pins.py"
OLD = "1" * 40


@pytest.fixture(scope="module")
def pins() -> ModuleType:
    """The script, as a module."""
    return program_module(PROGRAM)


@pytest.fixture
def project(tmp_path: Path, pins: ModuleType) -> Path:
    """A repository that uses two releases of actions, in a workflow, in a document and in bytes that are no text."""
    folder = tmp_path / "project"
    (folder / ".ci").mkdir(parents=True)
    pins.write_list(folder, {"a/one": pins.Pin("v1.0.0", OLD, None), "b/two": pins.Pin("v3.0.0", OLD, "2026-01-02")})
    (folder / "w.yml").write_bytes(
        f"steps:\r\n- uses: a/one/save@{OLD} # v1.0.0\r\n- uses: b/two@{OLD} # v3.0.0\r\n".encode()
    )
    (folder / "d.md").write_text(f"      - uses: a/one@{OLD} # v1.0.0\n")
    (folder / "x.bin").write_bytes(b"\xff uses: a/one@" + OLD.encode())
    checkout.repository(folder)
    return folder


def released(server: Path, name: str, *versions: str) -> dict[str, str]:
    """Make the repository of an action with annotated tags; the commit of each."""
    folder = server / name
    folder.mkdir(parents=True)
    checkout.repository(folder)
    commits = {}
    for version in versions:
        commits[version] = checkout.commit(folder)
        checkout.git(folder, "tag", "--annotate", "--message=x", version)
    return commits


def test_every_pin_is_that_of_the_list(pins: ModuleType) -> None:
    """
    In workflows, actions, examples and documents; the list has nothing else.
    """
    listed = pins.listed(ROOT)
    used = {match["repository"] for _, text in pins.tracked(ROOT) for match in pins.USES.finditer(text)}

    assert ([], set(listed)) == (pins.differing(ROOT, listed), used)


@pytest.mark.parametrize(
    "uses",
    [
        pytest.param(f"uses: a/one@{'2' * 40} # v1.0.0", id="commit"),
        pytest.param(f"uses: a/one@{OLD} # v1.0.1", id="version"),
        pytest.param(f"uses: a/one@{OLD}", id="no version"),
        pytest.param(f"uses: c/three@{OLD} # v1.0.0", id="unknown"),
    ],
)
def test_another_pin_is_found(pins: ModuleType, project: Path, uses: str) -> None:
    """
    Another commit, another version, none, and an action that the list does not have.
    """
    (project / "d.md").write_text(f"- {uses}\n")

    assert [("d.md", uses)] == pins.differing(project, pins.listed(project))


def test_pins_are_renewed_in_the_list_and_in_every_file(pins: ModuleType, project: Path, tmp_path: Path) -> None:
    """
    The highest version by number, the commit behind an annotated tag; line ends and other bytes stay as they are.
    """
    server = tmp_path / "server"
    commits = released(server, "a/one", "v1.9.0", "v1.10.0", "v2", "v2.0.0-rc1")
    released(server, "b/two", "v2.0.0")

    code = pins.main(["--server", server.as_uri(), "--days", "-1"], project)

    new = commits["v1.10.0"]
    text = f"steps:\r\n- uses: a/one/save@{new} # v1.10.0\r\n- uses: b/two@{OLD} # v3.0.0\r\n"
    assert (0, text.encode()) == (code, (project / "w.yml").read_bytes())
    assert f"      - uses: a/one@{new} # v1.10.0\n" == (project / "d.md").read_text()
    assert b"\xff uses: a/one@" + OLD.encode() == (project / "x.bin").read_bytes()
    day = checkout.git(server / "a/one", "show", "--no-patch", "--format=%cs", new)
    expected = {"a/one": pins.Pin("v1.10.0", new, day), "b/two": pins.Pin("v3.0.0", OLD, "2026-01-02")}
    assert expected == pins.listed(project)


def test_a_release_that_is_too_young_is_left(pins: ModuleType, project: Path, tmp_path: Path) -> None:
    """
    As by the cooldown of Dependabot.
    """
    server = tmp_path / "server"
    released(server, "a/one", "v1.1.0")
    released(server, "b/two", "v3.1.0")
    before = pins.listed(project)

    assert (0, before) == (pins.main(["--server", server.as_uri()], project), pins.listed(project))


def test_a_tag_that_moved_and_a_repository_that_is_gone_keep_their_pins(
    pins: ModuleType, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Both are said, and the exit code is 1.
    """
    server = tmp_path / "server"
    commits = released(server, "a/one", "v1.0.0")
    before = pins.listed(project)

    code = pins.main(["--server", server.as_uri(), "--days", "-1"], project)

    said = capsys.readouterr().err
    assert (1, before) == (code, pins.listed(project))
    assert f"a/one v1.0.0 is another commit now, {commits['v1.0.0']}: find out why" in said
    assert "b/two keeps v3.0.0: " in said


def test_what_the_list_lacks_is_said_offline(
    pins: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A file that differs is written; an action that the list does not have is an error that says what to do.
    """
    (project / "d.md").write_text(f"- uses: a/one@{'2' * 40} # v0.9.0\n- uses: c/three@{OLD} # v1.0.0\n")

    code = pins.main(["--offline"], project)

    assert (1, f"- uses: a/one@{OLD} # v1.0.0\n- uses: c/three@{OLD} # v1.0.0\n") == (
        code,
        (project / "d.md").read_text(),
    )
    assert (
        f"d.md: `uses: c/three@{OLD} # v1.0.0` is not in .ci/pins.json: add its repository" in capsys.readouterr().err
    )
