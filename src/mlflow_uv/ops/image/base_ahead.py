"""Makes parts of a composed image while MLflow is imported, which takes a second of one processor and no network."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ...command.errors import StepError
from ...command.inputs import RecordInputs
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.oci.repository import RegistryUnanswered
from ...tools.system.partial_folders import scratch_folder
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease, verified_beside
from .build import official_base
from .builders import AheadRequest, MadeAhead
from .environment import minor_of
from .platforms import ARCHITECTURES


@lazy_dataclass
class PreparedRelease:
    """A verified release, and what was made of its image meanwhile; None if nothing was."""

    release: RecomputedRelease
    ahead: MadeAhead | None = None


@contextmanager
def release_with_parts(
    inputs: RecordInputs, request: AheadRequest, tools: Tools, *, parts: bool, base: bool
) -> Iterator[PreparedRelease]:
    """
    Provide the verified release, and the parts of its image that were made meanwhile. Raises as `verified_release`.

    With `base`, the first base on a machine is read from the start on; without `parts`, no layers are made.
    """
    if parts and not tools.mlflow.started:  # a process that has MLflow answers at once
        with _release_and_parts(inputs, request, tools, base=base) as prepared:
            yield prepared
        return
    with ExitStack() as stack:
        with base_ahead(request.compose.base, tools.records.path(inputs.record, inputs.project), tools, wanted=base):
            release = stack.enter_context(verified_beside(inputs, tools, lambda _: None))
        yield PreparedRelease(release=release)


@contextmanager
def _release_and_parts(
    inputs: RecordInputs, request: AheadRequest, tools: Tools, *, base: bool
) -> Iterator[PreparedRelease]:
    from .parts_ahead import PartsMaker  # noqa: PLC0415  # not every image is composed

    with ExitStack() as stack:
        maker = PartsMaker(request, stack.enter_context(scratch_folder()), tools)
        threads: list[threading.Thread] = []
        record = tools.records.path(inputs.record, inputs.project)
        with base_ahead(request.compose.base, record, tools, wanted=base) as base_is_read:

            def make(release: RecomputedRelease) -> None:
                base_is_read()
                maker.make(release)

            def begin(release: RecomputedRelease) -> None:
                threads.append(threading.Thread(target=make, args=(release,)))
                threads[-1].start()

            try:
                release = stack.enter_context(verified_beside(inputs, tools, begin))
            except BaseException:
                maker.stop()
                raise
            finally:
                for thread in threads:
                    thread.join()
        yield PreparedRelease(release=release, ahead=maker.made)


@contextmanager
def base_ahead(name: str | None, record: Path, tools: Tools, *, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """
    Read a base image from its registry while the block runs, if this machine knows no base; it is in the cache then.

    The function that is provided waits until it is. Without a name it is that for the model of a record. Whatever goes
    wrong is left to who reads it next: this is no check, and what is read is verified again.
    """
    from ...tools.layers.base_cache import BaseCache  # noqa: PLC0415  # not every image is composed

    if not wanted or BaseCache(tools.host.cache).knows_any:
        yield lambda: None
        return
    thread = threading.Thread(target=_read, args=(name, record, tools))
    thread.start()
    try:
        yield thread.join
    finally:
        thread.join()


def _read(name: str | None, record: Path, tools: Tools) -> None:
    from .composed_base import keep_base  # noqa: PLC0415  # not every image is composed

    architecture = ARCHITECTURES.get(tools.host.machine, "")
    with suppress(StepError, RegistryUnanswered, OSError, ValueError), scratch_folder() as scratch:
        base = name or official_base(minor_of(tools.records.load(record).model.python))
        keep_base(base, architecture, scratch, tools)
