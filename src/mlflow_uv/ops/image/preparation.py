"""Prepares parts of a composed image while MLflow is imported, which takes a second of one processor and no network."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ...command.errors import Cancelled, StepError
from ...command.inputs import RecordInputs
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.oci.repository import RegistryUnanswered
from ...tools.system.partial_folders import scratch_folder
from ...tools.system.threads import TaskStopped, await_end, stoppable
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease, verified_release, verified_release_with_callback
from .build import official_base
from .builders import ImagePreparation, PreparationRequest
from .environment import minor_of
from .platforms import ARCHITECTURES


@lazy_dataclass
class PreparedRelease:
    """A verified release, and what prepares its image; None if no layers are made before."""

    release: RecomputedRelease
    preparation: ImagePreparation | None = None


@contextmanager
def prepared_release(inputs: RecordInputs, request: PreparationRequest, tools: Tools) -> Iterator[PreparedRelease]:
    """
    Provide the verified release. Meanwhile its base is read, and layers are made, as far as the request says.

    Raises what `verified_release` raises.
    """
    with ExitStack() as stack:
        base_is_read: Callable[[], object] = _nothing
        if request.reads_base:
            record = tools.records.path(inputs.record, inputs.project)
            base_is_read = stack.enter_context(reading_base(request.compose.base, record, tools))
        if not request.makes_layers:
            release = stack.enter_context(verified_release(inputs, tools))
            base_is_read()
            yield PreparedRelease(release=release)
            return
        from .prepared_parts import PartsMaker  # noqa: PLC0415  # not every image is composed

        maker = PartsMaker(request, stack.enter_context(scratch_folder()), tools)
        begin = stack.enter_context(making_parts(base_is_read, maker))
        release = stack.enter_context(verified_release_with_callback(inputs, tools, begin))
        yield PreparedRelease(release=release, preparation=maker)


@contextmanager
def making_parts(wait: Callable[[], object], maker: ImagePreparation) -> Iterator[Callable[[RecomputedRelease], None]]:
    """
    Provide a function that begins to make the parts of a release, in a thread that has ended after the block.

    The thread calls `wait` first, which returns the base if that was read. The environment is created before it starts,
    because that prints a group of lines. If the block raises, the parts are not needed, and no further layer is begun;
    if it is cancelled, the one in work ends.
    """
    threads: list[threading.Thread] = []
    cancelled = threading.Event()

    def begin(release: RecomputedRelease) -> None:
        def make() -> None:
            maker.make(release, wait())

        maker.create_environment(release)
        threads.append(_thread_for(make, cancelled))
        threads[-1].start()

    try:
        yield begin
    except (Cancelled, KeyboardInterrupt):
        cancelled.set()
        maker.cancel()
        raise
    except BaseException:
        maker.stop()
        raise
    finally:
        for thread in threads:
            await_end(thread)


@contextmanager
def reading_base(name: str | None, record: Path, tools: Tools) -> Iterator[Callable[[], object]]:
    """
    Read a base image from its registry while the block runs, if this machine knows no base; it is in the cache then.

    The function that is provided waits until it is, and returns it (`SavedImage`) or None; what was unpacked of it is
    there while the block runs. Without a name it is that for the model of a record. An error is left to whoever reads
    it next: this is no check, and what is read is verified again.
    """
    from ...tools.layers.base_cache import BaseCache  # noqa: PLC0415  # not every image is composed

    if BaseCache(tools.host.cache).knows_any:
        yield _nothing
        return
    cancelled, images = threading.Event(), list[object]()

    def wait() -> object:
        await_end(thread)
        return next(iter(images), None)

    with scratch_folder() as scratch:
        thread = _thread_for(lambda: images.extend(_read(name, record, scratch, tools)), cancelled)
        thread.start()
        try:
            yield wait
        except (Cancelled, KeyboardInterrupt):
            cancelled.set()
            tools.registries.cancel()
            raise
        finally:
            await_end(thread)


def _thread_for(task: Callable[[], None], cancelled: threading.Event) -> threading.Thread:
    """A thread for a task, which waits for nothing any more once it is cancelled."""

    def run() -> None:
        with suppress(TaskStopped):
            stoppable(task, cancelled.is_set)()

    return threading.Thread(target=run)


def _nothing() -> None:
    """There is nothing to wait for."""


def _read(name: str | None, record: Path, scratch: Path, tools: Tools) -> Iterator[object]:
    from .composed_base import keep_base  # noqa: PLC0415  # not every image is composed

    architecture = ARCHITECTURES.get(tools.host.machine, "")
    with suppress(StepError, RegistryUnanswered, OSError, ValueError):
        base = name or official_base(minor_of(tools.records.load(record).model.python))
        if (image := keep_base(base, architecture, scratch, tools)) is not None:
            yield image
