"""A training environment of a real uv in which somebody edits files."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadProject, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.toolbox import Tools, toolbox
from mlflow_uv.tools.uv.environment_folder import file_states
from tests import projects
from tests.console import KeptConsole

RIGHT, WRONG = "ANSWER = 1\n", "ANSWER = 2\n"


@dataclass(frozen=True)
class Trained:
    """A project with three packages, whose environments and uv's cache are its own."""

    folder: Path
    home: Path
    console: KeptConsole = field(default_factory=KeptConsole)

    @property
    def variables(self) -> dict[str, str]:
        """The variables of its owner."""
        home = str(self.home)
        return {"PATH": os.environ["PATH"], "HOME": home, "MLFLOW_UV_HOME": home, "UV_CACHE_DIR": f"{home}/uv"}

    @contextmanager
    def environments(self) -> Iterator["Synced"]:
        """The environments of a new process."""
        host = Host.of(self.variables, folder=self.folder, python=Path(sys.executable))
        with toolbox(host, console=self.console) as tools:
            yield Synced(tools=tools, folder=self.folder)

    def uv(self, *argv: str) -> None:
        """Run uv as its owner."""
        subprocess.run(("uv", *argv), cwd=self.folder, env=self.variables, check=True, capture_output=True)


@dataclass(frozen=True)
class Synced:
    """Environments of the project in one process."""

    tools: Tools
    folder: Path

    def python(self) -> Path:
        """The interpreter of the private one, synced."""
        return self.tools.environments.project(read_project(self.folder), Selection())

    def own(self) -> Path:
        """The interpreter of the one beside the lock."""
        return self.tools.environments.own(read_project(self.folder), Selection())

    def edited(self, python: Path) -> str:
        """What a comparison after training finds."""
        found = self.tools.environments.edited_file(python)
        return found.name.rpartition("/")[2] if found else ""


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    """Locked, and never synced."""
    projects.wheel(tmp_path / "wheels", "fig", "1.0", fig_code=RIGHT)
    projects.wheel(tmp_path / "wheels", "grape", "1.0", grape_code=RIGHT)
    projects.wheel(tmp_path / "wheels", "plum", "1.0", plum_code=RIGHT)
    folder = projects.project(tmp_path / "wine", "fig", "grape", "plum", wheels=tmp_path / "wheels")
    made = Trained(folder=folder, home=tmp_path / "home")
    made.home.mkdir()
    projects.lock(folder)
    return made


def site(python: Path) -> Path:
    """The packages of an environment."""
    (folder,) = python.parent.parent.glob("lib/python*/site-packages")
    return folder


def code(python: Path, name: str = "grape") -> Path:
    """The module of a package that answers."""
    return site(python) / f"{name}_code" / "__init__.py"


def write_anew(file: Path, text: str = WRONG) -> None:
    """Write it as most editors do: as a new file, so that uv's cache keeps its own."""
    file.unlink()
    file.write_text(text)


def edit(python: Path) -> None:
    write_anew(code(python))


def remove(python: Path) -> None:
    code(python).unlink()


def replace_by_pipe(python: Path) -> None:
    code(python).unlink()
    os.mkfifo(code(python))


def add(python: Path) -> None:
    (code(python).parent / "more.py").write_text(WRONG)


def uninstall(python: Path) -> None:
    shutil.rmtree(site(python) / "grape_code")


@pytest.mark.parametrize("change", [edit, remove, uninstall, replace_by_pipe])
def test_a_package_that_was_edited_is_installed_again(trained: Trained, change: Callable[[Path], None]) -> None:
    """
    Also if the file is as long as before; the other packages stay as they are.
    """
    with trained.environments() as first:
        python = first.python()
    other = code(python, "fig").stat()
    change(python)

    with trained.environments() as second:
        again = second.python()

    assert (RIGHT, other) == (code(again).read_text(), code(again, "fig").stat())
    assert "files of grape changed in the environment: installed again" in trained.console.lines


def test_an_environment_that_nobody_edited_is_left_alone(trained: Trained) -> None:
    """
    Bytecode of Python is no change, and nothing is said.
    """
    with trained.environments() as first:
        python = first.python()
    before = {path: path.stat().st_ino for path in site(python).rglob("*.py")}
    subprocess.run((python, "-c", "import grape, grape_code"), check=True)

    with trained.environments() as second:
        again = second.python()

    assert (before, "") == ({path: path.stat().st_ino for path in site(again).rglob("*.py")}, second.edited(again))
    assert [] == [line for line in trained.console.lines if "again" in line]


def test_an_edit_in_place_is_an_edit_of_uvs_cache_and_refused(trained: Trained) -> None:
    """
    A file of an environment is one of uv's cache by a hard link; the command that is printed removes it there.
    """
    with trained.environments() as first:
        python = first.python()
    code(python).write_text(WRONG)
    linked = code(python).stat().st_nlink > 1

    with trained.environments() as second, pytest.raises(ToolFailed) as refused:
        second.python()
    trained.uv(*refused.value.fix.split()[1:])
    with trained.environments() as third:
        again = third.python()

    assert linked
    assert "`grape` cannot be used: `lib/" in refused.value.what
    assert "uv cache clean grape" == refused.value.fix
    assert (RIGHT, "") == (code(again).read_text(), third.edited(again))


def break_record(wheel: Path) -> None:
    """Let a module of a wheel be another one than its RECORD says, as a broken build leaves it."""
    with zipfile.ZipFile(wheel) as archive:
        files = {entry: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for entry, content in files.items():
            text = WRONG.encode() if entry.filename.endswith("_code/__init__.py") else content
            archive.writestr(zipfile.ZipInfo(entry.filename, (2026, 1, 1, 0, 0, 0)), text)


def test_a_wheel_with_a_wrong_record_is_used_as_it_is(trained: Trained) -> None:
    """
    What uv installs from the index without its cache is the same: a warning names it, once.

    Any other content of the file is an edit, as in every package, before training and after it.
    """
    break_record(trained.folder.parent / "wheels" / "grape-1.0-py3-none-any.whl")

    with trained.environments() as first:
        python = first.python()
        found = [first.edited(python)]
    with trained.environments() as second:
        found.append(second.edited(second.python()))
    write_anew(code(python), "ANSWER = 3\n")
    with trained.environments() as third:
        again = code(third.python()).read_text()
        write_anew(code(python), "ANSWER = 3\n")
        found.append(third.edited(python))

    (warning,) = (line for line in trained.console.lines if "whose RECORD" in line)
    assert warning.startswith("warning: `lib/")
    assert "is as in the wheel of `grape`, whose RECORD has another digest of it" in warning
    assert (["", "", "__init__.py"], WRONG) == (found, again)


@pytest.mark.parametrize("index", ["same", "other", "none"])
def test_a_cache_that_was_edited_before_is_refused_before_training(trained: Trained, index: str) -> None:
    """
    The environment is new, and has the edited file by a hard link; also if the index has a third content, or is gone.
    """
    wheels = trained.folder.parent / "wheels"
    trained.uv("sync", "--locked")
    if index == "other":
        break_record(wheels / "grape-1.0-py3-none-any.whl")
    code(trained.folder / ".venv" / "bin" / "python").write_text("ANSWER = 3\n")
    if index == "none":
        wheels.rename(wheels.with_name("elsewhere"))

    with trained.environments() as first, pytest.raises(ToolFailed) as refused:
        first.python()
    if index == "none":
        wheels.with_name("elsewhere").rename(wheels)
    trained.uv(*refused.value.fix.split()[1:])
    with trained.environments() as second:
        again = second.python()

    assert "`grape` cannot be used: `lib/" in refused.value.what
    assert ("uv cache clean grape", WRONG if index == "other" else RIGHT) == (
        refused.value.fix,
        code(again).read_text(),
    )
    assert index == "other" or [] == [line for line in trained.console.lines if "whose RECORD" in line]


def test_a_package_that_is_added_from_an_edited_cache_is_refused(trained: Trained) -> None:
    """
    Only what uv installs now is compared; the packages that were there before are as they were.
    """
    with trained.environments() as first:
        python = first.python()
    projects.wheel(trained.folder.parent / "wheels", "peach", "1.0", peach_code=RIGHT)
    projects.depend_on(trained.folder, "fig", "grape", "plum", "peach")
    projects.lock(trained.folder)
    trained.uv("sync", "--locked")
    code(trained.folder / ".venv" / "bin" / "python", "peach").write_text(WRONG)

    with trained.environments() as second, pytest.raises(ToolFailed) as refused:
        second.python()
    trained.uv(*refused.value.fix.split()[1:])
    with trained.environments() as third:
        again = third.python()

    assert ("uv cache clean peach", RIGHT, python) == (refused.value.fix, code(again, "peach").read_text(), again)


@pytest.mark.parametrize("name", ["sitecustomize.py", "sitecustomize.pyc", "../../../pyvenv.cfg", "../../../bin/stray"])
def test_a_file_of_no_package_makes_the_environment_again(trained: Trained, name: str) -> None:
    """
    A module that nobody installed would be imported all the same.
    """
    with trained.environments() as first:
        python = first.python()
    stray = site(python) / name
    before = stray.read_text() if stray.exists() else ""
    stray.write_text(f"{before}a = 1\n")

    with trained.environments() as second:
        again = second.python()

    assert before == (stray.read_text() if stray.exists() else "")
    assert RIGHT == code(again).read_text()


def test_what_changes_while_training_runs_is_found_by_its_content(trained: Trained) -> None:
    """
    Also with the size and the time of before; the next sync makes the environment again.
    """
    with trained.environments() as first:
        python = first.python()
        state = code(python).stat()
        unedited = first.edited(python)
        write_anew(code(python))
        os.utime(code(python), ns=(state.st_atime_ns, state.st_mtime_ns))
        edited = first.edited(python)

    with trained.environments() as second:
        again = second.python()

    assert ("", "__init__.py", RIGHT) == (unedited, edited, code(again).read_text())
    assert "the environment is made again: its files were not recorded" in trained.console.lines


def test_an_environment_of_an_earlier_release_is_compared_by_its_content(trained: Trained) -> None:
    """
    It has no state to compare with.
    """
    with trained.environments() as first:
        python = first.python()
    python.parent.parent.with_name(f"{python.parent.parent.name}.files.json").unlink()
    edit(python)

    with trained.environments() as second:
        again = second.python()

    assert RIGHT == code(again).read_text()


def test_the_projects_own_environment_is_refused_and_not_changed(trained: Trained) -> None:
    """
    The command that is printed installs the package again.
    """
    trained.uv("sync", "--locked")
    with trained.environments() as first:
        python = first.own()
    edit(python)

    with trained.environments() as second, pytest.raises(BadProject) as refused:
        second.own()
    kept = code(python).read_text()
    for command in refused.value.fix.split(" && "):
        trained.uv(*command.split()[1:])
    with trained.environments() as third:
        again = third.own()

    assert "`.venv` does not match uv.lock: `lib/" in refused.value.what
    assert (WRONG, RIGHT) == (kept, code(again).read_text())


def shadow(python: Path) -> None:
    (site(python) / "grape_code" / "taste").mkdir()
    (site(python) / "grape_code" / "taste" / "__init__.py").write_text(WRONG)


@pytest.mark.parametrize("change", [add, shadow])
def test_a_file_added_to_a_package_does_not_stay(trained: Trained, change: Callable[[Path], None]) -> None:
    """
    uv removes only what the RECORD lists, so that installing the package again would keep a module that shadows one.
    """
    with trained.environments() as first:
        python = first.python()
    change(python)

    with trained.environments() as second:
        again = second.python()
        edited = second.edited(again)

    assert ([code(again)], "") == (sorted(code(again).parent.rglob("*.py")), edited)
    assert any(line.startswith("the environment is made again: no package has lib/") for line in trained.console.lines)


@pytest.mark.parametrize("known", [True, False])
def test_an_environment_whose_files_were_not_recorded_is_made_again(trained: Trained, *, known: bool) -> None:
    """
    That of an earlier release may have a stray module, and one whose sync was killed a package without its RECORD.
    """
    with trained.environments() as first:
        python = first.python()
    folder = python.parent.parent
    state = folder.with_name(f"{folder.name}.files.json")
    (site(python) / "stray.pth").write_text("import os\n")
    next(site(python).glob("grape-*/RECORD")).unlink()
    if known:
        state.write_text(json.dumps(file_states(folder)))
    else:
        state.unlink()

    with trained.environments() as second:
        again = second.python()

    assert (False, 1) == ((site(again) / "stray.pth").exists(), len(list(site(again).glob("grape-*/RECORD"))))


def test_an_environment_that_nobody_used_for_long_is_removed_when_another_is_made(trained: Trained) -> None:
    """
    Not while a process uses it; a later release of its project makes it again.
    """
    other = projects.project(trained.folder.parent / "other", "fig", wheels=trained.folder.parent / "wheels")
    third = projects.project(trained.folder.parent / "third", "fig", wheels=trained.folder.parent / "wheels")
    projects.lock(other)
    projects.lock(third)
    kept = []
    with trained.environments() as first:
        environment = first.python().parent.parent
        os.utime(environment, (0, 0))
        with trained.environments() as second:
            second.tools.environments.project(read_project(other), Selection())
        kept.append(environment.is_dir())
    with trained.environments() as second:
        second.tools.environments.project(read_project(third), Selection())
        kept.append(environment.is_dir())
    with trained.environments() as first:
        again = first.python()

    assert ([True, False], RIGHT) == (kept, code(again).read_text())


def install_another(trained: Trained, python: Path) -> None:
    other = projects.wheel(trained.folder.parent / "others", "grape", "2.0", grape_code=WRONG)
    trained.uv("pip", "install", "--no-deps", "--python", str(python), str(other))


def install_other_content(trained: Trained, python: Path) -> None:
    other = projects.wheel(trained.folder.parent / "others", "grape", "1.0", grape_code=WRONG)
    trained.uv("pip", "install", "--no-deps", "--reinstall", "--python", str(python), str(other))


def leave_a_pipe_as_record(_trained: Trained, python: Path) -> None:
    (record,) = site(python).glob("grape-*/RECORD")
    record.unlink()
    os.mkfifo(record)


def leave_a_pipe(_trained: Trained, python: Path) -> None:
    replace_by_pipe(python)


def leave_a_module(_trained: Trained, python: Path) -> None:
    (site(python) / "sitecustomize.py").write_text(WRONG)


def leave_bytecode(_trained: Trained, python: Path) -> None:
    (site(python) / "grape_code" / "taste.pyc").write_bytes(b"")


def change_what_uv_wrote(_trained: Trained, python: Path) -> None:
    (python.parent.parent / "pyvenv.cfg").write_text("home = /tmp\n")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (install_another, "grape-1.0.dist-info"),
        (install_other_content, "grape-1.0.dist-info"),
        (leave_a_pipe_as_record, "grape-1.0.dist-info"),
        (leave_a_pipe, "__init__.py"),
        (leave_a_module, "sitecustomize.py"),
        (leave_bytecode, "taste.pyc"),
        (change_what_uv_wrote, "pyvenv.cfg"),
    ],
)
def test_what_a_training_installs_or_leaves_behind_is_found(
    trained: Trained, change: Callable[[Trained, Path], None], found: str
) -> None:
    """
    Another version agrees with its own RECORD; the next sync makes the environment again.
    """
    with trained.environments() as first:
        python = first.python()
        subprocess.run((python, "-c", "import grape_code"), check=True)
        before = first.edited(python)
        change(trained, python)
        after = first.edited(python)

    with trained.environments() as second:
        again = second.python()

    assert ("", found, RIGHT, "") == (before, after, code(again).read_text(), second.edited(again))


def test_data_that_training_writes_into_a_package_is_named_with_a_way_out(trained: Trained) -> None:
    """
    A corpus beside the code is not in the image; what numba caches lies with the bytecode, and is no difference.
    """
    with trained.environments() as first:
        python = first.python()
        cache = code(python).parent / "__pycache__"
        cache.mkdir(exist_ok=True)
        (cache / "numba.taste-1.py311.1.nbc").write_bytes(b"x")
        cached = first.edited(python)
        (code(python).parent / "corpus.bin").write_bytes(b"x")
        edited = first.tools.environments.edited_file(python)

    assert "" == cached
    assert edited is not None
    assert "lib/" in edited.name
    assert edited.name.endswith("site-packages/grape_code/corpus.bin")
    assert "the image would not have it either" in edited.why
    assert "a folder outside of it" in edited.advice


def test_the_projects_own_environment_has_no_module_of_nobody(trained: Trained) -> None:
    """
    The command that is printed makes it again.
    """
    trained.uv("sync", "--locked")
    with trained.environments() as first:
        python = first.own()
    (site(python) / "sitecustomize.py").write_text(WRONG)

    with trained.environments() as second, pytest.raises(BadProject) as refused:
        second.own()
    for command in refused.value.fix.split(" && "):
        trained.uv(*command.split()[1:])
    with trained.environments() as third:
        again = third.own()

    assert "sitecustomize.py" in refused.value.what
    assert not (site(again) / "sitecustomize.py").exists()
