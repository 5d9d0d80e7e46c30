"""Pickles of a model are scanned wherever they are, within limits, by a policy that no checkout can set."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ModelRefused
from mlflow_uv.tools.mlflow.model_scan import IMPORTS, SCAN, ScanLimits, require_harmless, suspicions


class Command:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """See pickle."""
        return os.system, ("touch mark",)


EVIL = pickle.dumps({"model": Command()})
# A command, then so much that no buffer holds it: what a loader runs before it finds the end missing.
LONG = pickle.dumps([Command(), random.Random(1).randbytes(1 << 20)])
# What NumPy writes for an array of objects (NEP 1).
HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
OBJECTS = b"\x93NUMPY\x01\x00" + len(HEADER).to_bytes(2, "little") + HEADER + EVIL


def zipped(**files: bytes) -> bytes:
    """An archive, compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"data/{name}", data)
    return content.getvalue()


def with_schema(schema: bytes) -> bytes:
    """A file of skops."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("schema.json", schema)
    return content.getvalue()


def tarred(data: bytes) -> bytes:
    """An archive of tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("weights.bin")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def nested(data: bytes, times: int) -> bytes:
    """An archive in an archive, and so on."""
    for _ in range(times):
        data = zipped(inner=data)
    return data


def model_of(folder: Path, **files: bytes) -> Path:
    """A model with these files; `__` in a name stands for a dot."""
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    (folder / "MLmodel").write_text("flavors: {}\n")
    return folder


@pytest.mark.parametrize(
    "content",
    [
        EVIL, gzip.compress(EVIL), bz2.compress(EVIL), lzma.compress(EVIL), zlib.compress(EVIL, 3), zipped(x=EVIL),
        tarred(EVIL), nested(gzip.compress(EVIL), 2), gzip.compress(tarred(EVIL)), pickle.dumps(1) + EVIL, OBJECTS,
        zipped(x=OBJECTS), EVIL[:-2], gzip.compress(LONG)[:-9000], zlib.compress(LONG)[:-9000],
    ],
    ids=[
        "plain", "gzip", "bzip2", "xz", "zlib", "zip", "tar", "nested", "tar in gzip", "second", "objects", "npz",
        "truncated", "gzip cut off", "zlib cut off",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["model__pkl", "weights__dat"])
def test_a_command_is_found_wherever_it_is(name: str, content: bytes, tmp_path: Path) -> None:
    """
    The content tells what a file is; its name does not.
    """
    found = suspicions(model_of(tmp_path, **{name: content}))

    assert "posix.system" in {suspicion.found.shown for suspicion in found if suspicion.found}
    assert all(suspicion.place.startswith(name.replace("__", ".")) for suspicion in found)
    assert not Path("mark").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(bytes(9 << 20)), "the model has more than 1 MB in archives, too much to scan"),
        (zipped(x=bytes(9 << 20)), "the model has more than 1 MB in archives, too much to scan"),
        (nested(b"x", 6), "it is an archive in 4 others"),
        (
            pickle.dumps(list(range(5000))),
            "it is a pickle that cannot be scanned to its end: it has more than 1000 opcodes",
        ),
        (zipped(a=b"", b=b"", c=b""), "it has more than 2 files"),
        (
            pickle.dumps({"a": "b"})[:-1],
            "it is a pickle that cannot be scanned to its end: it ends before its last opcode",
        ),
    ],
    ids=["gzip", "zip", "depth", "opcodes", "files", "truncated"],
)
def test_what_cannot_be_scanned_is_refused(content: bytes, why: str, tmp_path: Path) -> None:
    """
    A bomb costs no more than the limits.
    """
    limits = ScanLimits(unpacked=1 << 20, opcodes=1000, members=2)

    found = suspicions(model_of(tmp_path, model__pkl=content), limits=limits)

    assert why in {suspicion.why for suspicion in found}


def test_other_files_are_not_suspicious(tmp_path: Path) -> None:
    """
    Text that begins like an opcode or a compressed stream, binary formats, and pickles of plain values.
    """
    files = {
        "requirements__txt": b"cffi==1\nclick==2\nos==1\n",
        "formula__txt": b"x^2 + y\n",
        "model__ubj": bytes(range(256)) * 9,
        "model__pkl": pickle.dumps({"a": [1.0, "os", "system"]}),
        "strange__gz": b"\x1f\x8bno gzip",
        "model__skops": zipped(schema__json=b"{}"),
    }

    assert () == suspicions(model_of(tmp_path, **files))


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        (
            b'{"__class__": "Pipeline", "content": [{"content": {"module_path": "posix", "function": "system"}}]}',
            "system",
        ),
        (b'{"__module__": "\\u006fs", "__class__": "_wrap_close"}', "_wrap_close"),
        (
            b'{"__class__": "function", "content": {"module_path": "numpy", "function": "log1p"}}',
            "",
        ),
        (b"{" + b'"a": {' * 50_000, "cannot be read"),
    ],
    ids=["function", "escaped", "harmless", "deep"],
)
def test_types_and_functions_of_skops_are_scanned(schema: bytes, shown: str, tmp_path: Path) -> None:
    """
    Which of them are trusted is written in the model, so that an attacker can write it, too.
    """
    found = suspicions(model_of(tmp_path, model__skops=with_schema(schema)))

    assert (shown != "", True) == (bool(found), all(shown in suspicion.why for suspicion in found))


SKOPS = b'{"__class__": "Pipeline", "content": [{"content": {"module_path": "posix", "function": "system"}}]}'


def oldest_tar(data: bytes) -> bytes:
    """An archive without the mark of later formats."""
    content = bytearray(tarred(data))
    content[257:265] = bytes(8)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    return bytes(content)


def array(header: bytes, data: bytes) -> bytes:
    """A file of NumPy (NEP 1)."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"I0x10\n0" + EVIL[2:], oldest_tar(EVIL), array(b"{'d\\x65scr': '|O'}", EVIL), b"x" + zipped(x=EVIL),
        with_schema(b" " * 600 + SKOPS), with_schema(SKOPS.decode().encode("utf-16")),
        b"\x80\x04B\xff\x00\x00\x00" + b"x" * 250 + b"ustar0" + EVIL[2:],
    ],
    ids=["hexadecimal", "oldest tar", "escaped header", "prefix", "spaces", "UTF-16", "pickle like tar"],
)  # fmt: skip
@pytest.mark.parametrize("policy", ["refuse", "no-pickles"])
def test_what_only_a_loader_reads_is_found(policy: str, content: bytes, tmp_path: Path) -> None:
    """
    Formats that begin or are written otherwise than usual.
    """
    with pytest.raises(ModelRefused, match=r"posix\.system"):
        require_harmless(model_of(tmp_path, weights__bin=content), {SCAN: policy}, print)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (array(b"{'descr': '|O'", EVIL), "it is an array of NumPy that cannot be scanned"),
        (b"\x04\x22\x4d\x18" + EVIL, "it is compressed in a format that cannot be scanned"),
        (b"\xff" + EVIL, "it is a pickle that cannot be scanned to its end: byte 0 is no opcode"),
    ],
    ids=["array", "LZ4", "no opcode"],
)
def test_a_format_that_is_not_read_is_refused(content: bytes, why: str, tmp_path: Path) -> None:
    """
    A loader may read it.
    """
    assert why in {suspicion.why for suspicion in suspicions(model_of(tmp_path, model__pkl=content))}


def test_own_modules_and_allowed_packages_are_accepted(tmp_path: Path) -> None:
    """
    Those in the folder of the model's code, and those that a variable names; others are named.
    """
    model = model_of(tmp_path, model__pkl=b"\x80\x04cvineyard.models\ntree\n)\x81ccellar\nbarrel\n)\x81\x86.")
    (model / "code" / "vineyard").mkdir(parents=True)

    found = suspicions(model)

    assert ["cellar.barrel"] == [item.found.shown for item in found if item.found]
    assert () == suspicions(model, allowed=frozenset({"cellar.*"}))
    assert len(suspicions(model, allowed=frozenset({"cell.*", "cellar"}))) == 1


def test_a_tensor_in_a_pickled_object_is_refused_because_it_loads_a_pickle(tmp_path: Path) -> None:
    """
    What PyTorch writes for a tensor in another object's pickle: it unpickles bytes, which the scan does not read.
    """
    tensor = b"\x80\x04ctorch.storage\n_load_from_bytes\nB" + len(EVIL).to_bytes(4, "little") + EVIL + b"\x85R."
    model = model_of(tmp_path, python_model__pkl=tensor)

    found = suspicions(model)

    assert ["torch.storage._load_from_bytes"] == [item.found.shown for item in found if item.found]
    assert () == suspicions(model, allowed=frozenset({"torch.storage._load_from_bytes"}))


def test_the_policy_decides(tmp_path: Path) -> None:
    """
    The error names file, byte, import and the variable that allows it, which does.
    """
    model = model_of(tmp_path, model__pkl=EVIL)
    lines: list[str] = []

    with pytest.raises(ModelRefused) as caught:
        require_harmless(model, {}, lines.append)
    require_harmless(model, {IMPORTS: "posix.system"}, lines.append)
    require_harmless(model, {SCAN: "off"}, lines.append)
    quiet = tuple(lines)
    require_harmless(model, {SCAN: "warn"}, lines.append)

    position = EVIL.index(b"\x93")
    sentence = f"model.pkl, byte {position}: it imports `posix.system`, which is none of the imports of known models"
    assert (sentence, "if you trust who made the model, MLFLOW_UV_MODEL_IMPORTS=posix.system") == (
        caught.value.why,
        caught.value.fix,
    )
    assert ((), [f"  suspicious: {sentence}"]) == (quiet, lines)


def test_a_policy_without_pickles_refuses_harmless_ones(tmp_path: Path) -> None:
    """
    Also in an archive; a format without code is accepted.
    """
    variables = {SCAN: "no-pickles"}
    require_harmless(model_of(tmp_path, model__skops=zipped(schema__json=b"{}")), variables, print)

    with pytest.raises(ModelRefused, match=r"weights\.pt!data/data\.pkl: it is a pickle"):
        require_harmless(model_of(tmp_path, weights__pt=zipped(**{"data.pkl": pickle.dumps(1)})), variables, print)


def test_a_policy_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """
    A typing mistake must not turn the scan off.
    """
    with pytest.raises(BadInput, match="'none'"):
        require_harmless(tmp_path, {SCAN: "none"}, print)
