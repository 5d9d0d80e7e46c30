"""Renders the badges of the README: the state of CI, which GitHub draws, and what a picture of ours says."""

from ..command.wording import PROGRAM
from .phrasing import OWNER

PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # those of the matrix of ci.yml
LICENCE = "Apache-2.0"
_WORKFLOW = f"https://github.com/{OWNER}/actions/workflows/ci.yml"
_FONT = 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"'


def pictures() -> dict[str, str]:
    """The pictures by their paths in the repository."""
    return {
        "docs/badges/python.svg": _picture("python", f"{PYTHONS[0]} – {PYTHONS[-1]}", colour="#0969da"),  # noqa: RUF001
        "docs/badges/license.svg": _picture("license", LICENCE, colour="#1a7f37"),
    }


def line() -> str:
    """The line of the README."""
    return (
        f"[![State of the tests of {PROGRAM} on the main branch]({_WORKFLOW}/badge.svg?branch=main)]({_WORKFLOW})\n"
        f"[![Python {PYTHONS[0]} to {PYTHONS[-1]}](docs/badges/python.svg)](pyproject.toml)\n"
        f"[![License {LICENCE}](docs/badges/license.svg)](LICENSE)\n"
    )


def _picture(name: str, value: str, *, colour: str) -> str:
    left, right = (10 + 7 * len(text) for text in (name, value))
    texts = "".join(
        f'<text x="{x}" y="14" fill="#fff" text-anchor="middle" {_FONT} textLength="{width - 10}">{text}</text>\n'
        for x, width, text in ((left / 2, left, name), (left + right / 2, right, value))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{name}: {value}">\n'
        f'<clipPath id="round"><rect width="{left + right}" height="20" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#round)"><rect width="{left}" height="20" fill="#3d444d"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\n{texts}</svg>\n'
    )
