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
from ...tools.system.threads import await_end
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease, verified_beside
from .build import official_base
from .builders import AheadRequest, MakerAhead
from .environment import minor_of
from .platforms import ARCHITECTURES


@lazy_dataclass
class PreparedRelease:
    """A verified release, and what is made of its image meanwhile; None if nothing is."""

    release: RecomputedRelease
    ahead: MakerAhead | None = None


@contextmanager
def release_with_parts(inputs: RecordInputs, request: AheadRequest, tools: Tools) -> Iterator[PreparedRelease]:
    """Provide the verified release, and the parts of its image that are made meanwhile. Raises as verified_release."""
    with ExitStack() as stack:
        record = tools.records.path(inputs.record, inputs.project)
        scratch = stack.enter_context(scratch_folder())
        maker = _parts_maker(request, scratch, tools) if request.makes_layers else None
        base = base_ahead(request.compose.base, record, tools, wanted=request.reads_base)
        base_is_read = stack.enter_context(base)
        begin = stack.enter_context(meanwhile(base_is_read, maker))
        release = stack.enter_context(verified_beside(inputs, tools, begin))
        if maker is None:
            base_is_read()
        yield PreparedRelease(release=release, ahead=maker)


def _parts_maker(request: AheadRequest, scratch: Path, tools: Tools) -> MakerAhead:
    from .parts_ahead import PartsMaker  # noqa: PLC0415  # not every image is composed

    return PartsMaker(request, scratch, tools)


@contextmanager
def meanwhile(wait: Callable[[], None], maker: MakerAhead | None) -> Iterator[Callable[[RecomputedRelease], None]]:
    """
    Provide what lets a maker make the parts of a release in a thread, after a `wait`; it has ended after the block.

    What prints a group of lines is prepared in this thread.

    If the block raises, its parts are not needed, and it begins no further layer.
    """
    threads: list[threading.Thread] = []

    def begin(release: RecomputedRelease) -> None:
        def make() -> None:
            wait()
            if maker is not None:
                maker.make(release)

        if maker is not None:
            maker.prepare(release)
        threads.append(threading.Thread(target=make))
        threads[-1].start()

    try:
        yield begin
    except BaseException:
        if maker is not None:
            maker.stop()
        raise
    finally:
        for thread in threads:
            await_end(thread)


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
        await_end(thread)


def _read(name: str | None, record: Path, tools: Tools) -> None:
    from .composed_base import keep_base  # noqa: PLC0415  # not every image is composed

    architecture = ARCHITECTURES.get(tools.host.machine, "")
    with suppress(StepError, RegistryUnanswered, OSError, ValueError), scratch_folder() as scratch:
        base = name or official_base(minor_of(tools.records.load(record).model.python))
        keep_base(base, architecture, scratch, tools)
