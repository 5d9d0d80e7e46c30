"""An SBOM has the same bytes, whatever uv writes about itself and the time."""

import json
import random
import re
from typing import Any

import pytest

from mlflow_uv.core.image.sbom import packages_by_licence, pins_of_sbom, render_sbom, served_components
from mlflow_uv.core.lock.targets import parse_target

LINUX = parse_target("linux-x86_64-py3.11").environment


def component(number: int, name: str, version: str, *, marker: str = "", **more: object) -> dict[str, Any]:
    """A component as uv writes one: its reference counts."""
    component = {"type": "library", "bom-ref": f"{name}-{number}@{version}", "name": name, "version": version, **more}
    return {**component, "properties": [{"name": "uv:package:marker", "value": marker}]} if marker else component


def bill(*, serial: str = "1", order: int = 0) -> str:
    """A bill as uv writes it, in some order, at some time."""
    file = {"url": "https://me:secret@x.test/c.whl", "hashes": [{"alg": "SHA-256", "content": "f"}]}
    components = [
        component(2, "a", "1", purl="pkg:pypi/a@1?repository_url=https://me:secret@x.test/simple"),
        component(3, "b", "1", marker="sys_platform == 'linux'"),
        component(4, "b", "2", marker="sys_platform != 'linux'"),
        component(5, "c", "3", externalReferences=[file]),
    ]
    dependencies: list[dict[str, object]] = [
        {"ref": "wine-1", "dependsOn": ["a-2@1", "b-3@1", "b-4@2"]},
        {"ref": "b-3@1", "dependsOn": ["c-5@3"]},
        {"ref": "c-5@3", "dependsOn": []} if order else {"ref": "c-5@3"},
    ]
    chance = random.Random(order)  # an order, no secret
    chance.shuffle(components)
    chance.shuffle(dependencies)
    root = {"type": "library", "bom-ref": "wine-1", "name": "wine"}
    tools = [{"vendor": "v", "name": "uv", "version": serial}]
    metadata = {"timestamp": f"2026-01-01T00:00:0{serial}Z", "tools": tools, "component": root}
    table = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "serialNumber": f"urn:uuid:{serial}"}
    return json.dumps({**table, "metadata": metadata, "components": components, "dependencies": dependencies})


@pytest.mark.parametrize("order", range(5))
def test_what_uv_says_of_itself_and_the_order_are_gone(order: int) -> None:
    """
    Another time, serial number, version of uv and order: the same bytes.
    """
    found = render_sbom(bill(serial=str(order), order=order), environment=None, licences={})

    assert render_sbom(bill(), environment=None, licences={}) == found


def test_the_normal_form_of_a_normal_form_is_itself() -> None:
    """
    A file that we wrote is never rewritten.
    """
    text = render_sbom(bill(), environment=None, licences={})

    found = render_sbom(text, environment=None, licences={})

    assert text == found


def test_the_serial_number_is_that_of_the_content() -> None:
    """
    A UUID as CycloneDX wants it; another component makes another.
    """
    texts = [render_sbom(bill().replace('"c"', name), environment=None, licences={}) for name in ('"c"', '"d"')]

    first, second = (json.loads(text)["serialNumber"] for text in texts)

    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", first)
    assert first != second


def test_references_name_what_they_mean() -> None:
    """
    Not the place in a list, which changes with every package that is added before.
    """
    table = json.loads(render_sbom(bill(), environment=None, licences={}))

    dependencies = {one["ref"]: one.get("dependsOn", []) for one in table["dependencies"]}

    assert {"wine": ["a@1", "b@1", "b@2"], "b@1": ["c@3"], "c@3": []} == dependencies
    assert ["a@1", "b@1", "b@2", "c@3"] == [one["bom-ref"] for one in table["components"]]


def test_no_credential_is_in_it() -> None:
    """
    Neither in the address of a file nor in that of an index.
    """
    text = render_sbom(bill(), environment=None, licences={})

    assert ("secret" in bill(), "secret" in text) == (True, False)
    assert "repository_url=https://x.test/simple" in text


def test_one_target_holds_what_is_installed_there() -> None:
    """
    Markers are answered and gone, and so is whatever depended on what is not there.
    """
    table = json.loads(render_sbom(bill(), environment=LINUX, licences={}))

    assert ["a@1", "b@1", "c@3"] == [one["bom-ref"] for one in table["components"]]
    assert ["a@1", "b@1"] == next(one["dependsOn"] for one in table["dependencies"] if one["ref"] == "wine")
    assert "uv:package:marker" not in json.dumps(table)


def test_two_components_of_one_name_and_version_are_two() -> None:
    """
    The same version from two sources is told apart.
    """
    twice = json.loads(bill())
    twice["components"].append(component(9, "a", "1", purl="pkg:pypi/a@1?vcs_url=https://x.test/a"))

    table = json.loads(render_sbom(json.dumps(twice), environment=None, licences={}))

    assert ["a@1", "a@1#2"] == [one["bom-ref"] for one in table["components"] if one["name"] == "a"]


def test_components_are_read_back_as_pins() -> None:
    """
    Name, version, marker and hashes, for a comparison.
    """
    found = pins_of_sbom(render_sbom(bill(), environment=None, licences={}))

    assert [("a==1", ""), ("b==1", 'sys_platform == "linux"'), ("b==2", 'sys_platform != "linux"'), ("c==3", "")] == [
        (pin.exact, pin.marker) for pin in found
    ]
    assert ("SHA-256:f",) == found[-1].hashes


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"bomFormat": "SPDX"}', '{"bomFormat": "CycloneDX", "components": [1]}']
)
def test_what_is_no_bill_is_refused(text: str) -> None:
    """
    A ValueError and nothing else, so that the difference is shown as text.
    """
    with pytest.raises(ValueError, match=r"\w"):
        pins_of_sbom(text)


def test_packages_are_grouped_by_the_licence_that_an_sbom_names() -> None:
    """
    By expression, id or name; the most frequent first, and unknown ones at the end however many there are.
    """
    components = [
        component(1, "a", "1", licenses=[{"license": {"id": "MIT"}}]),
        component(2, "b", "1", licenses=[{"expression": "MIT OR Apache-2.0"}]),
        component(3, "c", "1", licenses=[{"license": {"name": "MIT"}}]),
        component(4, "d", "1", licenses=[{"license": {"name": "Own"}}, {"license": {"id": "0BSD"}}]),
        *(component(number, f"x{number}", "2", licenses=[]) for number in range(5, 8)),
        {"name": "local"},
    ]

    found = packages_by_licence(json.dumps({"components": components}))

    assert (
        ("MIT", ("a 1", "c 1")),
        ("0BSD, Own", ("d 1",)),
        ("MIT OR Apache-2.0", ("b 1",)),
        ("", ("local", "x5 2", "x6 2", "x7 2")),
    ) == found


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"components": [{}]}', '{"components": [{"name": "a", "licenses": [1]}]}']
)
def test_licences_of_what_is_no_sbom_are_refused(text: str) -> None:
    """
    They are not shown as unknown.
    """
    with pytest.raises(ValueError, match=r"CycloneDX|Expecting"):
        packages_by_licence(text)


def test_the_licences_of_packages_are_part_of_an_sbom() -> None:
    """
    Those of the same version: an expression of SPDX, or a name.
    """
    licences = {("a", "1"): "MIT OR ISC", ("b", "1"): "BSD License", ("c", "4"): "MIT", ("wine", ""): "MIT"}

    table = json.loads(render_sbom(bill(), environment=None, licences=licences))

    found = {f"{each['name']} {each['version']}": each.get("licenses") for each in table["components"]}
    expected = {"a 1": [{"expression": "MIT OR ISC"}], "b 1": [{"license": {"name": "BSD License"}}]}
    assert {**expected, "b 2": None, "c 3": None} == found


def test_packages_of_other_places_are_told_apart() -> None:
    """
    A package that one of the places installs is kept, and so is one without a marker.
    """
    text = bill()
    mac = parse_target("macos-arm64-py3.12").environment

    served, others = served_components(text, [LINUX])
    everywhere, none = served_components(text, [LINUX, mac])

    assert ["a 1", "b 1", "c 3"] == names_in(served)
    assert ["a 1", "b 1", "b 2", "c 3"] == names_in(everywhere)
    assert (("b 2",), ()) == (others, none)


def test_a_package_that_is_locked_twice_is_served_if_either_is() -> None:
    """
    The same version from two places of origin, each with a marker.
    """
    twice = [
        component(number, "a", "1", marker=f"sys_platform {sign} 'linux'") for number, sign in ((1, "=="), (2, "!="))
    ]

    served, others = served_components(json.dumps({"components": twice}), [LINUX])

    assert (["a 1"], ()) == (names_in(served), others)


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"components": [{}]}', json.dumps({"components": [component(1, "a", "1", marker="no marker")]})],
)
def test_a_list_of_packages_that_cannot_be_read_is_not_an_empty_one(text: str) -> None:
    """
    A marker that nothing can evaluate is no reason to leave a package out.
    """
    with pytest.raises(ValueError, match=r"CycloneDX|Expecting|marker"):
        served_components(text, [LINUX])


def names_in(text: str) -> list[str]:
    """The packages of an SBOM."""
    return sorted(name for _, names in packages_by_licence(text) for name in names)
