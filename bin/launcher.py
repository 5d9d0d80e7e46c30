"""Runs the program in its own environment, which is made once from its own lock; bin/mlflow-uv starts it."""

import hashlib
import os
import sys

# Each start runs this file, uncompiled: whatever only the first start needs is in environment.py.
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def main(arguments):
    """
    Run the program; `github STEP` is how an action calls it.

    `hook`, `render`, `test` and `site` are for its developers.
    """
    module, flags, command = "mlflow_uv", ("--no-dev",), None
    typed = os.environ.pop("MLFLOW_UV_COMMAND", None)  # what messages call the program
    if arguments[:1] == ["github"]:
        module, flags, arguments = "mlflow_uv.surfaces.github", ("--no-dev", "--extra", "actions"), arguments[1:]
    elif arguments[:1] == ["hook"]:
        module, arguments = "mlflow_uv_hooks", arguments[1:]
    elif arguments[:1] == ["render"]:
        module, arguments = "mlflow_uv.surfaces.manifest", arguments[1:] or [ROOT]
    elif arguments[:1] == ["test"]:
        module, flags, arguments = "pytest", ("--group", "dev", "--extra", "actions"), arguments[1:]
        if "--fast" in arguments:
            arguments += ["tests/unit", "tests/house", *parallel()]
        elif all(argument.startswith("-") for argument in arguments):
            arguments += parallel()
        os.chdir(ROOT)
    elif arguments[:1] == ["site"]:
        flags, arguments = ("--only-group", "docs"), arguments[1:]
        command = [os.path.join(ROOT, "website", "build.py")]
    try:
        python = interpreter(flags)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where home is
        maker().end_without(error)
    if module == "mlflow_uv" and typed:
        os.environ["MLFLOW_UV_COMMAND"] = typed
    os.execv(python, [python, "-I", *(command or ["-m", module]), *arguments])


def parallel():
    """The flags of a whole suite; one process more than processors: tests wait for servers, engines and disks."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [f"--numprocesses={processors + 1}", "--dist=loadscope"]


def interpreter(flags):
    """The interpreter of an environment made from uv.lock; made only where it does not exist as it was made."""
    # That of developers has thirty times as many files, and gets no credentials.
    compared = "--no-dev" in flags
    check = whole if compared else usable
    with open(os.path.join(ROOT, "uv.lock"), "rb") as file:
        lock = file.read()
    words = (lock, os.fsencode(ROOT), sys.version.encode(), sys.executable.encode(), *map(str.encode, flags))
    key = hashlib.sha256(b"\0".join(words)).hexdigest()
    folder = os.path.join(private(), f"ours-{key[:16]}")
    if not check(folder):
        maker().make_once(folder, lock, flags, check, stamp if compared else None)
    return python_in(folder)


def python_in(folder):
    """Its interpreter."""
    return os.path.join(folder, "bin", "python")


def usable(folder):
    """Whether it was made to the end and its interpreter, a link to somebody else's, is still there."""
    return os.path.isfile(os.path.join(folder, "made")) and os.path.exists(python_in(folder))


def whole(folder):
    """Whether it is usable, and no file was touched since: sizes and times of about two hundred take a millisecond."""
    if not usable(folder):
        return False
    with open(os.path.join(folder, "made"), "rb") as file:
        kept = file.readline().strip()
    return kept == stamp(folder)


def stamp(folder):
    """A digest of the sizes and times of all files, except the one that has this digest."""
    made, states, folders = os.path.join(folder, "made"), [], [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.path != made:
                    state = entry.stat(follow_symlinks=False)
                    states.append(f"{entry.path}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}")
    return hashlib.sha256("\n".join(sorted(states)).encode(errors="surrogateescape")).hexdigest().encode()


def private():
    """Where we keep what can be made again."""
    if own := os.environ.get("MLFLOW_UV_HOME"):
        return os.path.join(os.getcwd(), own, "cache")
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(home(), ".cache")
    return os.path.join(os.getcwd(), caches, "mlflow-uv")


def home():
    """The user's folder. Raises RuntimeError if nobody knows it."""
    folder = os.path.expanduser("~")
    if folder == "~":
        raise RuntimeError("Could not determine home directory.")
    return folder


def maker():
    """What makes the environment."""
    sys.path.insert(0, os.path.join(ROOT, "bin"))
    import environment  # noqa: PLC0415  # takes three times as long as everything else here

    return environment


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
