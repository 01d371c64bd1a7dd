"""What a device was measured to do as charts: passes beside their floor, and speed by batch size beside the paper's."""

import re
from math import log10

import plotly.graph_objects as go

from dllm.benchmark import AR
from dllm.hardware import BLOCKS, D2, NO_CACHE, THEIRS, Hardware, Network, Pass, Rate
from dllm.published import Published, Series
from visualize.bench import HOLLOW, MARKS, Drawn, bars
from visualize.figure import INK, QUIET, frame

# of decodings: hue and shape tell them apart, and both are seen on light and dark paper
LOOKS = {AR: (INK, "star"), **dict(zip((BLOCKS, D2, NO_CACHE, THEIRS), MARKS, strict=False))}
BESIDE = "NVIDIA H100"  # of published curves, those of this device are drawn
MS = 1e3


def charts(found: Hardware, published: Published) -> list[Drawn]:
    """All charts of what was measured; none without a number in it."""
    drawn: list[Drawn] = []
    if any(network.passes for network in found.networks):
        drawn.append(
            Drawn(
                "A forward pass beside its floor",
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
                    "Tokens a second of all answers decoded together. Filled: measured here, with random weights and "
                    "so many tokens a pass as the settings force. Hollow: published by the authors of Fast-dLLM v2, "
                    "with trained weights on their own machine.",
                    throughput(network, published),
                )
            )
    if any(network.rate(name) for network in found.networks for name in LOOKS):
        drawn.append(
            Drawn(
                "One answer at a time",
                "Tokens a second of one answer, by the wall clock of the whole decoding: transformers on the same "
                "weights, and every way of decoding that was measured of a network.",
                alone(found),
            )
        )
    return drawn


def passes(found: Hardware) -> go.Figure:
    """Milliseconds of every kind of pass of every network, and of its floor."""
    timed = [
        (network, each) for network in found.networks for each in sorted(network.passes, key=lambda each: each.queries)
    ]
    names = [[network.title for network, _ in timed], [_label(each) for _, each in timed]]
    seconds = [each.seconds for _, each in timed]
    floors = [network.floor(each) for network, each in timed]
    figure = frame(height=420, xaxis_type="multicategory", yaxis_title="milliseconds", hovermode="closest")
    figure.add_bar(
        x=names,
        y=[MS * number.value for number in seconds],
        error_y=bars(seconds, MS, INK),
        customdata=[
            [each.name, _share(network.share(each)), f"{each.count} passes, host's share {100 * each.host:.1f} %"]
            for network, each in timed
        ],
        name="measured",
        width=0.6,
        marker={"color": MARKS[0][0]},
        hovertemplate="%{customdata[0]}: %{y:.3g} ms%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=[None if floor is None else MS * floor for floor in floors],
        name="floor: its bytes at the measured bandwidth",
        mode="markers",
        marker={"color": MARKS[1][0], "symbol": "diamond", "size": 11, "line": {"color": INK, "width": 1}},
        hovertemplate="%{y:.3g} ms<extra>floor</extra>",
    )
    figure.update_xaxes(title_text="positions computed in a pass", automargin=True, tickangle=0)
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=True)


def throughput(network: Network, published: Published) -> go.Figure:
    """Tokens a second by batch size, and the published curves of the same model."""
    figure = frame(height=480, xaxis_title="answers decoded together", yaxis_title="tokens per second")
    for series in published.batches:
        if series.hardware == BESIDE and _plain(network.title) == _plain(series.model):
            _add_published(figure, series)
    for name in dict.fromkeys(rate.decoding for rate in network.rates):
        rates = sorted((rate for rate in network.rates if rate.decoding == name), key=lambda rate: rate.batch)
        colour, symbol = _look(name)
        figure.add_scatter(
            x=[rate.batch for rate in rates],
            y=[rate.tps.value for rate in rates],
            error_y=bars([rate.tps for rate in rates], 1, colour),
            customdata=[[_told(rate)] for rate in rates],
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
    """Tokens a second of one answer, by network and decoding."""
    figure = frame(height=420, yaxis_title="tokens per second", hovermode="closest", barmode="group")
    for name, (colour, _) in LOOKS.items():
        rates = [(network.title, rate) for network in found.networks if (rate := network.rate(name))]
        if rates:
            figure.add_bar(
                x=[title for title, _ in rates],
                y=[rate.tps.value for _, rate in rates],
                error_y=bars([rate.tps for _, rate in rates], 1, INK),
                customdata=[[_told(rate)] for _, rate in rates],
                name=name,
                marker={"color": QUIET if name == AR else colour},
                hovertemplate=f"{name}: %{{y:.4g}} tokens/s<br>%{{customdata[0]}}<extra></extra>",
            )
    figure.update_xaxes(automargin=True)
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=True)


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
    """What stands below a bar: its width, because three bars of a network are narrow on a phone."""
    return "AR" if timed.kind == "ar" else str(timed.queries)


def _look(name: str) -> tuple[str, str]:
    return LOOKS.get(name, MARKS[-1])


def _told(rate: Rate) -> str:
    """What a dot tells beside its place."""
    tpf = "" if rate.tpf is None else f"; {rate.tpf:.2f} tokens a pass"
    memory = "" if rate.memory is None else f"; {rate.memory / 1e9:.1f} GB at most"
    return f"{rate.decoding}, {rate.laps} lap{'' if rate.laps == 1 else 's'}{tpf}{memory}"


def _share(share: float | None) -> str:
    return "" if share is None else f", {100 * share:.0f} % of the floor's speed"


def _plain(name: str) -> str:
    """A name without what sets its words apart."""
    return re.sub(r"[^a-z0-9.]", "", name.lower())
