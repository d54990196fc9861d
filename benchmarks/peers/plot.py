"""Draws lines over sizes, both axes logarithmic: JSON on stdin, an SVG file."""

from __future__ import annotations

import json
import sys

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

COLOURS = ("#1b6ca8", "#c1440e", "#4a7c2a", "#7a4ba8", "#b8860b", "#555555")
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "audience-sync",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#999999",
    "figure.facecolor": "white",
}


def main() -> None:
    drawing = json.load(sys.stdin)
    mpl.rcParams.update(STYLE)
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    sizes, tops = drawing["sizes"], []
    for colour, (name, values) in zip(COLOURS, drawing["lines"].items(), strict=False):
        axes.plot(sizes, values, marker="o", markersize=4, linewidth=1.8, color=colour, label=name)
        tops.append(max(value for value in values if value is not None))
    highest = max(tops)
    axes.plot(
        [sizes[0], sizes[-1]],
        [highest * sizes[0] / sizes[-1], highest],
        linestyle=":",
        color="#888888",
        linewidth=1.2,
        label="in proportion",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.1)
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.minorticks_off()
    axes.set_xlabel(drawing["x"])
    axes.set_ylabel(drawing["y"])
    axes.set_title(drawing["title"], loc="left", fontsize=11)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(sys.argv[1], bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
