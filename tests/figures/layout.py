"""What is wrong with a drawn figure, read off its artists where the renderer has put them."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryLocator
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

SLACK = 1.0  # pixels of 1/100 inch by which artists may touch


def faults(figure: Figure) -> list[str]:
    """A line each: what leaves its place, covers something, lacks a label or is drawn twice."""
    figure.draw_without_rendering()
    found = [*_outside(figure), *_covered(figure)]
    for axes in _axes(figure):
        found += [*_unlabelled(axes), *_twice(axes, _keys(figure))]
    return found


def _axes(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def _bbox(artist: Artist) -> Bbox:
    return artist.get_window_extent()


def _beyond(inner: Bbox, outer: Bbox) -> bool:
    return bool(
        inner.x0 < outer.x0 - SLACK or inner.y0 < outer.y0 - SLACK
        or inner.x1 > outer.x1 + SLACK or inner.y1 > outer.y1 + SLACK
    )  # fmt: skip


def _overlap(one: Bbox, other: Bbox) -> bool:
    common = Bbox.intersection(one, other)
    return common is not None and min(common.width, common.height) > SLACK


def _texts(figure: Figure) -> list[Text]:
    """Every text that is seen; of tick labels those within the limits of their axis."""
    hidden = [
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in _hidden_labels(axes, axis)
    ]
    seen = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [text for text in seen if not any(text is label for label in hidden)]


def _hidden_labels(axes: Axes, axis: Axis) -> list[Text]:
    drawn = axis._update_ticks() if axes.axison else []
    kept = [id(tick) for tick in drawn]
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [t for tick in ticks if id(tick) not in kept for t in (tick.label1, tick.label2)]


def _legends(figure: Figure) -> list[Legend]:
    return [legend for legend in figure.findobj(Legend) if legend.get_visible()]


def _drawn(axes: Axes) -> list[Line2D]:
    """Its lines with data of their own, without those that span the axes (`axhline`)."""
    return [
        line for line in axes.lines
        if line.get_visible() and line.get_transform() == axes.transData and len(line.get_xdata())
    ]  # fmt: skip


def _outside(figure: Figure) -> Iterator[str]:
    for text in _texts(figure):
        if _beyond(_bbox(text), figure.bbox):
            yield f"the text {text.get_text()!r} leaves the page"
    for legend in _legends(figure):
        if _beyond(_bbox(legend), figure.bbox):
            yield "a legend leaves the page"
    for axes in _axes(figure):
        for line in _drawn(axes):
            if _beyond(_bbox(line), axes.bbox):
                yield f"{_name(axes)}: the line {line.get_label()!r} leaves its axes"
        for points in axes.findobj(PathCollection):
            if len(points.get_offsets()) and _beyond(_bbox(points), axes.bbox):
                yield f"{_name(axes)}: markers leave the axes"


def _covered(figure: Figure) -> Iterator[str]:
    legends, texts = _legends(figure), _texts(figure)
    inside = {id(text) for legend in legends for text in legend.get_texts()}
    free = [text for text in texts if id(text) not in inside]
    for one, other in combinations(free, 2):
        if _overlap(_bbox(one), _bbox(other)):
            yield f"the texts {one.get_text()!r} and {other.get_text()!r} overlap"
    for text in free:
        for axes in _axes(figure):
            if text.axes is not axes and _overlap(_bbox(text), axes.bbox):
                yield f"the text {text.get_text()!r} lies over {_name(axes)}"
        if any(_overlap(_bbox(text), _bbox(legend)) for legend in legends):
            yield f"the text {text.get_text()!r} lies over a legend"
    for legend in legends:
        for axes in _axes(figure):
            if legend.axes is not axes and _overlap(_bbox(legend), axes.bbox):
                yield f"a legend lies over {_name(axes)}"
            for line in _drawn(axes):
                path = line.get_transform().transform_path(line.get_path())
                if path.intersects_bbox(_bbox(legend), filled=False):
                    yield f"{_name(axes)}: a legend covers the line {line.get_label()!r}"
    for one, other in combinations(_axes(figure), 2):
        if _overlap(one.bbox, other.bbox):
            yield f"{_name(one)} lies over {_name(other)}"


def _unlabelled(axes: Axes) -> Iterator[str]:
    """What is drawn on an axis of names without one of them, its neighbour's if it shares them."""
    for which, axis in enumerate((axes.xaxis, axes.yaxis)):
        siblings = (axes.get_shared_x_axes, axes.get_shared_y_axes)[which]().get_siblings(axes)
        names = _names(axis)
        if not names:
            continue
        seen = any(
            label.get_visible() and label.get_text()
            for sibling in siblings
            for label in (sibling.xaxis, sibling.yaxis)[which].get_ticklabels()
        )
        if not seen:
            yield f"{_name(axes)}: no axis shows its names"
        for place in _places(axes, which):
            nearest = min(names, key=lambda known: abs(known - place))
            if abs(nearest - place) > 0.45 or not names[nearest]:
                yield f"{_name(axes)}: {'xy'[which]} = {place:g} has no label"


def _names(axis: Axis) -> dict[float, str]:
    """Label by place of an axis whose ticks are named one by one; empty for an axis of numbers."""
    if not isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator):
        return {}
    places = list(map(float, axis.get_majorticklocs()))
    return dict(zip(places, axis.get_major_formatter().format_ticks(places), strict=True))


def _places(axes: Axes, which: int) -> list[float]:
    """Where on an axis there are markers or the middle of a heat map's cells."""
    found: set[float] = set()
    for line in _drawn(axes):
        if line.get_marker() not in ("", "None", None):
            found |= set(map(float, np.asarray(line.get_data()[which])))
    for points in axes.findobj(PathCollection):
        found |= set(map(float, np.asarray(points.get_offsets())[:, which]))
    for mesh in axes.findobj(QuadMesh):
        rows, columns = (n - 1 for n in mesh.get_coordinates().shape[:2])
        found |= {k + 0.5 for k in range((columns, rows)[which])}
    return sorted(found)


def _keys(figure: Figure) -> set[str]:
    """What the legends tell apart."""
    return {text.get_text() for legend in _legends(figure) for text in legend.get_texts()}


def _twice(axes: Axes, keys: set[str]) -> Iterator[str]:
    """Curves or outlines with the same points, unless a legend has both, the later thinner."""
    drawn = [line for line in _drawn(axes) if len(set(np.asarray(line.get_xdata()))) > 1]
    drawn += [patch for patch in axes.patches if patch.get_transform() == axes.transData]
    for one, other in combinations(drawn, 2):
        a, b = (artist.get_path().vertices for artist in (one, other))
        seen = one.get_linewidth() > other.get_linewidth() + 0.5
        told = {one.get_label(), other.get_label()} <= keys and one.get_label() != other.get_label()
        if a.shape == b.shape and np.array_equal(a, b) and not (seen and told):
            yield f"{_name(axes)}: {one.get_label()!r} and {other.get_label()!r} are the same curve"


def _name(axes: Axes) -> str:
    words = axes.get_title(loc="left"), axes.get_title(), axes.get_ylabel(), axes.get_xlabel()
    return f"the axes '{next(filter(None, words), 'without a name')}'"
