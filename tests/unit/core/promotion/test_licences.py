"""Licences that a promotion policy allows, and the ones that it does not."""

from datetime import date

import pytest

from mlflow_uv.core.promotion.licences import RefusedLicence, image_targets, refused_licences, with_exceptions
from mlflow_uv.core.promotion.promote_policy import LicenceException, read_exception

TODAY = date(2026, 11, 27)


def is_allowed(licence: str, *allowed: str) -> bool:
    """Whether a package with a licence is accepted."""
    return not list(refused_licences(((licence, ("grape 1.0",)),), allowed, (), TODAY))


@pytest.mark.parametrize(
    ("licence", "allowed", "holds"),
    [
        ("MIT", ("MIT",), True),
        ("MIT", ("mit",), True),
        ("MIT", ("MIT-0", "Apache-2.0"), False),
        ("MIT OR GPL-3.0-only", ("MIT",), True),
        ("MIT AND GPL-3.0-only", ("MIT",), False),
        ("MIT AND (GPL-3.0-only OR ISC)", ("MIT", "ISC"), True),
        ("MIT AND GPL-3.0-only OR ISC", ("ISC",), True),
        ("MIT AND (GPL-3.0-only OR ISC)", ("MIT",), False),
        ("GPL-3.0-only WITH Classpath-exception-2.0", ("GPL-3.0-only",), True),
        ("GPL-3.0-only WITH Classpath-exception-2.0", ("GPL-3.0-only WITH Classpath-exception-2.0",), True),
        ("GPL-3.0-only", ("GPL-3.0-only WITH Classpath-exception-2.0",), False),
        ("MIT OR Apache-2.0", ("apache-2.0 or mit", "MIT OR Apache-2.0"), True),
        ("BSD License", ("bsd license",), True),
        ("MIT, BSD License", ("MIT", "BSD License"), True),
        ("MIT, BSD License", ("MIT",), False),
        ("", ("MIT", ""), False),
    ],
)
def test_a_licence_is_allowed_if_a_choice_of_it_is(licence: str, allowed: tuple[str, ...], *, holds: bool) -> None:
    """
    Of an AND each part, of an OR one; several names without an expression are all needed, and unknown is never allowed.
    """
    assert holds is is_allowed(licence, *allowed)


def test_an_exception_holds_for_its_package_until_its_day() -> None:
    """
    Another package of the same licence stays refused, and so does the package on the day after.
    """
    packages = (("GPL-3.0-only", ("grape 1.0", "yeast 2")), ("", ("oak 3",)))
    exceptions = tuple(map(read_exception, ("Grape", "yeast until 2026-11-27", "oak until 2026-11-26")))

    refused = [list(refused_licences(packages, ("MIT",), exceptions, day)) for day in (TODAY, date(2026, 11, 28))]

    unknown = RefusedLicence(licence="", packages=("oak 3",))
    assert [[unknown], [RefusedLicence(licence="GPL-3.0-only", packages=("yeast 2",)), unknown]] == refused


@pytest.mark.parametrize("text", ["", "a b", "grape until", "grape until soon", "grape until 2026-13-01", "grape>1"])
def test_what_is_no_exception_is_refused(text: str) -> None:
    """
    An exception without end is never read from a mistake in its date.
    """
    with pytest.raises(ValueError, match=r"\w"):
        read_exception(text)


def test_an_exception_names_a_package_as_people_write_it() -> None:
    """
    As in an index (PEP 503).
    """
    assert LicenceException(name="my-grape", until=date(2027, 1, 31)) == read_exception("My_Grape until 2027-01-31")


def test_proposed_exceptions_keep_those_that_are_there_and_end_some_months_later() -> None:
    """
    One that has expired gets a new day, and what is proposed is accepted as it stands.
    """
    exceptions = tuple(map(read_exception, ("grape", "yeast until 2026-11-26", "oak until 2027-01-31")))
    refused = RefusedLicence(licence="GPL-3.0-only", packages=("yeast 2", "cork 4"))

    texts = with_exceptions(exceptions, refused, TODAY)

    assert ("grape", "yeast until 2027-02-25", "oak until 2027-01-31", "cork until 2027-02-25") == texts
    accepted = tuple(map(read_exception, texts))
    assert [] == list(refused_licences((("GPL-3.0-only", refused.packages),), (), accepted, TODAY))


@pytest.mark.parametrize(
    ("python", "architectures", "targets"),
    [
        ("3.11.9", ("amd64",), ["linux-x86_64-py3.11.0", "linux-x86_64-py3.11.9", "linux-x86_64-py3.11.99"]),
        ("3.14.0rc2", ("arm64",), ["linux-aarch64-py3.14.0", "linux-aarch64-py3.14.99"]),
    ],
)
def test_an_image_has_the_python_of_its_model(python: str, architectures: tuple[str, ...], targets: list[str]) -> None:
    """
    Its patch release is not recorded, so that the first and the newest count too.
    """
    assert targets == [str(target) for target in image_targets(python, architectures)]


def test_an_image_of_an_unknown_machine_may_be_of_either() -> None:
    """
    Nothing is left out because a record says too little; what is no version is refused.
    """
    machines = {target.machine for target in image_targets("3.11.9", ())}

    assert {"x86_64", "aarch64"} == machines
    with pytest.raises(ValueError, match="some"):
        image_targets("some", ())
