"""The measurements as rows, as text and as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

Row = dict[str, Any]

# What the project aims at: the greatest time over that of the faster of PyTorch's optimizers, by
# make of CPU, on which MKL's kernels depend; that over another peer's; the least share of the peak.
MOST_OF_PYTORCH = {
    "A": {"Intel": 0.75, "AMD": 0.45},
    "B": {"Intel": 1.3, "AMD": 0.75},
    "C": {"Intel": 1.15, "AMD": 0.6},
    "C2": {"Intel": 1.75, "AMD": 0.85},
    "D": {"Intel": 0.2, "AMD": 0.2},
}
MOST = {
    ("A", "JAX, jit"): 0.85,
    ("A", "scikit-learn"): 0.6,
    ("B", "JAX, jit"): 1.2,
    ("B", "scikit-learn"): 0.6,
    ("C", "textbook's im2col"): 0.15,
    ("D", "NumPy, inlined"): 2.3,
    ("E1", "PyTorch, fused optimizer"): 1.3,
    ("E1", "textbook's loop"): 0.7,
    ("E2", "PyTorch, fused optimizer"): 1.0,
    ("E3", "PyTorch, fused optimizer"): 1.3,
    ("import", "PyTorch"): 0.15,
    ("import", "NumPy"): 2.0,
}
LEAST_SHARE = {("B", "the matrix products alone"): 0.7}


def rows(
    seconds: Mapping[tuple[str, str], list[float]],
    operations: Mapping[str, int],
    peak: float | None,
    make: str,
) -> list[Row]:
    """Return a row for each workload and peer from the seconds of each round.

    `operations` are those of a workload's matrix products, `peak` how many the machine does in a
    second, `make` its maker.
    """
    found = []
    for (workload, peer), times in seconds.items():
        row: Row = {"workload": workload, "peer": peer, "seconds": times}
        row |= {"median": median(times), "least": min(times), "greatest": max(times)}
        own = _fastest(seconds, workload, "chainrule")
        if own and not peer.startswith("chainrule"):
            row["ratio"] = median(a / b for a, b in zip(seconds[own], times, strict=True))
        if peak and workload in operations:
            row["share"] = operations[workload] / row["median"] / peak
        key = workload, peer
        most = MOST.get(key)
        if key == _fastest(seconds, workload, "PyTorch"):
            most = MOST_OF_PYTORCH.get(workload, {}).get(make, most)
        if most and "ratio" in row:
            row |= {"target": f"at most {most}", "met": row["ratio"] <= most}
        elif key in LEAST_SHARE and "share" in row:
            least = LEAST_SHARE[key]
            row |= {"target": f"at least {least:.0%} of peak", "met": row["share"] >= least}
        found.append(row)
    return found


def _fastest(
    seconds: Mapping[tuple[str, str], list[float]], workload: str, peer: str
) -> tuple[str, str] | None:
    """Return the peer with the least median of those whose names begin so."""
    keys = [key for key in seconds if key[0] == workload and key[1].startswith(peer)]
    return min(keys, key=lambda key: median(seconds[key]), default=None)


def text(record: Mapping[str, Any]) -> str:
    """Return the table, the sizes and what they were measured on."""
    cells: list[tuple[str, ...]] = [
        (
            *("workload", "peer", "median us", "least", "greatest"),
            *("chainrule / peer", "of peak", "target", ""),
        )
    ]
    for row in record["rows"]:
        cells.append(
            (
                row["workload"],
                row["peer"],
                *(f"{row[name] * 1e6:,.1f}" for name in ("median", "least", "greatest")),
                f"{row['ratio']:.2f}" if "ratio" in row else "",
                f"{row['share']:.0%}" if "share" in row else "",
                *((row["target"], _verdict(row)) if "target" in row else ("", "")),
            )
        )
    lines = _aligned(cells)
    for peer, sizes in record.get("installed_bytes", {}).items():
        alone, all_of_it = (f"{size / 1e6:,.1f} MB" for size in sizes)
        lines.append(f"size  {peer}: {alone}, {all_of_it} with what it requires")
    if record["peak_flops"]:
        lines.append(f"peak: {record['peak_flops'] / 1e9:,.0f} GFLOP/s in float32 products")
    lines.append(f"{record['make']}: {record['processor']}, threads: {record['threads']}")
    lines.append(f"rounds: {record['rounds']}, seed: {record['seed']}")
    lines += record["blas"]
    lines.append(", ".join(f"{name} {version}" for name, version in record["versions"].items()))
    return "\n".join(lines)


def _verdict(row: Row) -> str:
    return "met" if row["met"] else "missed"


def _aligned(cells: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides = ["<", "<", ">", ">", ">", ">", ">", "<", "<"]
    line = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    return [line.format(*row).rstrip() for row in cells]


def draw(rows: list[Row], titles: Mapping[str, str], path: Path) -> None:
    """Write bars of the median times to `path`; a line runs from the least to the greatest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["workload"], []).append(row)
    heights = [len(group) + 1.5 for group in groups.values()]
    figure = Figure(figsize=(8, 0.3 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("Ratio: chainrule's time over the peer's", fontsize=9)
    axes = figure.subplots(len(groups), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (name, group) in zip(axes, groups.items(), strict=True):
        unit, scale = ("ms", 1e3) if group[0]["median"] > 1e-3 else ("us", 1e6)
        low, middle, high = (
            [row[key] * scale for row in group] for key in ("least", "median", "greatest")
        )
        ax.barh(
            [row["peer"] for row in group],
            middle,
            color=["tab:orange" if row["peer"].startswith("chainrule") else "0.7" for row in group],
        )
        ax.hlines(range(len(group)), low, high, color="0.2", linewidth=1)
        for i, (row, value) in enumerate(zip(group, middle, strict=True)):
            ax.text(high[i], i, f"  {value:,.1f}{_beside(row)}", va="center", fontsize=8)
        ax.set_title(f"{name}: {titles[name]} ({unit})", fontsize=9, loc="left")
        ax.set_xlim(0, 1.7 * max(high))
        ax.invert_yaxis()
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _beside(row: Row) -> str:
    ratio = f", ratio {row['ratio']:.2f}" if "ratio" in row else ""
    return ratio + (f" (target {row['target']}: {_verdict(row)})" if "target" in row else "")
