"""The page's words and small pieces of HTML. Whatever a visitor wrote is escaped here."""

from __future__ import annotations

import html
import math
import random

from demo import words
from demo.limits import MAX_HOURLY_MB, MAX_UPLOAD_MB
from demo.takes import Progress, Result, StudioError
from demo.visitors import MOST_WAITING, MOST_WAITING_EACH

MASTHEAD = f"""<div class="masthead">
<svg viewBox="0 0 48 48" aria-hidden="true"><defs><linearGradient id="dusk" x1="0" y1="0" x2="1" y2="1">
<stop offset="0" stop-color="#2b1236"/><stop offset=".5" stop-color="#8a3a78"/><stop offset="1" stop-color="#f2a65a"/>
</linearGradient></defs><rect width="48" height="48" fill="url(#dusk)"/>
<circle cx="34" cy="14" r="5.5" fill="#ffe3b8"/>
<path d="M5 31c4 0 4-9 8-9s4 17 8 17 4-23 8-23 4 20 8 20 3-5 6-5" fill="none" stroke="#fff" stroke-width="2.6"
stroke-linecap="round"/></svg>
<div><h1>{words.MASTHEAD_TITLE}</h1><p>{words.MASTHEAD_TEXT}</p></div></div>"""

WAITING = f'<div class="status is-working is-waiting"><h2>{words.WAITING_TITLE}</h2><p>{words.WAITING_TEXT}</p></div>'
NOT_BEGUN = f"<h2>{words.NOT_BEGUN_TITLE}</h2><p>{words.NOT_BEGUN_TEXT}</p>"
STOPPED = f'<div class="status is-stopped"><h2>{words.STOPPED_TITLE}</h2><p>{words.STOPPED_TEXT}</p></div>'
FAILED = f'<div class="status is-error"><h2>{words.FAILED_TITLE}</h2><p>{words.FAILED_TEXT}</p></div>'


def limits_html(minutes: int) -> str:
    """Say how much one may send, and what becomes of it.

    Args:
        minutes: After which uploads are deleted.

    Returns:
        HTML for the foot of the page.
    """
    said = words.LIMITS.format(
        file=MAX_UPLOAD_MB, hour=MAX_HOURLY_MB, each=MOST_WAITING_EACH, all=MOST_WAITING, minutes=minutes
    )
    return f"<p>{said}</p>"


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
<h2>{words.HERO_TITLE}</h2><p>{words.HERO_TEXT}</p></div>"""


def progress_html(progress: Progress) -> str:
    """Say how far the work is.

    Args:
        progress: From the service.

    Returns:
        HTML for the status.
    """
    if progress.step == 0:
        title, detail = words.READING_TITLE, words.READING_TEXT.format(steps=progress.num_steps)
    elif progress.step < progress.num_steps or progress.take < progress.num_takes:
        title = words.COMPOSING
        if progress.num_takes > 1:
            title = words.COMPOSING_TAKE.format(take=progress.take, takes=progress.num_takes)
        detail = words.STEP_OF.format(step=progress.step, steps=progress.num_steps)
        if progress.seconds_left is not None:
            detail += words.SECONDS_LEFT.format(seconds=max(1, math.ceil(progress.seconds_left)))
    else:
        title, detail = words.SOUNDING, words.ALL_STEPS.format(steps=progress.num_steps)
    done = (progress.take - 1) * progress.num_steps + progress.step
    percent = round(100 * done / (progress.num_steps * progress.num_takes))
    return (
        f'<div class="status is-working"><h2>{title}</h2><p aria-hidden="true">{detail}</p>'
        f'<div class="track" role="progressbar" aria-label="{words.COMPOSING}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div></div>'
    )


def result_html(result: Result) -> str:
    """Say what was made.

    Args:
        result: From the service.

    Returns:
        HTML for the status.
    """
    notes = notes_html(result.notes)
    seed = f"<span>{words.DONE_SEED} <b>{result.seed}</b></span>"
    return f'<div class="status is-done"><h2>{words.DONE_TITLE} {seed}</h2>{notes}</div>'


def notes_html(notes: tuple[str, ...]) -> str:
    """Write notes below a field.

    Args:
        notes: One sentence each.

    Returns:
        HTML; empty where there are none.
    """
    return "".join(f"<p>{html.escape(note)}</p>" for note in notes)


def message_html(title: str, message: str, kind: str = "note", field: str | None = None) -> str:
    """Say something in a friendly way.

    Args:
        title: Heading.
        message: One or two sentences.
        kind: Ending of the class, such as "note" or "error".
        field: Name on the page of the control that it is about, where the message is shown too.

    Returns:
        HTML for the status.
    """
    about = f' data-field="{html.escape(field, quote=True)}"' if field else ""
    return f'<div class="status is-{kind}"{about}><h2>{html.escape(title)}</h2><p>{html.escape(message)}</p></div>'


def error_html(error: StudioError, title: str = words.NOT_YET) -> str:
    """Say what has to change.

    Args:
        error: Its message is for people.
        title: Heading.

    Returns:
        HTML for the status.
    """
    return message_html(title, str(error), "error", error.field)
