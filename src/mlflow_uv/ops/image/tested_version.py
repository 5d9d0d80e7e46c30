"""Finds the version that a running server is tested for: that of the record, or one in the registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.inputs import RecordInputs, RegistryInputs
from ...core.release.record import AnswersLink
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import STATE
from ...tools.toolbox import Tools
from ..lineage.audit import record_of
from ..lineage.recompute import verified_release
from ..lineage.registry_client import connect
from ..lineage.version_lookup import URL_VERSION, parsed_uri, version_number
from .isolation import download_version

NO_STATE = "none"


@lazy_dataclass
class TestedVersion:
    """The files of a version, how it is shown, its state in the registry, and the link to its recorded requests."""

    model: Path
    shown: str
    state: str
    answers: AnswersLink | None


@contextmanager
def recorded_version(inputs: RecordInputs, tools: Tools) -> Iterator[TestedVersion]:
    """The version of the release record, verified and downloaded while the block runs. Raises as verified_release."""
    with verified_release(inputs, tools) as release:
        link = release.record.version
        tags = release.client.describe_version(link.name, link.version).tags if link else {}
        yield TestedVersion(
            model=release.model,
            shown=f"{link.name} version {link.version}" if link else f"model {release.record.model.model_id}",
            state=tags.get(STATE, NO_STATE),
            answers=release.record.answers,
        )


@contextmanager
def registered_version(inputs: RegistryInputs, uri: str, tools: Tools) -> Iterator[TestedVersion]:
    """
    A version in the registry, downloaded while the block runs.

    Raises BadInput for one that does not exist, and ChainBroken for files other than the registered ones.
    """
    name, number, alias = parsed_uri(uri)
    registry = connect(inputs, tools)
    version = version_number(registry, name, alias or number, URL_VERSION)
    with TemporaryDirectory(prefix="mlflow-uv-version-") as folder:
        scratch = Path(folder)
        subject = download_version(registry, name, version, scratch / "model")
        description = registry.client.describe_version(name, version)
        record = record_of(registry, description, scratch / "record.json")
        yield TestedVersion(
            model=subject.model,
            shown=subject.shown,
            state=description.tags.get(STATE, NO_STATE),
            answers=record.answers if record else None,
        )
