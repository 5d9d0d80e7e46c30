"""A package of a lock that has no wheel: built from its source distribution where the image is composed."""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import BaseImageUnfit
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.core.model.model_files import HASHED, LOCK
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.ops.image.composed_release import compose_release, composed_inventory
from mlflow_uv.ops.image.composed_report import composed_findings
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from tests.contracts.test_package_layers import digest_of, sdist
from tests.registries import registry

from .composed import TinyRelease, push_base, tiny_release
from .test_recomposed import Place, with_layer

SOURCE = "#include <math.h>\ndouble pear(double x) { return pow(x, x); }\n"


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
