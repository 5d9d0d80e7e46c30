"""The layers of a lock's packages hold, file by file, what `uv sync` of that lock installs."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.core.export.portability import LocalPackages
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.core.image.layer_grouping import SizedPackage, grouped, sized
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.tools.layers.cache import LayerCache
from mlflow_uv.tools.layers.package_layers import PackageLayers, WantedPackages
from mlflow_uv.tools.toolbox import toolbox
from tests import exports, indexes, projects
from tests.console import KeptConsole

from .test_package_layers import GRAPE, digest_of, sdist, wheel

PLATFORM = f"{os.uname().machine}-manylinux_2_36"
# What differs between two installations of one package (times, folders, and digests of what has them), and a note of
# uv that it built the package itself.
BOOKKEEPING = ("RECORD", "direct_url.json", "uv_cache.json", "uv_build.json")
# Of `uv venv`: for shells, and links to an interpreter, which is that of the base in an image.
OF_THE_ENVIRONMENT = re.compile(
    r"bin/(activate|deactivate|python|pydoc\.bat)|pyvenv\.cfg$|\.(gitignore|lock)$|lib64$|CACHEDIR"
)
Tree = dict[str, tuple[bool, bytes]]
NAMES = ("grape", "must", "torchlike", "pear")
MANIFEST = (
    '[[tool.uv.index]]\nname = "beside"\nurl = "{url}"\n'
    "[tool.uv.sources]\nlibrary = {{ workspace = true }}\n"
    '[tool.uv.workspace]\nmembers = ["library"]\n'
)
MEMBER = (
    '[project.scripts]\ntread = "library:main"\n'
    '[build-system]\nrequires = ["uv_build>=0.9,<0.14"]\nbuild-backend = "uv_build"\n'
)
# What these need are about 300 packages, among them compiled ones, namespaces, data files and over a hundred scripts.
LARGE = ("mlflow", "jupyter", "ragas", "trulens", "dvc")
FEWEST = 250
# These have no wheel.
SOURCES = {"pear", "antlr4-python3-runtime"}


def packages_only(tree: Tree) -> Tree:
    """Without bytecode, which an image has and a synchronised environment has not, and without bookkeeping."""
    return {
        path: content
        for path, content in tree.items()
        if "__pycache__" not in path
        and not OF_THE_ENVIRONMENT.match(path)
        and not (path.endswith(BOOKKEEPING) and ".dist-info/" in path)
        and "/_virtualenv." not in path
    }


def synchronised(project: Path, environment: Path) -> Tree:
    """Whether each file may be executed, and its content, with the folder of an image in place of the environment's."""
    exports.synced(project, environment, network=exports.ONLINE)
    return {
        str(path.relative_to(environment)): (
            bool(path.stat().st_mode & stat.S_IXUSR),
            path.read_bytes().replace(os.fsencode(environment), VENV.encode()),
        )
        for path in sorted(environment.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def layered(project: Path, work: Path, **variables: str) -> tuple[Tree, set[str]]:
    """The same of the layers that are made of what the export of a project lists, and the paths that differ in two."""
    list_file = work / "requirements.txt"
    work.mkdir()
    report = exports.exported(
        project, requirements_file=list_file, hashes=True, local_packages=LocalPackages.WHEELS, variables=exports.ONLINE
    )
    wheels = report.outputs.wheels
    lines: dict[str, tuple[str, ...]] = {}
    for pin in parse_requirements(list_file.read_text()).pins:
        lines[pin.name] = (*lines.get(pin.name, ()), pin.hashed_line)
    for name in wheels:
        lines[name.partition("-")[0].replace("_", "-")] = (f"wheels/{name} --hash={digest_of(work / 'wheels' / name)}",)
    lock = read_lockfile((project / "uv.lock").read_bytes())
    sizes = {package.name: package for package in sized(lock.packages)}
    host = Host.of(exports.offline(exports.ONLINE), folder=work, python=Path(sys.executable))
    with toolbox(host, console=KeptConsole()) as tools:
        made = PackageLayers(
            tools.uv,
            tools.runner,
            LayerCache(work / "layers"),
            describe=tools.libraries.describe,
            on_line=tools.console.foreign,
        ).layers(
            WantedPackages(
                groups=grouped(sizes.get(name, SizedPackage(name=name, size=0)) for name in lines),
                lines=lines,
                folder=work,
                idle=frozenset(),
                python=sys.executable,
                platform=PLATFORM,
                indexes=variables,
                built=frozenset(SOURCES & lines.keys()),
                builds=True,
            )
        )
    tree: Tree = {}
    for layer in made.layers:
        with tarfile.open(layer.archive) as tar:
            for entry in tar:
                assert (0, 0) == (entry.uid, entry.gid)
                file = tar.extractfile(entry) if entry.isreg() else None
                if file:
                    path = entry.name.removeprefix(VENV.removeprefix("/") + "/")
                    tree[path] = (bool(entry.mode & stat.S_IXUSR), file.read())
    return tree, {str(path) for path in made.replaced}


def differences(expected: Mapping[str, object], found: Mapping[str, object], *, but: set[str]) -> list[str]:
    """The paths that only one side has, or that are not equal."""
    return sorted(
        path for path in expected.keys() | found.keys() if path not in but and expected.get(path) != found.get(path)
    )


def test_unusual_packages_are_in_layers_as_uv_sync_installs_them(tmp_path: Path) -> None:
    """
    A workspace, data and scripts, a namespace of two wheels, a link, a local version, and a source distribution.

    A file that is left out, changed or not executable is seen.
    """
    files_of_index = tmp_path / "wheels"
    files = {**GRAPE, "vat/red.py": b"colour = 'red'\n"}
    wheel(files_of_index, "grape", files, links={"grape/label.txt": b"traube.txt"})
    wheel(files_of_index, "must", {"must.py": b"", "vat/white.py": b"colour = 'white'\n"})
    projects.wheel(files_of_index, "torchlike", "2.1+cpu", tag=f"py3-none-manylinux_2_17_{os.uname().machine}")
    shutil.copy(sdist(tmp_path / "sources"), files_of_index)
    index = indexes.index_of(tmp_path / "index", *files_of_index.iterdir())
    with indexes.served(index) as url:
        project = projects.project(tmp_path / "p", *NAMES, "library", more=MANIFEST.format(url=url))
        member = projects.project(project / "library", name="library", more=MEMBER)
        (member / "src" / "library").mkdir(parents=True)
        (member / "src" / "library" / "__init__.py").write_text("def main(): ...\n")
        subprocess.run(["uv", "lock", "--quiet"], cwd=project, env=exports.offline(exports.ONLINE), check=True)
        expected = packages_only(synchronised(project, tmp_path / "e"))
        tree, replaced = layered(project, tmp_path / "work", UV_INDEX=f"beside={url}")
    found = packages_only(tree)

    assert [] == differences(expected, found, but=set())
    assert set() == replaced
    parts = (
        "vat/red.py",
        "vat/white.py",
        "grape/label.txt",
        "torchlike.py",
        "pear.py",
        "library/__init__.py",
        "bin/tread",
    )
    assert [True] * len(parts) == [any(path.endswith(part) for path in found) for part in parts]
    (tread,) = [path for path in found if path.endswith("bin/tread")]
    for wrong in ({}, {tread: (False, found[tread][1])}, {tread: (True, found[tread][1] + b"#")}):
        assert [tread] == differences(expected, {**{k: v for k, v in found.items() if k != tread}, **wrong}, but=set())


@pytest.mark.extended
def test_the_packages_of_a_large_lock_are_in_layers_as_uv_sync_installs_them(tmp_path: Path) -> None:
    """
    A lock of about 300 packages, apart from paths for which two of them bring different files.
    """
    project = projects.project(tmp_path / "p", *LARGE)
    manifest = project / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace(">=3.9", f"=={sys.version_info.major}.{sys.version_info.minor}.*"))
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, env=exports.offline(exports.ONLINE), check=True)

    expected = packages_only(synchronised(project, tmp_path / "e"))
    tree, replaced = layered(project, tmp_path / "work")

    assert [] == differences(expected, packages_only(tree), but=replaced)
    assert len([path for path in expected if path.endswith(".dist-info/METADATA")]) >= FEWEST
