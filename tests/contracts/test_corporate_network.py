"""Where pip works, uv does: real pip and real uv in a company's network, told about it in pip's words alone."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.pip_settings import PipSettings
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.messages import LockState
from mlflow_uv.tools.uv.uv import LockRequest, Uv
from tests import projects
from tests.conftest import ROOT, missing
from tests.corporate_network import HOST, CorporateNetwork, corporate_network_at
from tests.indexes import index_of

PROGRAM = Path(sys.executable).parent / "uv"
CANARY = "canary-0c8d1f5e"
PUBLIC = "https://public.example/simple"  # nobody reaches it
MANIFEST = """\
[project]
name = "ours"
version = "1"
requires-python = ">=3.11"
dependencies = ["plum", "uv"]
[dependency-groups]
registry = ["plum"]
"""


@pytest.fixture(scope="module")
def corporate_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorporateNetwork]:
    """A network that is left by its proxy alone, with an index that has a package, and a uv that is the real one."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed: apt-get install openssl")
    scratch = tmp_path_factory.mktemp("corporate")
    with corporate_network_at("127.0.0.1", scratch, name="Company", password=CANARY) as found:
        index_of(found.pages, projects.wheel(scratch, "plum", "1.0"), uv_wheel(scratch))
        yield found


def uv_wheel(folder: Path) -> Path:
    """A package whose program is the uv that is here."""
    path = projects.wheel(folder, "uv", "9.9")
    with zipfile.ZipFile(path, "a") as archive:
        script = zipfile.ZipInfo("uv-9.9.data/scripts/uv")
        script.external_attr = 0o100755 << 16
        archive.writestr(script, f'#!/bin/sh\nexec {PROGRAM} "$@"\n')
    return path


@dataclass(frozen=True, kw_only=True)
class Clone:
    """The launcher in a clone whose lock is a small one, and whose program says that it started."""

    corporate_network: CorporateNetwork
    scratch: Path
    folder: Path

    def variables(self, told: Mapping[str, str], *, uv: bool = True) -> dict[str, str]:
        """Those of a machine that knows of the company's network what it is told; `{…}` in them are its files."""
        places = {"bundle": self.corporate_network.bundle, "proxy": self.corporate_network.proxy, "here": self.scratch}
        path = [str(PROGRAM.parent)] if uv else []
        return {
            "PATH": os.pathsep.join([*path, "/usr/bin", "/bin"]),
            "HOME": str(self.scratch / "home"),
            "MLFLOW_UV_HOME": str(self.scratch / "private"),
            "UV_CACHE_DIR": str(self.scratch / "cache"),
        } | {name: value.format(**places) for name, value in told.items()}

    def configure(self, place: str, text: str) -> None:
        """Write a configuration file of pip."""
        file = self.scratch / place
        file.parent.mkdir(parents=True, exist_ok=True)
        places = {
            "bundle": self.corporate_network.bundle,
            "proxy": self.corporate_network.proxy,
            "canary": CANARY,
            "host": HOST,
        }
        file.write_text(text.format(**places))

    def start(self, told: Mapping[str, str], *, uv: bool = True) -> subprocess.CompletedProcess[str]:
        """Start it for the first time."""
        return subprocess.run(
            [self.folder / "bin" / "mlflow-uv"],
            env=self.variables(told, uv=uv),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def clone(corporate_network: CorporateNetwork, tmp_path: Path) -> Clone:
    """One whose lock names the company's index, as the wheels of the real one name the public index."""
    folder = tmp_path / "clone"
    for name in ("bin", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src" / "mlflow_uv" / "__main__.py").write_text("import plum; print('started')\n")
    (folder / "pyproject.toml").write_text(MANIFEST)
    told = {
        "SSL_CERT_FILE": str(corporate_network.bundle),
        "HTTPS_PROXY": corporate_network.proxy,
        "UV_DEFAULT_INDEX": corporate_network.index,
    }
    made = Clone(corporate_network=corporate_network, scratch=tmp_path, folder=folder)
    subprocess.run([PROGRAM, "lock", "--quiet"], cwd=folder, env=made.variables(told), check=True)
    return made


NO_FILE = {"PIP_CONFIG_FILE": "/dev/null"}  # the machine of the tests may have one
FILE = "[global]\ncert = {bundle}\nproxy = {proxy}\n"


@pytest.mark.parametrize(
    ("told", "place", "text"),
    [
        (NO_FILE | {"PIP_CERT": "{bundle}", "PIP_PROXY": "{proxy}"}, None, ""),
        (NO_FILE | {"REQUESTS_CA_BUNDLE": "{bundle}", "HTTPS_PROXY": "{proxy}"}, None, ""),
        (NO_FILE | {"CURL_CA_BUNDLE": "{bundle}", "HTTPS_PROXY": "{proxy}"}, None, ""),
        ({"PIP_CONFIG_FILE": "{here}/pip.ini"}, "pip.ini", FILE),
        ({}, "home/.config/pip/pip.conf", FILE),
        ({}, "home/.pip/pip.conf", FILE.replace("global", "install")),
        ({"XDG_CONFIG_HOME": "{here}/settings"}, "settings/pip/pip.conf", FILE),
    ],
)
def test_what_pip_is_told_holds_for_uv(clone: Clone, told: dict[str, str], place: str | None, text: str) -> None:
    """
    Its certificates and its proxy, wherever they are said.
    """
    if place is not None:
        clone.configure(place, text)

    done = clone.start(told)

    assert (0, "started\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.extended
def test_a_machine_without_uv_gets_it_by_pip_and_goes_on_by_uv(clone: Clone) -> None:
    """
    Both by the same file, which pip reads by itself.
    """
    clone.configure("home/.config/pip/pip.conf", f"{FILE}index-url = https://clerk:{{canary}}@{{host}}/simple\n")

    done = clone.start({}, uv=False)

    assert (0, "started\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("told", ["pip", "uv"])
def test_an_index_that_stands_for_the_public_one_is_enough(clone: Clone, told: str) -> None:
    """
    The addresses in the lock are out of reach; the same files are taken from there, by their hashes.
    """
    lock = clone.folder / "uv.lock"
    lock.write_text(lock.read_text().replace(clone.corporate_network.index, PUBLIC).replace(HOST, "public.example"))
    if told == "pip":
        clone.configure("home/.config/pip/pip.conf", f"{FILE}index-url = {clone.corporate_network.index}\n")

    done = clone.start({} if told == "pip" else {
        "UV_DEFAULT_INDEX": clone.corporate_network.index, "SSL_CERT_FILE": "{bundle}", "HTTPS_PROXY": "{proxy}"
    })  # fmt: skip

    assert (0, "started\n") == (done.returncode, done.stdout), done.stderr


def test_a_file_of_another_content_is_refused_there(clone: Clone) -> None:
    """
    Whoever keeps the index cannot give us something else: the hashes are those of the lock.
    """
    lock = clone.folder / "uv.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", lock.read_text()))
    clone.configure("home/.config/pip/pip.conf", f"{FILE}index-url = {clone.corporate_network.index}\n")

    done = clone.start({})

    assert (5, "") == (done.returncode, done.stdout)
    assert "Hash mismatch" in done.stderr, done.stderr


@pytest.mark.parametrize(("uv", "program"), [(True, "plum"), pytest.param(False, "uv", marks=pytest.mark.extended)])
def test_credentials_of_an_index_are_in_no_message(clone: Clone, uv: bool, program: str) -> None:
    """
    Also where the index does not have what is asked for.
    """
    clone.configure(
        "home/.config/pip/pip.conf", f"{FILE}index-url = https://clerk:{{canary}}@{{host}}/nowhere/simple\n"
    )

    done = clone.start({}, uv=uv)

    assert (5, True) == (done.returncode, f"/nowhere/simple/{program}/" in clone.corporate_network.paths)
    assert CANARY not in done.stderr + done.stdout


@pytest.mark.parametrize(("uv", "program"), [(True, "uv"), pytest.param(False, "pip", marks=pytest.mark.extended)])
def test_where_nobody_knows_the_certificates_it_is_said_and_the_fix_helps(clone: Clone, uv: bool, program: str) -> None:
    """
    The variable is that of the program that failed; set as the message says, it starts.
    """
    told = NO_FILE | {"HTTPS_PROXY": "{proxy}", "PIP_INDEX_URL": clone.corporate_network.index}

    done = clone.start(told, uv=uv)
    fix = done.stderr.rpartition("Fix: ")[2]
    variable = fix.split()[1]
    mended = clone.start(told | {variable: "{bundle}"}, uv=uv)

    named = {"uv": "SSL_CERT_FILE", "pip": "PIP_CERT"}[program]
    assert f"set {named} to a file with the certificates of your network\n" == fix, done.stderr
    assert f"mlflow-uv: `{program}` failed, so its own environment cannot be made. Fix: " in done.stderr
    assert (5, 0) == (done.returncode, mended.returncode), mended.stderr


def uv_told(clone: Clone, told: Mapping[str, str]) -> Uv:
    """Our uv, on behalf of somebody who has told pip alone."""
    variables = clone.variables(told)
    pip = PipSettings.read(variables, prefix=Path("/nowhere"))
    return Uv(SystemRunner(), variables=variables, named=PROGRAM, own=None, pip=pip)


PIP = NO_FILE | {"PIP_CERT": "{bundle}", "PIP_PROXY": "{proxy}"}


def test_a_step_asks_about_a_lock_by_the_same_network(clone: Clone) -> None:
    """
    What pip is told of an index is not: it would make every lock stale.
    """
    index = f'[[tool.uv.index]]\nname = "company"\nurl = "{clone.corporate_network.index}"\ndefault = true\n'
    folder = projects.project(clone.scratch / "wine", "plum", more=index)
    request = LockRequest(respect_env=False, offline=False)
    uv = uv_told(clone, PIP | {"PIP_INDEX_URL": PUBLIC})
    deaf = uv_told(clone, NO_FILE | {"HTTPS_PROXY": "{proxy}"})

    blind = deaf.lock_state(read_project(folder), request).state
    uv.lock(read_project(folder), request)

    assert (LockState.MISSING, LockState.FRESH) == (blind, uv.lock_state(read_project(folder), request).state)


def test_our_own_environments_are_made_by_the_same_network(clone: Clone) -> None:
    """
    From the lock's addresses, and from an index that stands for them.
    """
    direct = uv_told(clone, PIP).sync_ours(clone.folder, clone.scratch / "direct")
    lock = clone.folder / "uv.lock"
    lock.write_text(lock.read_text().replace(clone.corporate_network.index, PUBLIC).replace(HOST, "public.example"))
    mirrored = uv_told(
        clone, PIP | {"PIP_INDEX_URL": clone.corporate_network.index, "UV_CACHE_DIR": "{here}/empty"}
    ).sync_ours(clone.folder, clone.scratch / "mirrored")

    for python in (direct, mirrored):
        subprocess.run([python, "-c", "import plum"], check=True)
    assert {"clone", "direct", "mirrored"} <= {path.name for path in clone.scratch.iterdir()}


def test_a_certificate_that_nobody_knows_is_named_with_what_helps(clone: Clone) -> None:
    """
    Not by the first half of what uv says, which is silent about it.
    """
    with pytest.raises(ToolFailed) as caught:
        uv_told(clone, NO_FILE | {"HTTPS_PROXY": "{proxy}"}).sync_ours(clone.folder, clone.scratch / "blind")

    assert "certificate is not trusted" in caught.value.why
    assert "set SSL_CERT_FILE to a file with the certificates of your network" == caught.value.fix


# the machine's own certificates, which nobody can change for a test: a uv that knows whether it was told to use them

BY_STORE = """\
#!/bin/sh
[ "$1" = --version ] && exec echo "uv 9.9.9"
echo "$UV_SYSTEM_CERTS$UV_NATIVE_TLS $SSL_CERT_FILE" >> "$0.log"
if [ "$UV_SYSTEM_CERTS$UV_NATIVE_TLS" != 11 ] || [ "$SSL_CERT_FILE" ]; then
    echo "  cause: invalid peer certificate: UnknownIssuer" >&2
    exit 2
fi
exec {uv} "$@"
"""


@pytest.fixture
def by_store(tmp_path: Path) -> Path:
    """A uv that trusts what the machine does, if it is told to, and nothing else."""
    program = tmp_path / "store" / "uv"
    program.parent.mkdir()
    program.write_text(BY_STORE.replace("{uv}", f"env SSL_CERT_FILE=$BUNDLE {PROGRAM}"))
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("told", [{}, {"PIP_CERT": "/etc/hostname"}])
def test_where_the_machine_trusts_them_that_is_enough(clone: Clone, by_store: Path, told: dict[str, str]) -> None:
    """
    For the launcher, and for a step, which asks in vain only once; also where pip's own bundle does not help.
    """
    told = NO_FILE | {"HTTPS_PROXY": "{proxy}", "BUNDLE": "{bundle}", **told}
    variables = clone.variables(told | {"PATH": f"{by_store.parent}:/usr/bin:/bin"})
    pip = PipSettings.read(variables, prefix=Path("/nowhere"))
    # A step's uv does not see the variable of this test.
    by_store.write_text(by_store.read_text().replace("$BUNDLE", str(clone.corporate_network.bundle)))
    uv = Uv(SystemRunner(), variables=variables, named=by_store, own=None, pip=pip)

    done = clone.start(told | {"PATH": variables["PATH"]})
    uv.sync_ours(clone.folder, clone.scratch / "direct")
    uv.sync_ours(clone.folder, clone.scratch / "again")

    asked = Path(f"{by_store}.log").read_text().splitlines()
    assert (0, "started\n") == (done.returncode, done.stdout), done.stderr
    assert [False, True, False, True, True] == [line == "11 " for line in asked]


def test_who_names_certificates_is_not_overruled(clone: Clone, by_store: Path) -> None:
    """
    SSL_CERT_FILE says what is trusted, and what is not.
    """
    done = clone.start(NO_FILE | {"SSL_CERT_FILE": "/etc/hostname", "PATH": f"{by_store.parent}:/usr/bin:/bin"})

    assert (5, "") == (done.returncode, done.stdout)
    assert [" /etc/hostname"] == Path(f"{by_store}.log").read_text().splitlines()
