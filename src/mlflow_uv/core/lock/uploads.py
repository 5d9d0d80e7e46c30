"""Reads upload times of locked files, and the `exclude-newer` that the lock records."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .lockfile import Lockfile, Package

_SPAN = lazy_pattern(
    r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


@lazy_dataclass
class Cutoff:
    """The moment from which on uv ignores files (`exclude-newer`), and its text in the lock."""

    moment: datetime
    text: str


def cutoff_of(lock: Lockfile, name: str, *, now_s: float) -> Cutoff | None:
    """
    Return the cutoff of a package, None where the lock has none for it.

    A span counts from the time of locking, which the lock does not record. It is counted from `now_s` (seconds since
    1970) instead, which gives the latest possible cutoff.
    """
    packages = lock.options.get("exclude-newer-package")
    own = packages.get(name) if isinstance(packages, Mapping) else None
    if own is False:
        return None
    if own is not None:
        table = own if isinstance(own, Mapping) else {"timestamp": own}
        return _cutoff(table.get("span"), table.get("timestamp"), now_s)
    return _cutoff(lock.options.get("exclude-newer-span"), lock.options.get("exclude-newer"), now_s)


def latest_upload(package: Package) -> datetime | None:
    """When the newest file of a package was uploaded; None where its index gives no upload times."""
    files = (*package.table.get("wheels", ()), package.table.get("sdist") or {})
    moments = [moment for file in files if (moment := _moment(file.get("upload-time"))) is not None]
    return max(moments, default=None)


def _cutoff(span: Any, timestamp: Any, now_s: float) -> Cutoff | None:
    match = _SPAN.fullmatch(span) if isinstance(span, str) else None
    if match is not None:
        length = {unit: int(number or 0) for unit, number in match.groupdict().items()}
        # Months and years at their shortest, so that no file is reported too early.
        days = length.pop("years") * 365 + length.pop("months") * 28 + length.pop("days")
        return Cutoff(moment=datetime.fromtimestamp(now_s, UTC) - timedelta(days=days, **length), text=span)
    moment = _moment(timestamp)
    return None if moment is None else Cutoff(moment=moment, text=str(timestamp))


def _moment(value: Any) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
