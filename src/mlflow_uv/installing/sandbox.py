"""
Runs a payload inside a container: `python -I -S sandbox.py FOLDER VERB LIMIT`.

Standard input is a tar archive with the payloads, `request.json` and the files that it names; it is extracted to
FOLDER, which must be empty. Standard output is JSON: `answer` is the text of the payload's response, null without one,
and `artifacts` are files by path, in base64, up to LIMIT bytes. Output of the payload goes to standard error.
"""

import base64
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path


def main(folder: Path, verb: str, limit: int) -> None:
    """Extract the archive, run the payload, and write its response."""
    extract_filter = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        archive.extractall(folder, inside(archive, folder), **extract_filter)  # type: ignore[arg-type]  # noqa: S202
    store = f"sqlite:///{folder}/scratch.db"
    variables = {**os.environ, "MLFLOW_TRACKING_URI": store, "MLFLOW_REGISTRY_URI": store}
    answer = folder / "answer.json"
    with (folder / "request.json").open() as request:
        subprocess.run(
            [sys.executable, "-I", "-B", str(folder / "payloads"), verb, str(answer)],
            stdin=request, stdout=sys.stderr, cwd=folder, env=variables, check=False,
        )  # fmt: skip
    text = answer.read_text(encoding="utf-8") if answer.is_file() else None
    json.dump({"answer": text, "artifacts": dict(artifacts(folder / "artifacts", limit))}, sys.stdout)


def inside(archive: tarfile.TarFile, folder: Path) -> "Iterator[tarfile.TarInfo]":
    """The entries of an archive; ends the program at one outside of the folder, which Python before 3.11.4 extracts."""
    for entry in archive:
        if not (folder / entry.name).resolve().is_relative_to(folder.resolve()):
            sys.exit(f"{entry.name} is outside of the folder")
        yield entry


def artifacts(folder: Path, limit: int) -> "Iterator[tuple[str, str]]":
    """The files below a folder in base64, sorted by path, up to `limit` bytes."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            limit -= path.stat().st_size
            if limit < 0:
                return
            yield path.relative_to(folder).as_posix(), base64.b64encode(path.read_bytes()).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
