"""
Make the environment that serves a model: `python3 -I -B install.py [--apart] [--more] [FLAGS OF uv pip install]`.

Runs as root while an image is built, beside a uv; next door are `requirements.txt` and the wheels that it names. It
makes the same bytes every time: all files have one date, and bytecode depends neither on dates nor on a hash seed. With
`--more` it adds to what is there and touches nothing of it. With `--apart` another stage gets what it makes, for the
architecture in TARGETARCH, whichever it runs on.
"""

import json
import os
import platform
import py_compile
import re
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

VENV = Path("/opt/venv")
HERE = Path(__file__).parent
LAYER = Path("/layer")
DOOR = HERE.parent  # mounts, which no layer holds
LISTED = DOOR / "packages"
WHEN = 315532800  # 1980, before which no archive can date a file
PARTS = 8  # not the number of processors: what a compiler saw before shows in what it writes
APART, MORE = "--apart", "--more"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# What nobody imports who serves a model: a third of the files.
UNSERVED = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo"}
)
ELSEWHERE = frozenset({"dist-packages", "site-packages"})
STEERING = ("PIP_", "PYTHON", "UV_", "VIRTUAL_ENV")


def main(flags: "list[str]") -> None:
    """Install, let a fresh interpreter compile, and set the dates."""
    uv, python = str(HERE / f"uv-{platform.machine()}"), str(VENV / "bin" / "python")
    if MORE not in sys.argv:
        demand(uv, "venv", "--no-config", "--quiet", "--python", sys.executable, str(VENV))
    said = (*(flag for flag in flags if flag not in {APART, MORE}), *foreign(), "-r", "requirements.txt")
    install = (uv, "pip", "install", "--no-config", "--python", python, *said)
    code, told = run(*install)
    if lacking := re.findall(r"there is no version of ([\w.-]+)==", told):
        # uv remembers for minutes what an index has, and the version may be younger.
        demand(*install, *(f"--refresh-package={name}" for name in lacking))
    elif code != 0:
        sys.exit(code)
    forget()
    where = (str(LAYER), MACHINES.get(os.environ.get("TARGETARCH", ""), platform.machine())) if apart() else ()
    demand(sys.executable, "-I", "-B", str(HERE / "libraries.py"), "--lend", str(VENV), *where)
    demand(sys.executable, "-B", "-S", "-s", __file__, "--compile", *flags)
    made = VENV
    if apart():
        made = LAYER / VENV.relative_to("/")
        made.parent.mkdir(parents=True, exist_ok=True)
        VENV.rename(made)
    for base, folders, files in os.walk(made):
        for name in (*folders, *files):
            date(Path(base, name))
    date(made)
    date(made.parent)


def forget() -> None:
    """Remove what uv keeps for its next visit: a lock, and when each wheel that lay beside us was written."""
    (VENV / ".lock").unlink(missing_ok=True)
    for kept in VENV.glob("lib/python*/site-packages/*.dist-info/uv_cache.json"):
        record = kept.with_name("RECORD")
        rows = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(row for row in rows if f"/{kept.name}," not in row), encoding="utf-8")
        kept.unlink()


def apart() -> bool:
    """Whether another stage gets what we make; a base image may have the variable by chance."""
    return APART in sys.argv


def foreign() -> "tuple[str, ...]":
    """The flags by which uv installs for an architecture that is not this one."""
    wanted = MACHINES.get(os.environ.get("TARGETARCH", ""), platform.machine())
    if not apart() or wanted == platform.machine():
        return ()
    return ("--python-platform", f"{wanted}-manylinux_2_28", "--only-binary", ":all:")


def demand(*argv: str) -> None:
    """Start a program, and end as it ends where it fails."""
    code, _ = run(*argv)
    if code != 0:
        sys.exit(code)


def run(*argv: str) -> "tuple[int, str]":
    """Start a program with what the network needs; how it ended, and what it said while everybody heard it."""
    said, scratch = DOOR / "network", DOOR / "cache" / "home"
    scratch.mkdir(parents=True, exist_ok=True)
    laid = {"SSL_CERT_FILE": DOOR / "ca", "NETRC": DOOR / "netrc"}
    variables = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    variables |= json.loads(said.read_text()) if said.is_file() else {}
    variables |= {name: str(path) for name, path in laid.items() if path.is_file()}
    variables |= {"HOME": str(scratch), "TMPDIR": str(scratch), "PYTHONHASHSEED": "0"}
    variables |= {"UV_CACHE_DIR": str(DOOR / "cache" / "uv"), "UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1"}
    with subprocess.Popen(argv, cwd=LISTED, env=variables, stderr=subprocess.PIPE, encoding="utf-8") as process:
        lines = []
        for line in process.stderr or ():
            sys.stderr.write(line)
            sys.stderr.flush()
            lines.append(line)
    return process.returncode, "".join(lines)


def compile_all() -> None:
    """Write the bytecode of what was installed, and of the standard library, where slim images have none."""
    warnings.simplefilter("ignore")
    standard = () if apart() or MORE in sys.argv else sources(Path(sysconfig.get_path("stdlib")), UNSERVED | ELSEWHERE)
    lacking = [file for _, names in standard for file in names if not written(file).exists()]
    before = {folder: folder.stat().st_mtime_ns for folder in {file.parent for file in lacking}}
    without = idle(VENV, LISTED / "idle.txt")
    ours = (file for _, names in sources(VENV / "lib", UNSERVED) for file in names)
    files = [file for file in ours if file not in without and is_new(file)] + lacking
    children = [compiling(files[part::PARTS]) for part in range(PARTS)]
    codes = [os.waitpid(child, 0)[1] for child in children]
    if any(codes):
        sys.exit("the bytecode cannot be written")
    for path in filter(Path.exists, map(written, lacking)):
        date(path)
        date(path.parent)
    for folder, when in before.items():
        os.utime(folder, ns=(when, when))


def idle(environment: Path, names: Path) -> "set[Path]":
    """The files of the packages that nobody imports, and of no other: one in two packages is one of both."""
    listed = set(names.read_text(encoding="utf-8").split())
    files: dict[bool, set[Path]] = {True: set(), False: set()}
    for record in environment.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        name = re.sub(r"[-_.]+", "-", record.parent.name.partition("-")[0]).lower()
        rows = record.read_text(encoding="utf-8").splitlines()
        files[name in listed].update(record.parents[1] / row.rsplit(",", 2)[0].strip('"') for row in rows)
    return files[True] - files[False]


def sources(root: Path, without: "frozenset[str]") -> "Iterator[tuple[Path, list[Path]]]":
    """Every folder below with its Python files, in one order."""
    for base, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in without)
        yield Path(base), [Path(base, name) for name in sorted(files) if name.endswith(".py")]


def compiling(files: "list[Path]") -> int:
    """A child that compiles these files; what is no Python of this version, or a link to nothing, is left alone."""
    child = os.fork()
    if child == 0:
        code = 0
        for file in files:
            try:
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(str(file), doraise=True, invalidation_mode=mode)
            except (py_compile.PyCompileError, FileNotFoundError, RecursionError, ValueError):
                continue
            except OSError:
                code = 1
                break
        os._exit(code)
    return child


def written(file: Path) -> Path:
    """Where the bytecode of a file lies."""
    return file.parent / "__pycache__" / f"{file.stem}.{sys.implementation.cache_tag}.pyc"


def is_new(file: Path) -> bool:
    """Whether it has no bytecode, or took the place of a file that has: what lay there before has the one date."""
    return not written(file).exists() or file.stat().st_mtime != WHEN


def date(path: Path) -> None:
    """Give it the one date, unless it has it: a layer above would get a copy of what it only touches."""
    if path.lstat().st_mtime != WHEN:
        os.utime(path, (WHEN, WHEN), follow_symlinks=False)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compile"]:
        compile_all()
    else:
        main(sys.argv[1:])
