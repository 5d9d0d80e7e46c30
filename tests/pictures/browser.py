"""Takes pictures of pages with Debian's Chromium and fonts, and compares them with a tolerance."""

import os
import re
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from PIL import Image, ImageChops

HERE = Path(__file__).parent
_TALLEST = 10_000
_CELL = 8  # pixels
_DIFFERENCE = 24  # of 255, in the mean of a cell
_CELLS = 4  # that may differ, as another release of a browser moves a line by a fraction of a pixel; a word has more
# What scrolls of a page is known to the frame alone: a report runs no script.
_FRAME = """<body style="margin:0">
<iframe src="page.html" style="margin:0;border:0;width:{width}px;height:{height}px" onload="look(this)"></iframe>
<output id="wide" style="display:none"></output>
<script>
function look(frame) {{
  const page = frame.contentDocument, all = [page.documentElement, ...page.body.querySelectorAll("*")];
  const moves = (each) => each.tagName != "PRE" && ["auto", "scroll"].includes(getComputedStyle(each).overflowX);
  const wide = all.filter((each) => (each == all[0] || moves(each)) && each.scrollWidth > each.clientWidth);
  const lines = wide.map((each) => `${{each.scrollWidth}} of ${{each.clientWidth}}: ${{each.innerText.slice(0, 40)}}`);
  document.getElementById("wide").textContent = lines.map((line) => line.replace(/\\s+/g, " ")).join("\\n");
}}
</script>
"""
_COLOURS = 200  # of a picture that is kept


@dataclass(frozen=True)
class Screen:
    """What a page is shown on."""

    width: int = 920
    dark: bool = False
    paper: bool = False


def picture(page: str, screen: Screen, folder: Path) -> Image.Image:
    """The whole page as it is shown."""
    target = folder / ("page.pdf" if screen.paper else "page.png")
    shot = (f"--print-to-pdf={target}", "--no-pdf-header-footer") if screen.paper else (f"--screenshot={target}",)
    _shown(page, screen, folder, shot)
    if screen.paper:
        subprocess.run(("pdftoppm", "-png", "-r", "70", "-singlefile", target, folder / "page"), check=True)
    with Image.open(folder / "page.png") as taken:
        return cropped(taken.convert("RGB"), screen)


def scrolling(page: str, screen: Screen, folder: Path) -> list[str]:
    """The parts of a page, except for code, that are wider than their place, so that a reader has to move them."""
    document = _shown(page, screen, folder, ("--dump-dom",))
    (found,) = re.findall(r"<output [^>]*>(.*?)</output>", document, re.DOTALL)
    return [unescape(line) for line in found.splitlines()]


def _shown(page: str, screen: Screen, folder: Path, what: tuple[str, ...]) -> str:
    """Show a page and do something with it; what the browser prints."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fonts.conf").write_text((HERE / "fonts.conf").read_text().replace("CACHE", str(folder / "fonts")))
    (folder / "page.html").write_text(page)
    # A frame, because a window has a smallest width.
    (folder / "frame.html").write_text(_FRAME.format(width=screen.width, height=_TALLEST))
    argv = (
        "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
        "--force-device-scale-factor=1", "--font-render-hinting=none", "--disable-lcd-text", "--no-first-run",
        "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if screen.dark else 1}",
        f"--window-size={max(screen.width, 600)},{_TALLEST}", *what,
        (folder / ("page.html" if screen.paper else "frame.html")).as_uri(),
    )  # fmt: skip
    variables = {
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "TZ": "UTC",
    }
    return subprocess.run(argv, env=variables, check=True, capture_output=True, timeout=120, text=True).stdout


def cropped(taken: Image.Image, screen: Screen) -> Image.Image:
    """The picture without what is empty below the page."""
    if screen.paper:
        return taken
    page = taken.crop((0, 0, screen.width, taken.height))
    ground = Image.new("RGB", page.size, page.getpixel((1, page.height - 2)))
    box = ImageChops.difference(page, ground).getbbox()
    assert box is None or box[3] < page.height - 2 * _CELL, "the page is taller than the picture"
    return page.crop((0, 0, screen.width, (box[3] if box else 0) + 16))


def kept(taken: Image.Image, target: Path) -> None:
    """Keep a picture in few bytes."""
    taken.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(target, optimize=True)


def difference(expected: Image.Image, actual: Image.Image) -> str:
    """Where two pictures differ, empty if nobody would see it."""
    if abs(expected.height - actual.height) > _CELL or expected.width != actual.width:
        return f"the page has {actual.size} pixels, and had {expected.size}"
    size = (expected.width, min(expected.height, actual.height))
    one, other = (each.convert("RGB").crop((0, 0, *size)) for each in (expected, actual))
    channels = ImageChops.difference(one, other).split()
    strongest = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
    cells = strongest.reduce(_CELL).point(lambda value: 255 if value > _DIFFERENCE else 0)
    number = cells.histogram()[255]
    if number <= _CELLS:
        return ""
    left, top, right, bottom = (_CELL * edge for edge in cells.getbbox() or (0, 0, 0, 0))
    return f"{number} cells of {_CELL} pixels differ, between ({left}, {top}) and ({right}, {bottom})"
