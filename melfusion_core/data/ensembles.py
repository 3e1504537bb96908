"""Ensembles for excerpts of real scores. The style word says what is heard, so each word has its own instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.data.styles import STYLES


@dataclass(frozen=True)
class Ensemble:
    """Who may play an excerpt.

    Args:
        style: style word, true of these instruments.
        words: synonyms for captions.
        packs: score packs it suits, with weights.
        arousal: centre on the arousal axis, 0 to 1.
        width: how far from the centre it still suits.
        leads: instruments for the tune.
        inner: instruments for the middle parts.
        bass: instruments for the lowest part.
        drums: whether the score's own percussion may play.
        unison: whether all parts share the lead's instrument.
    """

    style: str
    words: tuple[str, ...]
    packs: tuple[tuple[str, float], ...]
    arousal: float
    width: float
    leads: tuple[str, ...]
    inner: tuple[str, ...] = ()
    bass: tuple[str, ...] = ()
    drums: bool = False
    unison: bool = False


ENSEMBLES = (
    Ensemble("art song", ("romantic song", "song without words"), (("openscore_lieder", 3.0),), 0.4, 0.4,
             ("violin", "cello", "flute", "clarinet", "oboe", "saxophone", "viola", "english horn", "choir",
             "french horn"),
             ("piano",), ("piano",)),
    Ensemble("piano piece", ("solo piano", "piano music"),
             (("openscore_lieder", 1.0), ("mutopia_pd", 1.5), ("openewld_pre1931", 0.8), ("tanner_helland", 0.5),
              ("openscore_quartets", 0.4)), 0.4, 0.5, ("piano",), unison=True),
    Ensemble("string ensemble", ("chamber strings", "string music"),
             (("openscore_quartets", 4.0), ("openscore_lieder", 0.7), ("mutopia_pd", 0.8), ("openscore_orchestra",
             0.7)),
             0.45, 0.4, ("violin",), ("violin", "viola"), ("cello",)),
    Ensemble("woodwind ensemble", ("woodwinds", "woodwind music"),
             (("openscore_quartets", 1.2), ("openscore_lieder", 0.5), ("mutopia_pd", 0.8), ("openscore_orchestra",
             0.7)),
             0.45, 0.35, ("flute", "oboe", "clarinet", "recorder", "piccolo"), ("clarinet", "oboe", "french horn",
             "english horn"),
             ("bassoon",)),
    Ensemble("brass ensemble", ("brass band", "brass music"),
             (("openscore_orchestra", 0.7), ("mutopia_pd", 0.6), ("openscore_quartets", 0.6), ("openewld_pre1931",
             0.3)),
             0.75, 0.25, ("trumpet", "trombone", "french horn", "brass section"), ("french horn", "trombone"),
             ("tuba",)),
    Ensemble("orchestral music", ("symphonic music", "orchestra piece"),
             (("openscore_orchestra", 4.0), ("tanner_helland", 1.0), ("mutopia_pd", 0.4)), 0.6, 0.45,
             ("violin", "strings", "flute", "oboe", "french horn", "trumpet", "clarinet"),
             ("strings", "french horn", "tremolo strings", "pizzicato strings"), ("contrabass", "cello"), True),
    Ensemble("organ piece", ("pipe organ music", "church music"),
             (("openscore_quartets", 0.8), ("openscore_lieder", 0.4), ("mutopia_pd", 0.8), ("openscore_orchestra",
             0.4)),
             0.45, 0.4, ("church organ",), unison=True),
    Ensemble("choral", ("choir piece", "hymn"),
             (("openscore_lieder", 0.4), ("openscore_orchestra", 0.5), ("mutopia_pd", 0.4), ("tanner_helland", 0.3)),
             0.25, 0.2,
             ("choir",), ("choir", "church organ"), ("church organ", "choir")),
    Ensemble("guitar piece", ("classical guitar music", "guitar solo"),
             (("mutopia_pd", 0.8), ("openewld_pre1931", 0.5), ("openscore_lieder", 0.3)), 0.3, 0.25,
             ("acoustic guitar", "steel guitar"), unison=True),
    Ensemble("harpsichord piece", ("baroque keyboard piece", "harpsichord music"),
             (("mutopia_pd", 0.6), ("openscore_quartets", 0.5), ("openscore_lieder", 0.2)), 0.55, 0.25,
             ("harpsichord",), unison=True),
    Ensemble("music box tune", ("toy melody", "musical box piece"),
             (("openewld_pre1931", 0.4), ("openscore_lieder", 0.25), ("mutopia_pd", 0.3)), 0.05, 0.15,
             ("music box", "celesta", "kalimba"), unison=True),
    Ensemble("rock", ("driving rock", "hard rock"), (("freedoom", 3.0),), 0.85, 0.25,
             ("distorted guitar", "electric guitar", "organ"), ("distorted guitar", "electric guitar",
             "overdriven guitar", "organ"),
             ("electric bass", "picked bass"), True),
    Ensemble("synth music", ("electronic music", "synthesizer piece"), (("freedoom", 2.5), ("tanner_helland", 1.0)),
        0.6, 0.35,
             ("saw lead", "square lead", "synth brass", "crystal"), ("polysynth", "synth strings", "warm pad",
             "synth brass"),
             ("synth bass", "deep synth bass"), True),
    Ensemble("chiptune", ("8-bit game music", "video game tune"), (("tanner_helland", 0.8), ("freedoom", 0.8)), 0.75,
        0.3,
             ("square lead",), ("square lead", "calliope lead"), ("synth bass",), True),
    Ensemble("ambient", ("ambient soundscape", "atmospheric piece"), (("freedoom", 3.0), ("tanner_helland", 1.0)),
        0.05, 0.2,
             ("choir", "celesta", "vibraphone", "electric piano", "pan flute", "warm pad"),
             ("warm pad", "bowed pad", "slow strings", "choir pad"), ("fretless bass", "contrabass")),
    Ensemble("cinematic", ("film score", "epic orchestral piece"), (("tanner_helland", 2.0), ("freedoom", 1.2),
             ("openscore_orchestra", 0.8)), 0.65, 0.35, ("french horn", "strings", "brass section", "choir",
             "trumpet", "cello"),
             ("strings", "tremolo strings", "choir"), ("contrabass", "tuba"), True),
    Ensemble("old-time song", ("vintage song", "popular song of the twenties"), (("openewld_pre1931", 2.5),), 0.5,
        0.35,
             ("saxophone", "trumpet", "clarinet", "piano", "muted trumpet", "alto sax", "honky-tonk piano",
             "vibraphone", "harmonica"),
             ("piano", "jazz guitar"), ("acoustic bass",)),
    Ensemble("folk", ("folk tune", "traditional tune"), (("openewld_pre1931", 1.5), ("mutopia_pd", 0.6)), 0.5, 0.4,
             ("harmonica", "accordion", "steel guitar", "banjo", "flute", "violin", "whistle", "recorder"),
             ("steel guitar", "acoustic guitar", "accordion"), ("acoustic bass",)),
    Ensemble("classical", ("chamber music", "classical piece"),
             (("openscore_quartets", 0.8), ("mutopia_pd", 0.8), ("openscore_orchestra", 0.6)), 0.4, 0.4,
             ("violin", "flute", "clarinet", "oboe", "cello", "piano"), ("piano", "strings", "harp"), ("cello",
             "contrabass")),
)  # fmt: skip
"""All ensembles."""

STYLE_WORDS: dict[str, tuple[str, ...]] = {
    **{row.style: (row.style, *row.words) for row in ENSEMBLES},
    **{f"string {size}": (f"string {size}", "chamber strings") for size in ("duo", "trio", "quartet")},
    **{style.name: (style.name, *style.words) for style in STYLES},
}
"""Every style word of the corpus with its synonyms, for captions."""


def exact_style(style: str, tracks: int) -> str:
    """The style word, made more exact where the number of players allows.

    Args:
        style: style word of an ensemble.
        tracks: how many play.
    """
    if style == "string ensemble":
        return {2: "string duo", 3: "string trio", 4: "string quartet"}.get(tracks, style)
    return style


def choose_ensemble(rng: np.random.Generator, pack: str, arousal: float) -> Ensemble:
    """Draw an ensemble that suits a score pack and an arousal.

    Args:
        rng: source of randomness.
        pack: name of the score pack.
        arousal: target, 0 to 1.
    """
    weights = np.array([dict(row.packs).get(pack, 0.0) for row in ENSEMBLES])
    if weights.sum() == 0:
        weights = np.array([float(row.style in ("piano piece", "classical")) for row in ENSEMBLES])
    gaps = np.array([(row.arousal - arousal) / row.width for row in ENSEMBLES])
    weights = weights * (np.exp(-0.5 * gaps**2) + 1e-4)
    return ENSEMBLES[int(rng.choice(len(ENSEMBLES), p=weights / weights.sum()))]
