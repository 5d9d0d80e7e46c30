"""Draws the rows per second of each way of scoring as an SVG chart for light and dark pages."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from .sides import FORMATS
from .tables import TITLES, medians

WIDTH, MARGIN, HEAD, BAR, STEP, LABEL, VALUE = 880, 24, 84, 13, 20, 300, 110
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.head { font-size: 18px; font-weight: 600; }
.title { font-size: 13px; font-weight: 600; }
.value { font-size: 11px; font-variant-numeric: tabular-nums; }
.other { fill: #a3acb5; } .ours { fill: #0b62c4; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .other { fill: #6a737d; } .ours { fill: #4c9bff; }
}
"""


def chart(numbers: Mapping[str, Any]) -> str:
    """The picture: the ways on the largest table, by format."""
    bars = {kind: list(_speeds(numbers, kind)) for kind in FORMATS}
    height = HEAD + sum(len(speeds) * STEP + 2 * STEP for speeds in bars.values())
    words = "; ".join(f"{kind}, {title}: {speed:,.0f}" for kind in FORMATS for title, speed, _ in bars[kind])
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img"'
            ' aria-labelledby="title description">'
        ),
        '<title id="title">Batch scoring: rows per second</title>',
        f'<desc id="description">{escape(words)}</desc>',
        f"<style>{STYLE}</style>",
        f'<text class="head" x="{MARGIN}" y="34">Batch scoring: rows per second, more is better</text>',
    ]
    top, scale = HEAD, (WIDTH - 2 * MARGIN - LABEL - VALUE) / _largest(bars)
    for kind, speeds in bars.items():
        parts.append(f'<text class="title" x="{MARGIN}" y="{top}">{kind}, {numbers["rows"]:,} rows</text>')
        for title, speed, own in speeds:
            top += STEP
            length = max(speed * scale, 1.5)
            shape = f'x="{MARGIN + LABEL}" y="{top - BAR + 3}" width="{length:.1f}" height="{BAR}" rx="2"'
            parts += [
                f'<text x="{MARGIN + LABEL - 10}" y="{top}" text-anchor="end">{escape(title)}</text>',
                f'<rect class="{"ours" if own else "other"}" {shape}/>',
                f'<text class="value" x="{MARGIN + LABEL + length + 6:.1f}" y="{top}">{speed:,.0f}</text>',
            ]
        top += 2 * STEP
    return "\n".join((*parts, "</svg>", ""))


def _speeds(numbers: Mapping[str, Any], kind: str) -> "Iterator[tuple[str, float, bool]]":
    for (way, format_, rows), measured in medians(numbers["runs"]).items():
        if format_ == kind and rows == numbers["rows"]:
            yield TITLES[way].replace("`", ""), rows / measured["seconds"], way.startswith("score")


def _largest(bars: "Mapping[str, list[tuple[str, float, bool]]]") -> float:
    return max((speed for speeds in bars.values() for _, speed, _ in speeds), default=1.0)
