"""
Measures how the server behaves with every minor version of MLflow: start, files, shared memory, read-only root.

    uv run benchmarks/mlflow_minors.py [--minors 2.20,3.11] [--environments FOLDER] [--serving FOLDER] [--write]

One environment for each minor, made by uv in a temporary folder or kept in `--environments`; in each, a scikit-learn
model, a traced one and an agent are saved and served as processes. The read-only root is a mount namespace of its own
and a user without rights, so that part needs Linux and root. `--serving` takes the server from another folder. With
`--write` the table goes to docs/serving.md.
"""

import argparse
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import page
from race import ROOT, UV, version

SERVING = ROOT / "src" / "mlflow_uv" / "serving"
DOCUMENT = ROOT / "docs" / "serving.md"
MINORS = ("2.20", "2.21", "2.22", *(f"3.{minor}" for minor in range(18)))
PATIENCE_S = 300
NOBODY = "10001"
TABLE = {"dataframe_split": {"columns": ["x"], "data": [[1.5]]}}
QUESTION = {"input": [{"role": "user", "content": "hello"}]}
REQUESTS = {"plain": TABLE, "traced": TABLE, "agent": QUESTION}
SAVING = """
import inspect, pathlib, sys
import mlflow, pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

folder = pathlib.Path(sys.argv[1])
X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
known = inspect.signature(mlflow.sklearn.save_model).parameters
options = {"serialization_format": "cloudpickle"} if "serialization_format" in known else {}
model = LogisticRegression().fit(X, [0, 0, 1, 1])
mlflow.sklearn.save_model(model, str(folder / "plain"), pip_requirements=[], signature=infer_signature(X), **options)
traced = folder / "traced.py"
traced.write_text('''
import mlflow

class Traced(mlflow.pyfunc.PythonModel):
    @mlflow.trace
    def predict(self, context, model_input, params=None):
        with mlflow.start_span("inner"):
            return [2.0 * x for x in model_input["x"]]

mlflow.models.set_model(Traced())
''')
signature = infer_signature(X, [1.0])
mlflow.pyfunc.save_model(str(folder / "traced"), python_model=str(traced), signature=signature, pip_requirements=[])
try:
    from mlflow.types.responses import ResponsesAgentResponse
except ImportError:  # from MLflow 3.0 on
    pass
else:
    agent = folder / "agent.py"
    agent.write_text('''
import mlflow
from mlflow.types.responses import ResponsesAgentResponse

class Agent(mlflow.pyfunc.ResponsesAgent):
    def predict(self, request):
        text = {"type": "output_text", "text": "hello", "annotations": []}
        item = {"type": "message", "id": "1", "status": "completed", "role": "assistant", "content": [text]}
        return ResponsesAgentResponse(output=[item])

mlflow.models.set_model(Agent())
''')
    mlflow.pyfunc.save_model(str(folder / "agent"), python_model=str(agent), pip_requirements=[])
print(mlflow.__version__)
"""
# A root that nobody can write to, and a user that could not anyway.
READ_ONLY = (
    "unshare", "--mount", "sh", "-c",
    'mount --make-rprivate / && mount --bind / / && mount -o remount,bind,ro / && cd /tmp && exec "$@"', "sh",
    "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
)  # fmt: skip
HEADER = (
    "| MLflow | ready after | of which CPU time | first responses (plain, traced, agent) | files written | "
    "2 workers share | memory of 2 workers | read-only root |\n|---|---|---|---|---|---|---|---|"
)
REMARK = """
Measured by `benchmarks/mlflow_minors.py` on {machine}. The machine was shared with other work, so CPU
time is more reliable than elapsed time. Each server is a process with two workers. The columns are: seconds until
`/ping` answers for a scikit-learn model, and the CPU time in them; seconds of the first request to each of three models
(a scikit-learn model, a Python model with `@mlflow.trace`, a `ResponsesAgent`); files that any of them wrote into its
working, home or temporary folder; whether the two workers share the memory of the model; memory of all processes (PSS);
and whether the traced model answers on a read-only root file system without any writable folder, as an unprivileged
user.
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is healthy: after how many seconds of the clock and of the processor, and where it may write."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path
    healthy_s: float
    processor_s: float

    def first_answer_s(self, payload: object) -> float:
        """How long one request takes; it has to be answered with 200."""
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("POST", "/invocations", json.dumps(payload), {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{response.status}: {body.decode(errors='replace')[:300]}")
        return time.perf_counter() - started

    def written(self) -> set[str]:
        """Names at the top of what it wrote, and of nothing that it only made and took away again."""
        places = [self.folder / name for name in ("cwd", "home", "tmp")]
        return {path.name for place in places for path in place.iterdir()}

    @property
    def shares(self) -> bool:
        """Whether the workers share one load."""
        return "Each worker loads" not in (self.folder / "log").read_text()

    def memory_mb(self) -> float:
        """The PSS of all its processes."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes(self.process.pid))
        return sum(int(text.partition("\nPss:")[2].split()[0]) for text in rollups) / 1024


def main(arguments: Sequence[str]) -> None:
    """Measure minor after minor, print a line of each, and perhaps write the table."""
    parser = argparse.ArgumentParser(prog="mlflow_minors.py")
    parser.add_argument("--minors", default=",".join(MINORS), help="some of them, separated by commas")
    parser.add_argument("--environments", type=Path, help="folder in which environments are kept")
    parser.add_argument("--serving", type=Path, default=SERVING, help="folder of the server")
    parser.add_argument("--write", action="store_true", help="write the table to docs/serving.md")
    options = parser.parse_args(arguments)
    lines = [HEADER]
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-minors-") as scratch:
        Path(scratch).chmod(0o755)  # the user without rights reads models in it
        for minor in options.minors.split(","):
            folder = Path(scratch) / minor
            folder.mkdir()
            python = environment((options.environments or Path(scratch) / "environments").resolve() / minor, minor)
            try:
                lines.append(measured(python, folder, options.serving.resolve()))
            except RuntimeError as error:  # that one cannot be served is a result, too
                lines.append(f"| {minor} | {' '.join(str(error).split())[-200:]} | | | | | | |")
            print(lines[-1], flush=True)
            shutil.rmtree(folder)
    if options.write:
        machine = f"{os.cpu_count()} cores, Python 3.11, {version(UV)}, {platform.system()} {platform.release()}"
        table = "\n".join(lines)
        section = f"### Measured with minor versions of MLflow\n\n{table}\n{REMARK.format(machine=machine)}"
        DOCUMENT.write_text(page.put(DOCUMENT.read_text(), "mlflow_minors.py", section))


def environment(folder: Path, minor: str) -> Path:
    """The interpreter of an environment that has the newest patch of a minor version."""
    python = folder / "bin" / "python"
    if not python.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(UV, "venv", "--quiet", "--python", "3.11", str(folder))
        run(UV, "pip", "install", "--quiet", "--python", str(python), f"mlflow=={minor}.*", "scikit-learn")
    return python


def measured(python: Path, folder: Path, serving: Path) -> str:
    """The line of one minor version."""
    saving = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/own.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = run(str(python), "-c", SAVING, str(folder), environment=saving, cwd=folder)
    release = done.split()[-1]
    models = [name for name in REQUESTS if (folder / name).is_dir()]
    answers, files, shares = [], set[str](), True
    healthy, processor, memory = 0.0, 0.0, 0.0
    for name in models:
        with served(python, serving, folder / name) as server:
            answers.append(f"{server.first_answer_s(REQUESTS[name]):.2f} s")
            server.first_answer_s(REQUESTS[name])
            files |= server.written()
            shares &= server.shares
            if name == "plain":
                healthy, processor, memory = server.healthy_s, server.processor_s, server.memory_mb()
    verdict = on_read_only_root(python, serving, folder / "traced") or "answers"
    written = ", ".join(sorted(files)) or "none"
    return (
        f"| {release} | {healthy:.1f} s | {processor:.1f} s | {', '.join(answers)} | {written} "
        f"| {'yes' if shares else 'no'} | {memory:.0f} MB | {verdict} |"
    )


def on_read_only_root(python: Path, serving: Path, model: Path) -> str:
    """Why a model cannot be served or asked there, empty where it can."""
    try:
        with served(python, serving, model, *READ_ONLY, HOME="/tmp", TMPDIR="") as server:
            server.first_answer_s(REQUESTS[model.name])
    except (RuntimeError, OSError) as error:
        return " ".join(str(error).split())[:120]
    return ""


@contextmanager
def served(python: Path, serving: Path, model: Path, *before: str, **more: str) -> Iterator[Server]:
    """Start a server and wait until it is healthy. Raises RuntimeError with its last line where it ends instead."""
    folder = Path(tempfile.mkdtemp(dir=model.parent))
    for name in ("cwd", "home", "tmp"):
        (folder / name).mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    places = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), **more}
    settings = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "2", **places}
    variables = {**settings, "MLFLOW_UV_MODEL": str(model), "PYTHONDONTWRITEBYTECODE": "" if not before else "1"}
    argv = (*before, str(python), "-I", str(serving))
    started = time.perf_counter()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=folder / "cwd", env=variables, stdout=log, stderr=log)
    try:
        while not healthy(port):
            if process.poll() is not None or time.perf_counter() - started > PATIENCE_S:
                raise RuntimeError(((folder / "log").read_text().strip() or "nothing was said").splitlines()[-1])
            time.sleep(0.02)
        taken = time.perf_counter() - started
        spent = processor_s(process.pid)
        yield Server(process=process, port=port, folder=folder, healthy_s=taken, processor_s=spent)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def healthy(port: int) -> bool:
    """Whether `/ping` is answered."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False


def processes(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # it ended
        return []
    return [pid, *(below for child in children for below in processes(int(child)))]


def processor_s(pid: int) -> float:
    """Seconds of the processor that a process and all below it took, with those of children that ended."""
    texts = (Path(f"/proc/{below}/stat").read_text() for below in processes(pid))
    ticks = sum(sum(map(int, text.rpartition(")")[2].split()[11:15])) for text in texts)
    return ticks / os.sysconf("SC_CLK_TCK")


def run(*argv: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a program printed. Raises RuntimeError with its last words where it fails."""
    done = subprocess.run(argv, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
