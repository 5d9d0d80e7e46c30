"""A requirement has one form, whether a manifest declares it or a lock recorded it."""

from collections.abc import Mapping
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from mlflow_uv.core.freshness.causes import ManifestPlace
from mlflow_uv.core.freshness.requirement import (
    ANYWHERE,
    COPIED,
    EDITABLE,
    UNKNOWN,
    Aspect,
    ManifestRequirement,
    Origin,
    RequirementScope,
    address_of,
    compare_requirements,
    direct_origin,
    git_origin,
    parse_locked_requirement,
    parse_requirement,
    place_of,
)

PLACE = ManifestPlace("pyproject.toml", ("project", "dependencies", 0))
LOCK = ManifestPlace("uv.lock", ())
PYTHON = SpecifierSet(">=3.10")
HOP = Origin("git", "https://git.test/hop", "rev=v1#")


def declared(text: str) -> ManifestRequirement:
    """A requirement of a manifest in the folder /wine."""
    requirement = parse_requirement(text, PLACE, "/wine")
    assert requirement is not None
    return requirement


# origins


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (ANYWHERE, ANYWHERE, True),
        (UNKNOWN, HOP, True),
        (HOP, UNKNOWN, True),
        (HOP, HOP._replace(detail="rev=v2#"), False),
        (HOP, HOP._replace(address="https://git.test/oak"), False),
        (ANYWHERE, Origin("index", "https://index.test"), False),
        (Origin("path", "/oak", EDITABLE), Origin("path", "/oak"), True),
        (Origin("path", "/oak", EDITABLE), Origin("path", "/oak", COPIED), False),
        (Origin("url", "https://a.test/x.whl", "below"), Origin("url", "https://a.test/x.whl"), False),
    ],
)
def test_origins_agree_unless_they_are_known_to_differ(one: Origin, other: Origin, agree: bool) -> None:
    """
    A folder is installed in one way or the other only where that is written.
    """
    assert (agree, agree) == (one.agrees(other), other.agrees(one))


@pytest.mark.parametrize(
    ("origin", "description"),
    [
        (ANYWHERE, "the default indexes"),
        (Origin("index", "https://index.test"), "the index `https://index.test`"),
        (HOP, "git `https://git.test/hop` (rev=v1)"),
        (HOP._replace(detail="#below"), "git `https://git.test/hop` (below)"),
        (HOP._replace(detail="tag=v1#below"), "git `https://git.test/hop` (tag=v1) (below)"),
        (Origin("path", "/oak"), "`/oak`"),
        (Origin("path", "/oak", EDITABLE), "`/oak` (editable)"),
        (Origin("url", "https://a.test/x.whl"), "`https://a.test/x.whl`"),
    ],
)
def test_an_origin_is_described_with_what_tells_it_apart(origin: Origin, description: str) -> None:
    """
    As messages show it.
    """
    assert description == origin.description


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("git+https://git.test/hop@v1", HOP),
        ("git+https://git.test/hop", HOP._replace(detail="#")),
        ("git+https://user:key@git.test/hop@v1#subdirectory=below", HOP._replace(detail="rev=v1#below")),
        ("git+ssh://git@git.test/hop@v1", Origin("git", "ssh://git.test/hop", "rev=v1#")),
        ("https://user:key@a.test/x.whl?sig=1#sha256=0", Origin("url", "https://a.test/x.whl")),
        ("https://a.test/x.tar.gz#subdirectory=below", Origin("url", "https://a.test/x.tar.gz", "below")),
        ("https://${HOST}/x.whl", UNKNOWN),
        ("file:///wheels/x.whl", Origin("path", "/wheels/x.whl")),
    ],
)
def test_a_direct_reference_has_the_origin_of_its_url(url: str, origin: Origin) -> None:
    """
    Without credentials and signatures, which differ between machines.
    """
    assert origin == direct_origin(url, "/wine")


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ({"rev": "a", "tag": "v1", "branch": "main"}, "rev=a#"),
        ({"tag": "v1", "branch": "main"}, "tag=v1#"),
        ({"rev": "", "tag": "v1"}, "tag=v1#"),
        ({"branch": "main"}, "branch=main#"),
        ({}, "#"),
    ],
)
def test_the_reference_of_a_repository_is_the_most_exact_one(reference: Mapping[str, str], detail: str) -> None:
    """
    A commit, else a tag, else a branch.
    """
    assert HOP._replace(detail=detail) == git_origin("https://git.test/hop/", reference, "")


@pytest.mark.parametrize(
    ("index", "address"),
    [
        ("https://user@index.test/simple/", "https://index.test/simple"),
        ("file:///indexes/own", "/indexes/own"),
        ("../own", "/own"),
        ("own/", "/wine/own"),
    ],
)
def test_an_index_is_a_url_or_a_folder(index: str, address: str) -> None:
    """
    However it is written, the same index has one address.
    """
    assert address == address_of(index, "/wine")


def test_a_path_is_that_of_its_manifest() -> None:
    """
    Relative to its folder; an absolute one stays.
    """
    assert ("/oak", "/wine/oak", "/oak") == (
        place_of("../oak", "/wine"),
        place_of("./oak/.", "/wine"),
        place_of("/oak", "/wine"),
    )


# requirements of a manifest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Big_Grape", ManifestRequirement(name="big-grape", text="Big_Grape", place=PLACE)),
        (
            "grape[Red_One,b]>=1,<2 ; python_version < '3.12'",
            ManifestRequirement(
                name="grape",
                text="grape[Red_One,b]>=1,<2 ; python_version < '3.12'",
                place=PLACE,
                extras=frozenset({"red-one", "b"}),
                specifier=SpecifierSet(">=1,<2"),
                marker='python_version < "3.12"',
            ),
        ),
        (
            "hop @ git+https://git.test/hop@v1",
            ManifestRequirement(name="hop", text="hop @ git+https://git.test/hop@v1", place=PLACE, origin=HOP),
        ),
        ("grape >= one", ManifestRequirement(name="grape", text="grape >= one", place=PLACE, opaque=True)),
        (">=1", None),
        ("", None),
        ({"include-group": "dev"}, None),
        (1, None),
    ],
)
def test_a_requirement_of_a_manifest_is_parsed(text: object, expected: ManifestRequirement | None) -> None:
    """
    Of an invalid one the name is kept, so that it is not reported as removed.
    """
    assert expected == parse_requirement(text, PLACE, "/wine")


# requirements of a lock


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({"name": "Big_Grape"}, {"name": "big-grape", "text": "big-grape"}),
        (
            {"name": "grape", "specifier": ">=1", "extras": ["Red"]},
            {"text": "grape[red]>=1", "extras": frozenset({"red"}), "specifier": SpecifierSet(">=1")},
        ),
        ({"name": "grape", "specifier": "*"}, {"text": "grape*", "specifier": SpecifierSet()}),
        (
            {"name": "grape", "marker": "extra == 'Big_One'"},
            {"text": "grape ; extra == 'Big_One'", "marker": "extra == 'Big_One'", "extra": "big-one"},
        ),
        ({"name": "grape", "index": "https://i.test/s/"}, {"origin": Origin("index", "https://i.test/s")}),
        ({"name": "grape", "index": "../own"}, {"origin": Origin("index", "/own")}),
        (
            {"name": "grape", "git": "https://git.test/hop?subdirectory=below&tag=v1"},
            {"origin": Origin("git", "https://git.test/hop", "tag=v1#below")},
        ),
        (
            {"name": "grape", "url": "https://a.test/x.zip#subdirectory=below"},
            {"origin": Origin("url", "https://a.test/x.zip", "below")},
        ),
        (
            {"name": "grape", "url": "https://a.test/x.zip", "subdirectory": "below"},
            {"origin": Origin("url", "https://a.test/x.zip", "below")},
        ),
        ({"name": "grape", "path": "x.whl"}, {"origin": Origin("path", "/wine/x.whl")}),
        ({"name": "grape", "directory": "../oak"}, {"origin": Origin("path", "/oak", COPIED)}),
        ({"name": "grape", "editable": "../oak"}, {"origin": Origin("path", "/oak", EDITABLE)}),
        ({"name": "grape", "virtual": "../oak"}, {"origin": Origin("path", "/oak")}),
        ({"name": "grape", "specifier": "about 1"}, {"text": "grapeabout 1", "opaque": True}),
        ({"name": "grape", "marker": "planet == 'mars'"}, {"text": "grape ; planet == 'mars'", "opaque": True}),
        ({"name": "grape", "moon": "full"}, {"opaque": True}),
    ],
)
def test_a_requirement_of_a_lock_is_parsed(entry: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """
    A part that this version does not know makes it opaque, as a newer uv may have written it.
    """
    expected = ManifestRequirement(**{"name": "grape", "text": "grape", "place": LOCK, **parts})

    assert expected == parse_locked_requirement(entry, "/wine")


# comparison


@pytest.mark.parametrize(
    ("now", "then", "aspect"),
    [
        (["grape>=1"], [{"specifier": ">=1"}], None),
        (["grape>=1.0,<2"], [{"specifier": "<2,>=1"}], None),
        (["grape>=1"], [{"specifier": ">=2"}], Aspect(source=False, rest=True)),
        (["grape"], [], Aspect(source=False, rest=True)),
        ([], [{}], Aspect(source=False, rest=True)),
        (["grape[a]"], [{}], Aspect(source=False, rest=True)),
        (["grape ; python_version >= '3.9'"], [{}], None),
        (["grape ; python_version >= '3.11'"], [{}], Aspect(source=False, rest=True)),
        (["grape ; python_version < '3.10'"], [], None),
        (
            ["grape ; sys_platform == 'linux'", "grape ; sys_platform != 'linux'"],
            [{}],
            None,
        ),
        (
            ["grape>=1 ; sys_platform == 'linux'", "grape ; sys_platform != 'linux'"],
            [{"specifier": ">=1"}],
            Aspect(source=False, rest=True),
        ),
        (["grape @ https://a.test/x.whl"], [{"url": "https://a.test/x.whl"}], None),
        (["grape @ https://a.test/x.whl"], [{"url": "https://b.test/x.whl"}], Aspect(source=True, rest=False)),
        (["grape @ https://a.test/x.whl"], [{"specifier": ">=1"}], Aspect(source=True, rest=False)),
        (["grape[a] @ https://a.test/x.whl"], [{"url": "https://b.test/x.whl"}], Aspect(source=True, rest=True)),
        (["grape >= one"], [{"specifier": ">=1"}], None),
        (["grape>=1"], [{"moon": "full"}], None),
    ],
)
def test_requirements_differ_where_they_mean_something_else(
    now: list[str], then: list[Mapping[str, Any]], aspect: Aspect | None
) -> None:
    """
    On a Python that the project supports; the same in other words is no difference.
    """
    recorded = [parse_locked_requirement({"name": "grape", **entry}, "/wine") for entry in then]

    assert aspect == compare_requirements(map(declared, now), recorded, RequirementScope(), PYTHON)


def test_the_requirement_of_an_extra_is_recorded_with_a_marker() -> None:
    """
    It is the same requirement in the scope of that extra alone.
    """
    now, then = declared("grape"), parse_locked_requirement({"name": "grape", "marker": "extra == 'red'"}, "/wine")

    aspects = [
        compare_requirements([now], [then], scope, PYTHON)
        for scope in (RequirementScope("extra", "red"), RequirementScope("extra", "white"), RequirementScope())
    ]

    assert [None, Aspect(source=False, rest=True), Aspect(source=False, rest=True)] == aspects


def test_an_entry_that_another_one_replaces_does_not_count_there() -> None:
    """
    A source for one platform leaves the index for the others.
    """
    linux = "sys_platform == 'linux'"
    hop = ManifestRequirement(name="hop", text="hop", place=PLACE, marker=linux, origin=HOP)
    elsewhere = ManifestRequirement(name="hop", text="hop", place=PLACE, unless=(linux,))
    then = [
        parse_locked_requirement({"name": "hop", "git": "https://git.test/hop?rev=v1", "marker": linux}, "/wine"),
        parse_locked_requirement({"name": "hop", "marker": "sys_platform != 'linux'"}, "/wine"),
    ]

    aspects = [compare_requirements(now, then, RequirementScope(), PYTHON) for now in ([hop, elsewhere], [hop])]

    assert [None, Aspect(source=False, rest=True)] == aspects
    assert ((linux,), (linux,)) == (hop.markers, elsewhere.markers)
