"""Comparing a built environment with the model that it is for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.image.composition import Compression
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.record import ImageLink, LockLink, ModelLink, Record, RequirementsLink
from mlflow_uv.ops.image.build import left_on_runner, require_exact, require_model, unhashed
from mlflow_uv.ops.image.builders import Builder
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.steps.build_image import Inputs, require_consistent

REQUIREMENTS = parse_requirements("six==1.17.0\n")
RECORD = Record(
    release_key="k",
    commit=Commit(sha="c", project="."),
    lock=LockLink(sha256="l", uv="1"),
    selection=Selection(),
    requirements=RequirementsLink(sha256=REQUIREMENTS.digest, source="lock"),
    model=ModelLink(model_id="m", run_id="r", name="n", sha256="0" * 64, store="s", python="3.12.1", mlflow="3.17.2"),
)


NEEDS = Needs(model=Path("model"), requirements=REQUIREMENTS, wheels=(), python="3.12.1")


def inventory(*installed: tuple[str, str], **other: object) -> str:
    """What an environment says of itself."""
    inventory = {"python": "3.12.9", "marker_environment": {}, "elsewhere": [], "serves": "/opt/model", "model": []}
    return json.dumps({**inventory, "installed": installed, **other})


def test_another_micro_version_of_python_is_the_same() -> None:
    """
    Official images move on within a minor version; that is what the model was trained for.
    """
    require_exact(NEEDS, inventory(("six", "1.17.0")))


@pytest.mark.parametrize("needs", [NEEDS, replace(NEEDS, requirements=None)], ids=["whole list", "inferred list"])
def test_another_minor_version_of_python_breaks_the_image(needs: Needs) -> None:
    """
    A base image with another Python selects other pins and runs other code, whatever list was installed.
    """
    with pytest.raises(ChainBroken, match=r"Python 3\.11\.2, the model was trained with 3\.12\.1"):
        require_exact(needs, inventory(("six", "1.17.0"), python="3.11.2"))


@pytest.mark.parametrize(
    ("installed", "complaint"),
    [
        ((), "six is not installed"),
        ((("six", "1.16.0"),), r"six is 1\.16\.0, required is 1\.17\.0"),
        ((("six", "1.17.0"), ("sixer", "1")), "sixer 1 is installed but not required"),
    ],
    ids=["missing", "another version", "one more"],
)
def test_other_packages_break_the_image(installed: tuple[tuple[str, str], ...], complaint: str) -> None:
    """
    One package less, another or more is another environment.
    """
    with pytest.raises(ChainBroken, match=complaint):
        require_exact(NEEDS, inventory(*installed))


def test_a_module_from_another_place_breaks_the_image() -> None:
    """
    What is installed may be the lock to the letter, and something else what is imported.
    """
    with pytest.raises(ChainBroken, match="`six` would be imported from /usr/lib/six"):
        require_exact(NEEDS, inventory(("six", "1.17.0"), elsewhere=[("six", "/usr/lib/six.py")]))


def test_a_model_that_the_server_would_not_take_breaks_the_image() -> None:
    """
    The recorded model may lie where it should, and the server answer for another one.
    """
    with pytest.raises(ChainBroken, match="the server in it would load the model from /opt/ml/model"):
        require_model(RECORD, inventory(serves="/opt/ml/model"))


def test_another_model_breaks_the_image() -> None:
    """
    The files that lie in the image are digested there, and compared with the record.
    """
    with pytest.raises(ChainBroken, match="the model in the image"):
        require_model(RECORD, inventory())


@pytest.mark.parametrize(
    ("requirements", "why"),
    [
        ("six==1.17.0 --hash=sha256:00\n", []),
        ("six==1.17.0 --hash=sha256:00\nplum @ git+https://a.example/plum@0f\n", ["the lock has no hashes for plum"]),
        (None, ["the model has no lock, only the requirements that MLflow inferred"]),
    ],
)
def test_it_is_said_where_not_every_file_was_compared_with_a_hash(requirements: str | None, why: list[str]) -> None:
    """
    A lock has hashes of what comes from an index, and what MLflow lists has none.
    """
    needs = replace(NEEDS, requirements=None if requirements is None else parse_requirements(requirements))

    assert why == [finding.why for finding in unhashed(needs)]


@pytest.mark.parametrize(
    ("ci", "digest", "embedded", "rules"),
    [
        (True, "", False, ["image-not-pushed"]),
        (True, "sha256:0", False, []),
        (True, "", True, []),
        (False, "", False, []),
    ],
    ids=["on a runner", "pushed", "with a store that is gone too", "on a laptop"],
)
def test_an_image_that_is_gone_with_its_runner_is_told_when_it_is_built(
    ci: bool, digest: str, embedded: bool, rules: list[str]
) -> None:
    """
    Not when somebody wants to promote it, days later.
    """
    image = ImageLink(kind="image", id="i", tag="wine:2", base="b", base_digest="d", digest=digest)

    found = list(left_on_runner(image, None, ci=ci, embedded=embedded))

    assert rules == [finding.rule for finding in found]


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        (Inputs(builder=Builder.ENGINE, oci_layout=Path("x")), "only a composed image can be written as an OCI layout"),
        (
            Inputs(builder=Builder.ENGINE, base_layout=Path("x")),
            "only a composed image takes its base from an OCI layout",
        ),
        (
            Inputs(builder=Builder.ENGINE, compression=Compression.ZSTD),
            "`compression: zstd` has no effect on an image that an engine builds",
        ),
        (Inputs(builder=Builder.COMPOSE, cache_from="x"), "`cache-from` has no effect on a composed image"),
        (Inputs(oci_layout=Path("x"), cache_to="y"), "`cache-to` has no effect on a composed image"),
    ],
    ids=["layout", "base layout", "compression", "cache", "layout and cache"],
)
def test_inputs_of_the_other_builder_are_refused(inputs: Inputs, what: str) -> None:
    """
    Before anything is downloaded; the fix names the builder that has them.
    """
    with pytest.raises(BadInput) as refused:
        require_consistent(inputs)

    assert what == refused.value.what
    assert "--builder " in refused.value.fix


def test_a_build_cache_is_no_error_where_an_engine_may_build() -> None:
    """
    The step then lets the engine build, and says why.
    """
    require_consistent(Inputs(cache_from="x", cache_to="y"))
    require_consistent(Inputs(print_dockerfile=True))


def test_images_for_several_platforms_are_pushed_or_written() -> None:
    """
    An engine holds one of them only; a layout holds all, of a composed image.
    """
    several = ("linux/amd64", "linux/arm64")
    for builder in Builder:
        with pytest.raises(BadInput, match="a multi-platform image must be pushed"):
            require_consistent(Inputs(builder=builder, platforms=several))

    require_consistent(Inputs(platforms=several, oci_layout=Path("layout")))
    require_consistent(Inputs(builder=Builder.COMPOSE, platforms=several, oci_layout=Path("layout")))
    require_consistent(Inputs(builder=Builder.COMPOSE, platforms=several, push=True, image="r.example/wine"))
