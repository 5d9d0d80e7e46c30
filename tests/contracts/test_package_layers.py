"""Layers of packages that real uv lays out: the same on every machine; a wheel that is not what it says is refused."""

import base64
import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.image.layer_grouping import LayerGroup
from mlflow_uv.tools.layers.cache import CachedLayer, LayerCache
from mlflow_uv.tools.layers.package_layers import PackageLayers, WantedPackages
from mlflow_uv.tools.layers.registry_layers import files_in
from mlflow_uv.tools.toolbox import toolbox
from tests.console import KeptConsole

Files = Mapping[str, bytes]
PLATFORM = f"{os.uname().machine}-manylinux_2_28"


def signed(path: str, data: bytes) -> str:
    """A row of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def wheel(
    folder: Path, name: str, files: Files, *, rows: str = "", twice: Files | None = None, links: Files | None = None
) -> Path:
    """
    Write a wheel of these files, as they are.

    `rows` are further ones of RECORD, `twice` are members of the archive that come again, with other content, and
    `links` are symbolic links.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    own = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-cli = {name}:main\n".encode(),
    }
    listed = "".join(signed(path, data) for path, data in {**files, **own, **(links or {})}.items() if data != b"stray")
    own[f"{info}/RECORD"] = f"{listed}{rows}{info}/RECORD,,\n".encode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in (*files.items(), *own.items(), *(twice or {}).items()):
            entry = zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
            executable = member.endswith((".sh", ".so"))
            entry.external_attr = (0o755 if executable else 0o600) << 16
            archive.writestr(entry, data)
        for member, target in (links or {}).items():
            entry = zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
    return path


def digest_of(file: Path) -> str:
    """The hash of a file, as a lock writes it."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


@dataclass(frozen=True)
class Machine:
    """A machine's folders: caches of uv and of layers, and one for temporary files."""

    folder: Path

    def layers(
        self,
        *wheels: Path,
        together: bool = False,
        order: int = 1,
        built: tuple[str, ...] = (),
        builds: bool = False,
        hashed: Path | None = None,
    ) -> tuple[CachedLayer, ...]:
        """The layers of wheels, one for each, or one for all `together`; `hashed` is the file that the lock has."""
        names = [wheel.name.partition("-")[0] for wheel in wheels]
        groups = (tuple(sorted(names)),) if together else tuple((name,) for name in sorted(names))
        lines = {
            name: (f"{name} @ {wheel.as_uri()} --hash={digest_of(hashed or wheel)}",)
            for name, wheel in list(zip(names, wheels, strict=True))[::order]
        }
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        request = WantedPackages(
            groups=tuple(LayerGroup(name=" ".join(group), packages=group) for group in groups),
            lines=lines,
            folder=work,
            idle=frozenset(),
            python=sys.executable,
            platform=PLATFORM,
            indexes={},
            built=frozenset(built),
            builds=builds,
        )
        variables = {**os.environ, "UV_CACHE_DIR": str(self.folder / "uv cache"), "UV_OFFLINE": "1"}
        host = Host.of(variables, folder=work, python=Path(sys.executable))
        with toolbox(host, console=KeptConsole()) as tools:
            cache = LayerCache(self.folder / "layers")
            return (
                PackageLayers(
                    tools.uv, tools.runner, cache, describe=tools.libraries.describe, on_line=tools.console.foreign
                )
                .layers(request)
                .layers
            )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def entries(layer: CachedLayer) -> dict[str, tuple[str, str]]:
    """Mode and content of each file, by its path below /opt/venv."""
    with tarfile.open(layer.archive) as tar:
        return {
            entry.name.removeprefix("opt/venv/"): (oct(entry.mode), file.read().decode(errors="replace"))
            for entry in tar
            if (file := tar.extractfile(entry))
        }


GRAPE = {
    "grape/__init__.py": b"def main(): print('red')\n",
    "grape/run.sh": b"#!/bin/sh\n",
    "grape/traube_\xc3\xa4.txt".encode("latin-1").decode("utf-8"): b"",
    "grape-1.0.data/scripts/press": b"#!python\nimport grape\n",
    "grape-1.0.data/scripts/stomp": b"#!/bin/sh\n",
    "grape-1.0.data/data/share/grape/readme.txt": b"data",
    "grape-1.0.data/headers/grape.h": b"#define RED\n",
    "grape-1.0.data/platlib/grape/extra.so": b"\x7fELF",
    "cellar/red/__init__.py": b"",
}


def test_each_file_of_a_wheel_is_at_its_place(machine: Machine, tmp_path: Path) -> None:
    """
    Modules, data, headers, scripts of both kinds and console scripts; what was executable stays so, and no more.
    """
    (layer,) = machine.layers(wheel(tmp_path, "grape", GRAPE))

    site = next(path.partition("/grape/")[0] for path in entries(layer) if path.endswith("grape/__init__.py"))
    found = entries(layer)
    assert ("0o755", "#!/opt/venv/bin/python\nimport grape\n") == found["bin/press"]
    assert ("0o755", "#!/bin/sh\n") == found["bin/stomp"]
    assert found["bin/grape-cli"][1].startswith("#!/opt/venv/bin/python\n")
    assert ("0o644", "data") == found["share/grape/readme.txt"]
    assert ["0o755", "0o755", "0o644"] == [
        found[f"{site}/grape/{name}"][0] for name in ("run.sh", "extra.so", "traube_ä.txt")
    ]
    assert ["include"] == [path.partition("/")[0] for path in found if path.endswith("/grape.h")]
    record = found[f"{site}/grape-1.0.dist-info/RECORD"][1]
    assert all(signed(f"../../../{name}", found[name][1].encode()) in record for name in ("bin/press", "bin/grape-cli"))
    assert str(tmp_path) not in "".join(text for path, (_, text) in found.items() if "direct_url" not in path)


def test_layers_are_the_same_on_every_machine(tmp_path: Path) -> None:
    """
    Other folders, one of them with a space and long, another umask, another order, and a wheel written elsewhere.
    """
    # Not line ends in a RECORD, whatever Python's `splitlines` takes for one.
    separators = {f"plum/a{separator}b.txt": b"" for separator in ("\u2028", "\u2029")}
    plum = {"plum.py": b"x = {'a', 'b', 'c'}\n", "plum/deep/__init__.py": b"", **separators}
    digests = []
    for at, (name, mask, order) in enumerate((("one", 0o022, 1), ("ein anderer " + "l" * 120, 0o077, -1))):
        before = os.umask(mask)
        try:
            wheels = [wheel(tmp_path / f"wheels {at}", "grape", GRAPE), wheel(tmp_path / f"wheels {at}", "plum", plum)]
            layers = Machine(tmp_path / name).layers(*wheels, order=order)
        finally:
            os.umask(before)
        digests.append([(layer.layer.blob.digest, layer.layer.diff_id) for layer in layers])

    assert digests[0] == digests[1]
    assert 2 == len({digest for digest, _ in digests[0]})
    for layer in layers:
        plain = tmp_path / "plain.tar"
        plain.write_bytes(gzip.decompress(layer.archive.read_bytes()))
        assert "RECORD" in str(files_in(plain))  # as another machine reads it, which takes the layer


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ({"grape/__init__.py": b"stray"}, {}),
        ({"grape/__init__.py": b"red"}, {"twice": {"grape/__init__.py": b"white"}}),
        ({"grape-1.0.data/scripts/python": b"#!/bin/sh\ntouch /tmp/mlflow-uv-escape.py\n"}, {}),
        ({"grape-1.0.data/data/pyvenv.cfg": b"home = /tmp\n"}, {}),
        ({"cellar/.wh.red.py": b""}, {}),
        ({"cellar/.wh..wh..opq": b""}, {}),
        ({"grape/.wh.old/red.py": b""}, {}),
    ],
    ids=[
        "file without row",
        "member twice",
        "the interpreter",
        "the environment",
        "deletes a file",
        "deletes a folder",
        "below a deletion",
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_wheel_is_refused(machine: Machine, tmp_path: Path, files, more) -> None:
    """
    By uv, or by the digests in its RECORD; no layer is kept, and nothing of it was executed.
    """
    with pytest.raises(ToolFailed) as raised:
        machine.layers(wheel(tmp_path / "wheels", "grape", files, **more))

    assert "grape" in raised.value.text
    assert not Path("/tmp/mlflow-uv-escape.py").exists()
    assert not list((machine.folder / "layers").rglob("*.json"))


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ({"../../../../../escape.py": b"x"}, {}),
        ({"/tmp/mlflow-uv-escape.py": b"x"}, {}),
        ({}, {"rows": signed("../../../../../escape.py", b"mine")}),
        ({}, {"rows": signed("/etc/hostname", b"")}),
        ({}, {"rows": signed("grape/absent.py", b"")}),
        ({}, {"rows": "grape/__init__.py,sha256=AAAA,0\n"}),
        ({}, {"links": {"grape/passwd": b"/etc/passwd"}}),
    ],
    ids=[
        "member upwards", "member absolute", "row upwards", "row absolute", "row without file", "wrong digest",
        "link outwards",
    ],
)  # fmt: skip
def test_what_uv_does_not_install_is_in_no_layer(machine: Machine, tmp_path: Path, files, more) -> None:
    """
    uv leaves out members that lead outwards, writes links as files, and corrects RECORD while it unpacks a wheel.

    If it stops doing so, the check of RECORD refuses these wheels, and this test says so.
    """
    (tmp_path / "escape.py").write_text("mine")
    harmless = {"grape/__init__.py": b""}

    (layer,) = machine.layers(wheel(tmp_path / "wheels", "grape", {**harmless, **files}, **more))

    with tarfile.open(layer.archive) as tar:
        assert {"opt"} == {entry.name.partition("/")[0] for entry in tar}
        assert [] == [entry.name for entry in tar if not entry.isfile() and not entry.isdir()]
        assert [] == [entry.name for entry in tar if ".." in entry.name.split("/") or "escape" in entry.name]
    assert "mine" == (tmp_path / "escape.py").read_text()
    assert not Path("/tmp/mlflow-uv-escape.py").exists()


def test_another_wheel_than_that_of_the_lock_is_refused(machine: Machine, tmp_path: Path) -> None:
    """
    By uv, which compares the hash of the wheel.
    """
    path = wheel(tmp_path, "grape", GRAPE)
    work = machine.folder / "work"
    work.mkdir(parents=True)
    request = WantedPackages(
        groups=(LayerGroup(name="grape", packages=("grape",)),),
        lines={"grape": (f"grape @ {path.as_uri()} --hash=sha256:{'0' * 64}",)},
        folder=work,
        idle=frozenset(),
        python=sys.executable,
        platform=PLATFORM,
        indexes={},
    )
    host = Host.of({**os.environ, "UV_CACHE_DIR": str(tmp_path / "uv")}, folder=work, python=Path(sys.executable))

    with toolbox(host, console=KeptConsole()) as tools, pytest.raises(ToolFailed, match="uv pip install"):
        PackageLayers(
            tools.uv,
            tools.runner,
            LayerCache(tmp_path / "l"),
            describe=tools.libraries.describe,
            on_line=tools.console.foreign,
        ).layers(request)


def test_a_file_that_somebody_changed_in_the_cache_of_uv_is_found(machine: Machine, tmp_path: Path) -> None:
    """
    Environments share their files with it by hard links, and people edit those. The printed fix repairs it.
    """
    path = wheel(tmp_path, "grape", GRAPE)
    machine.layers(path)
    changed = [file for file in (machine.folder / "uv cache").rglob("grape/__init__.py") if file.is_file()]
    for file in changed:
        file.write_bytes(b"def main(): print('white')\n")
    again = Machine(machine.folder.rename(tmp_path / "again"))
    for key in (again.folder / "layers").rglob("*.json"):
        key.unlink()

    with pytest.raises(ToolFailed, match=r"grape/__init__\.py") as raised:
        again.layers(path)

    assert changed
    assert "uv cache clean grape" == raised.value.fix


def test_names_that_differ_in_case_alone_are_two_files(machine: Machine, tmp_path: Path) -> None:
    """
    They are, on the file system of an image.
    """
    (layer,) = machine.layers(wheel(tmp_path, "grape", {"grape/Red.py": b"1\n", "grape/red.py": b"2\n"}))

    assert {"1\n", "2\n"} == {text for path, (_, text) in entries(layer).items() if path.lower().endswith("/red.py")}


BACKEND = """
import base64, hashlib, subprocess, sysconfig, tarfile, zipfile
from pathlib import Path


def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {"pear.py": Path("pear.py").read_bytes()}
    tag = "py3-none-any"
    if Path("pear.c").is_file():
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", "pear_c.so", "pear.c", "-lm"], check=True)
        files["pear_c.so"] = Path("pear_c.so").read_bytes()
        tag = "py3-none-" + sysconfig.get_platform().replace("-", "_")
    info = "pear-1.0.dist-info"
    files[info + "/METADATA"] = b"Metadata-Version: 2.1\\nName: pear\\nVersion: 1.0\\n"
    files[info + "/WHEEL"] = f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n".encode()
    rows = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows += f"{path},sha256={digest},{len(data)}\\n"
    files[info + "/RECORD"] = (rows + info + "/RECORD,,\\n").encode()
    name = f"pear-1.0-{tag}.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return name
"""


def sdist(folder: Path, **more: str) -> Path:
    """A source distribution whose build needs nothing but Python, and a compiler if it has C."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: pear\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n\n'
        '[project]\nname = "pear"\nversion = "1.0"\n',
        "backend.py": BACKEND,
        "pear.py": "colour = 'green'\n",
        **{name.replace("_", "."): text for name, text in more.items()},
    }
    folder.mkdir(parents=True)
    path = folder / "pear-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"pear-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("compiled", [False, True], ids=["pure", "compiled"])
def test_a_source_distribution_is_built_and_has_a_layer_like_a_wheel(
    machine: Machine, tmp_path: Path, *, compiled: bool
) -> None:
    """
    Only if that is allowed; once, after which the layer is known also where nothing is built.
    """
    source = "#include <math.h>\ndouble pear(double x) { return pow(x, x); }\n"
    archive = sdist(tmp_path / "sources", **({"pear_c": source} if compiled else {}))

    with pytest.raises(ToolFailed) as refused:
        machine.layers(archive, built=("pear",))
    (layer,) = machine.layers(archive, built=("pear",), builds=True)
    (again,) = machine.layers(archive, built=("pear",))

    assert "pear" in refused.value.why
    assert layer == again
    with tarfile.open(layer.archive) as tar:
        names = [Path(entry.name).name for entry in tar if entry.isfile()]
    assert ("pear.py" in names, "pear_c.so" in names) == (True, compiled)
    assert any(name.startswith("pear.cpython-") for name in names)


def test_another_source_distribution_than_that_of_the_lock_is_not_built(machine: Machine, tmp_path: Path) -> None:
    """
    Its hash is compared before any of its code runs.
    """
    archive = sdist(tmp_path / "sources")
    trace = tmp_path / "trace"
    other = sdist(tmp_path / "others", backend_py=f"open({str(trace)!r}, 'w').close()\n{BACKEND}")

    with pytest.raises(ToolFailed, match="uv pip install"):
        machine.layers(other, hashed=archive, built=("pear",), builds=True)
    machine.layers(other, built=("pear",), builds=True)
    ran = trace.exists()
    trace.unlink()
    with pytest.raises(ToolFailed, match="uv pip install"):
        Machine(tmp_path / "fresh").layers(other, hashed=archive, built=("pear",), builds=True)

    assert (True, False) == (ran, trace.exists())
