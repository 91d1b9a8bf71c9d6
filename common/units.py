"""Numbers as people read them; the one place where they are rounded for reading."""

import math

__all__ = ["byte_size", "counted", "duration", "epsilon_text", "factor_text", "small_text"]

_LEAST = 1e-300
"""Below it a float64 has too few digits left to round by; rounded up to it."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 site``, ``1,200 sites``, ``2 entries``."""
    if count == 1:
        return f"1 {noun}"
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count:,} {plural}"


def byte_size(count: float) -> str:
    """A number of bytes: ``340 B``, ``1.2 MB``."""
    if count < 1000:
        return f"{count:.0f} B"
    size, unit = count / 1e3, "kB"
    for larger in ("MB", "GB"):
        if size >= 999.5:
            size, unit = size / 1e3, larger
    return f"{size:.0f} {unit}" if size >= 99.95 else f"{size:.1f} {unit}"


def duration(seconds: float) -> str:
    """A time: ``40 ms``, ``8.2 s``, ``3 min 12 s``, ``2 h 05 min``."""
    if seconds < 0.0995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def epsilon_text(epsilon: float | None) -> str:
    """ε to three significant digits, rounded up, since a guarantee must not be overstated."""
    if epsilon is None:
        return "∞"
    if epsilon == 0:
        return "0"
    if epsilon < _LEAST:
        return f"{_LEAST:g}"
    unit = 10.0 ** (math.floor(math.log10(epsilon)) - 2)
    # An ε of 8 computed as 8 + 1e-12 is 8: what the float64 cannot hold is not rounded up.
    steps = math.ceil(epsilon / unit * (1 - 1e-9))
    digits = max(0, -round(math.log10(unit)))
    text = f"{steps * unit:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def small_text(value: float) -> str:
    """A small probability: ``10⁻⁶``, ``2.11 × 10⁻⁴``, ``0.05``; rounded up."""
    if value <= 0:
        return "0"
    value = max(value, _LEAST)
    if value >= 0.001:
        return f"{math.ceil(value * 1e5 * (1 - 1e-9)) / 1e5:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    mantissa = math.ceil(value / 10.0**exponent * 100 * (1 - 1e-9)) / 100
    if mantissa >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    power = f"10{str(exponent).translate(_SUPERSCRIPTS)}"
    return power if mantissa <= 1 else f"{mantissa:g} × {power}"


def factor_text(epsilon: float) -> str:
    """e^ε: ``2.72``, ``2,981``, ``10⁴³``."""
    if epsilon > 27:  # beyond the counts people can picture, its order of magnitude is enough
        return "10" + str(math.ceil(epsilon / math.log(10))).translate(_SUPERSCRIPTS)
    value = math.exp(epsilon)
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
