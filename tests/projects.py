"""Small uv projects that lock without a network: their packages are wheels in a folder beside them."""

import base64
import hashlib
import io
import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

INDEX = '[[tool.uv.index]]\nname = "beside"\nurl = "{wheels}"\nformat = "flat"\ndefault = true\n'


def wheel(
    folder: Path, name: str, version: str, requires: tuple[str, ...] = (), *, tag: str = "py3-none-any", **modules: str
) -> Path:
    """Write a wheel with one empty module, and with packages of that text; the same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    files = {
        f"{name}.py": "",
        **{f"{package}/__init__.py": text for package, text in modules.items()},
        f"{name}-{version}.dist-info/METADATA": _metadata(name, version, requires),
        f"{name}-{version}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    rows = [f"{file},sha256={_digest(text)},{len(text.encode())}" for file, text in files.items()]
    files[f"{name}-{version}.dist-info/RECORD"] = "\n".join([*rows, f"{name}-{version}.dist-info/RECORD,,", ""])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, (2026, 1, 1, 0, 0, 0)), text)
    return path


def sdist(folder: Path, name: str, version: str) -> Path:
    """Write a source distribution that nobody can build, and nobody has to who only locks: its metadata is said."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    text = _metadata(name, version, ()).encode()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return path


def _metadata(name: str, version: str, requires: tuple[str, ...]) -> str:
    extras = sorted({extra for one in requires for extra in re.findall(r"extra == '([^']+)'", one)})
    rows = (*(f"Provides-Extra: {extra}" for extra in extras), *(f"Requires-Dist: {one}" for one in requires))
    return "\n".join(("Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}", *rows, ""))


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def project(folder: Path, *dependencies: str, name: str = "wine", more: str = "", wheels: Path | None = None) -> Path:
    """Write a pyproject.toml; with `wheels` its packages come from that folder and from nowhere else."""
    folder.mkdir(parents=True, exist_ok=True)
    index = INDEX.format(wheels=os.path.relpath(wheels, folder)) if wheels else ""
    listed = ", ".join(f'"{one}"' for one in dependencies)
    table = f'[project]\nname = "{name}"\nversion = "0.1.0"\nrequires-python = ">=3.9"\ndependencies = [{listed}]\n'
    (folder / "pyproject.toml").write_text(f"{table}\n{index}{more}")
    return folder


def lock(folder: Path) -> Path:
    """Lock a project, as its owner would; the lock."""
    subprocess.run(["uv", "lock", "--offline", "--quiet"], cwd=folder, check=True)
    return folder / "uv.lock"


def depend_on(folder: Path, *dependencies: str) -> None:
    """Change the dependencies in pyproject.toml and not in the lock."""
    manifest = folder / "pyproject.toml"
    lines = manifest.read_text().splitlines()
    listed = ", ".join(f'"{one}"' for one in dependencies)
    changed = [f"dependencies = [{listed}]" if line.startswith("dependencies = ") else line for line in lines]
    manifest.write_text("\n".join(changed) + "\n")
