"""The page's words and small pieces of HTML. Whatever a visitor wrote is escaped here."""

from __future__ import annotations

import html
import math
import random

from demo.takes import Progress, Result, Take

MASTHEAD = """<div class="masthead">
<svg viewBox="0 0 48 48" aria-hidden="true"><defs><linearGradient id="dusk" x1="0" y1="0" x2="1" y2="1">
<stop offset="0" stop-color="#2b1236"/><stop offset=".5" stop-color="#8a3a78"/><stop offset="1" stop-color="#f2a65a"/>
</linearGradient></defs><rect width="48" height="48" fill="url(#dusk)"/>
<circle cx="34" cy="14" r="5.5" fill="#ffe3b8"/>
<path d="M5 31c4 0 4-9 8-9s4 17 8 17 4-23 8-23 4 20 8 20 3-5 6-5" fill="none" stroke="#fff" stroke-width="2.6"
stroke-linecap="round"/></svg>
<div><h1>MeLFusion Studio</h1><p>A picture and a few words become music.</p></div></div>"""

EXAMPLES_TITLE = "<p>Or begin with one of these</p>"
DIFFERENCE_TITLE = '<div class="take-head"><h3>What the picture changed</h3><span>A minus B</span></div>'
WAITING = (
    '<div class="status is-working is-waiting"><h2>Waiting for a free moment</h2>'
    "<p>Visitors take turns; keep this page open.</p></div>"
)
NOT_BEGUN = "<h2>Not begun</h2><p>The studio is too busy, or this was stopped. Press Compose to try again.</p>"
STOPPED = '<div class="status is-stopped"><h2>Stopped</h2><p>Press Compose to begin again.</p></div>'
FAILED = (
    '<div class="status is-error"><h2>This did not work</h2><p>Something went wrong inside the studio. Please try '
    "again; if it happens again, another length or picture may help.</p></div>"
)


def idle_html() -> str:
    """Welcome: a sun over the sea, whose reflection is a spectrogram.

    Returns:
        HTML for the status.
    """
    draw = random.Random(11)
    glints = []
    for row in range(15):
        y, reach = 206 + 11 * row, 54 + 11 * row
        for column in range(32):
            x = 20 * column + 4
            nearness = math.exp(-(((x - 450) / reach) ** 2))
            if draw.random() < 0.07 + 0.8 * nearness:
                colour = ("#ffd9a0", "#f2a65a", "#e0705f", "#a6447a", "#6d3277")[min(4, int(5.5 * (1 - nearness)))]
                width = draw.choice((8, 12, 16, 16))
                glints.append(f'<rect x="{x}" y="{y}" width="{width}" height="5" rx="2" fill="{colour}"/>')
    return f"""<div class="status is-idle">
<svg viewBox="0 0 640 372" aria-hidden="true"><defs>
<linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#1d0f2a"/>
<stop offset=".55" stop-color="#5d2a6b"/><stop offset="1" stop-color="#c9566b"/></linearGradient></defs>
<rect width="640" height="372" fill="#1b0f26"/><rect width="640" height="200" fill="url(#sky)"/>
<circle cx="450" cy="160" r="52" fill="#ffd9a0"/><rect y="199" width="640" height="173" fill="#1b0f26"/>
{"".join(glints)}</svg>
<h2>What does your picture sound like?</h2>
<p>Choose a picture, say what should play, press Compose. The music is made twice from the same noise: once from
picture and words, once from the words alone. So you hear what the picture changed.</p></div>"""


def progress_html(progress: Progress) -> str:
    """Say how far the work is.

    Args:
        progress: From the service.

    Returns:
        HTML for the status.
    """
    if progress.step == 0:
        title, detail = "Reading what you gave", f"{progress.num_steps} steps follow"
    elif progress.step < progress.num_steps:
        title, detail = "Composing", f"Step {progress.step} of {progress.num_steps}"
        if progress.seconds_left is not None:
            detail += f", about {max(1, math.ceil(progress.seconds_left))} s left"
    else:
        title, detail = "Turning it into sound", f"All {progress.num_steps} steps are done"
    percent = round(100 * progress.step / progress.num_steps)
    return (
        f'<div class="status is-working"><h2>{title}</h2><p aria-hidden="true">{detail}</p>'
        f'<div class="track" role="progressbar" aria-label="Composing" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div></div>'
    )


def result_html(result: Result) -> str:
    """Say what was made.

    Args:
        result: From the service.

    Returns:
        HTML for the status.
    """
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in result.notes)
    return f'<div class="status is-done"><h2>Here it is <span>seed <b>{result.seed}</b></span></h2>{notes}</div>'


def error_html(message: str) -> str:
    """Say what has to change.

    Args:
        message: For people.

    Returns:
        HTML for the status.
    """
    return f'<div class="status is-error"><h2>Not yet</h2><p>{html.escape(message)}</p></div>'


def head_html(letter: str, take: Take) -> str:
    """Write the heading of a take.

    Args:
        letter: "A" or "B".
        take: From the service.

    Returns:
        HTML.
    """
    title = html.escape(take.title)
    return f'<div class="take-head is-{letter.lower()}"><b>{letter}</b><h3>{title}</h3></div>'
