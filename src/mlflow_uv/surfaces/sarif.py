"""
Writes findings as SARIF 2.1.0, which code scanning shows beside the code.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; GitHub shows a result only with a location and a rule.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..command.errors import Cancelled, StepError
from ..command.report import Finding, Report, Severity
from ..core.lint.catalog import NAMES, rule_of
from ..core.lint.rule import PREFIX
from ..core.security.control_characters import visible
from ..core.security.masking import mask
from ..tools.project.files import absolute, bounds_of, write_atomically
from .phrasing import ActionSource

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTICE: "note"}


class SarifFile:
    """
    A file with the findings of a step; paths in it are relative to `root`, the checkout.

    A finding without a file is about the project, whose folder is `project`. `phrased` writes a message in the terms of
    the surface, and `secrets` are masked, as they are when it is written.
    """

    def __init__(
        self,
        step: str,
        root: Path,
        *,
        project: Path,
        phrased: Callable[[str], str],
        secrets: Callable[[], Sequence[str]],
    ) -> None:
        self._step = step
        self._root = absolute(root)
        self._manifest = absolute(project) / "pyproject.toml"
        self._phrased = phrased
        self._secrets = secrets

    def write(self, path: Path, answer: "Report[Any] | StepError | Cancelled | KeyboardInterrupt") -> None:
        """Write the file, also for a step that ended without a result. Raises BadInput, ToolFailed."""
        text = json.dumps(self.log(answer), indent=2, ensure_ascii=False) + "\n"
        write_atomically(absolute(path), text.encode(errors="replace"), within=bounds_of(path))

    def log(self, answer: "Report[Any] | StepError | Cancelled | KeyboardInterrupt") -> Mapping[str, Any]:
        """The log with one run. An error, or a cancellation, is a notification: what was found before are results."""
        report = answer.so_far if isinstance(answer, (StepError, Cancelled)) else answer
        findings = report.findings if isinstance(report, Report) else ()
        rules = tuple(dict.fromkeys(finding.rule for finding in findings))
        invocation: dict[str, Any] = {"executionSuccessful": isinstance(answer, Report)}
        if not isinstance(answer, Report):
            text = self._text(answer.text) if isinstance(answer, StepError) else "cancelled"
            invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": text}}]
        run = {
            "tool": {"driver": _driver(rules)},
            "automationDetails": {"id": f"mlflow-uv/{self._step}/"},
            "invocations": [invocation],
            "columnKind": "unicodeCodePoints",
            "results": [self._result(finding, rules.index(finding.rule)) for finding in findings],
        }
        return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}

    def _result(self, finding: Finding, index: int) -> Mapping[str, Any]:
        uri = self._uri(finding.path or self._manifest)
        identity = "\0".join((finding.rule, uri, self._text(finding.what)))
        return {
            "ruleId": finding.rule,
            "ruleIndex": index,
            "level": _LEVELS[finding.severity],
            "message": {"text": self._text(finding.text)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri},
                        "region": {"startLine": max(1, finding.line)},
                    }
                }
            ],
            # Without the line, so that a result is the same one after lines above it changed.
            "partialFingerprints": {
                "mlflowUv/v1": hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
            },
        }

    def _text(self, text: str) -> str:
        return visible(mask(self._phrased(text), self._secrets()))

    def _uri(self, path: PurePath) -> str:
        """A URI relative to the checkout; of a file elsewhere, an absolute one. Both as RFC 3986 wants them."""
        relative = Path(os.path.relpath(self._root / path, self._root)).as_posix()
        outside = relative.startswith("../")
        masked = mask(os.path.normpath(self._root / path) if outside else relative, self._secrets())
        quoted = quote(os.fsencode(masked))
        return f"file://{quoted}" if outside else quoted


def _driver(rules: Sequence[str]) -> Mapping[str, Any]:
    source = ActionSource()
    home = f"{source.server}/{source.repository}"
    return {
        "name": "mlflow-uv",
        "semanticVersion": __version__,
        "informationUri": home,
        "rules": [_rule(rule, f"{home}/blob/{source.ref}/docs") for rule in rules],
    }


def _rule(rule: str, docs: str) -> Mapping[str, Any]:
    name = rule.removeprefix(PREFIX)
    if not rule.startswith(PREFIX) or name not in NAMES:
        return {"id": rule, "shortDescription": {"text": rule.replace("-", " ")}, "helpUri": f"{docs}/reference.md"}
    return {
        "id": rule,
        "shortDescription": {"text": rule_of(name).summary},
        "helpUri": f"{docs}/rules/{name}.md",
    }
