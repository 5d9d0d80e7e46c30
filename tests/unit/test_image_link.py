"""Where the link `image` is looked up, and what each answer makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.chain import LinkState, gathered
from mlflow_uv.core.commit import Commit
from mlflow_uv.core.record import Image, Lock, Model, Record, RequirementsLink
from mlflow_uv.core.selection import Selection
from mlflow_uv.errors import NoEngine
from mlflow_uv.recompute import from_image
from mlflow_uv.tools.registries import Published, PublishedImage, RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.runner import words

ID, DIGEST, OTHER = (f"sha256:{sign * 64}" for sign in "abc")
NAME = "ghcr.io/team/wine:2"
RECORD = Record(
    release_key="k",
    commit=Commit(sha="c", project="."),
    lock=Lock(sha256="l" * 64, uv="1"),
    selection=Selection(),
    requirements=RequirementsLink(sha256="r" * 64, source="lock"),
    model=Model(model_id="m", run_id="r", name="n", sha256="m" * 64, store="s", python="3.12.1", mlflow="3.17.2"),
    image=Image(kind="image", id=ID, tag=NAME, base="b", base_digest="d", engine="docker", digest=DIGEST),
)
LABELS = {
    "mlflow-uv.lock-sha256": "l" * 64,
    "mlflow-uv.model-sha256": "m" * 64,
    "mlflow-uv.requirements-sha256": "r" * 64,
}
HERE = PublishedImage(ids=frozenset({ID, DIGEST}), labels=(LABELS,))


@dataclass(frozen=True)
class Fake:
    """A registry and an engine that know one answer each; None where nobody may ask."""

    registry: Published | RegistryUnanswered | None
    engine: Callable[[], Any] | None = None
    name: str = "docker"

    def published(self, name: str, digest: str) -> Published:
        """See Registries."""
        assert (NAME, DIGEST) == (name, digest)
        assert self.registry is not None
        if isinstance(self.registry, RegistryUnanswered):
            raise self.registry
        return self.registry

    def named(self, name: str) -> "Fake":
        """See Engines."""
        assert "docker" == name
        return self

    def image(self, name: str) -> Any:
        """See Engine."""
        assert NAME == name
        assert self.engine is not None
        return self.engine()


def link(record: Record, fake: Fake, *, forge: bool = False) -> tuple[LinkState, str, str]:
    """What became of it: state, reason and fix."""
    surroundings = SimpleNamespace(forge=forge)
    tools = cast("Tools", SimpleNamespace(registries=fake, engines=fake, surroundings=surroundings))
    (check,) = gathered(from_image(record, tools))
    return check.state, check.reason, words("promote").text(check.fix) if forge else check.fix


def test_what_was_pushed_is_verified_without_an_engine() -> None:
    """
    A job that has none, or one that never saw the image, needs the registry alone.
    """
    assert (LinkState.HOLDS, "", "") == link(RECORD, Fake(Published(tagged=DIGEST, image=HERE)))


def test_a_tag_that_was_removed_takes_nothing_from_the_digest() -> None:
    """
    Who tidies up tags has not taken the image away.
    """
    assert (LinkState.HOLDS, "", "") == link(RECORD, Fake(Published(tagged=None, image=HERE)))


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (Published(tagged=None, image=None), "ghcr.io says that it has no such image"),
        (Published(tagged=OTHER, image=HERE), f"ghcr.io, of {NAME}, says {'c' * 12}"),
        (Published(tagged=DIGEST, image=replace(HERE, ids=frozenset({OTHER}))), f"of its id, says {'c' * 12}"),
        (
            Published(tagged=DIGEST, image=replace(HERE, labels=(LABELS, LABELS | {"mlflow-uv.lock-sha256": "x"}))),
            "of its label mlflow-uv.lock-sha256, says x",
        ),
        (
            Published(tagged=DIGEST, image=replace(HERE, labels=({},))),
            "of its label mlflow-uv.model-sha256, says nothing",
        ),
    ],
    ids=["gone", "another tag", "another id", "one of several platforms", "no labels"],
)
def test_another_image_in_the_registry_breaks_the_link(published: Published, reason: str) -> None:
    """
    Whatever the engine here still has: what others pull is not what was released.
    """
    state, said, _ = link(RECORD, Fake(published))

    assert (LinkState.BROKEN, True) == (state, reason in said), said


@pytest.mark.parametrize(("found", "state"), [(ID, LinkState.HOLDS), (OTHER, LinkState.BROKEN)])
def test_the_engine_is_asked_where_the_registry_does_not_tell(found: str, state: LinkState) -> None:
    """
    Where it was built, it may still be.
    """
    fake = Fake(RegistryUnanswered("ghcr.io does not answer"), engine=lambda: SimpleNamespace(id=found))

    assert state is link(RECORD, fake)[0]


@pytest.mark.parametrize(
    ("denied", "forge", "fix"),
    [
        (True, False, "docker login ghcr.io"),
        (True, True, "a step with docker/login-action for ghcr.io before this one"),
        (False, True, "reach ghcr.io from here"),
    ],
)
def test_neither_of_both_is_unverified(denied: bool, forge: bool, fix: str) -> None:
    """
    Both reasons are told, and what gives access.
    """
    fake = Fake(RegistryUnanswered("ghcr.io does not show it", denied=denied), engine=lambda: None)

    told = f"docker has no {NAME} here, and ghcr.io does not show it"
    assert (LinkState.UNVERIFIED, told, fix) == link(RECORD, fake, forge=forge)


def no_engine() -> None:
    """An engine that is not installed."""
    raise NoEngine(what="Docker is not here")


@pytest.mark.parametrize(
    ("engine", "where"), [(lambda: None, f"docker has no {NAME} here"), (no_engine, "Docker is not here")]
)
def test_what_was_never_pushed_is_gone_with_its_runner(engine: Callable[[], Any], where: str) -> None:
    """
    No registry is asked; the words say how the next release can be verified anywhere.
    """
    assert RECORD.image is not None
    record = replace(RECORD, image=replace(RECORD.image, digest=""))

    said, on_github = (link(record, Fake(None, engine=engine), forge=forge) for forge in (False, True))

    fix = "mlflow-uv release --push --image REGISTRY/NAME"
    assert (LinkState.UNVERIFIED, f"{where}, and it was pushed to no registry", fix) == said
    assert "`uses: org/mlflow-uv-action@v1` with `push: true` and `image: REGISTRY/NAME`" == on_github[2]
