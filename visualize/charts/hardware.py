"""Charts of a device: passes beside their bandwidth bound, and speed by batch size beside published speeds."""

import re
from math import log10
from textwrap import wrap

import plotly.graph_objects as go

from dllm.bench.hardware import TITLES, Hardware, Network, Pass, Rate, Way
from dllm.bench.published import Published, Series
from visualize.charts.bench import HOLLOW, MARKS, Drawn, bars
from visualize.charts.figure import INK, QUIET, base_figure

_BESIDE = "NVIDIA H100"  # of published curves, those of this device are drawn
_MS = 1e3


def hardware_charts(found: Hardware, published: Published) -> list[Drawn]:
    """All charts of what was measured; none without a number in it."""
    drawn: list[Drawn] = []
    if any(network.passes for network in found.networks):
        drawn.append(
            Drawn(
                "A forward pass beside its bandwidth bound",
                "Bars: the median pass, and lines from the fastest to the slowest round. Diamonds: the time its bytes "
                "take at the bandwidth measured in the same run. No pass can be faster, and a pass that is as wide as "
                "32 positions should take hardly longer than one over a single position.",
                passes(found),
            )
        )
    for network in found.networks:
        if any(rate.batch > 1 for rate in network.rates):
            drawn.append(
                Drawn(
                    f"Speed by batch size: {network.title}",
                    "Tokens a second of all answers decoded together. Filled: measured here. Hollow: published by the "
                    "authors of Fast-dLLM v2, with trained weights on their own machine.",
                    network_speed_by_batch(network, published),
                )
            )
    if any(rate.batch == 1 for network in found.networks for rate in network.rates):
        drawn.append(
            Drawn(
                "One answer at a time",
                "Tokens a second of one answer, by the wall clock of the whole decoding. transformers: its own "
                "`generate` on the same weights.",
                alone(found),
            )
        )
    return drawn


def passes(found: Hardware) -> go.Figure:
    """Milliseconds of every kind of pass of every network, and of its bandwidth bound."""
    timed = [
        (network, each) for network in found.networks for each in sorted(network.passes, key=lambda each: each.queries)
    ]
    names = [[network.title for network, _ in timed], [_label(each) for _, each in timed]]
    seconds = [each.seconds for _, each in timed]
    bounds = [network.bound(each) for network, each in timed]
    figure = base_figure(height=420, xaxis_type="multicategory", yaxis_title="milliseconds", hovermode="closest")
    figure.add_bar(
        x=names,
        y=[_MS * number.value for number in seconds],
        error_y=bars(seconds, _MS, INK),
        customdata=[
            [each.title, _share(network.share(each)), f"{each.count} passes, host's share {100 * each.host:.1f} %"]
            for network, each in timed
        ],
        name="measured",
        width=0.6,
        marker={"color": MARKS[0][0]},
        hovertemplate="%{customdata[0]}: %{y:.3g} ms%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=[None if bound is None else _MS * bound for bound in bounds],
        name="bound: its bytes at the measured bandwidth",
        mode="markers",
        marker={"color": MARKS[1][0], "symbol": "diamond", "size": 11, "line": {"color": INK, "width": 1}},
        hovertemplate="%{y:.3g} ms<extra>bound</extra>",
    )
    figure.update_xaxes(title_text="positions computed in a pass", automargin=True, tickangle=0)
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=True)


def network_speed_by_batch(network: Network, published: Published) -> go.Figure:
    """Tokens a second by batch size, and the published curves of the same model."""
    figure = base_figure(height=480, xaxis_title="answers decoded together", yaxis_title="tokens per second")
    for series in published.batches:
        if series.hardware == _BESIDE and _plain(network.title) == _plain(series.model):
            _add_published(figure, series)
    names = dict.fromkeys(rate.title for rate in network.rates)
    for n, name in enumerate(names):
        colour, symbol = (INK, "star") if name == TITLES[Way.AR] else MARKS[n % len(MARKS)]
        rates = sorted((rate for rate in network.rates if rate.title == name), key=lambda rate: rate.batch)
        figure.add_scatter(
            x=[rate.batch for rate in rates],
            y=[rate.tps.value for rate in rates],
            error_y=bars([rate.tps for rate in rates], 1, colour),
            customdata=[[_details(rate)] for rate in rates],
            name=name,
            mode="lines+markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            line={"color": colour, "width": 1},
            hovertemplate="batch %{x}: %{y:.4g} tokens/s<br>%{customdata[0]}<extra></extra>",
        )
    figure.update_xaxes(type="log", dtick=log10(2), tickformat="~g")
    figure.update_yaxes(type="log", dtick="D2", tickformat="~g")
    return figure.update_layout(showlegend=True, hovermode="closest")


def alone(found: Hardware) -> go.Figure:
    """Tokens a second of one answer, by engine and way of decoding, a colour for each network."""
    titles = list(dict.fromkeys(rate.title for network in found.networks for rate in network.rates if rate.batch == 1))
    figure = base_figure(
        height=160 + 34 * len(titles), xaxis_title="tokens per second", hovermode="closest", barmode="group"
    )
    for n, network in enumerate(found.networks):
        if rates := [rate for rate in network.rates if rate.batch == 1]:
            figure.add_bar(
                orientation="h",
                x=[rate.tps.value for rate in rates],
                y=[_wrapped(rate.title) for rate in rates],
                error_x=bars([rate.tps for rate in rates], 1, INK),
                customdata=[[_details(rate)] for rate in rates],
                name=network.title,
                marker={"color": MARKS[n % len(MARKS)][0]},
                hovertemplate="%{x:.4g} tokens/s<br>%{customdata[0]}<extra></extra>",
            )
    figure.update_yaxes(automargin=True, categoryorder="array", categoryarray=[*map(_wrapped, reversed(titles))])
    return figure.update_xaxes(rangemode="tozero").update_layout(showlegend=True)


def _add_published(figure: go.Figure, series: Series) -> None:
    """Their block diffusion and their AR, hollow."""
    where = f"published, {series.source.split(', ')[-1]}, {series.hardware}:<br>"
    batches = [int(point.at) for point in series.points]
    lines = ((series.model, [p.tps for p in series.points]), (series.baseline, [p.base_tps for p in series.points]))
    for symbol, (name, speeds) in zip(HOLLOW, lines, strict=False):
        figure.add_scatter(
            x=batches,
            y=speeds,
            name=f"{where}{name}",
            mode="lines+markers",
            marker={"color": QUIET, "symbol": symbol, "size": 9, "line": {"width": 2}},
            line={"color": QUIET, "width": 1, "dash": "dash"},
            hovertemplate="batch %{x}: %{y:.4g} tokens/s<extra>published</extra>",
        )


def _label(timed: Pass) -> str:
    """The label of a bar: its width, because three bars of a network are narrow on a phone."""
    return "AR" if timed.kind == "ar" else str(timed.queries)


def _details(rate: Rate) -> str:
    """What a dot or bar says when it is pointed at."""
    tpf = "" if rate.tpf is None else f"; {rate.tpf:.2f} tokens a pass"
    memory = "" if rate.memory is None else f"; {rate.memory / 1e9:.1f} GB at most"
    return f"{rate.title}, {rate.repeats} repeat{'s' * (rate.repeats != 1)}{tpf}{memory}"


def _share(share: float | None) -> str:
    return "" if share is None else f", {100 * share:.0f} % of the bound's speed"


def _wrapped(title: str) -> str:
    """A title in short lines, because a phone is narrow."""
    return "<br>".join(wrap(title, 24))


def _plain(name: str) -> str:
    """A name without what sets its words apart."""
    return re.sub(r"[^a-z0-9.]", "", name.lower())
