"""Licences that a promotion policy allows, and the ones that it does not."""

from datetime import date

import pytest

from mlflow_uv.core.promotion.licences import RefusedLicence, refused_licences
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
