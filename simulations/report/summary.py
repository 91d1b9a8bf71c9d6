"""What the terminal says when a run is done."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recommons.common.units import byte_size, counted, duration
from recommons.simulations.report import words
from recommons.simulations.report.schema import Metrics, Report

__all__ = ["print_summary"]

_WIDTH = 88  # a comfortable line, whatever the window's width


def print_summary(
    report: Report, console: Console, *, folder: Path, example_items: str = "ID,ID"
) -> None:
    """The four ways, the guarantee in one sentence, its price, and what to try next.

    Args:
        report: The run.
        console: Standard output's.
        folder: Where the run left its files.
        example_items: Item ids for the example command, separated by commas.
    """
    console.print()
    console.print(_four_ways(report))
    console.print()
    _paragraph(console, "Gain", f"{words.gain_sentence(report)} {words.sites_sentence(report)}")
    _paragraph(console, "Privacy", words.guarantee_sentence(report))
    if report.privacy.disagreements:
        _paragraph(console, "Wrong", words.disagreement_sentence(report), style="bold red")
    if report.privacy.noise_price is not None:
        price = f"{words.reserved_sentence(report)} {words.price_sentence(report)}"
        _paragraph(console, "Price", price)
    if report.data.catalogue == "assumed public":
        note = f"{words.ASSUMED_PUBLIC}: it was read off the events; a deployment refuses that."
        _paragraph(console, "Mark", note, style="yellow")
    _paragraph(console, "Cost", _cost(report))
    _next(console, folder, example_items)


def _four_ways(report: Report) -> Table:
    data = report.data
    table = Table(
        title=f"{data.name}: {data.users:,} users at {data.sites} sites, {data.items:,} items",
        title_style="bold",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    table.add_column("way to recommend", min_width=16, overflow="fold")
    for name in ("Recall@20", "NDCG@20", "NDCG@100", "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    found = words.ways(report)
    best = max(way.metrics.recall_at_20 for way in found)
    for way in found:
        style = "bold green" if way.metrics.recall_at_20 == best else ""
        table.add_row(_LABELS[way.key], *_figures(way.metrics), style=style)
    if report.baselines.ease_centralised is not None:
        label = "EASE on pooled data, no privacy"
        table.add_row(label, *_figures(report.baselines.ease_centralised), style="dim")
    return table


_LABELS = {
    "popularity": "noised popularity",
    "alone": "the site alone",
    "global": "the global model",
    "served": "global + own data, as served",
}


def _figures(metrics: Metrics) -> tuple[str, ...]:
    return (
        f"{metrics.recall_at_20:.3f}",
        f"{metrics.ndcg_at_20:.3f}",
        f"{metrics.ndcg_at_100:.3f}",
        f"{metrics.coverage_at_20:.3f}",
    )


def _cost(report: Report) -> str:
    sums = report.secure_aggregation
    up, down = byte_size(sums.bytes_up_per_site), byte_size(sums.bytes_down_per_site)
    lost = f", of which {sums.aborted} opened nothing" if sums.aborted else ""
    return (
        f"{duration(report.seconds)} and {byte_size(report.peak_memory_mb * 1e6)} of memory; each "
        f"site sent {up} and received {down}; {counted(sums.rounds, 'secure sum')} in "
        f"{counted(sums.attempts, 'attempt')}{lost}."
    )


def _paragraph(console: Console, name: str, text: str, *, style: str = "") -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=8, style="dim")
    grid.add_column(max_width=_WIDTH - 10)
    # Closed up, since a line could break around a space.
    closed = text.replace(" = ", "=").replace(" %", "%")
    grid.add_row(name, Text(closed, style=style))
    console.print(grid)
    console.print()


def _next(console: Console, folder: Path, example_items: str) -> None:
    console.print(Text("Try next", style="bold"))
    command = f"recommons recommend {folder} --items {example_items} -k 10"
    ask = Text("  ").append(command, style="cyan").append("   # ask the model", style="dim")
    page = Text("  Open ").append(str(folder / "report.html"), style="cyan")
    page.append(" in a browser: the whole report, with pictures")
    for line in (ask, page):
        console.print(line, soft_wrap=True)  # never wrapped: a broken line could not be copied
