"""Draws the numbers of a run as an SVG chart for light and dark pages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from .tables import MEGABYTE, SIDES

WIDTH, MARGIN, GAP = 880, 24, 32
TITLE, BAR, BETWEEN, GROUP = 44, 13, 2, 12
LABEL, VALUE = 84, 58  # left and right of the bars
COLUMNS = 2
HEAD = 84
# Dark enough on white, bright enough on GitHub's dark grey; told apart by lightness too, not by hue alone.
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.head { font-size: 18px; font-weight: 600; }
.title { font-size: 13px; font-weight: 600; }
.quiet { fill: #59636e; }
.value { font-size: 11px; font-variant-numeric: tabular-nums; }
.ours { font-weight: 600; }
.axis { stroke: #d1d9e0; }
.stock { fill: #a3acb5; } .locked { fill: #0b62c4; } .slim { fill: #35a3a0; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .axis { stroke: #3d444d; }
  .stock { fill: #6a737d; } .locked { fill: #4c9bff; } .slim { fill: #5fd3c7; }
}
"""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One quantity: the values of each side for each model, and how they are written."""

    title: str
    remark: str
    value: Callable[[Mapping[str, Any]], float]
    shown: Callable[[float], str]


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


PANELS = (
    Panel(title="Cold build", remark="nothing cached", value=lambda side: side["cold"][0], shown=seconds),
    Panel(title="First response", remark="from docker run", value=lambda side: side["first"], shown=seconds),
    Panel(
        title="Build after a change of the model",
        remark="whole command",
        value=lambda side: side["model"][0],
        shown=seconds,
    ),
    Panel(
        title="Memory of 2 workers",
        remark="PSS of all processes",
        value=lambda side: side["served"]["2"]["pss"],
        shown=lambda value: f"{value / MEGABYTE:.0f} MB",
    ),
    Panel(
        title="Image",
        remark="base included",
        value=lambda side: side["size"],
        shown=lambda value: f"{value / MEGABYTE:.0f} MB",
    ),
    Panel(
        title="Requests per second, 2 workers",
        remark="more is better",
        value=lambda side: side["served"]["2"]["rate"],
        shown=lambda value: f"{value:.0f}",
    ),
)


def chart(numbers: Mapping[str, Any]) -> str:
    """The picture."""
    models: Sequence[Mapping[str, Any]] = tuple(numbers["models"].values())
    width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
    height = TITLE + len(models) * (len(SIDES) * (BAR + BETWEEN) + GROUP)
    rows = -(-len(PANELS) // COLUMNS)
    total = HEAD + rows * (height + GAP / 2)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total:.0f}" width="{WIDTH}" role="img"'
            ' aria-labelledby="title description">'
        ),
        '<title id="title">Serving images: stock MLflow and this project</title>',
        f'<desc id="description">{escape(description(models))}</desc>',
        f"<style>{STYLE}</style>",
        f'<text class="head" x="{MARGIN}" y="34">Serving images: stock MLflow and this project</text>',
        *legend(),
    ]
    for number, panel in enumerate(PANELS):
        left = MARGIN + (number % COLUMNS) * (width + GAP)
        top = HEAD + (number // COLUMNS) * (height + GAP / 2)
        parts.extend(draw_panel(panel, models, (left, top, width)))
    return "\n".join((*parts, "</svg>", ""))


def legend() -> Iterator[str]:
    """Which colour is which side."""
    left = MARGIN
    for side, words in (
        ("stock", "stock: mlflow models build-docker"),
        ("locked", "this project: locked"),
        ("slim", "this project: slim"),
    ):
        yield f'<rect class="{side}" x="{left}" y="50" width="12" height="12" rx="2"/>'
        yield f'<text class="quiet" x="{left + 18}" y="60">{words}</text>'
        left += 52 + 6 * len(words)


def draw_panel(panel: Panel, models: Sequence[Mapping[str, Any]], place: tuple[float, float, float]) -> Iterator[str]:
    """One quantity, at left, top and with a width."""
    left, top, width = place
    yield f'<text class="title" x="{left:.1f}" y="{top + 18:.1f}">{escape(panel.title)}'
    yield f'<tspan class="quiet" font-weight="400" dx="8">{escape(panel.remark)}</tspan></text>'
    values_of_models = [[value_of(panel, model, side) for side in SIDES] for model in models]
    largest = max((value for values in values_of_models for value in values if value is not None), default=1.0)
    scale = (width - LABEL - VALUE) / largest
    y = top + TITLE - GROUP
    for model, values in zip(models, values_of_models, strict=True):
        middle = y + len(SIDES) * (BAR + BETWEEN) / 2 + 4
        yield f'<text x="{left + LABEL - 10:.1f}" y="{middle:.1f}" text-anchor="end">{escape(model["title"])}</text>'
        start = y
        for side, value in zip(SIDES, values, strict=True):
            emphasis = "value quiet" if side == "stock" else "value ours"
            if value is None:
                words, length = "not measured" if side != "stock" else "failed", 0.0
            else:
                words, length = panel.shown(value), max(value * scale, 1.5)
                shape = f'x="{left + LABEL:.1f}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2"'
                yield f'<rect class="{side}" {shape}/>'
            x = left + LABEL + length + 6
            yield f'<text class="{emphasis}" x="{x:.1f}" y="{y + BAR - 2.5:.1f}">{escape(words)}</text>'
            y += BAR + BETWEEN
        yield f'<path class="axis" d="M{left + LABEL - 0.5:.1f} {start - 2:.1f}V{y:.1f}"/>'
        y += GROUP


def value_of(panel: Panel, model: Mapping[str, Any], side: str) -> float | None:
    """The number, None where there is none."""
    try:
        return float(panel.value(model["sides"][side]))
    except KeyError:
        return None


def description(models: Sequence[Mapping[str, Any]]) -> str:
    """The same for who does not see it."""
    words = []
    for panel in PANELS:
        for model in models:
            sides = [(side, value_of(panel, model, side)) for side in SIDES]
            values = ", ".join(f"{side} {panel.shown(value)}" for side, value in sides if value is not None)
            words.append(f"{panel.title}, {model['title']}: {values}.")
    return " ".join(words)
