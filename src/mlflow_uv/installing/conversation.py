"""
Runs payloads that answer line by line inside a container: `python -I -S conversation.py FOLDER`.

The first line of standard input is a tar archive with the payloads, in base64; it is extracted to FOLDER, which must be
empty, and confirmed with an empty JSON object on a line of standard output. The payloads read the lines after it.
"""

import base64
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path


def main(folder: Path) -> None:
    """Extract the archive, confirm it, and become the process of the payloads."""
    # Unbuffered: what is read too far would be lost to the payloads.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        archive = io.BytesIO(base64.b64decode(lines.readline()))
    extract_filter = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(fileobj=archive) as tar:
        tar.extractall(folder, inside(tar, folder), **extract_filter)  # type: ignore[arg-type]  # noqa: S202
    os.chdir(folder)
    store = f"sqlite:///{folder}/scratch.db"
    variables = {**os.environ, "MLFLOW_TRACKING_URI": store, "MLFLOW_REGISTRY_URI": store, "MLFLOW_UV_CHILD": "model"}
    os.write(1, b"{}\n")
    os.execve(sys.executable, [sys.executable, "-I", "-B", str(folder / "payloads")], variables)  # noqa: S606


def inside(archive: tarfile.TarFile, folder: Path) -> "Iterator[tarfile.TarInfo]":
    """The entries of an archive; ends the program at one outside of the folder, which Python before 3.11.4 extracts."""
    for entry in archive:
        if not (folder / entry.name).resolve().is_relative_to(folder.resolve()):
            sys.exit(f"{entry.name} is outside of the folder")
        yield entry


if __name__ == "__main__":
    main(Path(sys.argv[1]))
