"""A release record is unchanged after it was written to JSON and read again."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.record import (
    LINKS,
    AliasLink,
    AnswersLink,
    ExportedModel,
    ExportsLink,
    ImageLink,
    LockLink,
    ModelLink,
    Record,
    RequirementsLink,
    SignatureLink,
    VerificationLink,
    VersionLink,
    WayLink,
    WheelLink,
    from_json,
    release_key,
)

RECORDS = Path(__file__).parent / "records"
COMMIT = Commit(sha="c" * 40, project="models/wine")
LOCK = LockLink(sha256="1" * 64, uv="0.9.1")
SELECTION = Selection(package="wine", extras=("serve",), groups=("gpu",))
WAY = WayLink(way="locked-load", verdict="equal", requests=2, seconds=1.5, memory=200_000_000, why="")
IMAGE = WayLink(way="image", verdict="different", requests=2, seconds=2.5, memory=0, why="$[0] is 3.0")
BARE = Record(
    release_key="k" * 64,
    commit=COMMIT,
    lock=LOCK,
    selection=SELECTION,
    requirements=RequirementsLink(
        sha256="2" * 64,
        source="lock",
        wheels=(WheelLink(file="wine-1-py3-none-any.whl", name="wine", version="1", sha256="3" * 64),),
    ),
    model=ModelLink(
        model_id="m-1", run_id="r", name="model", sha256="4" * 64, store="sqlite", python="3.11.7", mlflow="3.4.0"
    ),
)
EXPORTED = ExportedModel(
    format="onnx",
    model_id="m-onnx",
    sha256="a" * 64,
    file_sha256="b" * 64,
    original="4" * 64,
    name="wine-onnx",
    version="2",
)
WHOLE = replace(
    BARE,
    version=VersionLink(name="wine", version="7", model_id="m-1"),
    image=ImageLink(kind="engine", id="sha256:5", tag="wine:7", base="python:3.11-slim", base_digest="sha256:6"),
    answers=AnswersLink(cases="7" * 64, expected="8" * 64, observed="9" * 64, served_by="image"),
    alias=AliasLink(name="candidate", before=None, after="7"),
    verification=VerificationLink(model="4" * 64, expected="8" * 64, image="sha256:5", ways=(WAY, IMAGE)),
    exports=ExportsLink(models=(EXPORTED,)),
    signature=SignatureLink(signer="key 1", statement="e" * 64),
    timings=(("log-model", 12.5),),
    figures=(("p95-milliseconds", 7.9),),
    latencies=((6.3, 20), (8.0, 1)),
)


OTHER_IMAGE = ImageLink(kind="image", id="sha256:7", tag="wine:7", base="python:3.11-slim", base_digest="sha256:6")


def as_file(record: Record) -> dict[str, Any]:
    """The record as another job reads it."""
    return dict(json.loads(json.dumps(record.to_json())))


# Records in forms that earlier programs wrote, each with the digest that its version is tagged with.
EARLIER = {
    # Every link, with the parts that it had at first.
    "least": "723f8a556248236bcbce47ea16ed3605397af2f265c761156afe7f68c88276fd",
    # An image that was composed when there was one architecture.
    "one-architecture": "20b5628ed1a0d59421d1c439bff7e4647fff5b7db34a5957533afc4a0d22519b",
}


@pytest.mark.parametrize("record", [BARE, WHOLE], ids=["bare", "whole"])
def test_a_record_survives_its_file(record: Record) -> None:
    """
    What one job writes, the next one reads: every link, equal in value and digest.
    """
    found = from_json(as_file(record))

    assert (record, record.sha256) == (found, found.sha256)


def test_the_file_says_which_schema_and_which_program() -> None:
    """
    `schema` and our version come first.
    """
    found = list(WHOLE.to_json())

    assert ["schema", "mlflow-uv", "release_key"] == found[:3]


def test_how_long_it_took_is_not_identity() -> None:
    """
    Timings and what was measured of the server are carried, not digested.
    """
    slower = replace(WHOLE, timings=(("log-model", 99.0),), figures=(("p95-milliseconds", 9.0),), latencies=())

    assert WHOLE.sha256 == slower.sha256


@pytest.mark.parametrize(
    "latencies",
    [
        None, 1, "ab", [1], [[1, 2, 3]], [["x", 1]], [[1, 0]], [[1, -1]], [[1, 1.5]], [[1, True]], [[1, "1"]],
        [[0, 1]], [[-1, 1]], [[math.inf, 1]], [[math.nan, 1]], [[2, 1], [1, 1]], [[1, 1], [1, 1]], [[10**400, 1]],
        [[bound, 1] for bound in range(1, 102)],
    ],
)  # fmt: skip
def test_latencies_that_cannot_be_are_refused(latencies: Any) -> None:
    """
    Whoever can write to the store can write a record.
    """
    with pytest.raises(ValueError, match="its latencies"):
        from_json(as_file(WHOLE) | {"latencies": latencies})


def test_a_record_from_before_a_part_was_added_keeps_its_digest() -> None:
    """
    The digest of an old record is a tag on its version; a part that holds nothing must not change it.
    """
    digest = "6fa7d529c6229ced59000ce0b57bcc7369e44d97feb983e18953fcfe01e7aee0"

    old = replace(WHOLE, verification=None, exports=None, signature=None)
    assert (digest, False, False) == (
        old.sha256, "ignored" in as_file(old)["answers"], "verification" in as_file(old),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (WHOLE.image, WHOLE.verification),
        (OTHER_IMAGE, VerificationLink(model="4" * 64, expected="8" * 64, image="", ways=(WAY,))),
    ],
    ids=["same", "other"],
)
def test_another_image_has_no_result_of_verify(image: ImageLink, expected: VerificationLink) -> None:
    """
    Those of the other ways stay; a link without ways is none.
    """
    only_image = replace(WHOLE, verification=VerificationLink(model="4", expected="8", image="sha256:5", ways=(IMAGE,)))

    found = WHOLE.with_image(image)

    assert (image, expected) == (found.image, found.verification)
    assert (None, None) == (only_image.with_image(OTHER_IMAGE).verification, BARE.with_image(image).verification)


def test_results_of_verify_are_kept_for_what_they_are_about() -> None:
    """
    A release that runs again keeps them for the same model, answers and image.
    """
    assert WHOLE.verification is not None
    again = replace(WHOLE, verification=None)

    assert WHOLE == again.with_verification(WHOLE.verification)
    assert again == again.with_verification(None)
    for other in ({"model": "other"}, {"expected": "other"}):
        assert again == again.with_verification(replace(WHOLE.verification, **other))  # type: ignore[arg-type]  # texts
    elsewhere = again.with_verification(replace(WHOLE.verification, image="sha256:other")).verification
    assert elsewhere is not None
    assert [WAY] == list(elsewhere.ways)


def test_whom_an_image_trusts_is_part_of_the_record() -> None:
    """
    Another policy is another record, because the digest of the image depends on it.
    """
    records = [replace(WHOLE, image=replace(OTHER_IMAGE, verify=policy)) for policy in ("", "a key", "another key")]

    found = [from_json(as_file(record)) for record in records]

    assert records == found
    assert 3 == len({record.sha256 for record in found})


@pytest.mark.parametrize(
    "part", [{"ignored": ("$.a",)}, {"variables": ("A",)}, {"requests": "1" * 64, "responses": "2" * 64}], ids=str
)
def test_what_was_not_compared_or_given_is_part_of_the_record(part: dict[str, Any]) -> None:
    """
    It travels with the record, and a record without it is another one.
    """
    assert WHOLE.answers is not None
    record = replace(WHOLE, answers=replace(WHOLE.answers, **part))

    found = from_json(as_file(record))

    assert (record, record.sha256, False) == (found, found.sha256, record.sha256 == WHOLE.sha256)


@pytest.mark.parametrize("link", LINKS)
def test_every_link_is_part_of_the_digest(link: str) -> None:
    """
    A record in which any link was exchanged is another record.
    """
    value = getattr(WHOLE, link)
    texts = [field.name for field in fields(value) if isinstance(getattr(value, field.name), str | None)]
    exchanged = {texts[0]: "exchanged"} if texts else {fields(value)[0].name: ()}

    other = replace(WHOLE, **{link: replace(value, **exchanged)})

    assert WHOLE.sha256 != other.sha256


def test_an_unknown_schema_is_refused() -> None:
    """
    A record of a schema that we do not know is not half understood.
    """
    file = as_file(WHOLE) | {"schema": 99}

    with pytest.raises(ValueError, match="schema 1"):
        from_json(file)


@pytest.mark.parametrize("file", [None, [], "record", {}])
def test_what_is_no_record_is_refused(file: object) -> None:
    """
    Any other JSON is refused in a sentence.
    """
    with pytest.raises(ValueError, match="not a release record"):
        from_json(file)


@pytest.mark.parametrize("link", LINKS)
def test_parts_that_nobody_knows_are_refused(link: str) -> None:
    """
    A link with a part more than ours was written by somebody else, or edited.
    """
    file = as_file(WHOLE)
    file[link]["surprise"] = 1

    with pytest.raises(ValueError, match=f"`{link}`"):
        from_json(file)


@pytest.mark.parametrize("link", sorted(LINKS.keys() - {"selection"}))
def test_a_link_that_lost_a_part_is_refused(link: str) -> None:
    """
    Half a link is no link.
    """
    file = as_file(WHOLE)
    part = next(iter(file[link]))
    del file[link][part]

    with pytest.raises(ValueError, match=f"^its link `{link}` lacks `{part}`$"):
        from_json(file)


@pytest.mark.parametrize("link", ["commit", "lock", "selection", "requirements", "model", "release_key"])
def test_what_every_release_has_cannot_be_missing(link: str) -> None:
    """
    What log-model begins a record with is in every record.
    """
    file = as_file(WHOLE)
    del file[link]

    with pytest.raises(ValueError, match=f"lacks {link}"):
        from_json(file)


SLOW = {"way": "uv-load", "verdict": "equal", "requests": 1, "seconds": float("inf"), "memory": 0, "why": ""}


@pytest.mark.parametrize(
    "broken",
    [
        {"timings": 3},
        {"timings": [["a"]]},
        {"timings": [["a", "soon"]]},
        {"timings": [["a", 10**400]]},
        {"timings": [["a", -1]]},
        {"timings": [["a", float("nan")]]},
        {"answers": {"cases": "7", "expected": "8", "tolerance": float("nan")}},
        {"answers": {"cases": "7", "expected": "8", "tolerance": float("inf")}},
        {"answers": {"cases": "7", "expected": "8", "tolerance": -1}},
        {"requirements": {"sha256": "2", "source": "lock", "wheels": [{"surprise": 1}]}},
        {"requirements": {"sha256": "2", "source": "lock", "wheels": 3}},
        {"verification": {"model": "4", "expected": "8", "image": "", "ways": [{"way": "image"}]}},
        {"verification": {"model": "4", "expected": "8", "image": "", "ways": [SLOW]}},
        {"commit": []},
        {"commit": {"sha": 7, "project": "."}},
        {"selection": {"extras": "serve"}},
        {"surprise": {"sha256": "2"}},
    ],
    ids=str,
)
def test_a_record_that_was_edited_by_hand_is_refused_in_a_sentence(broken: dict[str, object]) -> None:
    """
    Whatever is wrong with the file, the answer is a ValueError that says so.
    """
    file = as_file(WHOLE) | broken

    with pytest.raises(ValueError, match=r"it|its"):
        from_json(file)


PARTS = {"uv.lock": "1"}


def key(*, commit: Commit = COMMIT, parts: dict[str, str] = PARTS) -> str:
    """The release key of an adopted model, with one part exchanged."""
    return release_key(commit=commit, parts=parts)


@pytest.mark.parametrize(
    "exchanged",
    [
        {"commit": replace(COMMIT, sha="d" * 40)},
        {"commit": replace(COMMIT, project="models/beer")},
        {"commit": replace(COMMIT, dirty="e" * 64)},
        {"parts": {"uv.lock": "2"}},
        {"parts": {"uv.lock": "1", "the selection": "1"}},
    ],
    ids=str,
)
def test_the_release_key_of_an_adopted_model_changes_with_each_of_its_parts(exchanged: dict[str, Any]) -> None:
    """
    Another commit, project, difference, lock or selection makes another release.
    """
    found = key(**exchanged)

    assert key() != found


def test_the_order_of_extras_is_not_identity() -> None:
    """
    `extras: a,b` and `extras: b,a` select the same.
    """
    one, other = Selection(extras=("a", "b"), groups=("c", "d")), Selection(extras=("b", "a"), groups=("d", "c"))

    assert one.sha256 == other.sha256


@pytest.mark.parametrize("name", EARLIER)
def test_a_record_of_an_earlier_program_is_read_and_keeps_its_digest(name: str) -> None:
    """
    A new part of a link needs a default, and one with another name leaves the old name readable.
    """
    data = json.loads((RECORDS / f"{name}.json").read_text())

    record = from_json(data)

    assert EARLIER[name] == record.sha256


def test_there_is_an_earlier_form_of_every_link() -> None:
    """
    A link that is new is added to the file, so that it is read for good.
    """
    data = json.loads((RECORDS / "least.json").read_text())

    assert {*LINKS} == {name for name, value in data.items() if name in LINKS and value is not None}


def test_an_image_composed_by_an_earlier_program_is_for_one_architecture() -> None:
    """
    It is composed again for that one.
    """
    image = from_json(json.loads((RECORDS / "one-architecture.json").read_text())).image

    assert image is not None
    assert image.composition is not None
    assert ("amd64",) == image.composition.composed_for
