"""The audit as Markdown: every statement with the cells behind it."""

from patchvae.analysis.audit import ANCHORS, Audit
from patchvae.analysis.printed import points
from patchvae.paper.published import accuracy
from patchvae.report.templating import environment


def render_markdown(result: Audit) -> str:
    """The page, from its template."""
    return (
        environment()
        .get_template("audit.md.j2")
        .render(
            audit=result,
            accuracies=len(accuracy()),
            anchors=ANCHORS,
            distinct=result.distinct_differences,
            points=points,
        )
    )
