"""
Creates the environment that serves a model: `python3 -I -B install.py [--apart] [--more] [FLAGS OF uv pip install]`.

It runs as root during an image build, next to a uv; `../packages` has `requirements.txt` and the wheels that it names.
Its output is reproducible: all files have the same date, and bytecode depends neither on dates nor on a hash seed. With
`--more` it adds packages to an existing environment without changing its files. With `--apart` it writes to a folder
that another stage copies, for the architecture in TARGETARCH, whichever it runs on.
"""

import csv
import json
import os
import platform
import py_compile
import re
import signal
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

VENV = Path("/opt/venv")
HERE = Path(__file__).parent
LAYER = Path("/layer")
MOUNTS = HERE.parent  # build mounts, which are in no layer
LISTED = MOUNTS / "packages"
FILE_DATE_S = 315532800  # 1980, the earliest date in a zip archive
PARTS = 8  # constant, not the number of processors: bytecode depends on what a process compiled before
APART, MORE = "--apart", "--more"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Folders that serving a model never imports: a third of the files.
UNSERVED = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo"}
)
ELSEWHERE = frozenset({"dist-packages", "site-packages"})
IGNORED_VARIABLES = ("PIP_", "PYTHON", "UV_", "VIRTUAL_ENV")


def main(flags: "list[str]") -> None:
    """Install the packages, compile them in a new interpreter, and set the dates."""
    uv, python = str(HERE / f"uv-{platform.machine()}"), str(VENV / "bin" / "python")
    if MORE not in sys.argv:
        run_or_exit(uv, "venv", "--no-config", "--quiet", "--python", sys.executable, str(VENV))
    arguments = (*(flag for flag in flags if flag not in {APART, MORE}), *cross_flags(), "-r", "requirements.txt")
    install = (uv, "pip", "install", "--no-config", "--python", python, *arguments)
    code, errors = run(*install)
    if missing := re.findall(r"there is no version of ([\w.-]+)==", errors):
        # uv caches index pages for minutes, and the version may be newer.
        run_or_exit(*install, *(f"--refresh-package={name}" for name in missing))
    elif code != 0:
        sys.exit(code)
    remove_uv_records()
    target = (str(LAYER), MACHINES.get(os.environ.get("TARGETARCH", ""), platform.machine())) if apart() else ()
    run_or_exit(sys.executable, "-I", "-B", str(HERE / "libraries.py"), "--link", str(VENV), *target)
    run_or_exit(sys.executable, "-B", "-S", "-s", __file__, "--compile", *flags)
    environment = VENV
    if apart():
        environment = LAYER / VENV.relative_to("/")
        environment.parent.mkdir(parents=True, exist_ok=True)
        VENV.rename(environment)
    for base, folders, files in os.walk(environment):
        for name in (*folders, *files):
            set_date(Path(base, name))
    set_date(environment)
    set_date(environment.parent)


def remove_uv_records() -> None:
    """Remove uv's lock file and the records of when local wheels were written, which differ per build."""
    (VENV / ".lock").unlink(missing_ok=True)
    for cache in VENV.glob("lib/python*/site-packages/*.dist-info/uv_cache.json"):
        record = cache.with_name("RECORD")
        rows = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(row for row in rows if f"/{cache.name}," not in row), encoding="utf-8")
        cache.unlink()


def apart() -> bool:
    """Whether another stage copies the result; a flag, because a base image may set TARGETARCH itself."""
    return APART in sys.argv


def cross_flags() -> "tuple[str, ...]":
    """uv's flags to install for another architecture; empty for this one."""
    machine = MACHINES.get(os.environ.get("TARGETARCH", ""), platform.machine())
    if not apart() or machine == platform.machine():
        return ()
    return ("--python-platform", f"{machine}-manylinux_2_28", "--only-binary", ":all:")


def run_or_exit(*argv: str) -> None:
    """Run a program, and exit with its status if it fails."""
    code, _ = run(*argv)
    if code != 0:
        sys.exit(code)


def run(*argv: str) -> "tuple[int, str]":
    """Run a program with the network settings of the build; its exit status and its standard error, also passed on."""
    network, scratch = MOUNTS / "network", MOUNTS / "cache" / "home"
    scratch.mkdir(parents=True, exist_ok=True)
    files = {"SSL_CERT_FILE": MOUNTS / "ca", "NETRC": MOUNTS / "netrc"}
    variables = {name: value for name, value in os.environ.items() if not name.startswith(IGNORED_VARIABLES)}
    variables |= json.loads(network.read_text()) if network.is_file() else {}
    variables |= {name: str(path) for name, path in files.items() if path.is_file()}
    variables |= {"HOME": str(scratch), "TMPDIR": str(scratch), "PYTHONHASHSEED": "0"}
    variables |= {"UV_CACHE_DIR": str(MOUNTS / "cache" / "uv"), "UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1"}
    with subprocess.Popen(argv, cwd=LISTED, env=variables, stderr=subprocess.PIPE, encoding="utf-8") as process:
        lines = []
        for line in process.stderr or ():
            sys.stderr.write(line)
            sys.stderr.flush()
            lines.append(line)
    return process.returncode, "".join(lines)


def compile_all() -> None:
    """Write the bytecode of the installed packages, and of the standard library, which slim images lack."""
    warnings.simplefilter("ignore")
    standard = () if apart() or MORE in sys.argv else sources(Path(sysconfig.get_path("stdlib")), UNSERVED | ELSEWHERE)
    uncompiled = [file for _, names in standard for file in names if not bytecode_path(file).exists()]
    before = {folder: folder.stat().st_mtime_ns for folder in {file.parent for file in uncompiled}}
    unused = idle(VENV, LISTED / "idle.txt")
    installed = (file for _, names in sources(VENV / "lib", UNSERVED) for file in names)
    files = [file for file in installed if file not in unused and is_new(file)] + uncompiled
    children = [start_compiler(files[part::PARTS]) for part in range(PARTS)]
    require_compiled([os.waitpid(child, 0)[1] for child in children])
    for path in filter(Path.exists, map(bytecode_path, uncompiled)):
        set_date(path)
        set_date(path.parent)
    for folder, modified_ns in before.items():
        os.utime(folder, ns=(modified_ns, modified_ns))


def idle(environment: Path, names: Path) -> "set[Path]":
    """The files of the packages that serving never imports, unless another package has the file, too."""
    listed = set(names.read_text(encoding="utf-8").split())
    files: dict[bool, set[Path]] = {True: set(), False: set()}
    for record in environment.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        name = re.sub(r"[-_.]+", "-", record.parent.name.partition("-")[0]).lower()
        with record.open(encoding="utf-8", newline="") as rows:
            files[name in listed].update(record.parents[1] / row[0] for row in csv.reader(rows) if row)
    return files[True] - files[False]


def sources(root: Path, without: "frozenset[str]") -> "Iterator[tuple[Path, list[Path]]]":
    """Every folder below `root` with its Python files, sorted."""
    for base, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in without)
        yield (
            Path(base),
            [path for name in sorted(files) if name.endswith(".py") and (path := Path(base, name)).is_file()],
        )


def start_compiler(files: "list[Path]") -> int:
    """Fork a process that compiles these files, and skips invalid Python; its process id."""
    child = os.fork()
    if child == 0:
        code = 0
        for file in files:
            try:
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(str(file), doraise=True, invalidation_mode=mode)
            except (py_compile.PyCompileError, FileNotFoundError, RecursionError, ValueError):
                continue
            except OSError as error:
                sys.stderr.write(f"`{file}` cannot be compiled: {error}\n")
                sys.stderr.flush()
                code = 1
                break
        os._exit(code)
    return child


def require_compiled(statuses: "list[int]") -> None:
    """Exit if one of the processes that compile failed; `statuses` are as `os.waitpid` returns them."""
    if not any(statuses):
        return
    signals = [os.WTERMSIG(status) for status in statuses if os.WIFSIGNALED(status)]
    reason = ", as the kernel does if no memory is left" if signal.SIGKILL in signals else ""
    why = f": a process was killed by signal {signals[0]}{reason}" if signals else ""
    sys.exit(f"the bytecode cannot be written{why}")


def bytecode_path(file: Path) -> Path:
    """The path of a file's bytecode."""
    return file.parent / "__pycache__" / f"{file.stem}.{sys.implementation.cache_tag}.pyc"


def is_new(file: Path) -> bool:
    """Whether a file has no bytecode, or was replaced: files of an earlier installation have FILE_DATE_S."""
    return not bytecode_path(file).exists() or file.stat().st_mtime != FILE_DATE_S


def set_date(path: Path) -> None:
    """Set FILE_DATE_S unless the file has it: touching a file of a lower layer would copy it."""
    if path.lstat().st_mtime != FILE_DATE_S:
        os.utime(path, (FILE_DATE_S, FILE_DATE_S), follow_symlinks=False)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compile"]:
        compile_all()
    else:
        main(sys.argv[1:])
