"""What a pickle imports is listed without running it, at the byte of its opcode."""

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable

import pytest

from mlflow_uv.core.security.pickle_imports import COMPUTED, PickleImport
from mlflow_uv.core.security.pickle_opcodes import Incomplete, Unscannable
from mlflow_uv.core.security.pickle_reader import PickleReader

MOST = 10_000


class Command:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """See pickle."""
        return os.system, ("touch mark",)


def imports(content: bytes) -> list[PickleImport]:
    """The imports of a pickle."""
    return list(PickleReader(io.BytesIO(content), MOST).imports())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_import_is_found_in_every_protocol(protocol: int) -> None:
    """
    Its position is that of the opcode, which nothing runs.
    """
    content = pickle.dumps({"x": [OrderedDict(a=1), Command()]}, protocol)

    found = {item.shown: item for item in imports(content)}

    assert {"collections.OrderedDict": False, "posix.system": True} == {
        name: item.suspicious() for name, item in found.items() if name != "copyreg._reconstructor"
    }
    assert content[found["posix.system"].position : found["posix.system"].position + 1] in {b"c", b"\x93"}


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"\x80\x04\x8c\tposixpath\x8c\tos.system\x93\x8c\x01a\x85R.", "posixpath.os.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0bsys.modules\x93.", "numpy.sys.modules"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x8c\x01a0\x93.", "posix.system"),
        (b"\x80\x04\x8c\x05posixccodecs\nencode\n\x8c\x06system\x85R\x93.", f"{COMPUTED}.{COMPUTED}"),
        (b"I0x10\n0cposix\nsystem\n.", "posix.system"),
        (b"\x80\x02\x82\x01.", f"{COMPUTED}.copyreg extension 1"),
        (b"(S'echo'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93.", "posix.system"),
    ],
    ids=["attributes", "attributes of a library", "discarded", "computed", "hexadecimal", "extension", "INST", "memo"],
)
def test_a_hidden_import_is_suspicious(content: bytes, shown: str) -> None:
    """
    Through attributes of another module, the memo, the registry of extensions, or names that are not written.
    """
    assert (shown, True) == (imports(content)[-1].shown, imports(content)[-1].suspicious())


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval", "builtins.exec", "subprocess.Popen", "importlib.import_module", "operator.attrgetter",
        "pickle.loads", "torch.load", "urllib.request.urlopen", "os.path.join", "asyncio.subprocess.run",
        "cloudpickle.loads", "mlflow.utils.process._exec_cmd", "mlflow.pyfunc.load_model",
        "numpy._core._ufunc_reconstruct",
        "numpy.os", "sklearn.utils.subprocess", "sklearn.utils._testing.skip", "__main__.os", "builtins.getattr",
        "unknown.thing", "joblib.Parallel", "unknown.cli.Thing", "unknown.Popen",
        "joblib.load", "pandas.read_pickle", "torch.storage._load_from_bytes", "types.FunctionType",
        "dataclasses.make_dataclass", "operator.setitem", "collections.namedtuple", "pathlib.os", "typing.sys",
        "torch.fx.graph_module.reduce_graph_module", "scipy.io.loadmat", "sklearn.datasets.fetch_openml",
    ],
)  # fmt: skip
def test_what_reaches_other_code_is_suspicious(name: str) -> None:
    """
    Also in a submodule.
    """
    module, _, attribute = name.rpartition(".")

    assert PickleImport(module=module, name=attribute, position=0).suspicious()


@pytest.mark.parametrize(
    "name",
    [
        "numpy._core.multiarray._reconstruct", "sklearn.linear_model._logistic.LogisticRegression", "builtins.set",
        "cloudpickle.cloudpickle._make_function", "functools.partial", "pathlib.PosixPath", "codecs.encode",
        "torch._utils._rebuild_tensor_v2", "numpy.random._pickle.__randomstate_ctor", "datetime.datetime",
        "_thread.RLock", "pandas._libs.internals._unpickle_block",
        "sklearn.gaussian_process._gpr.GaussianProcessRegressor", "unknown.Thing", "mlflow.tracing.fluent.start_span",
        "scipy.stats._distn_infrastructure.rv_continuous_frozen", "lightgbm.basic.Booster", "numpy.log1p",
        "mlflow.pyfunc.utils.data_validation._validate_model_input", "mlflow.tracing.utils.capture_function_input_args",
    ],
)  # fmt: skip
def test_what_models_are_made_of_is_not(name: str) -> None:
    """
    Constructors of libraries, and what cloudpickle rebuilds a class with.
    """
    module, _, attribute = name.rpartition(".")

    assert not PickleImport(module=module, name=attribute, position=0).suspicious()


def test_names_lead_through_classes_only() -> None:
    """
    A nested class and a method are accepted; what leads to the globals of a function is not.
    """
    names = ("Outer.Inner", "Model.predict", "Model.__init__", "join.__globals__.get", "Model.__init__.__globals__",
             "Model.os", "Model.load", "Model.__reduce__")  # fmt: skip

    assert [False] * 3 + [True] * 5 == [
        PickleImport(module="sklearn.base", name=name, position=0).suspicious() for name in names
    ]


def test_modules_that_the_model_brings_are_its_own() -> None:
    """
    They take no name of a module that is known.
    """
    own = frozenset({"vineyard", "os", "cloudpickle", "mlflow"})

    assert [False, True, True, True] == [
        PickleImport(module=module, name="system", position=0).suspicious(own)
        for module in ("vineyard.models", "os", "cloudpickle", "mlflow.utils")
    ]


@pytest.mark.parametrize(
    ("call", "accepted"),
    [
        (b"\x8c\x0csklearn.base\x8c\x05Model\x93\x8c\x04name\x86", True),
        (b"\x8c\x0csklearn.base\x8c\x05Model\x93)R\x8c\x04name\x86", True),
        (b"\x8c\x0csklearn.base\x8c\x05Model\x93\x8c\x0b__globals__\x86", False),
        (b"\x8c\x0csklearn.base\x8c\x05clone\x93\x8c\x04name\x86", False),
        (b"\x8c\x0csklearn.base\x8c\x05Model\x93\x8c\x06system\x86", False),
        (b"\x8c\x0csklearn.base\x8c\x05Model\x93\x94h\x00\x8c\x01a\x85R\x86", False),
        (b")", False),
    ],
    ids=["class", "object", "globals", "function", "program", "computed", "nothing"],
)
def test_getattr_reads_members_of_classes_only(call: bytes, accepted: bool) -> None:
    """
    It is named as an import where it is called otherwise, or passed on.
    """
    getattr_ = b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93"

    found = imports(getattr_ + call + b"R.")
    passed_on = imports(getattr_ + b"\x85.")

    assert accepted is ("builtins.getattr" not in {item.shown for item in found})
    assert ["builtins.getattr"] == [item.shown for item in passed_on]


@pytest.mark.parametrize(
    "content", [b"ccPickle\nloads\n.", b"\x80\x02c__builtin__\neval\n."], ids=["cPickle", "builtin"]
)
def test_names_of_python_2_are_those_that_are_imported(content: bytes) -> None:
    """
    As `fix_imports` of the unpickler maps them; from protocol 3 on, it does not.
    """
    assert imports(content)[0].shown in {"pickle.loads", "builtins.eval"}
    assert "cPickle.loads" == imports(b"\x80\x03ccPickle\nloads\n.")[0].shown


def test_a_pickle_that_ends_early_has_the_imports_before() -> None:
    """
    A loader runs them, too.
    """
    found: list[PickleImport] = []

    with pytest.raises(Incomplete):
        found.extend(PickleReader(io.BytesIO(pickle.dumps(Command())[:-3]), MOST).imports())
    with pytest.raises(Unscannable, match="more than 5 opcodes"):
        list(PickleReader(io.BytesIO(pickle.dumps(list(range(9)))), 5).imports())
    assert ["posix.system"] == [item.shown for item in found]


def test_several_pickles_in_a_stream_are_read_one_after_the_other() -> None:
    """
    The stream is behind the first one after it.
    """
    stream = io.BytesIO(pickle.dumps(1) + pickle.dumps(Command()))

    first, second = (list(PickleReader(stream, MOST).imports()) for _ in range(2))

    assert ([], ["posix.system"]) == (first, [item.shown for item in second])
