"""A package of a lock that has no wheel: built from its source distribution where the image is composed."""

import json
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import BaseImageUnfit
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.core.model.model_files import HASHED, LOCK, WHEELS
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.core.release.record import WheelLink
from mlflow_uv.ops.image.composed_platforms import platform_findings
from mlflow_uv.ops.image.composed_release import ReleaseImages, compose_release, composed_inventory
from mlflow_uv.ops.image.composed_report import composed_findings
from mlflow_uv.ops.image.environment import needs_of
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from tests import elf
from tests.contracts.test_package_layers import digest_of, sdist
from tests.registries import registry

from .composed import ARCHITECTURES, MACHINE, TinyRelease, push_base, push_bases, tiny_release
from .test_recomposed import Place, with_layer

BOTH = ("linux/amd64", "linux/arm64")
OTHER_MACHINE = next(name for name in ARCHITECTURES if name != MACHINE)
SOURCE = "#include <math.h>\ndouble pear(double x) { return pow(x, x); }\n"
COMPILED = {"pear.c": SOURCE, "pear.cc": '#include <iostream>\nextern "C" void pear() { std::cout << 1; }\n'}


def with_source(tiny: TinyRelease, folder: Path) -> TinyRelease:
    """The release, whose lock has a package without a wheel."""
    archive = sdist(folder, pear_c=SOURCE)
    model, address = tiny.release.model, archive.as_uri()
    package = (
        f'[[package]]\nname = "pear"\nversion = "1.0"\nsource = {{ url = "{address}" }}\n'
        f'sdist = {{ hash = "{digest_of(archive)}" }}\n'
    )
    lock = model / LOCK
    lock.write_text(f'{lock.read_text()}dependencies = [{{ name = "pear" }}]\n\n{package}')
    with (model / HASHED).open("a") as listed:
        listed.write(f"pear @ {address} --hash={digest_of(archive)}\n")
    listing = tiny.with_listed_requirements()
    assert listing.needs.requirements is not None
    record = tiny.release.record
    requirements = replace(record.requirements, sha256=listing.needs.requirements.digest)
    return replace(listing, release=replace(tiny.release, record=replace(record, requirements=requirements)))


def compiled(folder: Path, source: str) -> bytes:
    """A shared library that the compiler of this machine makes from a file of C or C++."""
    folder.mkdir()
    (folder / source).write_text(COMPILED[source])
    compiler = "gcc" if source.endswith(".c") else "g++"
    argv = (compiler, "-shared", "-fPIC", "-o", str(folder / "pear.so"), str(folder / source), "-lm")
    subprocess.run(argv, check=True)
    return (folder / "pear.so").read_bytes()


def with_indexed_wheel(tiny: TinyRelease, wheel: Path) -> TinyRelease:
    """The release, whose lock has the wheel of `pear` from an address."""
    model, address, hashed = tiny.release.model, wheel.as_uri(), digest_of(wheel)
    package = (
        f'[[package]]\nname = "pear"\nversion = "1.0"\nsource = {{ url = "{address}" }}\n'
        f'wheels = [{{ filename = "{wheel.name}", hash = "{hashed}" }}]\n'
    )
    lock = model / LOCK
    lock.write_text(f'{lock.read_text()}dependencies = [{{ name = "pear" }}]\n\n{package}')
    with (model / HASHED).open("a") as listed:
        listed.write(f"pear @ {address} --hash={hashed}\n")
    return tiny.with_listed_requirements()


def unloadable(images: ReleaseImages) -> list[str]:
    """Why the bases of images cannot load libraries of their packages, as it is reported."""
    findings = platform_findings(images, loaded=False)
    return [each.why.partition(";")[0] for each in findings if each.rule == "image-library-unloadable"]


def with_compiled_wheel(tiny: TinyRelease, folder: Path, source: str) -> TinyRelease:
    """The release, whose model has a wheel that was compiled on this machine from a file of C or C++."""
    made = elf.wheel(folder, "pear", {"pear_c.so": compiled(folder, source)})
    wheel = tiny.release.model / WHEELS / f"pear-1.0-py3-none-linux_{MACHINE}.whl"
    made.rename(wheel)
    link = WheelLink(name="pear", version="1.0", file=wheel.name, sha256=digest_of(wheel)[7:], marker="")
    with (tiny.release.model / HASHED).open("a") as listed:
        listed.write(f"{WHEELS}/{wheel.name} --hash=sha256:{link.sha256}\n")
    record = tiny.release.record
    wheels = (*record.requirements.wheels, link)
    needs = needs_of(tiny.release.model, wheels=wheels, python=record.model.python)
    assert needs.requirements is not None
    requirements = replace(record.requirements, sha256=needs.requirements.digest, wheels=wheels)
    return replace(tiny, needs=needs, release=replace(tiny.release, record=replace(record, requirements=requirements)))


def test_a_source_distribution_is_built_once_and_never_by_an_audit(
    tmp_path: Path, registry_program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A notice says against which C library it was linked; a base with an older one is refused.

    A machine that has its layer, or its wheel in uv's cache, computes the digest again. Another would run its code.
    """
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with registry(tmp_path, registry_program) as host, ExitStack() as opened:
        (tmp_path / "one").mkdir()
        tiny = opened.enter_context(tiny_release(tmp_path / "one"))
        push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
        tiny = with_source(tiny, tmp_path / "sources")
        image, base = tiny.compose(f"{host}/base:1")
        place = Place(host=host, folder=tmp_path, opened=opened, tiny=tiny, image=image, base=base)
        old = tiny.with_listed_requirements().composition(replace(base, glibc=(2, 17)))
        with pytest.raises(BaseImageUnfit) as refused:
            compose_release(tiny.release, [old], tmp_path / "old", tiny.tools)
        archive = tmp_path / "swapped"
        layer = write_layer("swapped", {PurePosixPath(VENV, "pear.py"): LayerFile(data=b"steal()")}, archive)

        here = place.check(image)
        swapped = place.check(with_layer(image, layer, archive, at=-1))
        tiny.tools.host.cache.joinpath("layers").rename(tmp_path / "away")
        with_wheel = place.checked(image)
        tiny.tools.host.cache.joinpath("layers").rename(tmp_path / "away too")
        (tmp_path / "uv").rename(tmp_path / "elsewhere")
        elsewhere = place.checked(image)

    assert refused.value.what.startswith("`pear`, built from source on this machine, does not load on the base image")
    findings = {finding.rule: str(finding.why) for finding in composed_findings(image, base)}
    assert "it is linked against the GNU C library 2." in findings["image-package-built"]
    installed = json.loads(composed_inventory(image, base))["installed"]
    assert [["grape", "1.0"], ["pear", "1.0"]] == installed
    assert [LinkState.HOLDS, LinkState.HOLDS, LinkState.BROKEN] == [here.state, with_wheel.state, swapped.state]
    assert LinkState.UNVERIFIED == elsewhere.state
    assert "pear" in elsewhere.reason


@pytest.mark.parametrize(
    ("source", "library", "versions", "newer"),
    [
        ("pear.c", "libc.so.6", b"\0GNU C Library (G 2.28) stable release version 2.28.\n\0", "C library 2."),
        ("pear.cc", "libstdc++.so.6", b"\0GLIBCXX_3.3\0CXXABI_1.2\0", "C++ library "),
    ],
    ids=["C", "C++"],
)
def test_a_compiled_wheel_of_the_model_is_refused_on_a_base_with_an_older_library(  # a case
    tmp_path: Path, registry_program: str, source: str, library: str, versions: bytes, newer: str
) -> None:
    """
    Its tag, `linux_x86_64`, is that of any machine; what its code is linked with decides before anything is pushed.
    """
    folder = f"usr/lib/{MACHINE}-linux-gnu"
    newest = {f"{folder}/libstdc++.so.6": b"\0GLIBCXX_3.4.99\0CXXABI_1.3.99\0"}
    with registry(tmp_path, registry_program) as host, ExitStack() as opened:
        (tmp_path / "one").mkdir()
        tiny = opened.enter_context(tiny_release(tmp_path / "one"))
        push_base(f"{host}/base:new", tmp_path / "new", tiny.tools, newest)
        push_base(f"{host}/base:old", tmp_path / "old", tiny.tools, {**newest, f"{folder}/{library}": versions})
        tiny = with_compiled_wheel(tiny, tmp_path / "compiled", source)
        image, _ = tiny.compose(f"{host}/base:new")
        tiny.scratch.rename(tmp_path / "away")
        with pytest.raises(BaseImageUnfit) as refused:
            tiny.with_listed_requirements().compose(f"{host}/base:old")

    assert any(path.endswith("/pear_c.so") for layer in image.packages.layers for path in layer.files)
    assert "`pear`, a wheel in the model, does not load on the base image" in str(refused.value.what)
    assert f"is linked against the GNU {newer}" in str(refused.value.why)


def test_a_library_for_another_architecture_in_a_wheel_for_any_is_reported_for_that_platform_alone(
    tmp_path: Path, registry_program: str
) -> None:
    """
    A real library of this machine's architecture; a wheel with one for each of the two is fine for both.
    """
    made = elf.wheel(tmp_path / "wheels", "pear", {"pear_c.so": compiled(tmp_path / "compiled", "pear.c")})
    both = {"pear_c.so": compiled(tmp_path / "again", "pear.c"), "other_c.so": elf.library(machine=OTHER_MACHINE)}
    with registry(tmp_path, registry_program) as host:
        found = []
        for name, wheel in (("one", made), ("two", elf.wheel(tmp_path / "wheels of both", "pear", both))):
            (tmp_path / name).mkdir()
            with tiny_release(tmp_path / name) as tiny:
                push_bases(f"{host}/base:1", tmp_path / f"{name} base", tiny.tools)
                images = with_indexed_wheel(tiny, wheel).compose_all(f"{host}/base:1", *BOTH)
                found.append(unloadable(images))

    assert [[f"`pear_c.so` is compiled for {MACHINE}, and the base is for {OTHER_MACHINE}"], []] == found


def test_a_wheel_whose_tag_promises_less_than_its_library_needs_is_reported_where_that_is_missing(
    tmp_path: Path, registry_program: str
) -> None:
    """
    `pow` has a version of GLIBC 2.29 on this machine; the tag, which decides what is installed, says 2.17.
    """
    made = elf.wheel(tmp_path / "wheels", "pear", {"pear_c.so": compiled(tmp_path / "compiled", "pear.c")})
    wheel = made.rename(made.with_name(f"pear-1.0-py3-none-manylinux_2_17_{MACHINE}.whl"))
    banner = b"\0GNU C Library (G 2.28) stable release version 2.28.\n\0"
    older = {f"usr/lib/{MACHINE}-linux-gnu/libc.so.6": banner}
    with registry(tmp_path, registry_program) as host:
        found = []
        for name, layers in (("old", (older,)), ("new", ())):
            (tmp_path / name).mkdir()
            with tiny_release(tmp_path / name) as tiny:
                push_base(f"{host}/base:{name}", tmp_path / f"{name} base", tiny.tools, *layers)
                found.append(unloadable(with_indexed_wheel(tiny, wheel).compose_all(f"{host}/base:{name}")))

    assert [["`pear_c.so` is linked against the GNU C library 2.29, and the base has 2.28"], []] == found


@pytest.mark.extended
def test_a_truncated_library_in_a_wheel_is_reported(tmp_path: Path, registry_program: str) -> None:
    """
    Its wheel lists the digest of the truncated file, so that nothing else differs; the whole file is no finding.
    """
    whole = compiled(tmp_path / "compiled", "pear.c")
    with registry(tmp_path, registry_program) as host:
        found = []
        for name, content in (("cut", whole[:2000]), ("whole", whole)):
            wheel = elf.wheel(tmp_path / f"{name} wheels", "pear", {"pear_c.so": content})
            (tmp_path / name).mkdir()
            with tiny_release(tmp_path / name) as tiny:
                push_base(f"{host}/base:1", tmp_path / f"{name} base", tiny.tools)
                found.append(unloadable(with_indexed_wheel(tiny, wheel).compose_all(f"{host}/base:1")))

    assert [["`pear_c.so` is truncated: it ends before its content does"], []] == found


@pytest.mark.extended
def test_another_build_of_a_source_distribution_is_no_proof_and_no_contradiction(
    tmp_path: Path, registry_program: str
) -> None:
    """
    Where only layers of such packages differ, nothing is verified; one more difference is a broken chain.
    """
    with registry(tmp_path, registry_program) as host, ExitStack() as opened:
        (tmp_path / "one").mkdir()
        tiny = opened.enter_context(tiny_release(tmp_path / "one"))
        push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
        tiny = with_source(tiny, tmp_path / "sources")
        image, base = tiny.compose(f"{host}/base:1")
        place = Place(host=host, folder=tmp_path, opened=opened, tiny=tiny, image=image, base=base)
        layers = image.packages.layers
        at = next(at for at, layer in enumerate(layers) if layer.layer.name in image.packages.built)
        archive = tmp_path / "another"
        layer = write_layer("another", {PurePosixPath(VENV, "pear.py"): LayerFile(data=b"")}, archive)
        another = with_layer(image, layer, archive, at=at - len(layers) - 2)

        differs = place.check(another)
        both = place.check(with_layer(another, layer, archive, at=-1))

    assert [LinkState.UNVERIFIED, LinkState.BROKEN] == [differs.state, both.state], differs.reason
    assert "pear was built from source" in differs.reason
