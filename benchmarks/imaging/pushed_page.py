"""Writes the page of numbers from pushed_image.py."""

from collections.abc import Callable, Iterator
from typing import Any

from .bounds_page import Compared, bounds, bounds_in_release
from .tables import table

Numbers = dict[str, Any]
IN_RELEASE = "composed, in a release"
SIDES = ("stock", "composed", "composed, loaded", IN_RELEASE)
# What is measured, in this order: stock needs the same time for a first build whatever this machine has.
CASES = {
    "cold": "first build of a lock; nothing downloaded",
    "downloads": "… with what training downloaded",
    "fresh": "… and a registry that has the layers of the last version",
    "second": "second model under the lock, in another repository",
    "model": "after a change of the model",
    "small": "after a change of one small package",
    "large": "after a change of one large package",
}
# The same as headings.
HEADINGS = {
    "cold": "nothing downloaded",
    "downloads": "first build",
    "fresh": "layers in the registry",
    "second": "second model",
    "model": "changed model",
    "small": "small package",
    "large": "large package",
}
AIMS = {"cold": 8, "downloads": 8, "fresh": 60, "second": 60, "model": 100, "small": 20, "large": 20}
# Pulled one after the other.
PULLS = {
    "nothing": "on a machine that has nothing",
    "model": "on one that has the version before; another model",
    "small": "… one small package changed, too",
    "large": "… the largest package changed, too",
}
WHEELS = {
    "downloads": "first build of its lock",
    "model": "after a change of the model",
    "small": "… of a small package",
}
SLOWER = {
    "nothing": "on a machine that has nothing",
    "model": "after a change of the model",
    "small": "after a change of a small package",
    "large": "after a change of the largest package",
}
PULLED = """From `podman pull` to the first right answer, on a file system of its own; in brackets the pull alone.
{slower}

Podman writes the changed layer and all above it again. In a composed image the packages with a layer of their own are
sorted by size, the largest lowest: a change of the largest one writes the layers of all packages again, and a change of
a small one few of them. That order was chosen because it writes the least on average if each package changes as often;
[Groups](development/image-from-wheels.md#groups) compares it with others. Stock's lower layers stay the same here
because its builder kept them. Its server was started without nginx, which it installs on some bases only."""
NOT_BOUNDED = "### What bounds it\n\nThe parts of the steps are not measured yet."
NOT_PULLED = "The time from `podman pull` to the first right answer is not measured yet."
SECTION = """
## Build and push

What is measured is the user's job: from a logged model to an image that a registry has. "Stock" is
`mlflow models build-docker --env-manager local` and `docker push`, "composed" is `build-image --push` without an
engine, and "composed, loaded" the same with Docker, which gets the image too and in which its packages are compared.
"In a release" are the seconds of the step `build-image` of a release whose step before it logged the model: MLflow is
imported by then. Stock has no release, so this column is compared with the same command of stock, whose import of
MLflow counts. A changed package is a changed lock, with which a release trains again; that counts for neither side.
The model is {title}, the base has {base:.0f} MB. Each side has a registry of its own on this machine, which has the
base and, before the first build, nothing else. Times are seconds of whole commands, measured once on {processors}
processors ({architecture}), Docker {docker}, {uv}, at a load of {load:.1f} to {most_load:.1f}.

{times}

In brackets: how many times faster than stock, and the aim. Stock is not helped by what training downloaded, nor by a
registry that has the layers of another version: its first build counts there. {reached}

Where the time goes:

- A step that runs alone starts Python, compares the environment that has MLflow, and lets MLflow read the model from
  the store, while it makes the layers of packages. Within a release this process runs already.
- With all layers known, the step reads them and the base again to compare their digests, composes server and model, and
  asks the registry for each layer.
- A first build verifies and compresses each file of each package, and compiles its modules; [Layers of
  packages](#layers-of-packages) has the time for each of these. Without an engine it sends layers meanwhile, once the
  release is verified. A fresh machine reads the base, and of the layers that the registry has [the lists at their
  ends](image.md#layers-of-another-image) alone.
- After a change of one package, only its layer is made; if it has shared libraries, the lists of those of all packages
  are examined again. Small packages share layers, so that more than the changed one is compiled. Layers that one side
  made are removed before the next one is measured.

{bounds}

### What is stored and pulled

What the registry of each side stored in addition, in MB:

{stored}

{pulls}

A lock with a wheel of {megabytes} MB (one shared library, half of which can be compressed), composed without an engine;
stock was not measured:

{wheel}
"""


def section(numbers: Numbers) -> str:
    """Our part of docs/benchmarks.md."""
    about = numbers["machine"]
    cases = numbers.get("cases", {})
    pulls = [
        (words, *("{:.1f} s ({:.1f} s)".format(*numbers["pulls"][what][side]) for side in SIDES[:2]))
        for what, words in PULLS.items()
        if what in numbers.get("pulls", {})
    ]
    wheels = (
        (words, *(f"{number:.1f}" for number in (seconds, sent / 1e6)))
        for case, words in WHEELS.items()
        for seconds, sent in numbers.get("wheel", {}).get(case, {}).values()
    )
    pulled = PULLED.format(slower=slower(numbers.get("pulls", {})))
    return SECTION.format(
        **about | {"base": about["base"] / 1e6},
        title=numbers["title"],
        megabytes=numbers.get("megabytes", 0),
        reached=reached(cases),
        times=table(("", *SIDES), rows(cases, times)),
        bounds=bounded(numbers),
        stored=table(("", *SIDES), rows(cases, stored)),
        pulls=f"{pulled}\n\n{table(('', *SIDES[:2]), iter(pulls))}" if pulls else NOT_PULLED,
        wheel=table(("", "seconds", "MB stored"), wheels),
    )


def bounded(numbers: Numbers) -> str:
    """What bounds the steps whose parts were measured."""
    cases, alone = numbers.get("cases", {}), numbers.get("parts", {})
    released = numbers.get(IN_RELEASE, {})
    stock = {case: seconds for case in cases if (seconds := stock_of(cases, case)) is not None}
    compared = Compared(
        stock={HEADINGS[case]: seconds for case, seconds in stock.items()},
        aims={HEADINGS[case]: aim for case, aim in AIMS.items()},
        processors=numbers["machine"]["processors"],
    )
    known, known_in_release = (
        {HEADINGS[case]: parts[case] for case in CASES if case in parts and case in stock}
        for parts in (alone, released)
    )
    texts = [bounds(known, compared)] if known else [NOT_BOUNDED]
    if known and known_in_release:
        import_s = max(case["import"] for case in known.values())
        texts.append(bounds_in_release(known_in_release, compared, import_s))
    return "\n\n".join(texts)


def slower(pulls: Numbers) -> str:
    """Where a composed image is slower than stock's, from the pull to the answer and of the pull alone: a line each."""
    found = [
        [
            f"{words} ({composed[at]:.1f} s, stock {stock[at]:.1f} s)"
            for what, words in SLOWER.items()
            if what in pulls and (composed := pulls[what]["composed"])[at] > (stock := pulls[what]["stock"])[at]
        ]
        for at in (0, 1)
    ]
    answers, alone = (", ".join(words) or "nowhere" for words in found)
    return f"**A composed image is slower than stock's {answers}.**\nThe pull alone is slower {alone}."


def rows(cases: Numbers, cell: Callable[[Numbers, str, str], str]) -> Iterator[tuple[str, ...]]:
    """A row for each case that was measured, with a cell for each side."""
    for case, words in CASES.items():
        if case in cases:
            yield (words, *(cell(cases, case, side) for side in SIDES))


def reached(cases: Numbers) -> str:
    """How many aims are reached, in a sentence."""
    ratios = [
        (stock / sides[side][0], AIMS[case])
        for case, sides in cases.items()
        for side in SIDES[1:]
        if (stock := stock_of(cases, case)) is not None and side in sides
    ]
    count = sum(ratio >= aim for ratio, aim in ratios)
    return f"{count or 'None'} of the {len(ratios)} aims {'are' if count > 1 else 'is'} reached."


def stock_of(cases: Numbers, case: str) -> float | None:
    """Seconds of stock; None if they were not measured."""
    numbers = cases[case].get("stock") or cases.get("cold", {}).get("stock")
    return numbers[0] if numbers else None


def times(cases: Numbers, case: str, side: str) -> str:
    """Seconds, how many times faster than stock, and the aim."""
    numbers, stock = cases[case].get(side), stock_of(cases, case)
    if numbers is None:
        return "–"
    ratio = "" if side == "stock" or stock is None else f" ({stock / numbers[0]:.1f}, aim {AIMS[case]})"
    return f"{numbers[0]:.1f} s{ratio}"


def stored(cases: Numbers, case: str, side: str) -> str:
    """Megabytes that the registry got."""
    numbers = cases[case].get(side)
    return "–" if numbers is None else f"{numbers[1] / 1e6:.1f}"
