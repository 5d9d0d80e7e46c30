"""Fixtures of all tests: a clean environment, the programs of the lock, and the options of a run."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.sharing import SharedFolder, shared_folder
from tests.tls import ClosedWhereNoneWasMade
from tests.waiting import CEILING_S

# How long an example takes depends on who else uses the machine. Each run has the same examples, so that none fails on
# the day of a release for what is as old as the product; `--extended` looks for new ones.
settings.register_profile(
    "house", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fast", parent=settings.get_profile("house"), max_examples=15)
settings.register_profile("extended", parent=settings.get_profile("house"), derandomize=False)
settings.load_profile("house")
# For servers of the tests, and for clients of what is under test.
ssl.SSLContext.sslsocket_class = ClosedWhereNoneWasMade

ROOT = Path(__file__).resolve().parents[1]
# Where the programs of our own lock are: uv, act, prek, ruff and the others.
PROGRAMS = Path(sys.executable).parent
ACT = "tests/github/"
# Folders whose files share fixtures of a session, and, slowest first, those that would be waited for at the end.
SHARING = ("tests/cases/", "tests/contracts/")
# Whose tests use the wine example with its image, the fixture `released`: each process would make its own in minutes.
RELEASED = ("tests/cases/test_substitution.py", "tests/cases/test_deploy.py", "tests/cases/test_export_model.py")
SLOWEST = (ACT, "tests/cases/test_substitution", "tests/contracts/test_serving", "tests/cases/", "tests/contracts/",
           "tests/hostile/", "tests/corpus/", "tests/hooks/", "tests/house/", "tests/pictures/", "tests/website/",
           "tests/unit/signing/", "tests/unit/tools/signing/")  # fmt: skip
# Variables of the machine that a test may see; everything else could steer what is under test.
MACHINE = (
    "ALL_PROXY", "CURL_CA_BUNDLE", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LOGNAME", "MLFLOW_UV_LOCKS",
    "MLFLOW_UV_REQUIRE_ENGINE",
    "NO_PROXY", "PATH", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL", "REQUESTS_CA_BUNDLE", "SHELL",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER", "UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL",
    "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
)  # fmt: skip


# What `--fast` leaves out.
SLOW = ("extended", "engine", "installs")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--extended", action="store_true", help="also run what takes a minute or more")
    parser.addoption("--keep-pictures", action="store_true", help="keep the pictures of pages: look at each of them")
    parser.addoption(
        "--picture-of", action="append", default=[], help="a report, comment or summary to picture in docs/"
    )
    parser.addoption("--fast", action="store_true", help="leave out what installs packages or needs an engine")


def pytest_configure(config: pytest.Config) -> None:
    if profile := next((name for name in ("fast", "extended") if config.getoption(f"--{name}")), None):
        settings.load_profile(profile)


class Together(LoadScopeScheduling):
    """
    Where several processes test: files that share fixtures stay with one of them, and the slow ones come first.

    Files of a folder whose names begin with the same word (`test_serving.py`, `test_serving_v2.py`) share the
    environments that a session makes, each of which costs minutes. The tests of act share their user's folders.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(ACT):
            return ACT
        file = nodeid.partition("::")[0]
        if file in RELEASED:
            return RELEASED[0]
        if not file.startswith(SHARING):
            return file
        folder, _, name = file.rpartition("/")
        return f"{folder}/{'_'.join(name.removesuffix('.py').split('_')[:2])}"

    def _assign_work_unit(self, node: WorkerController) -> None:
        def place(scope: str) -> int:
            return next((at for at, start in enumerate(SLOWEST) if scope.startswith(start)), len(SLOWEST))

        self.workqueue.move_to_end(min(self.workqueue, key=place), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """See pytest-xdist, whose own groups are lost on a pytest that keeps the names of tests elsewhere."""
    return Together(config, log)


# Text whose order or address changes from process to process: several processes would collect different tests.
UNSTABLE = re.compile(r"set\(\{[^}]*,| at 0x[0-9a-f]+")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if unstable := [item.nodeid for item in items if UNSTABLE.search(item.nodeid)]:
        raise pytest.UsageError(f"these tests have another name in each process: {', '.join(unstable)}")
    if config.getoption("--fast"):
        slow = [item for item in items if any(map(item.get_closest_marker, SLOW))]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    if config.getoption("--extended"):
        return
    later = {*filter(is_extended, items), *beyond_core_variants(items)}
    for item in later:
        item.add_marker(pytest.mark.skip(reason="takes long: --extended runs it"))
    users = {item.nodeid.partition("::")[0] for item in items if item not in later and "released" in fixtures_of(item)}
    if apart := users - {*RELEASED}:
        raise pytest.UsageError(f"they use the fixture `released`, and are not in RELEASED: {', '.join(sorted(apart))}")


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """The names of the fixtures that a test uses."""
    return getattr(item, "fixturenames", ())


def is_extended(item: pytest.Item) -> bool:
    """Whether a test belongs to the extended suite as a whole."""
    return item.get_closest_marker("extended") is not None


def beyond_core_variants(items: list[pytest.Item]) -> list[pytest.Item]:
    """
    The variants of parametrised tests that are left to the extended suite.

    Of a test that is marked `core_variants(n)`, the first n in the order of the parameters are in the core suite; what
    is marked as extended does not count.
    """
    variants: defaultdict[str, list[Any]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("core_variants") and not is_extended(item):
            variants[item.nodeid.partition("[")[0]].append(item)
    return [item for several in variants.values() for item in _ordered(several)[_core_variants(several[0]) :]]


def _ordered(variants: list[Any]) -> list[Any]:
    return sorted(variants, key=lambda item: tuple(item.callspec.indices.values()))


def _core_variants(item: pytest.Item) -> int:
    marker = item.get_closest_marker("core_variants")
    assert marker is not None
    count: int = marker.args[0]
    return count


@pytest.fixture(scope="session", autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    A private home for what we make, git without anybody's settings, no variable that steers uv, pip, Python or MLflow.

    uv's cache stays the machine's: it is addressed by content, and a test that fills it anew would take minutes.
    """
    home = tmp_path_factory.mktemp("home")
    before = dict(os.environ)
    for name in before.keys() - {*MACHINE, *map(str.lower, MACHINE)}:
        if not name.startswith(("LC_", "DOCKER_", "PYTEST_")):
            del os.environ[name]
    os.environ["UV_CACHE_DIR"] = before.get("UV_CACHE_DIR") or _uv_cache()
    os.environ |= {
        "MLFLOW_UV_HOME": str(home / "mlflow-uv"),
        # Not the null device: where a test has git write its settings, root's git puts a file in its place.
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
        "PATH": f"{_shelf(home / 'bin')}{os.pathsep}{_without_shims(before['PATH'])}",
    }
    yield home
    os.environ.clear()
    os.environ |= before


def _uv_cache() -> str:
    done = subprocess.run([PROGRAMS / "uv", "cache", "dir"], capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.strip()


def _without_shims(path: str) -> str:
    """
    PATH with the folder of the machine's Python first, where its `python3` is a script that looks for it.

    pyenv's takes half a second, and uv runs it in every call, because it keeps nothing of what is not an interpreter.
    """
    python = Path(shutil.which("python3", path=path) or sys.executable)
    if not python.read_bytes().startswith(b"#!"):
        return path
    argv = (python, "-I", "-c", "import sys; print(sys.base_prefix)")
    prefix = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/").stdout.strip()
    return f"{prefix}/bin{os.pathsep}{path}"


def _shelf(folder: Path) -> Path:
    """The programs of our lock without its Python: `python3` stays the machine's, as on anybody's machine."""
    folder.mkdir(parents=True)
    for program in PROGRAMS.iterdir():
        if not program.name.startswith(("python", "activate", "deactivate")):
            (folder / program.name).symlink_to(program)
    return folder


@pytest.fixture(autouse=True)
def _own_variables() -> Iterator[None]:
    """No test changes the variables of the next."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ |= before


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedFolder:
    """What all processes of this run have in common."""
    return shared_folder(tmp_path_factory)


@pytest.fixture(scope="session")
def engine_complaint() -> str:
    """Why no container engine can be used, empty where one answers."""
    docker = shutil.which("docker")
    if docker is None:
        return "docker is not installed"
    done = subprocess.run([docker, "info"], capture_output=True, text=True, check=False, timeout=CEILING_S)
    return "" if done.returncode == 0 else f"`docker info` says: {(done.stderr or done.stdout).strip()[-300:]}"


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs; skips where it is not installed, fails where it should be."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else missing("PostgreSQL is not installed: apt-get install postgresql")


@pytest.fixture(scope="session")
def podman_program() -> str:
    """Where Podman is; skips and fails as above."""
    return shutil.which("podman") or missing("Podman is not installed: apt-get install podman")


@pytest.fixture(scope="session")
def registry_program() -> str:
    """Where a real container registry is; skips and fails as above."""
    return shutil.which("docker-registry") or missing("no registry is installed: apt-get install docker-registry")


@pytest.fixture(scope="session")
def browser() -> None:
    """Skip where Debian's browser or its fonts are not installed; fails as above."""
    fonts = (Path("/usr/share/fonts/truetype") / name for name in ("dejavu", "liberation"))
    if not all(map(shutil.which, ("chromium", "pdftoppm"))) or not all(folder.is_dir() for folder in fonts):
        packages = "chromium fonts-dejavu-core fonts-liberation poppler-utils"
        missing(f"the browser of the pictures is not installed: apt-get install {packages}")


@pytest.fixture(scope="session")
def fish_program() -> str:
    """Where fish is; skips and fails as above."""
    return shutil.which("fish") or missing("fish is not installed: apt-get install fish")


@pytest.fixture(scope="session")
def zsh_program() -> str:
    """Where zsh is; skips and fails as above."""
    return shutil.which("zsh") or missing("zsh is not installed: apt-get install zsh")


@pytest.fixture(scope="session")
def root_user() -> None:
    """The tests run as root, who may act as another user; skips where they do not."""
    if os.geteuid() != 0:
        pytest.skip("only root acts as another user")


@pytest.fixture(scope="session")
def empty_mount() -> Path:
    """An empty folder on which a file system is mounted, by no other test; skips where there is none."""
    places = (Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines())
    lasting = (place for place in places if not place.is_relative_to(tempfile.gettempdir()))
    return next(filter(_is_empty_folder, lasting), None) or pytest.skip("no empty file system is mounted")


def _is_empty_folder(place: Path) -> bool:
    try:
        return not any(place.iterdir())
    except OSError:  # a file, somebody else's, or no longer there
        return False


@pytest.fixture(scope="session")
def pyenv_program() -> str:
    """Where pyenv is, without which MLflow creates no virtualenv; skips where it is not installed."""
    return shutil.which("pyenv") or pytest.skip("pyenv is not installed")


@pytest.fixture(scope="session")
def java_program() -> str:
    """Where Java is, which Spark runs on; skips and fails as above."""
    return shutil.which("java") or missing("Java is not installed: apt-get install default-jre-headless")


@pytest.fixture(scope="session")
def proportional_sizes() -> None:
    """Skip where the system does not report the proportional size (Pss) of a process: only Linux does."""
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("only Linux reports Pss")


@pytest.fixture(scope="session")
def kubernetes_programs() -> tuple[Path, Path]:
    """The API server that `.ci/api-server` builds, and etcd; skips elsewhere, since building takes minutes."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlflow-uv-tests"
    program, etcd = kept / "kube-apiserver", shutil.which("etcd")
    if not program.is_file() or etcd is None:
        pytest.skip("there is no API server of Kubernetes: .ci/api-server")
    return program, Path(etcd)


def missing(complaint: str) -> NoReturn:
    """Skip where something is not installed, fail where MLFLOW_UV_REQUIRE_ENGINE=1 says that it should be."""
    if os.environ.get("MLFLOW_UV_REQUIRE_ENGINE") == "1":
        pytest.fail(complaint)
    pytest.skip(complaint)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Make a disk of a size (`64m`) to be filled; skips where nobody may mount one."""
    folder = tmp_path / "disk"

    def make(size: str) -> Path:
        folder.mkdir()
        words = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"no disk can be mounted here: {done.stderr.strip()}")
        return folder

    yield make
    if folder.is_mount():
        subprocess.run(("umount", "--recursive", folder), check=True)


@pytest.fixture
def requires_engine(engine_complaint: str) -> None:
    """Skip where no container engine answers, fail where MLFLOW_UV_REQUIRE_ENGINE=1 says that one should."""
    if engine_complaint:
        missing(engine_complaint)


@pytest.fixture(autouse=True)
def _engine_marker(request: pytest.FixtureRequest) -> None:
    """The marker `engine` asks for the same as the fixture `requires_engine`."""
    if request.node.get_closest_marker("engine"):
        request.getfixturevalue("requires_engine")
