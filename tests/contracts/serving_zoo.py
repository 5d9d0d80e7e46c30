"""
Logs models by their training programs, and responds to requests as MLflow's code does and as this program's server.

A program of the models' environment, with this package on PYTHONPATH. Each line of standard input is a JSON object with
the arguments of `log` or of `respond`; each line of standard output is the answer to one.
"""

import asyncio
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

import mlflow
import yaml
from mlflow.pyfunc import scoring_server

from mlflow_uv.payloads.messages.models import AnswerRequests, DescribeCases
from mlflow_uv.payloads.models import answers, cases
from mlflow_uv.serving import application, settings

HEAD = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "query_string": b""}
TIME_LIMIT_S = 60


def log(words):
    """Run a training program in the working directory; the files of its model, its signature and its example."""
    before = set(Path("artifacts").rglob("MLmodel"))
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
    (described,) = set(Path("artifacts").rglob("MLmodel")) - before
    folder = str(described.parent.absolute())
    (example,) = cases.describe(DescribeCases(model=folder)).requests
    return {
        "model": folder,
        "signature": yaml.safe_load(described.read_text()).get("signature"),
        "example": example,
    }


def respond(model, example, derived):
    """The responses of MLflow's code to an example and to derived bodies, and those of the server."""
    request = AnswerRequests(model=model, requests=(example,), derived=tuple(derived))
    training = answers.answer(request)
    os.environ["MLFLOW_UV_MODEL"] = model
    loaded = scoring_server.load_model_with_mlflow_config(model)
    app = application.application(loaded, scoring_server.init(loaded), settings.read(os.environ), None)
    responses = [{"status": 200, "answer": training.answers[0]}]
    responses += [
        {"status": int(response.status), "answer": response.answer, "reason": response.reason}
        for response in training.bodies.derived
    ]
    return {"training": responses, "served": asyncio.run(served(app, [json.dumps(example), *derived]))}


async def served(app, bodies):
    """The status and the body of each response of an ASGI application."""
    return [await invoked(app, body.encode()) for body in bodies]


async def invoked(app, body):
    """The status and the text of the response to one request."""
    sent = []
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return received.pop() if received else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    path = {"path": "/invocations", "raw_path": b"/invocations", "root_path": "", "method": "POST"}
    ends = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080)}
    await asyncio.wait_for(app({**HEAD, **path, **ends, "headers": headers}, receive, send), TIME_LIMIT_S)
    return {"status": sent[0]["status"], "body": b"".join(part.get("body", b"") for part in sent[1:]).decode()}


def answer_in_fork(asked, answering):
    """Answer one question in a fork, so that models do not meet each other's modules, threads and stores."""
    if os.fork():
        os.wait()
        return
    try:
        mlflow.set_tracking_uri("sqlite:///./mlflow.db")  # the same file by another name: a connection of its own
        mlflow.set_experiment("zoo")
        answer = log(asked["log"]) if "log" in asked else respond(**asked["respond"])
    except BaseException:  # noqa: BLE001  # a model's code may raise anything
        traceback.print_exc()
        answer = {"failed": traceback.format_exc()}
    print(json.dumps(answer), file=answering, flush=True)
    os._exit(0)


if __name__ == "__main__":
    answering, sys.stdout = sys.stdout, sys.stderr
    sys.path.insert(0, str(Path.cwd()))
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.create_experiment("zoo", artifact_location=str(Path("artifacts").absolute()))
    for line in sys.stdin:
        answer_in_fork(json.loads(line), answering)
