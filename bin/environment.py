"""Makes the program's own environment from its own lock; bin/launcher.py imports it only where there is none yet."""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from mlflow_uv.command.pip_settings import DISTRUST, MACHINE_STORE, TRUST, PipSettings
from mlflow_uv.core.security.masking import mask, secrets_in

# How each is told what to trust.
BUNDLES = {"pip": "PIP_CERT", "uv": "SSL_CERT_FILE"}
MISSING = 5  # as ToolMissing ends; 1 would say that there are findings
# What a caller may not steer: our Python, our index of files, our environment. Indexes, proxies and trust stay theirs.
STEERING = ("PYTHON", "VIRTUAL_ENV", "UV_PROJECT", "UV_PYTHON", "UV_NO_", "UV_FROZEN", "UV_LOCKED", "UV_EXCLUDE_NEWER",
            "UV_RESOLUTION", "UV_PRERELEASE", "UV_FORK", "UV_ENV", "UV_WORKING", "UV_DIRECTORY", "UV_OVERRIDE",
            "UV_CONSTRAINT", "UV_BUILD", "UV_COMPILE", "UV_REQUIRE", "UV_TARGET", "UV_SYSTEM_PYTHON", "PIP_TARGET",
            "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE", "PIP_PYTHON", "PIP_NO_", "PIP_CONSTRAINT", "PIP_ROOT")  # fmt: skip
OURS = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}


class NotMade(RuntimeError):
    """A program that makes the environment failed."""

    def __init__(self, what, *, fix):
        super().__init__(what)
        self.fix = fix


def make_once(place, lock, flags, whole, stamp):
    """
    Make the environment in a folder, unless another process has made it meanwhile. Raises OSError and NotMade.

    `stamp` returns a digest of the sizes and times of its files, and is None where they are not compared. Files that
    were touched and have the content of before are left as they are: a cache was unpacked, or its files were linked
    again. If their times cannot be kept (another user's folder, or that of an image), they are compared at each start.
    """
    folder = Path(place)
    differing = None
    try:
        turn = take_turn(folder)
    except OSError as error:
        differing = changes(folder) if stamp is not None else None
        if differing == []:
            return
        raise naming(differing, error) from None
    with turn:
        if whole(place):
            return
        if stamp is not None and kept(folder):
            touched, differing = stamp(place), changes(folder)  # what changes meanwhile is found the next time
            if not differing:
                with contextlib.suppress(OSError):
                    keep(folder, touched, kept(folder))
                return
            print(f"mlflow-uv: {harmless(differing[0])} changed in its environment", file=sys.stderr, flush=True)
        try:
            make(folder, tomllib.loads(lock.decode()), flags, beside=stamp is not None)
        except (OSError, NotMade) as error:
            raise naming(differing, error) from None
        if stamp is None:
            (folder / "made").touch()
        else:
            keep(folder, stamp(place), contents(folder))


def take_turn(folder):
    """Wait until no other process makes this environment; the others wait until the file is closed. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    turn = open(f"{folder}.lock", "w")  # noqa: SIM115  # the caller closes it
    fcntl.flock(turn, fcntl.LOCK_EX)
    return turn


def naming(differing, error):
    """The error, which also names a file that changed: the environment that has it is not run."""
    if differing:
        error.add_note(f"the present one is not used: `{differing[0]}` changed in it")
    return error


def changes(folder):
    """The paths whose content is not that of before; None if it is not known or nothing was completed."""
    before, now = kept(folder), contents(folder)
    return sorted(path for path in {*before, *now} if before.get(path) != now.get(path)) if before else None


def kept(folder):
    """The digests of all files of a complete environment, from when it was made; none where they cannot be read."""
    if not (folder / "bin" / "python").exists():
        return {}
    try:
        digests = json.loads((folder / "made").read_bytes().partition(b"\n")[2])
    except (OSError, ValueError, RecursionError):  # never finished, cut, or not ours
        return {}
    return digests if isinstance(digests, dict) else {}


def contents(folder):
    """A digest of each file, or where a link leads, by its path."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place, name)
            if path.is_symlink() or (path.is_file() and path != folder / "made"):
                content = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
                found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def keep(folder, touched, content):
    """Write down how an environment was made; it is complete from then on."""
    scratch = folder.with_name(f"{folder.name}.made")
    scratch.write_text(f"{touched.decode()}\n{json.dumps(content)}\n")
    scratch.replace(folder / "made")


def end_without(error):
    """End because there is no environment, and its folder cannot be made or run from."""
    what, fix = f"its own environment cannot be made: {error}", "a folder in which files can be written and run"
    what, fix = (str(error), error.fix) if isinstance(error, NotMade) else (what, f"set MLFLOW_UV_HOME to {fix}")
    end("; ".join((what, *getattr(error, "__notes__", ()))), fix=fix)


def make(folder, lock, flags, *, beside):
    """
    Sync our locked packages into `folder`, and put our sources on its path. Raises OSError and NotMade.

    It is made `beside` the one of before and takes its place when it is complete: what runs there goes on. The programs
    of the developers' environment name its path, so that it is made in its place.
    """
    print("mlflow-uv: making its environment (once)", file=sys.stderr, flush=True)
    scratch = folder.with_name(f"scratch-{folder.name}")  # /tmp may run nothing
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    scratch.mkdir()
    try:
        if not beside and folder.exists():
            shutil.rmtree(folder)  # uv refuses what is no environment any more
        new = scratch / "new" if beside else folder
        # Another part of PATH would lead into the folder where this is run.
        absolute = filter(os.path.isabs, OURS.get("PATH", "").split(os.pathsep))
        uv = shutil.which("uv", path=os.pathsep.join(absolute))
        if uv is None or not is_uv(uv):
            uv = fetch_uv(new, scratch, lock)
        install(uv, new, scratch / "ours.txt", flags)
        packages = next(new.glob("lib/python*/site-packages"))
        (packages / "mlflow_uv.pth").write_text(f"{ROOT / 'src'}\n{ROOT / 'hooks'}\n")
        if beside:
            if os.path.lexists(folder):
                folder.rename(scratch / "old")
            new.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def install(uv, folder, pins, flags):
    """Sync the packages; what pip is told about the network holds for uv too."""
    # Compiled now, so that no file is added later, and whatever times the sources get; copied, since an edited file
    # would be edited in uv's cache too.
    compared = "dev" not in flags and "docs" not in flags
    settings = {"UV_LINK_MODE": "copy", "PYC_INVALIDATION_MODE": "UNCHECKED_HASH"}
    compiled, copied = (("--compile-bytecode",), settings) if compared else ((), {})
    pip = PipSettings.read(OURS, prefix=Path(sys.base_prefix))
    mirror = pip.mirror(OURS)
    variables = {**OURS, **pip.network(OURS), **mirror, **copied, "UV_PROJECT_ENVIRONMENT": str(folder)}
    python = ("--python", sys.executable)
    if not mirror:
        commands = [("sync", "--frozen", "--no-install-project", *compiled, *python, *flags)]
    else:  # the lock's own addresses are those of the public index: here the same files come from another, by hash
        commands = [
            ("export", "--frozen", "--no-emit-project", "--output-file", pins, *flags),
            ("venv", "--no-project", "--allow-existing", *python, folder),
            (
                "pip",
                "install",
                "--require-hashes",
                "--no-deps",
                *compiled,
                "--python",
                folder / "bin/python",
                "-r",
                pins,
            ),
        ]
    machine = {name: value for name, value in variables.items() if name not in TRUST} | MACHINE_STORE
    instead = None if any(OURS.get(name) for name in TRUST) else machine
    for words in commands:
        argv = [uv, *words, "--project", ROOT, "--no-progress", "--quiet"]
        call("uv", argv, env=variables, instead=instead)


def is_uv(program):
    """Whether it says so: a shim may end well and do nothing."""
    try:
        done = subprocess.run([program, "--version"], env=OURS, cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0 and re.match(rb"uv \d", done.stdout) is not None


def fetch_uv(folder, scratch, lock):
    """Put the locked uv, by its hashes, into the environment itself, where uv then finds it: it is fetched once."""
    uv = next(package for package in lock["package"] if package["name"] == "uv")
    pins = " ".join([f"uv=={uv['version']}", *(f"--hash={wheel['hash']}" for wheel in uv["wheels"])])
    (scratch / "uv.txt").write_text(pins + "\n")
    pip = bundled_pip()
    # Without its own pip an environment takes 0.1 s instead of several.
    call("python3 -m venv", [sys.executable, "-I", "-m", "venv", *(["--without-pip"] if pip else []), folder],
         fix="apt-get install python3-venv")  # fmt: skip
    call("pip", [folder / "bin/python", "-I", *([pip] if pip else ["-m", "pip"]), "install", "--quiet",
                 "--disable-pip-version-check", "--no-compile", "--require-hashes", "--no-deps", "--only-binary",
                 ":all:", "-r", scratch / "uv.txt"])  # fmt: skip
    return folder / "bin/uv"


def bundled_pip():
    """The program in the wheel of pip that Python installs into new environments, None where it is elsewhere."""
    spec = importlib.util.find_spec("ensurepip")
    shared = sysconfig.get_config_var("WHEEL_PKG_DIR")
    folders = [shared, *(Path(place) / "_bundled" for place in (spec and spec.submodule_search_locations) or ())]
    wheels = (wheel for folder in folders if folder for wheel in sorted(Path(folder).glob("pip-*.whl")))
    wheel = next(wheels, None)
    return wheel and wheel / "pip"


def call(name, argv, *, env=OURS, instead=None, fix="see the lines above, then run it again"):
    """
    Run one program; if it fails, print what it said. Raises NotMade.

    `instead` are the variables to try where a certificate is not trusted.
    """
    done = run(argv, env)
    if done.returncode and instead is not None and DISTRUST in done.stdout:
        done = run(argv, instead)
    if done.returncode:
        for line in mask(done.stdout.rstrip(), secrets_in(env)).splitlines():
            print(f"  | {harmless(line)}", file=sys.stderr)
        if name in BUNDLES and any(words in done.stdout for words in (DISTRUST, "CERTIFICATE_VERIFY_FAILED")):
            fix = f"set {BUNDLES[name]} to a file with the certificates of your network"
        raise NotMade(f"`{name}` failed, so its own environment cannot be made", fix=fix)


def run(argv, env):
    """Run one program to its end; what it printed is in one stream."""
    return subprocess.run(list(map(str, argv)), env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")  # fmt: skip


def end(what, *, fix):
    """Say why there is nothing to run, and what helps."""
    message = harmless(f"{what}. Fix: {fix}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(f"::error title=mlflow-uv::{message.replace('%', '%25')}", flush=True)
    else:
        print(f"mlflow-uv: {message}", file=sys.stderr)
    sys.exit(MISSING)


def harmless(text):
    """One line that neither steers a terminal nor is a command to GitHub's runner, whatever it quotes."""
    shown = "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
    return shown.replace("##[", "# #[")
