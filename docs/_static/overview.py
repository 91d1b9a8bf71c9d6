"""Draw `overview.svg`: what leaves a site, what the coordinator sees, what is released.

The bars are worked out, not drawn by hand: three sites' vectors with noise, masked in the integers
modulo 64 by pairwise and own masks, and the sum that is left when the masks are taken off.

    python docs/_static/overview.py
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

SITES, COORDINATES, RING = 3, 14, 64
BOX_TOP, BOX_HEIGHT, BOX_STEP = 62, 98, 112
RETURN = "each site adds its own data to the release and serves its own users"
STYLE = """
svg { --ink: #1f2328; --faint: #59636e; --page: #ffffff; --box: #f6f8fa; --rule: #d1d9e0;
      --own: #0a7d74; --masked: #8c959f; --sum: #6639ba; }
@media (prefers-color-scheme: dark) {
svg { --ink: #e6edf3; --faint: #9aa5b1; --page: #0d1117; --box: #161b22; --rule: #3d444d;
      --own: #39c5b8; --masked: #768390; --sum: #b392f0; }
}
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
       fill: var(--ink); }
.title { font-weight: 600; font-size: 15px; }
.faint { fill: var(--faint); font-size: 12px; }
.box { fill: var(--box); stroke: var(--rule); }
.page { fill: var(--page); stroke: var(--rule); }
.arrow { stroke: var(--faint); stroke-width: 1.5; fill: none; marker-end: url(#head); }
.head { fill: var(--faint); }
.own { fill: var(--own); } .masked { fill: var(--masked); } .sum { fill: var(--sum); }
""".strip()

Vectors = npt.NDArray[np.int64]


def vectors() -> tuple[Vectors, Vectors, Vectors]:
    """Each site's noised sum, what it sends, and the sum that the coordinator opens."""
    rng = np.random.default_rng(4)
    shape = 10 * np.exp(-np.arange(COORDINATES) / 6.0)
    noised = np.rint(shape + rng.integers(0, 5, (SITES, COORDINATES))).astype(np.int64)
    own = rng.integers(0, RING, (SITES, COORDINATES))
    sent = noised + own
    for first in range(SITES):
        for second in range(first + 1, SITES):
            mask = rng.integers(0, RING, COORDINATES)
            sent[first] += mask
            sent[second] -= mask
    sent %= RING
    opened = (sent.sum(axis=0) - own.sum(axis=0)) % RING
    if not np.array_equal(opened, noised.sum(axis=0)):
        raise ArithmeticError("the masks do not cancel")
    return noised, sent, opened


def bars(
    values: Sequence[int], kind: str, *, left: int, base: int, width: int, unit: float
) -> list[str]:
    step = width / len(values)
    return [
        f'<rect class="{kind}" x="{left + k * step:.1f}" y="{base - value * unit:.1f}" '
        f'width="{step - 1.5:.1f}" height="{value * unit:.1f}"/>'
        for k, value in enumerate(values)
    ]


def text(x: int, y: int, words: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}"' + (f' class="{kind}"' if kind else "") + f">{words}</text>"


def box(x: int, y: int, width: int, height: int) -> str:
    return f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'


def arrow(path: str) -> str:
    return f'<path class="arrow" d="{path}"/>'


def site(number: int, noised: Sequence[int], sent: Sequence[int]) -> list[str]:
    top = BOX_TOP + number * BOX_STEP
    base = top + 74
    return [
        box(24, top, 344, BOX_HEIGHT),
        text(38, top + 22, f"Site {number + 1}", "title"),
        *bars(noised, "own", left=38, base=base, width=132, unit=2.4),
        text(38, base + 17, "sum over its users + noise", "faint"),
        text(178, base - 14, "+ masks", "faint"),
        arrow(f"M180 {base - 6} H226"),
        *bars(sent, "masked", left=236, base=base, width=120, unit=0.72),
        text(236, base + 17, "what leaves the site", "faint"),
        arrow(f"M368 {top + BOX_HEIGHT // 2} H420"),
    ]


def picture() -> str:
    noised, sent, opened = vectors()
    bottom = BOX_TOP + (SITES - 1) * BOX_STEP + BOX_HEIGHT
    parts = [
        '<rect class="page" x="0.5" y="0.5" width="919" height="447" rx="12"/>',
        text(24, 30, "Events and user vectors stay here", "title"),
        text(24, 48, "every site, its own policy and its own share of noise", "faint"),
    ]
    for number in range(SITES):
        parts += site(number, noised[number].tolist(), sent[number].tolist())
    parts += [
        text(428, 30, "Only the sum can be opened", "title"),
        text(428, 48, "masks cancel over all sites together", "faint"),
        box(428, BOX_TOP, 226, bottom - BOX_TOP),
        text(444, BOX_TOP + 24, "Coordinator", "title"),
        *bars(opened.tolist(), "sum", left=444, base=BOX_TOP + 166, width=194, unit=2.4),
        text(444, BOX_TOP + 186, "sum over all sites + noise", "faint"),
        text(444, BOX_TOP + 226, "denoises, computes the next"),
        text(444, BOX_TOP + 244, "public state, asks for the next"),
        text(444, BOX_TOP + 262, "sum; in the end, the model"),
        arrow(f"M654 {BOX_TOP + 160} H704"),
        text(712, 30, "What anyone may read", "title"),
        text(712, 48, "differentially private per user", "faint"),
        box(712, BOX_TOP, 184, bottom - BOX_TOP),
        text(728, BOX_TOP + 24, "Release", "title"),
        text(728, BOX_TOP + 150, "item factors and"),
        text(728, BOX_TOP + 168, "noised item counts,"),
        text(728, BOX_TOP + 186, "with their ε and δ"),
        arrow(f"M804 {bottom} V{bottom + 22} H196 V{bottom + 6}"),
        text(
            226, bottom + 40, "each site adds its own data to the release and serves its own users"
        ),
    ]
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 448" width="920" height="448" '
        'role="img" aria-labelledby="title desc">\n'
        '<title id="title">How Recommons trains one model over several sites</title>\n'
        '<desc id="desc">Each site sends the sum over its users with noise and masks; the '
        "coordinator can open only the sum over all sites; the released model returns to the "
        "sites.</desc>\n"
        f"<style>\n{STYLE}\n</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>\n'
        f"{body}\n</svg>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture(), encoding="utf-8")
