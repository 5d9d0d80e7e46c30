"""The program in a container that hands its pipes to the payloads."""

import base64
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path


def test_the_lines_after_the_archive_are_those_of_the_payloads(root: Path, tmp_path: Path) -> None:
    """
    It reads no byte too many: the first request is answered, with the payloads of the archive.
    """
    source, archive = root / "src" / "mlflow_uv", io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(source / "payloads", "payloads", filter=lambda entry: None if "__pycache__" in entry.name else entry)
    response = tmp_path / "response.json"
    request = {"verb": "describe-environment", "request": {}, "response": str(response)}
    lines = f"{base64.b64encode(archive.getvalue()).decode()}\n{json.dumps(request)}\n"
    program = (source / "installing" / "conversation.py").read_text()
    argv = (sys.executable, "-I", "-S", "-c", program, str(tmp_path / "work"))

    done = subprocess.run(argv, input=lines, capture_output=True, text=True, check=True)

    assert "{}\n{}\n" == done.stdout
    assert json.loads(response.read_text()).keys() <= {"value", "error"}  # an error without MLflow's packages
