"""Declares the faults that tests plant in models, and renders what a run saw of them as a page of the documentation."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "planted-faults.md"
LONGEST_MESSAGE = 160  # characters
KEPT = "mlflow-uv/planted-faults"  # in pytest's cache
COMMAND = "bin/test tests/cases/test_planted_faults.py --extended && python tests/planted_faults.py"
HEAD = f"""\
<!-- Written by `{COMMAND}`. -->

# Planted faults

Each of these faults was planted in a real model, which was trained, logged and served by real MLflow. The message is
that of the run that wrote this page.

| fault | planted | step | caught by | exit code | message |
|---|---|---|---|---:|---|
"""

# A folder of the run that wrote the page, up to what is said about it.
_TEMPORARY = re.compile(r"/tmp/.+?(?= (?:is not|cannot be served))")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedFault:
    """
    A fault, the step that catches it, and how: the rule of a finding or the kind of an error, and part of its message.

    `inputs` are those of the step, `predict` is the code of a model that has the fault in training already.
    """

    name: str
    planted: str
    step: str
    rule: str
    code: int
    message: str
    inputs: tuple[tuple[str, Any], ...] = ()
    predict: str = ""

    @property
    def key(self) -> str:
        """Where pytest's cache keeps what a run saw."""
        return f"{KEPT}/{self.name.replace(' ', '-')}"


# Planted in a server in a process: one model is released, and served with each of them.
SERVED = (
    PlantedFault(
        name="scaler",
        planted="the server scales by a factor that is 0.001 larger",
        step="smoke-test",
        rule="answers-differ",
        code=1,
        message="$.predictions[0] is 17.0",
    ),
    PlantedFault(
        name="column order",
        planted="the server takes the columns in the order of their names",
        step="smoke-test",
        rule="answers-differ",
        code=1,
        message="$.predictions[0] is 71.0, expected is 17.0",
    ),
    PlantedFault(
        name="NaN",
        planted="every answer of the server is NaN",
        step="smoke-test",
        rule="answers-differ",
        code=1,
        message="$.predictions[0] is nan, expected is 17.0",
    ),
    PlantedFault(
        name="random",
        planted="the server answers by random numbers",
        step="smoke-test",
        rule="answers-differ",
        code=1,
        message="the prediction for recorded request 1 is not that of training: $.predictions[0] is 0.",
    ),
    PlantedFault(
        name="one case",
        planted="the server answers an empty batch with a number, and is right otherwise",
        step="smoke-test",
        rule="answers-differ",
        code=1,
        message="the prediction for derived: empty batch is not that of training",
    ),
    PlantedFault(
        name="second chunk",
        planted="the server adds one to the second chunk of every stream",
        step="smoke-test",
        rule="answers-differ",
        code=1,
        message="chunk 2",
    ),
    PlantedFault(
        name="slow",
        planted="every answer takes four seconds, with a limit of two",
        step="smoke-test",
        rule="case-refused",
        code=1,
        message="recorded request 1 got no response within 2 s",
        inputs=(("answer_timeout", 2.0),),
    ),
    PlantedFault(
        name="hangs",
        planted="the model does not load within five seconds, which is the limit",
        step="smoke-test",
        rule="NotServing",
        code=15,
        message="the server was not healthy within 5 s",
        inputs=(("deadline", 5.0),),
    ),
    PlantedFault(
        name="third request",
        planted="the process ends at its third request",
        step="smoke-test",
        rule="case-refused",
        code=1,
        message="got no response: the server ended",
    ),
    PlantedFault(
        name="system library",
        planted="the model needs a library that the machine of the server lacks",
        step="smoke-test",
        rule="NotServing",
        code=15,
        message="libplanted.so.1: cannot open shared object file",
    ),
    PlantedFault(
        name="package",
        planted="the model imports a package that the lock lacks where it is served",
        step="smoke-test",
        rule="NotServing",
        code=15,
        message="ModuleNotFoundError: No module named 'scaler_of_another_team'",
    ),
    PlantedFault(
        name="writes",
        planted="the server writes into the folder of its model",
        step="smoke-test",
        rule="model-changed",
        code=1,
        message="the model changed files of its own folder: state.txt",
    ),
    PlantedFault(
        name="writes while verified",
        planted="the same, in one of the ways of `verify`",
        step="verify",
        rule="way-failed",
        code=1,
        message="the model changed files of its own folder: state.txt",
        inputs=(("version_uri", "models:/wine@candidate"), ("ways", ("process",))),
    ),
)
# Planted in a container: the same model in an image.
CONTAINED = (
    PlantedFault(
        name="leaks",
        planted="every answer keeps 200 MB, in a container with 1,000 MiB of memory",
        step="smoke-test",
        rule="memory-limit",
        code=1,
        message="1000 MiB",
        inputs=(("serve_memory", 1000),),
    ),
    PlantedFault(
        name="phones home",
        planted="the model opens an address on the internet when it loads, in a container",
        step="smoke-test",
        rule="NotServing",
        code=15,
        message="before it was healthy",
    ),
)
# Planted in the model's own code, so that training has them too.
LOGGED = (
    PlantedFault(
        name="random in training",
        planted="the model answers by random numbers, in training too",
        step="log-model",
        rule="answers-fickle",
        code=1,
        message="$.predictions[0]",
        predict='return [float(x) for x in __import__("numpy").random.rand(len(model_input))]',
    ),
    PlantedFault(
        name="own example",
        planted="the model cannot answer its own input example as the server parses it",
        step="log-model",
        rule="ModelUnusable",
        code=14,
        message="the model cannot answer request 1: KeyError: 'X'",
        predict='return list(model_input["X"])',
    ),
)
# Planted in the environment that was built to serve the model.
CHANGED_ENVIRONMENT = PlantedFault(
    name="foreign package",
    planted="a package is installed into the environment that serves the model, after it was built from the lock",
    step="smoke-test",
    rule="ChainBroken",
    code=11,
    message="is not the recorded one",
)
FAULTS = (*SERVED, *LOGGED, CHANGED_ENVIRONMENT, *CONTAINED)


def page(seen: Mapping[str, Mapping[str, object]]) -> str:
    """The page with a row for each fault, in the order of the declaration; `seen` are results by the fault's name."""
    return HEAD + "".join(f"{_row(fault, seen[fault.name])}\n" for fault in FAULTS)


def rows(text: str) -> list[tuple[str, ...]]:
    """The cells of each row of a page, without its message."""
    lines = re.findall(r"^\| (?!fault )(.*) \|$", text, re.MULTILINE)
    return [tuple(line.split(" | ")[:5]) for line in lines]


def declared(faults: Iterable[PlantedFault]) -> list[tuple[str, ...]]:
    """The cells of each row as the faults are declared, without the message."""
    return [(fault.name, fault.planted, f"`{fault.step}`", f"`{fault.rule}`", str(fault.code)) for fault in faults]


def _row(fault: PlantedFault, seen: Mapping[str, object]) -> str:
    message = " ".join(str(seen["message"]).split()).replace("`", "'").replace("|", "\\|")
    message = _TEMPORARY.sub("FOLDER", message)
    shown = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"
    step, rule, code = f"`{fault.step}`", f"`{seen['rule']}`", str(seen["code"])
    return f"| {' | '.join((fault.name, fault.planted, step, rule, code, f'`{shown}`'))} |"


def main() -> None:
    """Write the page from what the last run of each test kept. Raises FileNotFoundError if one has not run."""
    kept = ROOT / ".pytest_cache" / "v"
    PAGE.write_text(page({fault.name: json.loads((kept / fault.key).read_text()) for fault in FAULTS}))


if __name__ == "__main__":
    main()
