"""Runs the scorer of an edge bundle in an environment with onnxruntime and numpy alone, and measures it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...command.host import Host
from ...core.security.child_environment import for_model
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner

EDGE = Path(__file__).parents[2] / "edge"


@lazy_dataclass
class ScoredBundle:
    """The answers of a bundle, median seconds of the prediction for one row, and the peak of the memory in bytes."""

    answers: tuple[Mapping[str, Any], ...]
    row_s: float
    memory: int


@lazy_dataclass
class BundleScorer:
    """Runs the scorers of bundles, without credentials, for at most `timeout_s` seconds each."""

    runner: Runner
    host: Host
    on_line: Callable[[str], None]
    timeout_s: float

    def score(self, python: Path, bundle: Path, requests: Path, *, repeats: int) -> ScoredBundle | str:
        """
        Answer the requests in a file with the bundle in a folder.

        Return the last line of the output if onnxruntime does not load the model. Raises TooSlow.
        """
        out = requests.with_name("converted.json")
        argv = (str(python), "-I", str(EDGE / "measure.py"), str(bundle), str(requests), str(out), str(repeats))
        command = Command(
            argv=argv,
            folder=requests.parent,
            variables=for_model(self.host.variables).variables,
            timeout_s=self.timeout_s,
            foreign=True,
        )
        completed = self.runner.run(command)
        if completed.code != 0 or not out.is_file():
            return completed.last_line
        content = parse_json(out.read_bytes())
        return ScoredBundle(
            answers=tuple(content["answers"]), row_s=float(content["row_s"]), memory=int(content["memory"])
        )
