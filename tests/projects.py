"""Small uv projects that lock without a network: their packages are wheels in a folder beside them."""

import base64
import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

INDEX = '[[tool.uv.index]]\nname = "beside"\nurl = "{wheels}"\nformat = "flat"\ndefault = true\n'


def wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> Path:
    """Write a wheel with one empty module; the same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": "",
        f"{name}-{version}.dist-info/METADATA": metadata + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{file},sha256={_digest(text)},{len(text.encode())}" for file, text in files.items()]
    files[f"{name}-{version}.dist-info/RECORD"] = "\n".join([*rows, f"{name}-{version}.dist-info/RECORD,,", ""])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, (2026, 1, 1, 0, 0, 0)), text)
    return path


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
