"""Which servers are written into code or configuration as the tracking URI."""

import os
import socket
import subprocess
from pathlib import Path

from mlflow_uv.ops.lint.written_servers import servers_not_listening, written_servers
from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.system.process import SystemRunner
from tests.ports import free_port

FILES = {
    "uv.lock": "version = 1\n",
    "conf.yaml": "mlflow:\n  tracking_uri: http://me:word@localhost:8080/path # here\n",
    "src/passes.py": "import mlflow\n\nmlflow.set_tracking_uri(config.tracking_uri)\n",
    "train.py": 'import mlflow\n\nmlflow.set_tracking_uri("https://a.test")\n',
    "far.py": 'URI = "http://b.test"\nmlflow.set_tracking_uri(\n    URI)\n',
    "file.py": 'mlflow.set_tracking_uri("sqlite:///mlflow.db")  # http://localhost:5000 before\n',
    "odd.py": 'mlflow.set_tracking_uri("http://[::1")\nmlflow.set_tracking_uri("http://localhost:99999")\n',
    "part.py": 'mlflow.set_tracking_uri("http://[::1]:8080/#here")\n',
    "scratch.py": 'mlflow.set_tracking_uri("http://c.test")\n',
    ".gitignore": "scratch.py\n",
}


def test_a_server_is_found_by_its_place_and_without_a_password(tmp_path: Path) -> None:
    """
    Not one that git ignores, a file, or an address that is in another line than the call.
    """
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    git = Git(SystemRunner(), variables=dict(os.environ))

    outside = [*written_servers(tmp_path, git)]
    subprocess.run(("git", "init", "--quiet"), cwd=tmp_path, check=True)
    found = [*written_servers(tmp_path, git)]

    assert [] == outside
    assert [
        ("http://localhost:8080", tmp_path / "conf.yaml", 2),
        ("http://[::1]:8080", tmp_path / "part.py", 1),
        ("https://a.test:443", tmp_path / "train.py", 3),
    ] == [(server.origin, server.path, server.line) for server in found]
    assert ["pass os.environ.get", "remove it, and set ", "remove it, and set "] == [
        server.fix[:19] for server in found
    ]


def test_only_a_server_of_this_machine_that_does_not_listen_is_reported(tmp_path: Path) -> None:
    """
    Once, at its first line; nobody knows from here whether another machine has one.
    """
    silent, listening = free_port(), free_port()
    addresses = (f"http://127.0.0.1:{silent}", f"http://127.0.0.1:{listening}", "https://a.test")
    code = "".join(f'mlflow.set_tracking_uri("{address}")\n' for address in addresses)
    (tmp_path / "train.py").write_text(f"import mlflow\n{code}")
    (tmp_path / "tune.py").write_text(code)
    subprocess.run(("git", "init", "--quiet"), cwd=tmp_path, check=True)

    with socket.create_server(("127.0.0.1", listening)):
        (finding,) = servers_not_listening(tmp_path, Git(SystemRunner(), variables=dict(os.environ)))

    assert ("written-tracking-uri", tmp_path / "train.py", 2) == (finding.rule, finding.path, finding.line)
    assert f"no server listens at `http://127.0.0.1:{silent}`" in finding.what
    assert finding.what.endswith("that is written here, and in 1 more place")
