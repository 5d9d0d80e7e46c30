"""
Decides which imports of a pickle a model may have: constructors of known libraries, and of the model's own modules.

A pickle is a program: it names functions and calls them. Of the standard library, the names below are accepted; of a
library that models are made with, every class and function is, except those whose words say that they run programs,
load code, or read and write files. Everything else is suspicious. It is a filter against known means, and no sandbox:
cloudpickle stores whole functions, which may do anything once they are called.
"""

import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

from ...payloads.messages.lazy_dataclass import lazy_dataclass

COMPUTED = "?"
_PROTOCOL_3 = 3  # from which on names are those of Python 3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of modules of the standard library: whether all classes are accepted, and the other names that are; * stands for all.
_STANDARD: dict[str, tuple[bool, frozenset[str]]] = {
    "builtins": (True, _words("""
        object type set frozenset list dict tuple int float bool str bytes bytearray complex slice range memoryview
        property staticmethod classmethod super len sum min max abs sorted round any all zip map filter enumerate
        reversed id hash isinstance issubclass repr iter next callable ord chr divmod pow print
    """)),
    "operator": (False, _words("""
        add sub mul truediv floordiv mod neg pos abs and_ or_ xor not_ eq ne lt le gt ge pow matmul getitem itemgetter
        contains concat invert truth index is_ is_not
    """)),
    "collections": (True, _words("defaultdict deque")),
    "copy": (False, _words("copy deepcopy")),
    "copyreg": (False, _words("_reconstructor __newobj__ __newobj_ex__")),
    "_codecs": (False, _words("encode")),
    "codecs": (False, _words("encode")),
    "datetime": (False, _words("date datetime time timedelta timezone")),
    "functools": (False, _words("partial reduce")),
    "_functools": (False, _words("partial reduce")),
    "re": (False, _words("_compile Pattern RegexFlag")),
    "abc": (True, _words("abstractmethod")),
    "dataclasses": (True, _words("_HAS_DEFAULT_FACTORY_CLASS")),
    "weakref": (True, _words("ref")),
    "random": (False, _words("Random")),
    "_thread": (False, _words("RLock LockType allocate_lock lock")),
    "threading": (False, _words("Lock RLock Condition Event")),
    "logging": (False, _words("Logger getLogger")),
    "struct": (False, _words("Struct")),
    "array": (False, _words("array _array_reconstructor")),
    "zoneinfo": (False, _words("ZoneInfo")),
    "io": (False, _words("BytesIO StringIO")),
    "_io": (False, _words("BytesIO StringIO")),
    "inspect": (False, _words("Signature Parameter _ParameterKind _empty")),
    "types": (False, _words("SimpleNamespace MappingProxyType GenericAlias NoneType UnionType EllipsisType")),
    **{module: (False, frozenset("*")) for module in ("math", "cmath", "itertools")},
    **{
        module: (True, frozenset())
        for module in ("collections.abc", "decimal", "fractions", "pathlib", "pathlib._local", "uuid", "enum", "typing",
                       "string", "numbers", "queue", "contextvars", "ipaddress")
    },
}  # fmt: skip
_STANDARD["_operator"] = _STANDARD["operator"]
# Packages in which models are made, of which most names are accepted.
_LIBRARIES = _words("""
    PIL attr catboost category_encoders cuml diviner econml einops fastai fastcore feature_engine flax formulaic
    gensim h2o hdbscan imblearn interpret jax jaxlib keras langchain langchain_core langgraph lifelines lightgbm
    lightning mapie ml_dtypes mlxtend narwhals networkx ngboost numpy onnx optax optuna paddle pandas patsy
    pmdarima polars prophet pyarrow pydantic pydantic_core pynndescent pyod pytorch_lightning pytz river
    safetensors scipy sentence_transformers shap shapely sklearn skops skorch sksurv sktime spacy srsly
    statsmodels tensorflow tf_keras thinc timm tokenizers torch torchaudio torchvision transformers tslearn umap
    xarray xgboost
""")
# Of these, only the classes are, and the functions below.
_CLASSES_ONLY = (
    "mlflow.entities", "mlflow.exceptions", "mlflow.models", "mlflow.pyfunc", "dateutil",
)  # fmt: skip
# Of MLflow, what the methods of a PythonModel are wrapped in.
_WRAPPERS = ("mlflow.pyfunc.utils", "mlflow.tracing", "mlflow.types")
# Packages whose types run programs, load code, or reach files and hosts.
_REFUSED = _words("""
    IPython _distutils_hack aiohttp alembic azure boto3 botocore cffi click cloudpickle dask databricks dill
    distributed docker execnet fabric flask fsspec git gunicorn httpx huggingface_hub invoke jinja2 joblib
    kubernetes llvmlite mako mlflow multiprocess numba numexpr paramiko pexpect pip pkg_resources plumbum psutil
    ptyprocess pyspark ray requests s3fs setuptools sh sqlalchemy sympy urllib3 uvicorn virtualenv werkzeug
    wheel yaml
""")
_EXACT = frozenset({
    "joblib.numpy_pickle.NumpyArrayWrapper",
    *(f"cloudpickle.cloudpickle.{name}" for name in (
        "_builtin_type", "_class_setstate", "_function_setstate", "_make_cell", "_make_empty_cell", "_make_function",
        "_make_skeleton_class", "_make_skeleton_enum", "_make_typevar", "_make_dict_keys", "_make_dict_values",
        "_make_dict_items", "_get_bases", "subimport", "dynamic_subimport", "_empty_cell_value", "_decompose_typevar",
        "_cell_set", "_gen_ellipsis", "_gen_not_implemented", "_lookup_class_or_track", "_PickledFuncGlobals",
    )),
    "cloudpickle.cloudpickle_fast._class_setstate", "cloudpickle.cloudpickle_fast._function_setstate",
})  # fmt: skip
# Parts of the names of modules that are accepted in no library: they run programs, load code, or reach files and hosts.
_PARTS = _words("""
    benchmark bottleneck build cli cloudpickle cmd collect_env command commands computation conftest
    cpp_extension ctypeslib datasets datasource distributed distutils download downloader dynamic_module_utils
    dynamo export externals f2py format fx http hub inductor io launch launcher multiprocessing npyio npyio_impl
    package plugins popen process rpc run runner serialization server setup shell subprocess test testing tests
    utils_hub vendor weave
""")
_WORDS = _words("""
    breakpoint chmod cmd command compile connect delattr download dump dumps eval exec execute fetch fork
    fromfile genfromtxt getattr import inline kill listen load loads loadtxt memmap open popen read reload
    rename request rmtree run save savetxt savez setattr shell socket spawn subprocess symlink system tofile
    touch unlink urlopen urlretrieve write
""")
_CLASS_WORDS = _words("""
    command downloader executor file importer library memmap pickler popen shell store subprocess unpickler
    writer
""")
_FULL = frozenset(
    {"_ufunc_reconstruct", "call", "check_call", "check_output", "getoutput", "input", "attrgetter", "methodcaller"}
)
_METHODS = frozenset({"__init__", "__new__", "__eq__", "__hash__", "__repr__"})  # that classes refer to
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")
_CLASS = re.compile(r"_*[A-Z]\w*")


@lazy_dataclass
class PickleImport:
    """What an opcode at a byte of a pickle imports; `module` is COMPUTED where the pickle computes it."""

    module: str
    name: str
    position: int

    @property
    def shown(self) -> str:
        """The import as Python writes it."""
        return f"{self.module}.{self.name}"

    @property
    def is_plain(self) -> bool:
        """Whether it is written as names are in Python, so that it may exist."""
        return all(part.isidentifier() for part in self.shown.split("."))

    @property
    def names_class(self) -> bool:
        """Whether its name is written like that of a class."""
        return all(_CLASS.fullmatch(part) for part in self.name.split("."))

    @property
    def is_standard(self) -> bool:
        """Whether the module belongs to Python."""
        return self.module == COMPUTED or _is_standard(self.module.partition(".")[0])

    def suspicious(self, own: frozenset[str] = frozenset()) -> bool:
        """Whether it is none of those that models have, of which `own` are the modules that the model brings."""
        package = self.module.partition(".")[0]
        # Since protocol 4, a name may lead through attributes to another module: `posixpath` has `os.system`.
        *through, last = self.name.split(".")
        if not self.is_plain or not all(map(_CLASS.fullmatch, through)):
            return True
        if through and not is_harmless_member(last):
            return True
        if self.shown in _EXACT or package == "__torch__":  # of TorchScript, which is no module of Python
            return False
        if self.module in _STANDARD:
            classes, names = _STANDARD[self.module]
            first = self.name.partition(".")[0]
            return not (first in names or "*" in names or (classes and bool(_CLASS.fullmatch(first))))
        if self.is_standard:
            return True
        if package in _LIBRARIES or self.module.startswith(_WRAPPERS):
            return not self._is_harmless()
        if package in own and package not in _REFUSED:
            return False
        # Of a package that is not known, which may be the project's, only types are accepted.
        known = self.module.startswith(_CLASSES_ONLY) or package not in _REFUSED
        return not (known and _CLASS.fullmatch(self.name.partition(".")[0]) and self._is_harmless())

    def _is_harmless(self) -> bool:
        parts = {part.strip("_") for part in self.module.split(".")}
        return not parts & _PARTS and all(map(is_harmless_member, self.name.split(".")))


def import_of(module: str, name: str, protocol: int, position: int) -> PickleImport:
    """The import of these names in a pickle of a protocol, as `fix_imports` of the unpickler maps them."""
    if protocol < _PROTOCOL_3:
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return PickleImport(module=module, name=name, position=position)


def is_harmless_member(name: str) -> bool:
    """Whether the name of a member of a library says nothing of programs, files or code, and is no other module's."""
    bare = name.strip("_")
    if not name.isidentifier() or (name.startswith("__") and name.endswith("__")):
        return name in _METHODS
    if name in _FULL or bare in _FULL or (_is_standard(bare) and bare not in _STANDARD):
        return False
    words = {word.lower() for word in _WORD.findall(name)}
    return not words & (_CLASS_WORDS if _CLASS.fullmatch(name) else _WORDS)


def _is_standard(module: str) -> bool:
    return module in sys.stdlib_module_names or f"_{module}" in sys.stdlib_module_names
