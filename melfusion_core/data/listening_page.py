"""A local page to look at and listen to some triplets of a corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import soundfile
from jinja2 import Environment

from melfusion_core.data.corpus import CorpusError, Triplet, read_corpus

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#d5d8de, #3a3f49); --soft: light-dark(#5a6070, #a5acba);
  --card: light-dark(#ffffff, #1d2027); --ground: light-dark(#f3f4f7, #14161b); --ink: light-dark(#1c1f26, #e8eaf0); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 74rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; }
header p { color: var(--soft); margin: .25rem 0 1.5rem; }
article { display: grid; grid-template-columns: 10rem minmax(0, 1fr); gap: 1rem 1.25rem; padding: 1rem;
  margin-bottom: 1rem; overflow-wrap: anywhere; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
h2 { font-size: 1.05rem; line-height: 1.35; margin: 0 0 .5rem; }
figure { margin: 0; }
figcaption, dl, .more { color: var(--soft); font-size: .875rem; }
img { display: block; border-radius: .25rem; }
figure img { width: 100%; aspect-ratio: 1; object-fit: cover; }
.spectrogram { width: 100%; height: 8rem; object-fit: fill; }
audio { width: 100%; margin: .5rem 0; }
.more { margin: .25rem 0; padding-left: 1.1rem; }
dl { display: flex; flex-wrap: wrap; gap: .15rem 1.25rem; margin: .5rem 0 0; }
dl div { display: flex; gap: .4rem; } dl div { min-width: 0; }
dt { font-weight: 600; } dd { margin: 0; min-width: 0; }
figcaption { margin-top: .4rem; }
summary { cursor: pointer; font-size: .875rem; }
@media (max-width: 40rem) { article { grid-template-columns: 1fr; } figure { max-width: 12rem; } }
</style>
</head>
<body>
<header><h1>{{ title }}</h1><p>{{ subtitle }}</p></header>
<main>
{% for clip in clips %}
<article aria-labelledby="clip-{{ clip.id }}">
<figure><img src="{{ clip.image }}" alt="{{ clip.image_caption }}" width="160" height="160">
<figcaption>{{ clip.image_caption }}<br>{{ clip.image_mood }}</figcaption></figure>
<section>
<h2 id="clip-{{ clip.id }}">{{ clip.caption }}</h2>
<img class="spectrogram" src="{{ clip.spectrogram }}" alt="Spectrogram of clip {{ clip.id }}" loading="lazy">
<audio controls preload="none" src="{{ clip.audio }}" aria-label="Clip {{ clip.id }}"></audio>
<details><summary>{{ clip.more | length }} more captions</summary>
<ul class="more">{% for caption in clip.more %}<li>{{ caption }}</li>{% endfor %}</ul></details>
<dl>{% for name, value in clip.facts %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>
</section>
</article>
{% endfor %}
</main>
</body>
</html>
"""


def write_listening_page(root: Path | str, out: Path | str, n: int = 30, seed: int = 0) -> Path:
    """Write a page with random triplets, and copy their pictures and audio beside it.

    Args:
        root: corpus folder.
        out: folder to write; the page needs nothing outside it.
        n: number of triplets, at most as many as the corpus has.
        seed: seed of the choice.

    Returns:
        Path of `index.html`.

    Raises:
        ValueError: `n` is not positive.
        CorpusError: the corpus is empty or damaged, or has files outside its folder.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    root, folder = Path(root), Path(out)
    rows = read_corpus(root)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:n])
    for index in chosen:
        _check_inside(root, rows[int(index)])
    (folder / "media").mkdir(parents=True, exist_ok=True)
    clips = [_describe(folder, f"{index:06d}", rows[int(index)]) for index in chosen]
    page = Environment(autoescape=True, trim_blocks=True).from_string(_PAGE)
    title = f"{len(clips)} of {len(rows):,} triplets"
    subtitle = f"Corpus {root.resolve().name}, drawn with seed {seed}. Valence and arousal are ranks from 0 to 1."
    path = folder / "index.html"
    path.write_text(page.render(title=title, subtitle=subtitle, clips=clips), encoding="utf-8")
    return path


def _check_inside(root: Path, row: Triplet) -> None:
    """Refuse what a page would carry away from elsewhere: nobody knows who wrote the table."""
    for path in (row.audio, row.image):
        if not path.resolve().is_relative_to(root.resolve()):
            raise CorpusError(f"{row.where}: {path} lies outside the corpus")
    row.check_files()


def _describe(folder: Path, number: str, row: Triplet) -> dict[str, object]:
    """Copy a triplet's files, named by its number in the table, and say what the page shows of it."""
    names = {}
    for kind, path in (("audio", row.audio), ("image", row.image)):
        names[kind] = f"media/{number}{path.suffix}"
        shutil.copyfile(path, folder / names[kind])
    names["spectrogram"] = f"media/{number}-spectrogram.png"
    _save_spectrogram(row.audio, folder / names["spectrogram"])
    facts = [
        ("Style", row.style),
        ("Lead", row.lead),
        ("Instruments", ", ".join(row.instruments)),
        ("Key", row.key),
        ("Tempo", "unknown" if row.tempo_bpm is None else f"{row.tempo_bpm:.0f} BPM, {row.tempo_word}"),
        ("Music", _mood(row, "music")),
        ("Source", row.source),
        ("Work", row.piece),
        ("Split", row.split),
        ("Subset", row.subset or "unmarked"),
    ]
    kind = {"photo": "photograph", "regraded": "regraded photograph"}.get(row.kind, row.kind)
    return {
        **names,
        "id": row.id,
        "caption": row.caption,
        "more": row.captions[1:],
        "facts": facts,
        "image_caption": row.image_caption,
        "image_mood": f"{kind}, {_mood(row, 'image')}",
    }


def _mood(row: Triplet, side: str) -> str:
    mood = row.mood(side)
    return "mood unknown" if mood is None else f"valence {mood[0]:.2f}, arousal {mood[1]:.2f}"


def _save_spectrogram(source: Path, path: Path) -> None:
    """Draw a log-frequency spectrogram, 55 Hz to 14 kHz."""
    from matplotlib import image
    from scipy import signal

    sound, rate = soundfile.read(source, dtype="float32")
    _, _, bins = signal.stft(sound, rate, nperseg=2048, noverlap=2048 - 512)
    frequencies = np.geomspace(55.0, 14000.0, 160) * 2048 / rate
    level = 20 * np.log10(np.abs(bins) + 1e-7)
    low = frequencies.astype(int)
    share = (frequencies - low)[:, None]
    rows = level[low] * (1 - share) + level[low + 1] * share
    top = float(np.percentile(rows, 99.8))
    image.imsave(path, rows[::-1], cmap="magma", vmin=top - 70, vmax=top)
