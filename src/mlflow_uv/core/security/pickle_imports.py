"""
Lists what a pickle imports, without running it, and tells which imports no model needs.

A pickle is a program: it names functions (`GLOBAL`, `STACK_GLOBAL`, `INST`) and calls them. Models name constructors of
their libraries; a model that names `os.system` was made to run it. The list below is one of what reaches a shell, a
file, the network or other code. It does not prove that a pickle is harmless: cloudpickle stores whole functions, which
may do anything once they are called.
"""

import pickletools
import re
from collections.abc import Iterator
from typing import BinaryIO

from ...payloads.messages.lazy_dataclass import lazy_dataclass

COMPUTED = "?"
_STRINGS = frozenset({
    "SHORT_BINUNICODE", "UNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
})  # fmt: skip
_PUTS, _GETS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"}), frozenset({"GET", "BINGET", "LONG_BINGET"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_SILENT = frozenset({"PROTO", "FRAME", "MARK", "STOP"})
# Modules of which a model needs nothing. A submodule counts too.
_MODULES = frozenset({
    "_aix_support", "_ctypes", "_osx_support", "_posixsubprocess", "_pyrepl", "_socket", "_ssl", "aiohttp", "asyncio",
    "bdb", "cProfile", "code", "codeop", "commands", "concurrent.futures.process", "ctypes", "dill._shims", "distutils",
    "doctest", "ensurepip", "fileinput", "ftplib", "http", "httplib", "idlelib", "imaplib", "imp", "importlib",
    "lib2to3", "multiprocessing", "nt", "numpy.f2py", "numpy.testing", "os", "pdb", "pip", "pkgutil", "poplib", "posix",
    "profile", "pty", "pydoc", "requests", "runpy", "shutil", "site", "smtplib", "socket", "socketserver", "ssl",
    "subprocess", "sys", "telnetlib", "tempfile", "test", "timeit", "torch.utils.bottleneck", "torch.utils.collect_env",
    "trace", "urllib", "venv", "webbrowser", "xmlrpc", "zipimport",
})  # fmt: skip
_NAMES = {
    "_io": {"FileIO", "open", "open_code"},
    "_operator": {"attrgetter", "methodcaller"},
    "_pickle": {"Unpickler", "load", "loads"},
    "builtins": {
        "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "execfile", "globals", "input", "locals",
        "open", "setattr", "vars",
    },
    "cloudpickle.cloudpickle": {"load", "loads"},
    "codecs": {"open"},
    "dill": {"load", "loads", "load_session", "load_module"},
    "io": {"FileIO", "open", "open_code"},
    "joblib": {"load"},
    "joblib.numpy_pickle": {"load"},
    "logging": {"FileHandler"},
    "logging.config": {"dictConfig", "fileConfig", "listen"},
    "mlflow.pyfunc": {"load_model", "load_pyfunc"},
    "numpy": {"load", "fromfile", "memmap", "save"},
    "operator": {"attrgetter", "methodcaller"},
    "pandas": {"eval", "read_pickle"},
    "pandas.io.pickle": {"read_pickle"},
    "pickle": {"Unpickler", "_Unpickler", "_load", "_loads", "load", "loads"},
    "platform": {"popen"},
    "torch": {"load"},
    "torch.hub": {"load", "download_url_to_file"},
    "torch.serialization": {"load"},
    "types": {"FunctionType", "CodeType"},
    "uuid": {"_get_command_stdout", "_popen"},
}  # fmt: skip
_NAMES["__builtin__"] = _NAMES["builtins"] | {"apply"}
_OF_RAW = re.compile(
    rb"c([A-Za-z_][\w.]{0,80})\n([A-Za-z_][\w.]{0,80})\n"
    rb"|\x8c.([A-Za-z_][\w.]{0,80}?)(?:\x94|q.|r....)\x8c.([A-Za-z_][\w.]{0,80}?)(?:\x94|q.|r....)\x93",
    re.DOTALL | re.ASCII,
)


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
    def suspicious(self) -> bool:
        """Whether a model has no use for it."""
        if self.module == COMPUTED:
            return True
        # Since protocol 4, a name may lead through attributes to another module: `posixpath` has `os.system`.
        *through, last = self.name.split(".")
        places = [self.module, *(part.strip("_") for part in through)]
        return any(map(_is_denied, places)) or last in _NAMES.get(self.module, ())


def _is_denied(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:count]) in _MODULES for count in range(1, len(parts) + 1))


class Incomplete(Exception):  # it is a state of a pickle
    """A pickle that ends, or cannot be read further, before its last opcode."""


def imports_of(stream: BinaryIO, *, most: int) -> Iterator[PickleImport]:
    """
    Yield the imports of the pickle at the position of a stream, and leave the stream behind it.

    Raises Incomplete after the imports of the part that can be read, and also after `most` opcodes.
    """
    values: list[str | None] = []  # the last values that were pushed, None for other than text
    memo: dict[int, str | None] = {}
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
            name, at = opcode.name, position or 0
            if count >= most:
                raise Incomplete(f"it has more than {most} opcodes")
            if name in {"GLOBAL", "INST"}:
                module, _, attribute = str(argument).partition(" ")
                yield PickleImport(module=module, name=attribute, position=at)
                values.append(None)
            elif name == "STACK_GLOBAL":
                *_, module_text, attribute_text = None, None, *values[-2:]
                computed = module_text is None or attribute_text is None
                yield PickleImport(
                    module=COMPUTED if computed else str(module_text), name=str(attribute_text or COMPUTED), position=at
                )
                values.append(None)
            elif name in _EXTENSIONS:
                yield PickleImport(module=COMPUTED, name=f"copyreg extension {argument}", position=at)
                values.append(None)
            elif name in _STRINGS:
                values.append(str(argument))
            elif name == "MEMOIZE":
                memo[len(memo)] = values[-1] if values else None
            elif name in _PUTS:
                memo[int(str(argument))] = values[-1] if values else None
            elif name in _GETS:
                values.append(memo.get(int(str(argument))))
            elif name not in _SILENT:
                values.append(None)
            del values[:-2]
    except (ValueError, UnicodeError, OverflowError, MemoryError, EOFError) as error:
        raise Incomplete(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def imports_in_bytes(content: bytes) -> Iterator[PickleImport]:
    """
    Yield what looks like imports in bytes that cannot be read opcode by opcode.

    Such as the rest of a file of joblib, which puts the bytes of arrays between the opcodes.
    """
    for match in _OF_RAW.finditer(content):
        module, name = (match[1], match[2]) if match[1] is not None else (match[3], match[4])
        yield PickleImport(module=module.decode(), name=name.decode(), position=match.start())
