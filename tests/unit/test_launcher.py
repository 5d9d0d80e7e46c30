"""The launcher makes its environment from a bare clone; the real launcher runs in a private folder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolMissing
from tests.conftest import ROOT
from tests.runner import Obeyed, obeyed

MAKING = "mlflow-uv: making its environment (once)\n"


def launch(
    home: Path, path: str | None = None, *, folder: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    """Ask for the version."""
    variables = {**os.environ, **more, "MLFLOW_UV_HOME": str(home)} | ({"PATH": path} if path else {})
    argv = [str(ROOT / "bin" / "mlflow-uv"), "--version"]
    return subprocess.run(argv, env=variables, cwd=folder, capture_output=True, text=True, check=False)


def shim(folder: Path, name: str, content: str) -> str:
    """A PATH on which a program of ours goes first."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def made(home: Path) -> Path:
    """The environment that was made."""
    (folder,) = (folder for folder in (home / "cache").glob("ours-*") if folder.is_dir())
    return folder


@pytest.mark.installs
def test_an_environment_is_made_once(tmp_path: Path) -> None:
    """
    The second run starts at once, and stdout holds nothing but the answer.
    """
    first = launch(tmp_path, UV_LINK_MODE="hardlink")

    second = launch(tmp_path)

    assert (0, MAKING) == (first.returncode, first.stderr)
    assert (0, "") == (second.returncode, second.stderr)
    assert first.stdout == second.stdout
    # A file that uv's cache has as well would be edited in both, and installed again.
    assert [] == [path for path in made(tmp_path).rglob("*") if path.is_file() and path.lstat().st_nlink > 1]


@pytest.mark.installs
@pytest.mark.parametrize(
    "fault", ["interpreter gone", "interpreter dangles", "never finished", "killed", "no environment"]
)
def test_an_environment_that_is_broken_is_made_anew(tmp_path: Path, fault: str) -> None:
    """
    A cached folder outlives the Python that it points to, and a run that was killed leaves half of one.
    """
    assert 0 == launch(tmp_path).returncode
    python = made(tmp_path) / "bin" / "python"
    match fault:
        case "interpreter gone":
            python.unlink()
        case "interpreter dangles":
            python.unlink()
            python.symlink_to("/no/such/python")
        case "never finished":
            (made(tmp_path) / "made").unlink()
        case "killed":
            (made(tmp_path) / "made").unlink()
            shutil.copytree(python.parent, tmp_path / "cache" / f"scratch-{made(tmp_path).name}" / "new" / "bin")
        case _:
            shutil.rmtree(python.parent)
            (made(tmp_path) / "pyvenv.cfg").unlink()

    done = launch(tmp_path)

    assert (0, MAKING) == (done.returncode, done.stderr)
    assert [] == list((tmp_path / "cache").glob("scratch-*"))


@pytest.mark.installs
def test_an_environment_whose_digests_were_damaged_is_made_anew(tmp_path: Path) -> None:
    """
    A disk was full, or somebody else wrote the file: nothing is known of an earlier content, and nothing is run.
    """
    home = tmp_path / "home"
    assert 0 == launch(home).returncode
    path = shim(tmp_path / "bin", "uv", '#!/bin/sh\n[ "$1" = --version ] && echo uv 0.9.9 || exit 2\n')
    file = made(home) / "made"
    digests = file.read_bytes().partition(b"\n")[2]

    found = []
    for damaged in (b"0\n" + digests[:-9], b"\xff\xfe\n\xff{", b"0\n[1]\n", b"0\n" + b"[" * 99999, b"0\n7\n", None):
        file.unlink()
        if damaged is None:
            file.mkdir()
        else:
            file.write_bytes(damaged)
        done = launch(home, path)
        found.append((done.returncode, done.stderr))
    again = launch(home)

    words = (
        "mlflow-uv: `uv` failed, so its own environment cannot be made. Fix: see the lines above, then run it again\n"
    )
    assert [(ToolMissing.exit_code, MAKING + words)] * 6 == found
    assert (0, MAKING, "") == (again.returncode, again.stderr, launch(home).stderr)


def edit_in_place(site: Path) -> None:
    """As long as before, and as old."""
    file = site / "packaging" / "version.py"
    state, content = file.stat(), file.read_bytes()
    file.unlink()  # it may be a file of uv's cache
    file.write_bytes(content.replace(b"import", b"Import", 1))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def edit_bytecode(site: Path) -> None:
    file = next((site / "packaging" / "__pycache__").glob("version.*.pyc"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def add_module(site: Path) -> None:
    (site / "sitecustomize.py").write_text("")


def link_package(site: Path) -> None:
    (site / "yaml").symlink_to(site / "packaging")


def remove_file(site: Path) -> None:
    (site / "packaging" / "py.typed").unlink()


@pytest.mark.installs
def test_an_environment_in_which_a_file_changed_is_made_again(tmp_path: Path) -> None:
    """
    It runs with every credential of a release; a path that changed is named, and nothing of it is run.
    """
    assert 0 == launch(tmp_path).returncode
    (site,) = made(tmp_path).glob("lib/python*/site-packages")
    whole = contents_of(site)

    found = {}
    for change in (edit_in_place, edit_bytecode, add_module, link_package, remove_file):
        change(site)
        done = launch(tmp_path)
        found[change.__name__] = (done.returncode, done.stderr.removesuffix(MAKING), contents_of(site) == whole)

    words = "mlflow-uv: {} changed in its environment\n"
    place = site.relative_to(made(tmp_path))
    assert {
        "edit_in_place": (0, words.format(place / "packaging" / "version.py"), True),
        "edit_bytecode": (0, words.format(place / "packaging" / "__pycache__" / bytecode_of("version")), True),
        "add_module": (0, words.format(place / "sitecustomize.py"), True),
        "link_package": (0, words.format(place / "yaml"), True),
        "remove_file": (0, words.format(place / "packaging" / "py.typed"), True),
    } == found


def bytecode_of(module: str) -> str:
    """The name of the bytecode of a module."""
    return Path(importlib.util.cache_from_source(f"{module}.py")).name


def contents_of(site: Path) -> dict[str, bytes]:
    """All files but bytecode, which has the times of its source."""
    return {
        str(path.relative_to(site)): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.mark.installs
def test_an_environment_whose_files_were_only_touched_is_kept(tmp_path: Path) -> None:
    """
    As from a cache of GitHub's that was unpacked, or if uv linked them once more; their new times are kept.
    """
    assert 0 == launch(tmp_path).returncode
    folder = made(tmp_path)
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    before = (folder / "made").read_text().partition("\n")

    done = launch(tmp_path)

    after = (folder / "made").read_text().partition("\n")
    assert (0, "", True, False) == (done.returncode, done.stderr, before[2] == after[2], before[0] == after[0])


@pytest.mark.installs
def test_touched_sources_do_not_change_the_bytecode(tmp_path: Path) -> None:
    """
    Python would write it anew for a source with another time, and the environment would be made again for that.
    """
    assert 0 == launch(tmp_path).returncode
    folder = made(tmp_path)
    for source in folder.rglob("*.py"):
        os.utime(source)

    subprocess.run((folder / "bin" / "python", "-I", "-c", "import jinja2, packaging.requirements"), check=True)
    runs = [launch(tmp_path), launch(tmp_path)]

    assert [(0, ""), (0, "")] == [(done.returncode, done.stderr) for done in runs]


@pytest.mark.installs
def test_a_changed_environment_that_cannot_be_made_again_is_kept_and_not_run(tmp_path: Path) -> None:
    """
    Offline, or on a full disk: the error names the file. With its content of before, the environment is used again.
    """
    home = tmp_path / "home"
    assert 0 == launch(home).returncode
    failing = '[ "$1" = --version ] && echo uv 0.9.9 || { echo offline; exit 2; }'
    path = shim(tmp_path / "bin", "uv", f"#!/bin/sh\n{failing}\n")
    (file,) = made(home).glob("lib/python*/site-packages/packaging/version.py")
    content = file.read_bytes()
    file.unlink()  # it should be no file of uv's cache
    file.write_bytes(content + b"raise SystemExit(7)\n")

    changed = launch(home, path)
    file.write_bytes(content)
    again = launch(home, path)

    place = file.relative_to(made(home))
    first, making, quoted, last = changed.stderr.splitlines()
    assert (ToolMissing.exit_code, "", f"mlflow-uv: {place} changed in its environment", MAKING, "  | offline") == (
        changed.returncode,
        changed.stdout,
        first,
        f"{making}\n",
        quoted,
    )
    assert (
        "mlflow-uv: `uv` failed, so its own environment cannot be made; the present one is not used: "
        f"`{place}` changed in it. Fix: see the lines above, then run it again"
    ) == last
    assert (0, "") == (again.returncode, again.stderr)
    assert [] == list((home / "cache").glob("scratch-*"))


# Starts a program where a folder cannot be written, by root either.
READ_ONLY = (
    *("unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c"),
    'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"',
)


@pytest.mark.installs
def test_an_environment_that_cannot_be_written_is_compared_by_content(tmp_path: Path) -> None:
    """
    As in an image or of another user: its files got new times when they were copied. A changed one is not run.
    """
    assert 0 == launch(tmp_path).returncode
    folder = made(tmp_path)
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    (file,) = folder.glob("lib/python*/site-packages/packaging/version.py")
    argv = [*READ_ONLY, str(tmp_path), str(ROOT / "bin" / "mlflow-uv"), "--version"]
    variables = {**os.environ, "MLFLOW_UV_HOME": str(tmp_path)}

    equal, again = (subprocess.run(argv, env=variables, capture_output=True, text=True, check=False) for _ in range(2))
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content + b"raise SystemExit(7)\n")
    changed = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)

    assert [(0, "")] * 2 == [(done.returncode, done.stderr) for done in (equal, again)]
    words = f"; the present one is not used: `{file.relative_to(folder)}` changed in it. Fix: set MLFLOW_UV_HOME to "
    assert (ToolMissing.exit_code, "", 1, True, True) == (
        changed.returncode,
        changed.stdout,
        changed.stderr.count("\n"),
        "Read-only file system" in changed.stderr,
        words in changed.stderr,
    )


@pytest.mark.installs
@pytest.mark.parametrize("content", [pytest.param("#!/bin/sh\necho junk\n", marks=pytest.mark.extended), "junk"])
def test_a_uv_on_path_that_is_not_uv_is_passed_over(tmp_path: Path, content: str) -> None:
    """
    A shim that ends well makes nothing: the uv of our lock is fetched instead.
    """
    path = shim(tmp_path / "bin", "uv", content)

    done = launch(tmp_path / "home", path)

    assert (0, MAKING) == (done.returncode, done.stderr)


@pytest.mark.installs
def test_where_a_machine_has_no_uv_it_is_fetched_once(tmp_path: Path) -> None:
    """
    With an empty home, and only the variables for the network: uv finds itself in the environment that it completes.
    """
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    network = {name: value for name, value in os.environ.items() if re.match(r"PIP_|SSL_|(?i:https?|no)_PROXY", name)}
    argv = [str(ROOT / "bin" / "mlflow-uv"), "--version"]

    done = subprocess.run(
        argv, env={**network, "HOME": str(tmp_path), "PATH": str(programs)}, capture_output=True, text=True, check=False
    )

    assert (0, MAKING) == (done.returncode, done.stderr)
    (environment,) = (tmp_path / ".cache" / "mlflow-uv").glob("ours-*/")
    (installer,) = environment.glob("lib/python*/site-packages/uv-*.dist-info/INSTALLER")
    assert ("pip", True) == (installer.read_text().strip(), (environment / "bin" / "uv").exists())


@pytest.mark.installs
@pytest.mark.parametrize("part", ["", ".", "bin"])
def test_programs_of_the_current_folder_are_not_started(tmp_path: Path, part: str) -> None:
    """
    An empty or relative part of PATH leads into a checkout that is not trusted.
    """
    for name in ("python3", "python", "python3.13", "uv", "readlink"):
        for folder in (tmp_path, tmp_path / "bin"):
            shim(folder, name, f"#!/bin/sh\ntouch {tmp_path}/started-{name}\nexit 1\n")
    path = f"{part}{os.pathsep}{os.environ['PATH']}"

    done = launch(tmp_path / "home", path, folder=tmp_path)

    assert (0, MAKING, []) == (done.returncode, done.stderr, list(tmp_path.glob("started-*")))


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    """
    Not a trace, and not the exit code of findings.
    """
    (tmp_path / "file").touch()

    done = launch(tmp_path / "file" / "home")

    assert (ToolMissing.exit_code, 1) == (done.returncode, done.stderr.count("\n"))
    assert done.stderr.startswith("mlflow-uv: its own environment cannot be made: ")
    assert done.stderr.endswith("Fix: set MLFLOW_UV_HOME to a folder in which files can be written and run\n")


def test_a_uv_that_fails_is_quoted(tmp_path: Path) -> None:
    """
    What it printed stands above our line, and the exit code is not that of findings.
    """
    path = shim(
        tmp_path / "bin", "uv", '#!/bin/sh\n[ "$1" = --version ] && echo uv 0.9.9 || { echo no network; exit 2; }\n'
    )

    done = launch(tmp_path / "home", path)

    expected = "  | no network\nmlflow-uv: `uv` failed, so its own environment cannot be made. "
    assert (ToolMissing.exit_code, "") == (done.returncode, done.stdout)
    assert f"{MAKING}{expected}Fix: see the lines above, then run it again\n" == done.stderr


def test_on_github_its_failure_is_an_annotation_and_its_quotes_are_no_commands(tmp_path: Path) -> None:
    """
    What a program printed that failed neither acts in the log nor colours it.
    """
    words = r"printf '::set-env name=A::b\n \033[31m##[error]red\n'; exit 2"
    path = shim(tmp_path / "bin", "uv", f'#!/bin/sh\n[ "$1" = --version ] && echo uv 0.9.9 || {{ {words}; }}\n')

    done = launch(tmp_path / "home", path, GITHUB_ACTIONS="true")

    message = "`uv` failed, so its own environment cannot be made. Fix: see the lines above, then run it again"
    assert [Obeyed("error", message, {"title": "mlflow-uv"})] == obeyed(f"{done.stderr}\n{done.stdout}")
    assert (ToolMissing.exit_code, "  | ::set-env name=A::b\n  |  \\x1b[31m# #[error]red\n") == (
        done.returncode,
        done.stderr.removeprefix(MAKING),
    )


class Pythons:
    """Folders for a PATH, with programs in them; the launcher here only says which interpreter it got, and what for."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        bin_folder = scratch / "clone" / "bin"
        bin_folder.mkdir(parents=True)
        shutil.copy(ROOT / "bin" / "mlflow-uv", bin_folder)
        (bin_folder / "launcher.py").write_text("import sys; print(sys.flags.isolated, sys.argv[1:])")
        self.program = bin_folder / "mlflow-uv"

    def add(self, place: str, content: str) -> Path:
        """A program that is a line of shell; the path of its folder."""
        file = self.scratch / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{content}\n")
        file.chmod(0o755)
        return file.parent

    def add_python(self, place: str, version: str, *, level: str = "final", flags: str = "") -> Path:
        """A program that answers as the Python of a version would, and tells that it was taken."""
        state = f"sys.version_info = ({version.replace('.', ', ')}, 0, '{level}', 0); sys.abiflags = '{flags}'"
        question = f"import sys; {state}; sys.executable = sys.argv[1]; exec(sys.argv[2])"
        answer = f'[ "$3" = -c ] && exec {sys.executable} -I -S -c "{question}" "$0" "$4"'
        return self.add(place, f'{answer}\necho "took $0"; exec {sys.executable} "$@"')

    def start(self, *folders: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Start it with nothing but these folders on PATH, and a home that is not there."""
        path = os.pathsep.join(map(str, folders))
        return subprocess.run(
            [self.program, "check-lock", "a b"],
            env={"PATH": path, "HOME": str(self.scratch / "home"), "RUNNER_TOOL_CACHE": "/nowhere"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def taken(self, *folders: Path, **variables: str) -> str:
        """The program that was taken, as a path below the scratch folder."""
        done = self.start(*folders, **variables)
        took, *rest = done.stdout.splitlines()
        assert (0, "", ["1 ['check-lock', 'a b']"]) == (done.returncode, done.stderr, rest)
        return str(Path(took.removeprefix("took ")).relative_to(self.scratch))


@pytest.fixture
def pythons(tmp_path: Path) -> Pythons:
    """Nothing yet."""
    return Pythons(tmp_path)


FAILS = 'echo "pyenv: python: command not found" >&2; exit 127'


def test_the_python_of_the_machine_is_taken_first(pythons: Pythons) -> None:
    """
    A newer one that has another name is not asked for.
    """
    path = pythons.add_python("bin/python3", "3.11")
    pythons.add_python("bin/python3.14", "3.14")

    assert "bin/python3" == pythons.taken(path)


@pytest.mark.parametrize("first", ["3.10", "3.6", "2.7"])
def test_where_it_is_too_old_the_newest_is_taken(pythons: Pythons, first: str) -> None:
    """
    Also one that nobody knew of when this was written.
    """
    path = pythons.add_python("bin/python3", first)
    for version in ("3.9", "3.12", "3.42"):
        pythons.add_python(f"bin/python{version}", version)

    assert "bin/python3.42" == pythons.taken(path)


def test_a_shim_that_fails_is_passed_over(pythons: Pythons) -> None:
    """
    A folder's `.python-version` lets the shims of other versions fail, and the one of its own is too old.
    """
    shims = pythons.add_python("shims/python3", "3.10")
    for name in ("python3.14", "python3.13", "python3.12"):
        pythons.add(f"shims/{name}", FAILS)
    path = pythons.add_python("bin/python3.12", "3.12")

    assert "bin/python3.12" == pythons.taken(shims, path)


def test_where_every_name_is_a_shim_that_fails_the_version_itself_is_taken(pythons: Pythons) -> None:
    """
    `python3` included: what lets it fail is the folder that somebody is in.
    """
    shims = pythons.add("shims/python3", FAILS)
    pythons.add("shims/python3.13", FAILS)
    pythons.add_python("pyenv/versions/3.10.13/bin/python3", "3.10")
    pythons.add_python("pyenv/versions/3.13.0/bin/python3", "3.13")

    assert "pyenv/versions/3.13.0/bin/python3" == pythons.taken(shims, PYENV_ROOT=str(pythons.scratch / "pyenv"))


@pytest.mark.parametrize(
    ("place", "variables"),
    [
        ("home/.pyenv/versions/3.12.1/bin/python3", {}),
        ("home/.local/share/uv/python/cpython-3.12.1-linux/bin/python3", {}),
        ("data/uv/python/cpython-3.12.1-linux/bin/python3", {"XDG_DATA_HOME": "data"}),
        ("tools/Python/3.12.1/x64/bin/python3", {"RUNNER_TOOL_CACHE": "tools"}),
    ],
)
def test_pythons_that_are_on_no_path_are_found(pythons: Pythons, place: str, variables: dict[str, str]) -> None:
    """
    Where pyenv, uv and GitHub's runners keep theirs.
    """
    pythons.add_python(place, "3.12")
    folders = {name: str(pythons.scratch / folder) for name, folder in variables.items()}

    assert place == pythons.taken(pythons.add_python("bin/python3", "3.10"), **folders)


def test_one_that_is_not_final_or_has_no_global_lock_is_the_last_choice(pythons: Pythons) -> None:
    """
    Few have built packages for it.
    """
    path = pythons.add_python("bin/python3.15", "3.15", level="alpha")
    pythons.add_python("bin/python3.14", "3.14", flags="t")
    alone = pythons.taken(path)

    pythons.add_python("bin/python3.11", "3.11")

    assert ("bin/python3.15", "bin/python3.11") == (alone, pythons.taken(path))


def test_a_link_to_the_program_finds_its_clone(pythons: Pythons) -> None:
    """
    As somebody has it who put one on their PATH.
    """
    (pythons.scratch / "elsewhere").mkdir()
    link = pythons.scratch / "elsewhere" / "mlflow-uv"
    link.symlink_to("../clone/bin/mlflow-uv")
    pythons.program = link
    path = pythons.add_python("bin/python3", "3.12")
    (path / "readlink").symlink_to(str(shutil.which("readlink")))

    assert "bin/python3" == pythons.taken(path)


@pytest.mark.parametrize(
    ("here", "fix"),
    [
        ("uv", "uv python install 3.13"),
        ("pyenv", "pyenv install 3.13"),
        ("brew", "brew install python"),
        ("apt-get", "apt-get install python3.11 python3.11-venv"),
        ("nothing", "install Python 3.11 or newer with its venv module"),
    ],
)
def test_a_python_that_is_too_old_is_said(pythons: Pythons, here: str, fix: str) -> None:
    """
    With the version that is there, and a fix by a program that is there.
    """
    path = pythons.add_python("bin/python3", "3.10")
    pythons.add(f"bin/{here}", "exit 0")

    done = pythons.start(path)

    what = "mlflow-uv: Python 3.11 or newer is needed, and python3 is 3.10."
    assert (ToolMissing.exit_code, "", f"{what} Fix: {fix}\n") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("manager", "folder"),
    [("uv", "home/.local/share/uv/python/cpython-3.13.1-linux/bin"), ("pyenv", "home/.pyenv/versions/3.13.1/bin")],
)
def test_what_a_manager_is_told_to_install_is_then_found(pythons: Pythons, manager: str, folder: str) -> None:
    """
    The command of the message is carried out as it is printed; it puts the Python where it belongs, on no PATH.
    """
    path = pythons.add_python("bin/python3", "3.10")
    python = pythons.add_python("kept/python3", "3.13") / "python3"
    there = pythons.scratch / folder
    pythons.add(f"bin/{manager}", f'[ "${{*#python }}" = "install 3.13" ] && mkdir -p {there} && cp {python} {there}')
    fix = pythons.start(path).stderr.partition("Fix: ")[2]

    subprocess.run(fix, shell=True, check=True, env={"PATH": f"{path}:/usr/bin:/bin"})  # as it is printed

    assert f"{folder}/python3" == pythons.taken(path)


def test_on_github_it_is_an_annotation_that_names_the_action(pythons: Pythons) -> None:
    """
    What a package manager did there would be gone with the machine.
    """
    path = pythons.add_python("bin/python3", "3.10")
    pythons.add("bin/apt-get", "exit 0")

    done = pythons.start(path, GITHUB_ACTIONS="true")

    assert ToolMissing.exit_code == done.returncode
    assert done.stdout.startswith("::error title=mlflow-uv::Python 3.11 or newer is needed, and python3 is 3.10. Fix: ")
    assert "actions/setup-python" in done.stdout


def test_where_no_python_starts_it_is_said(pythons: Pythons) -> None:
    """
    Not by the words of a shim.
    """
    done = pythons.start(pythons.add("bin/python3", FAILS))

    assert (ToolMissing.exit_code, 1) == (done.returncode, done.stderr.count("\n"))
    assert done.stderr.startswith("mlflow-uv: Python 3.11 or newer is needed, and none starts here. Fix: ")


WINDOWS = "mlflow-uv: Windows is not supported. Fix: run it in WSL, or in a job on ubuntu-latest\n"


def test_windows_is_refused_before_a_python_is_looked_for(pythons: Pythons) -> None:
    """
    The shell of an action runs there too.
    """
    done = pythons.start(pythons.add_python("bin/python3", "3.12"), OS="Windows_NT")

    assert (ToolMissing.exit_code, "", WINDOWS) == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "module", ["mlflow_uv", "mlflow_uv.surfaces.cli", "mlflow_uv.surfaces.github", "mlflow_uv_hooks"]
)
def test_windows_is_refused_by_every_entry(module: str) -> None:
    """
    In one sentence, before anything is imported that is not there: `fcntl`, `pwd`.
    """
    code = (
        "import runpy, sys; sys.platform = 'win32'; sys.modules['fcntl'] = sys.modules['pwd'] = None;"
        f" runpy.run_module({module!r}, run_name='__main__')"
    )

    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)

    assert (ToolMissing.exit_code, "", WINDOWS) == (done.returncode, done.stdout, done.stderr)


@pytest.mark.installs
def test_messages_name_the_program_as_it_was_typed(tmp_path: Path) -> None:
    """
    The command that mends can be pasted where nothing is installed.
    """
    typed = os.path.relpath(ROOT / "bin" / "mlflow-uv", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "wine"\nversion = "1"\n')

    done = subprocess.run(
        [typed, "register"],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_UV_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"Fix: {typed} log-model, or --record FILE\n" in done.stderr
    assert 2 == done.returncode


def test_a_shell_starts_the_launcher_in_its_own_folder(tmp_path: Path) -> None:
    """
    `sh mlflow-uv` gives the script a name without a folder.
    """
    folder = tmp_path / "mein bin ü"
    folder.mkdir()
    shutil.copy(ROOT / "bin" / "mlflow-uv", folder)
    (folder / "launcher.py").write_text("print('started')\n")

    done = subprocess.run(["sh", "mlflow-uv"], cwd=folder, capture_output=True, text=True, check=False)

    assert ("started\n", "", 0) == (done.stdout, done.stderr, done.returncode)
