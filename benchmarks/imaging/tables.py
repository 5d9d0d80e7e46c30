"""Formats the numbers of a run as Markdown tables; the same numbers give the same text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DOES_NOT_SERVE = "does not serve"
Numbers = Mapping[str, Any]
MEGABYTE = 1e6
WORKERS = ("1", "2", "4")
SIDES = ("stock", "locked", "slim")
PROCESSORS = 2


@dataclass(frozen=True, kw_only=True)
class Target:
    """
    What is wanted of a ratio to stock.

    `value` takes what is compared out of a side's numbers. `factor` says that more is better: stock is then divided by
    ours; else ours by stock.
    """

    words: str
    value: Callable[[Numbers], float]
    ratios: Mapping[str, float]
    factor: bool


def served(workers: str, what: str) -> Callable[[Numbers], float]:
    """What a side measured with so many workers."""
    return lambda side: float(side["served"][workers][what])


def inverse(value: Callable[[Numbers], float]) -> Callable[[Numbers], float]:
    """So that more is better."""
    return lambda side: 1 / value(side)


def target_of(words: str, value: Callable[[Numbers], float], locked: float, slim: float | None = None) -> Target:
    """An aim that a number above one says how many times better we are to be, and one below which part of stock's."""
    return Target(words=words, value=value, ratios={"locked": locked, "slim": slim or locked}, factor=locked >= 1)


def each(workers: str) -> Callable[[Numbers], float]:
    """Memory of one worker of so many."""
    return lambda side: float(side["served"][workers]["pss"]) / int(workers)


TARGETS = (
    target_of("cold build: 6 times faster", lambda side: side["cold"][0], 6),
    target_of("… the engine's part only", lambda side: side["cold"][1], 6),
    target_of("build after a change of the model: 100 times faster", lambda side: side["model"][0], 100),
    target_of("… the engine's part only", lambda side: side["model"][1], 100),
    target_of("first response: 2.2 times faster", lambda side: side["first"], 2.2),
    target_of("size: at most 0.7, slim 0.45", lambda side: side["size"], 0.7, 0.45),
    *(
        target_of(f"memory per worker (workers: {workers}): at most 0.4", each(workers), 0.4)
        for workers in WORKERS
    ),
    *(
        target_of(f"{what} (workers: {workers}): not worse", value, 1)
        for workers in WORKERS
        for what, value in (
            ("p50", served(workers, "p50")),
            ("p95", served(workers, "p95")),
            ("requests per second", inverse(served(workers, "rate"))),
        )
    ),
)  # fmt: skip


def ratio(target: Target, model: Numbers, side: str) -> float | None:
    """How far a side of ours came, None where a number is missing on either side."""
    try:
        stock, ours = target.value(model["sides"]["stock"]), target.value(model["sides"][side])
    except KeyError:
        return None
    return stock / ours if target.factor else ours / stock


def reached(target: Target, measured: float, side: str) -> bool:
    """Whether a ratio is what was wanted, as exactly as it is told."""
    rounded = float(f"{measured:.2f}")
    return rounded >= target.ratios[side] if target.factor else rounded <= target.ratios[side]


def formatted_ratios(target: Target, model: Numbers) -> str:
    """How far both of our sides came, bold where the aim is missed."""
    words = []
    for side in SIDES[1:]:
        measured = ratio(target, model, side)
        if measured is not None:
            number = f"{measured:.2f}" if measured < 10 else f"{measured:.0f}"
            prefix = "slim " if side == "slim" else ""
            words.append(f"{prefix}{number}" if reached(target, measured, side) else f"{prefix}**{number}**")
    return ", ".join(words) or "–"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(numbers: Numbers) -> str:
    """Every aim, and how far each model came."""
    models = numbers["models"].values()
    rows = ((target.words, *(formatted_ratios(target, model) for model in models)) for target in TARGETS)
    return table(("target, compared with stock", *(model["title"] for model in models)), iter(rows))


def built(side: Numbers, what: str) -> str:
    """Seconds of a whole command, and in brackets of the engine in it."""
    if what not in side:
        return "–"
    whole, engine = side[what]
    return f"{whole:.1f} s ({engine:.1f} s)"


def builds(numbers: Numbers) -> str:
    """Builds, sizes and starts, as measured."""
    lines: tuple[tuple[str, Callable[[Numbers], str]], ...] = (
        ("cold build", lambda side: built(side, "cold")),
        ("cold build with cached downloads", lambda side: built(side, "warm")),
        ("after a change of the model", lambda side: built(side, "model")),
        ("after a change of one dependency", lambda side: built(side, "dependency")),
        ("image, including the base", lambda side: f"{side['size'] / MEGABYTE:.0f} MB" if "size" in side else "–"),
        ("first response, 1 worker", lambda side: f"{side['first']:.1f} s" if "first" in side else "–"),
    )
    rows = (
        (model["title"] if number == 0 else "", words, *(show(model["sides"].get(side, {})) for side in SIDES))
        for model in numbers["models"].values()
        for number, (words, show) in enumerate(lines)
    )
    return table(("model", "", *SIDES), iter(rows))


def speed(side: Numbers, workers: str) -> Sequence[str]:
    """Latency, rate and memory with so many workers."""
    served_numbers = side.get("served", {}).get(workers)
    if served_numbers is None:
        return ["–"] * 3
    pss, rss, private = (served_numbers[what] / MEGABYTE for what in ("pss", "rss", "private"))
    return (
        f"{served_numbers['p50']:.1f}, {served_numbers['p95']:.1f} ms",
        f"{served_numbers['rate']:.0f}",
        f"{pss:.0f} ({rss:.0f}, {private:.0f}) MB",
    )


def serving(numbers: Numbers) -> str:
    """What was measured while containers answered."""
    head = ("model", "workers", "side", "p50, p95", "requests per second", "PSS (RSS, private)")
    rows = (
        (model["title"], workers, side, *speed(model["sides"][side], workers))
        for model in numbers["models"].values()
        for workers in WORKERS
        for side in SIDES
        if workers in model["sides"].get(side, {}).get("served", {})
    )
    return table(head, iter(rows))


def limits_table(numbers: Numbers) -> str:
    """What nobody can do without."""
    lines: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("download the wheels", lambda side: limit_seconds(numbers, "limits", side, "download")),
        ("unpack them, on all processors", lambda side: limit_seconds(numbers, "limits", side, "unpack")),
        ("compile them, on all processors", lambda side: limit_seconds(numbers, "limits", side, "compile")),
        ("start of a container until Python runs", lambda side: limit_seconds(numbers, "starts", side, "container")),
        ("import of `mlflow.pyfunc`", lambda side: limit_seconds(numbers, "starts", side, "import")),
    )
    rows = ((words, *(show(side) for side in SIDES)) for words, show in lines)
    return table(("", *SIDES), iter(rows))


def limit_seconds(numbers: Numbers, what: str, side: str, part: str) -> str:
    """Seconds of a limit, where it was measured."""
    parts = numbers.get(what, {}).get(side)
    return "–" if parts is None else f"{parts[part]:.1f} s"


def claims_table(numbers: Numbers) -> str:
    """Claim beside result."""
    claims, claim = numbers["claims"], "15–30 times"
    rows = [
        (f"{words}: `{slow}`, uv", claim, seconds(claims[kind][slow]), seconds(claims[kind]["uv"]),
         times(claims[kind][slow], claims[kind]["uv"]))
        for kind, words in (
            ("empty", "creating an empty environment"),
            ("cold", "installing the lock, with downloads"),
            ("warm", "installing the lock, from a cache"),
        )
        for slow in ("venv", "virtualenv")
        if slow in claims[kind]
    ]  # fmt: skip
    warm = claims["warm"]
    rows.append((
        "the same: `venv`, uv with bytecode compilation as in pip", claim, seconds(warm["venv"]),
        seconds(warm["uv, compiled"]), times(warm["venv"], warm["uv, compiled"]),
    ))  # fmt: skip
    log = claims["logging"]
    lines = f"({log['imported lines']} and {log['lock lines']} lines)"
    rows.append((f"`log_model` without the lock, with the lock {lines}", "4 times", seconds(log["imported"]),
                 seconds(log["lock"]), times(log["imported"], log["lock"])))  # fmt: skip
    rows.extend(
        (f"cold build of the {model['title']} image: stock, locked", "4–7 times", seconds(stock), seconds(ours),
         times(stock, ours))
        for model in numbers["models"].values()
        if "cold" in model["sides"]["stock"] and "cold" in model["sides"]["locked"]
        for stock, ours in [(model["sides"]["stock"]["cold"][0], model["sides"]["locked"]["cold"][0])]
    )  # fmt: skip
    return table(("comparison", "estimate", "first", "second", "measured"), iter(rows))


def seconds(taken: float) -> str:
    """A duration as a person reads it."""
    return f"{taken * 1000:.0f} ms" if taken < 1 else f"{taken:.1f} s"


def times(slow: float, fast: float) -> str:
    """How many times faster."""
    return f"{slow / fast:.1f} times"


def serve_again(numbers: Numbers, name: str, sides: Numbers, about: Numbers) -> None:
    """
    Put the starts, requests and memory of a model that were measured anew in place of the old ones.

    A side that did not serve has none: an old number would stand for it.
    """
    model = numbers["models"][name]
    for side, new in sides.items():
        old = model["sides"].setdefault(side, {})
        for what in ("served", "first"):
            old.pop(what, None)
            if what in new:
                old[what] = new[what]
        kept = (words for words in old.get("complaints", ()) if not words.startswith(DOES_NOT_SERVE))
        old["complaints"] = [*kept, *new["complaints"]]
    model["served again"] = about


def again(numbers: Numbers) -> str:
    """Which models were served in a later run, empty if none was."""
    later = [
        f"{model['title']} on {model['served again']['date']} at a load of {model['served again']['load']:.1f}"
        for model in numbers["models"].values()
        if "served again" in model
    ]
    return f"\nFirst responses, requests and memory were measured again: {', '.join(later)}." if later else ""


def complaints(numbers: Numbers) -> str:
    """What a side could not do."""
    lines = [
        f"- {model['title']}, {side}: {words}"
        for model in numbers["models"].values()
        for side, side_numbers in model["sides"].items()
        for words in side_numbers.get("complaints", ())
    ]
    return "\n".join(lines)
