"""What a pickle imports is listed without running it, at the byte of its opcode."""

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable

import pytest

from mlflow_uv.core.security.pickle_imports import COMPUTED, Incomplete, PickleImport, imports_in_bytes, imports_of

MOST = 10_000


class Command:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """See pickle."""
        return os.system, ("touch mark",)


def imports(content: bytes) -> list[PickleImport]:
    """The imports of a pickle."""
    return list(imports_of(io.BytesIO(content), most=MOST))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_import_is_found_in_every_protocol(protocol: int) -> None:
    """
    Its position is that of the opcode, which nothing runs.
    """
    content = pickle.dumps({"x": [OrderedDict(a=1), Command()]}, protocol)

    found = {item.shown: item for item in imports(content)}

    assert {"collections.OrderedDict": False, "posix.system": True} == {
        name: item.suspicious for name, item in found.items() if name != "copy_reg._reconstructor"
    }
    assert content[found["posix.system"].position : found["posix.system"].position + 1] in {b"c", b"\x93"}


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"\x80\x04\x8c\tposixpath\x8c\tos.system\x93\x8c\x01a\x85R.", "posixpath.os.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0bsys.modules\x93.", "numpy.sys.modules"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x8c\x01a0\x93.", f"{COMPUTED}.{COMPUTED}"),
        (b"\x80\x02\x82\x01.", f"{COMPUTED}.copyreg extension 1"),
        (b"(S'echo'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93.", "posix.system"),
    ],
    ids=["attributes", "attributes of a library", "computed", "extension", "INST", "memo"],
)
def test_a_hidden_import_is_suspicious(content: bytes, shown: str) -> None:
    """
    Through attributes of another module, the memo, the registry of extensions, or names that are not written.
    """
    assert (shown, True) == (imports(content)[-1].shown, imports(content)[-1].suspicious)


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval", "builtins.exec", "subprocess.Popen", "importlib.import_module", "operator.attrgetter",
        "pickle.loads", "torch.load", "urllib.request.urlopen", "os.path.join", "asyncio.subprocess.run",
    ],
)  # fmt: skip
def test_what_reaches_other_code_is_suspicious(name: str) -> None:
    """
    Also in a submodule.
    """
    module, _, attribute = name.rpartition(".")

    assert PickleImport(module=module, name=attribute, position=0).suspicious


@pytest.mark.parametrize(
    "name",
    [
        "numpy._core.multiarray._reconstruct", "sklearn.linear_model._logistic.LogisticRegression", "builtins.getattr",
        "cloudpickle.cloudpickle._make_function", "functools.partial", "pathlib.PosixPath", "codecs.encode",
        "torch._utils._rebuild_tensor_v2", "operators.Operator", "ossaudio.x", "datetime.datetime", "_thread.RLock",
    ],
)  # fmt: skip
def test_what_models_are_made_of_is_not(name: str) -> None:
    """
    Constructors of libraries, and what cloudpickle rebuilds a class with.
    """
    module, _, attribute = name.rpartition(".")

    assert not PickleImport(module=module, name=attribute, position=0).suspicious


def test_a_pickle_that_ends_early_has_the_imports_before() -> None:
    """
    A loader runs them, too.
    """
    content = pickle.dumps(Command())[:-3]
    found: list[PickleImport] = []

    with pytest.raises(Incomplete):
        found.extend(imports_of(io.BytesIO(content), most=MOST))
    with pytest.raises(Incomplete, match="more than 5 opcodes"):
        list(imports_of(io.BytesIO(pickle.dumps(list(range(9)))), most=5))
    assert ["posix.system"] == [item.shown for item in imports_in_bytes(content)]


def test_several_pickles_in_a_stream_are_read_one_after_the_other() -> None:
    """
    The stream is behind the first one after it.
    """
    stream = io.BytesIO(pickle.dumps(1) + pickle.dumps(Command()))

    first, second = (list(imports_of(stream, most=MOST)) for _ in range(2))

    assert ([], ["posix.system"]) == (first, [item.shown for item in second])
