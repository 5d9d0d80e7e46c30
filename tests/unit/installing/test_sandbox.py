"""The program that runs a payload in a container, with a payload that stands in for ours."""

import base64
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.installing import sandbox

PROGRAM = Path(sandbox.__file__)
ECHO = """
import json, os, pathlib, sys
verb, answer = sys.argv[1:]
print("a payload that talks")
request = json.load(sys.stdin)
pathlib.Path("artifacts/below").mkdir(parents=True)
pathlib.Path("artifacts/below/chart.png").write_bytes(bytes([0, 255]))
stores = [os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_REGISTRY_URI"]]
facts = {"verb": verb, "request": request, "stores": stores}
pathlib.Path(answer).write_text(json.dumps(facts))
"""


def run(folder: Path, files: dict[str, str], *, limit: int = 100) -> "subprocess.CompletedProcess[bytes]":
    """Run it with an archive of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    argv = (sys.executable, "-I", "-S", PROGRAM, folder, "evaluate", str(limit))
    return subprocess.run(argv, input=packed.getvalue(), capture_output=True, check=False)


def test_a_payload_gets_its_request_and_a_store_that_is_discarded(tmp_path: Path) -> None:
    """
    Its response and its files are the output; what it prints is not.
    """
    files = {"payloads/__main__.py": ECHO, "request.json": '{"a": 1}'}

    done = run(tmp_path, files)

    output: dict[str, Any] = json.loads(done.stdout)
    store = f"sqlite:///{tmp_path}/scratch.db"
    assert {"verb": "evaluate", "request": {"a": 1}, "stores": [store, store]} == json.loads(output["answer"])
    assert {"below/chart.png": base64.b64encode(bytes([0, 255])).decode()} == output["artifacts"]
    assert (0, True) == (done.returncode, b"a payload that talks" in done.stderr)


def test_a_payload_that_dies_has_no_response(tmp_path: Path) -> None:
    """
    The caller tells that from a response.
    """
    done = run(tmp_path, {"payloads/__main__.py": "import os; os._exit(9)", "request.json": "{}"})

    assert {"answer": None, "artifacts": {}} == json.loads(done.stdout)


def test_an_archive_does_not_write_outside_of_its_folder(tmp_path: Path) -> None:
    """
    A name that leads out of the folder ends the program before anything runs.
    """
    (tmp_path / "inside").mkdir()

    done = run(tmp_path / "inside", {"../outside.txt": "x", "payloads/__main__.py": ECHO, "request.json": "{}"})

    assert (True, False, b"") == (done.returncode != 0, (tmp_path / "outside.txt").exists(), done.stdout)


@pytest.mark.parametrize(("limit", "expected"), [(6, ["a", "b", "c"]), (5, ["a", "b"]), (2, ["a"]), (0, [])])
def test_files_are_returned_up_to_a_limit(tmp_path: Path, limit: int, expected: list[str]) -> None:
    """
    Sorted by path; from the first one that does not fit on, none is.
    """
    for name, size in (("a", 2), ("b", 3), ("c", 1)):
        (tmp_path / name).write_bytes(b"x" * size)

    found = [name for name, _ in sandbox.artifacts(tmp_path, limit)]

    assert expected == found


def test_no_folder_has_no_files(tmp_path: Path) -> None:
    """
    Most payloads write none.
    """
    assert [] == list(sandbox.artifacts(tmp_path / "none", 100))
