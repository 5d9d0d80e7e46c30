"""Where the link `image` is looked up, and what each answer makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ChainBroken, NoEngine
from mlflow_uv.command.report import Severity
from mlflow_uv.core.image.reference import reach_fix
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.release.chain import LinkCheck, LinkState, merge_checks
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.record import (
    AnswersLink,
    ImageLink,
    LockLink,
    ModelLink,
    Record,
    RequirementsLink,
    VersionLink,
)
from mlflow_uv.ops.image.lookup import (
    address_of,
    from_identity,
    from_image,
    name_taken,
    names_reused,
    require_image,
    serve_command,
    serve_line,
)
from mlflow_uv.tools.engines.build_errors import NotPulled
from mlflow_uv.tools.engines.engine import Engine
from mlflow_uv.tools.oci.registries import Published
from mlflow_uv.tools.oci.repository import PublishedImage, RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.runner import words

ID, DIGEST, OTHER = (f"sha256:{sign * 64}" for sign in "abc")
NAME = "ghcr.io/team/wine:2"
RECORD = Record(
    release_key="k",
    commit=Commit(sha="c", project="."),
    lock=LockLink(sha256="l" * 64, uv="1"),
    selection=Selection(),
    requirements=RequirementsLink(sha256="r" * 64, source="lock"),
    model=ModelLink(model_id="m", run_id="r", name="n", sha256="m" * 64, store="s", python="3.12.1", mlflow="3.17.2"),
    image=ImageLink(kind="image", id=ID, tag=NAME, base="b", base_digest="d", engine="docker", digest=DIGEST),
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


def link(record: Record, fake: Fake, *, ci: bool = False) -> tuple[LinkState, str, str]:
    """What became of it: state, reason and fix."""
    host = SimpleNamespace(ci=ci)
    tools = cast("Tools", SimpleNamespace(registries=fake, engines=fake, host=host))
    (check,) = merge_checks(from_image(record, tools))
    return check.state, check.reason, words("promote").text(check.fix) if ci else check.fix


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
    state, reason_given, _ = link(RECORD, Fake(published))

    assert (LinkState.BROKEN, True) == (state, reason in reason_given), reason_given


@pytest.mark.parametrize(("found", "state"), [(ID, LinkState.HOLDS), (OTHER, LinkState.BROKEN)])
def test_the_engine_is_asked_where_the_registry_does_not_tell(found: str, state: LinkState) -> None:
    """
    Where it was built, it may still be.
    """
    fake = Fake(RegistryUnanswered("ghcr.io does not answer"), engine=lambda: SimpleNamespace(id=found, labels={}))

    assert state is link(RECORD, fake)[0]


@pytest.mark.parametrize(
    ("denied", "ci", "fix"),
    [
        (True, False, "docker login ghcr.io"),
        (True, True, "a step with docker/login-action for ghcr.io before this one"),
        (False, True, reach_fix("ghcr.io/wine", None)),
    ],
)
def test_neither_of_both_is_unverified(denied: bool, ci: bool, fix: str) -> None:
    """
    Both reasons are told, and what gives access.
    """
    fake = Fake(RegistryUnanswered("ghcr.io does not show it", denied=denied), engine=lambda: None)

    told = f"docker has no {NAME} here, and ghcr.io does not show it"
    assert (LinkState.UNVERIFIED, told, fix) == link(RECORD, fake, ci=ci)


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

    reason_given, on_github = (link(record, Fake(None, engine=engine), ci=ci) for ci in (False, True))

    fix = "mlflow-uv release --push --image REGISTRY/NAME"
    assert (LinkState.UNVERIFIED, f"{where}, and it was not pushed to a registry", fix) == reason_given
    assert "`uses: org/mlflow-uv-action@v1` with `push: true` and `image: REGISTRY/NAME`" == on_github[2]


NEXT = {
    "mlflow-uv.model-sha256": "n" * 64,
    "org.opencontainers.image.title": "wine",
    "org.opencontainers.image.version": "3",
}
PASSED_ON = f"its name `{NAME}` now points to the image of wine version 3"
UNPUSHED = replace(RECORD, image=replace(cast("ImageLink", RECORD.image), digest=""))


@dataclass(frozen=True)
class Names:
    """An engine that has these images by name or id, and a registry that has these labels under every name."""

    images: Mapping[str, Any]
    answer: tuple[Mapping[str, str], ...] | RegistryUnanswered = ()
    name: str = "docker"

    def named(self, _name: str) -> "Names":
        """See Engines."""
        return self

    def image(self, name: str) -> Any:
        """See Engine."""
        return self.images.get(name)

    def labels(self, _name: str) -> tuple[Mapping[str, str], ...]:
        """See Registries."""
        if isinstance(self.answer, RegistryUnanswered):
            raise self.answer
        return self.answer

    def published(self, _name: str, _digest: str) -> Published:
        """See Registries."""
        raise cast("RegistryUnanswered", self.answer)


def identity(record: Record, fake: Any) -> LinkCheck:
    """What became of the link where the image counts by its digest or id."""
    (check,) = merge_checks(from_identity(record, cast("Tools", SimpleNamespace(registries=fake, engines=fake))))
    return check


def test_a_name_that_went_to_the_next_version_breaks_nothing() -> None:
    """
    One name for all versions: the old one is in the registry by its digest, which is the address that serves it.
    """
    published = Published(tagged=OTHER, image=HERE, tagged_labels=(NEXT, NEXT))

    check = identity(RECORD, Fake(published))

    assert (LinkState.HOLDS, PASSED_ON) == (check.state, check.reason)
    assert f"start it as ghcr.io/team/wine@{DIGEST}" == check.fix
    (warning,) = names_reused((check,), "wine version 2")
    assert ("image-name-reused", Severity.WARNING) == (warning.rule, warning.severity)
    assert LinkState.BROKEN is link(RECORD, Fake(published))[0], "within one release its name is its image"


@pytest.mark.parametrize(
    "labels", [(), ({},), (NEXT, {}), ({"mlflow-uv.model-sha256": "m" * 64},)], ids=["none", "foreign", "half", "own"]
)
def test_a_name_that_went_to_another_image_breaks_the_link(labels: tuple[dict[str, str], ...]) -> None:
    """
    What was not built by us of another version took the name from outside.
    """
    check = identity(RECORD, Fake(Published(tagged=OTHER, image=HERE, tagged_labels=labels)))

    assert LinkState.BROKEN is check.state


def test_an_image_that_was_never_pushed_is_found_by_its_id() -> None:
    """
    The engine keeps it without a name, until somebody tidies up.
    """
    next_one, old = SimpleNamespace(id=OTHER, labels=NEXT), SimpleNamespace(id=ID, labels=LABELS)

    silent = identity(RECORD, Names({NAME: next_one}, answer=RegistryUnanswered("ghcr.io does not answer")))
    there = identity(UNPUSHED, Names({NAME: next_one, ID: old}))
    gone = identity(UNPUSHED, Names({NAME: next_one}))

    assert (LinkState.HOLDS, PASSED_ON, f"start it as {ID}") == (there.state, there.reason, there.fix)
    assert (LinkState.BROKEN, f"docker no longer has it, and {PASSED_ON}") == (gone.state, gone.reason)
    assert LinkState.UNVERIFIED is silent.state, "the registry may have it"


def test_the_address_serves_a_version_whatever_its_name_leads_to() -> None:
    """
    By digest where it was pushed, by id where it was not; a process has none.
    """
    assert RECORD.image is not None
    process = replace(RECORD.image, kind="process")

    assert [f"ghcr.io/team/wine@{DIGEST}", ID, "", ""] == [
        address_of(image) for image in (RECORD.image, UNPUSHED.image, process, None)
    ]
    assert (f"serve it:    docker run --rm --publish 8080:8080 ghcr.io/team/wine@{DIGEST}",) == serve_line(RECORD)
    assert ((), ()) == (serve_line(replace(RECORD, image=process)), serve_line(None))


def test_the_command_that_serves_an_image_passes_what_its_model_needs_to_its_engine() -> None:
    """
    By name: the value is the caller's, and stands in no command line.
    """
    assert RECORD.image is not None
    needing = replace(
        RECORD,
        answers=AnswersLink(cases="7", expected="8", variables=("A_KEY", "REGION")),
        image=replace(RECORD.image, engine="podman"),
    )

    assert "podman run --rm --publish 8080:8080 --env A_KEY --env REGION wine:7" == serve_command(needing, "wine:7")


def test_the_command_that_serves_an_image_mounts_what_its_server_verifies() -> None:
    """
    The attestations in the current folder, at the place that the configuration names.
    """
    assert RECORD.image is not None
    verifying = replace(RECORD, image=replace(RECORD.image, verify="a key"))

    assert "docker run --rm --publish 8080:8080 --volume ./attestations.jsonl:/attestations.jsonl:ro wine:7" == (
        serve_command(verifying, "wine:7")
    )


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("ghcr.io/team/wine:2", "--image ghcr.io/team/wine, without a tag, so that each version has its own"),
        (None, "--image ANOTHER_NAME"),
    ],
)
@pytest.mark.parametrize("where", ["engine", "registry"])
def test_a_build_says_from_which_version_it_takes_the_name(given: str | None, fix: str, where: str) -> None:
    """
    Before the name moves; here, and where it is pushed to.
    """
    here = {NAME: SimpleNamespace(id=OTHER, labels=NEXT)} if where == "engine" else {}
    fake = Names(here, answer=(NEXT,) if where == "registry" else RegistryUnanswered("x"))
    tools = cast("Tools", SimpleNamespace(registries=fake))

    (finding,) = name_taken(NAME, given, RECORD, cast("Engine", fake), tools)

    assert f"`{NAME}` already names another image, that of wine version 3" == finding.what
    assert (Severity.WARNING, fix) == (finding.severity, str(finding.fix))


@pytest.mark.parametrize("labels", [LABELS, {}, None], ids=["the same model", "no image of ours", "nothing"])
def test_a_build_that_takes_no_name_from_anybody_says_nothing(labels: dict[str, str] | None) -> None:
    """
    The same version built again, a name that somebody else used for something else, and a new name.
    """
    fake = Names({} if labels is None else {NAME: SimpleNamespace(id=OTHER, labels=labels)})

    assert () == name_taken(NAME, None, RECORD, cast("Engine", fake), None)


def test_a_version_that_another_registry_numbered_alike_is_told_apart() -> None:
    """
    By the digest of its model, where the name was taken and where it is about to be.
    """
    mine = replace(RECORD, version=VersionLink(name="wine", version="3", model_id="m"))
    fake = Names({NAME: SimpleNamespace(id=OTHER, labels=NEXT)})

    check = identity(mine, Fake(Published(tagged=OTHER, image=HERE, tagged_labels=(NEXT,))))
    (finding,) = name_taken(NAME, None, mine, cast("Engine", fake), None)

    called = "another model, nnnnnnnnnnnn, that is called wine version 3, too"
    assert f"its name `{NAME}` now points to the image of {called}" == check.reason
    assert f"`{NAME}` already names another image, that of {called}" == finding.what


@pytest.mark.parametrize(
    ("fix", "shown"), [("trust it", "trust it"), ("", "mlflow-uv build-image")], ids=["unreachable", "absent"]
)
def test_an_image_that_cannot_be_pulled_is_told_with_the_engine_s_reason(fix: str, shown: str) -> None:
    """
    Another build helps only if the registry has no such image.
    """

    def pull(_name: str) -> Any:
        raise NotPulled(what="docker cannot pull it", why="the engine's reason", fix=fix)

    engine = SimpleNamespace(name="docker", image=lambda _: None, pull=pull)
    tools = cast("Tools", SimpleNamespace(engines=SimpleNamespace(named=lambda _: engine)))
    assert RECORD.image is not None

    with pytest.raises(ChainBroken) as refused:
        require_image(RECORD.image, RECORD, tools)

    assert f"docker has no {NAME}, and cannot pull it: the engine's reason" == refused.value.why
    assert shown == refused.value.fix
