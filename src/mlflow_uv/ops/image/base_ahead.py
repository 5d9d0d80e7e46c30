"""Reads the base of the first composed image on a machine while MLflow is imported, which needs no network."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from ...command.errors import StepError
from ...command.inputs import RecordInputs
from ...tools.oci.repository import RegistryUnanswered
from ...tools.system.partial_folders import scratch_folder
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease, verified_release
from .build import official_base
from .environment import minor_of
from .platforms import ARCHITECTURES


@contextmanager
def release_with_base(
    inputs: RecordInputs, base: str | None, tools: Tools, *, ahead: bool
) -> Iterator[RecomputedRelease]:
    """Provide the verified release; if `ahead` is set, its base is read meanwhile. Raises as `verified_release`."""
    with ExitStack() as stack:
        record = tools.records.path(inputs.record, inputs.project)
        with base_ahead(base, record, tools) if ahead else nullcontext():
            release = stack.enter_context(verified_release(inputs, tools))
        yield release


@contextmanager
def base_ahead(name: str | None, record: Path, tools: Tools) -> Iterator[None]:
    """
    Read a base image from its registry while the block runs, if this machine knows no base; it is in the cache then.

    Without a name it is that for the model of a record. Whatever goes wrong is left to who reads it next: this is no
    check, and what is read is verified again.
    """
    from ...tools.layers.base_cache import BaseCache  # noqa: PLC0415  # not every image is composed

    if BaseCache(tools.host.cache).knows_any:
        yield
        return
    thread = threading.Thread(target=_read, args=(name, record, tools))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _read(name: str | None, record: Path, tools: Tools) -> None:
    from .composed_base import keep_base  # noqa: PLC0415  # not every image is composed

    architecture = ARCHITECTURES.get(tools.host.machine, "")
    with suppress(StepError, RegistryUnanswered, OSError, ValueError), scratch_folder() as scratch:
        base = name or official_base(minor_of(tools.records.load(record).model.python))
        keep_base(base, architecture, scratch, tools)
