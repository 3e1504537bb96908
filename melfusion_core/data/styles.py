"""Styles of the procedural composer: what each one plays, how fast, and how it grooves."""

from __future__ import annotations

from dataclasses import dataclass

from melfusion_core.data.phrases import MelodyCharacter

BEAT_FRAMES = (8.0, 7.0, 6.0, 5.0, 4.0, 3.5, 3.0)
"""Beat lengths in latent frames of 0.128 s. Beats that fall on the latent grid are far easier to learn."""

GRID_TEMPI = tuple(60.0 / (0.128 * frames) for frames in BEAT_FRAMES)
"""Tempi in BPM: 58.6, 67.0, 78.1, 93.8, 117.2, 133.9 and 156.3."""


@dataclass(frozen=True)
class Style:
    """A way of arranging.

    Args:
        name: word used in captions.
        words: synonyms for captions.
        arousal: centre of the style on the arousal axis, 0 (calm) to 1 (excited).
        valence: centre of the style on the valence axis, -1 (negative) to 1 (positive).
        tempo: slowest and fastest usual tempo in BPM.
        family: progressions, a key of `harmony.FAMILIES` or "functional".
        leads: instruments that may carry the melody.
        chords: instruments for the accompaniment.
        bass: instruments for the bass line (empty: none).
        pads: instruments for sustained harmony or a second voice (empty: none).
        comp: accompaniment patterns.
        bassline: bass patterns.
        drums: drum patterns (empty: none).
        human_drums: first words of the styles of human drum performances that fit (empty: none).
        beats_per_bar: 3 or 4.
        swing: share of the beat (or of its half) before the off-beat: 0.5 straight, 0.667 triplets.
        swing_unit: what swings: 0.5 (eighths) or 0.25 (sixteenths).
        laid_back_in_s: how late lead and chords come, in seconds.
        legato: articulation, -1 (staccato) to 1 (legato).
        melody: how the melody moves.
        flavours: church modes in place of plain major and minor, drawn one time in three.
        solo: chance that one instrument plays alone.
    """

    name: str
    words: tuple[str, ...]
    arousal: float
    valence: float
    tempo: tuple[float, float]
    family: str
    leads: tuple[str, ...]
    chords: tuple[str, ...]
    bass: tuple[str, ...] = ()
    pads: tuple[str, ...] = ()
    comp: tuple[str, ...] = ("block",)
    bassline: tuple[str, ...] = ("root",)
    drums: tuple[str, ...] = ()
    human_drums: tuple[str, ...] = ()
    beats_per_bar: int = 4
    swing: float = 0.5
    swing_unit: float = 0.5
    laid_back_in_s: float = 0.0
    legato: float = 0.0
    melody: MelodyCharacter = MelodyCharacter()
    flavours: tuple[str, ...] = ()
    solo: float = 0.08


def _sing(**values: object) -> MelodyCharacter:
    return MelodyCharacter(**values)  # type: ignore[arg-type]


STYLES = (
    Style("ambient", ("ambient soundscape", "drone", "atmospheric piece"), 0.03, -0.1, (50, 80), "ambient",
          ("celesta", "vibraphone", "electric piano", "pan flute", "warm pad", "choir", "crystal", "shakuhachi"),
          ("warm pad", "halo pad", "sweep pad"), pads=("bowed pad", "slow strings", "choir pad", "new age pad"),
          comp=("sustain", "slow arpeggio"), legato=1.0, melody=_sing(pentatonic=True, syncopation=0.0),
          flavours=("lydian", "dorian"), solo=0.0),
    Style("lullaby", ("cradle song", "bedtime tune"), 0.1, 0.5, (55, 85), "folk",
          ("music box", "celesta", "harp", "flute", "kalimba", "ocarina", "acoustic guitar"), ("harp", "music box",
          "acoustic guitar",
          "celesta"),
          pads=("slow strings", "voice oohs"), comp=("waltz arpeggio", "slow waltz"), beats_per_bar=3, legato=0.7,
          melody=_sing(syncopation=0.0)),
    Style("new age", ("meditation music", "relaxation music"), 0.12, 0.3, (55, 85), "ambient",
          ("pan flute", "harp", "piano", "acoustic guitar", "koto", "shakuhachi", "crystal"),
          ("harp", "new age pad", "acoustic guitar"),
          (), ("new age pad", "warm pad", "choir pad"), ("slow arpeggio", "arpeggio"), legato=0.9,
          melody=_sing(pentatonic=True, syncopation=0.0), flavours=("lydian", "dorian")),
    Style("choral", ("choir piece", "hymn"), 0.2, -0.1, (55, 95), "functional",
          ("choir", "church organ", "harmonium"), ("church organ", "choir", "harmonium"), comp=("hymn", "sustain"),
          legato=1.0,
          melody=_sing(syncopation=0.0, leaps=0.1), solo=0.0),
    Style("ballad", ("slow ballad", "love song"), 0.25, 0.0, (55, 95), "pop",
          ("piano", "saxophone", "violin", "electric piano", "cello", "english horn", "acoustic guitar"),
          ("piano", "acoustic guitar", "electric piano"), ("fretless bass", "electric bass"),
          ("strings", "slow strings"), ("arpeggio", "block", "slow arpeggio"), ("root", "halftime"),
          ("ballad",), ("pop", "soul"), legato=0.5, melody=_sing(syncopation=0.3)),
    Style("lo-fi", ("lo-fi beat", "chillhop"), 0.32, 0.0, (65, 95), "soul",
          ("electric piano", "vibraphone", "jazz guitar", "soprano sax", "muted trumpet"), ("electric piano",
          "jazz guitar"),
          ("electric bass", "fretless bass"), ("warm pad",), ("block", "comping"), ("lofi",), ("lofi", "boombap"),
          ("hiphop",),
          swing=0.58, swing_unit=0.25, laid_back_in_s=0.02, legato=0.3,
          melody=_sing(syncopation=0.5, pentatonic=True, leaps=0.3)),
    Style("classical", ("chamber music", "classical piece"), 0.4, 0.15, (65, 140), "functional",
          ("piano", "violin", "flute", "clarinet", "oboe", "bassoon", "viola"), ("piano", "strings",
          "pizzicato strings"),
          ("cello", "contrabass"), (), ("alberti", "block", "alberti16", "slow arpeggio"), ("root", "two"),
          melody=_sing(syncopation=0.05, leaps=0.25), solo=0.15),
    Style("baroque", ("baroque dance", "harpsichord music"), 0.5, 0.0, (65, 120), "functional",
          ("harpsichord", "recorder", "oboe", "violin", "trumpet", "church organ"), ("harpsichord",),
          ("cello", "bassoon"), (), ("quarters", "arpeggio", "rolling"), ("walking", "two"), legato=-0.3,
          melody=_sing(syncopation=0.0, leaps=0.2), solo=0.15),
    Style("waltz", ("waltz in three",), 0.42, 0.3, (75, 160), "functional",
          ("violin", "accordion", "strings", "clarinet", "harp", "glockenspiel"), ("accordion", "strings", "piano"),
          ("contrabass", "acoustic bass"), ("strings",), ("waltz", "waltz arpeggio"), ("waltz",), ("waltz",
          "waltz ride"), (), 3,
          melody=_sing(syncopation=0.0, leaps=0.3), solo=0.04),
    Style("bossa nova", ("bossa", "Brazilian groove"), 0.45, 0.5, (70, 135), "bossa",
          ("acoustic guitar", "flute", "saxophone", "piano", "vibraphone", "jazz guitar"), ("acoustic guitar",),
          ("acoustic bass",), (), ("bossa",), ("bossa",), ("bossa",), ("latin",), laid_back_in_s=0.008, legato=0.1,
          melody=_sing(syncopation=0.7, chromatic=0.15, leaps=0.25), solo=0.02),
    Style("samba", ("Brazilian carnival music", "Latin dance"), 0.8, 0.8, (90, 140), "bossa",
          ("flute", "trombone", "steel drums", "piano", "alto sax"), ("acoustic guitar", "piano"),
          ("acoustic bass", "electric bass"), (), ("samba", "bossa"), ("bossa",), ("samba",), ("latin", "afrocuban"),
          melody=_sing(syncopation=0.8, leaps=0.25), solo=0.0),
    Style("reggae", ("reggae groove", "roots reggae"), 0.45, 0.5, (65, 95), "reggae",
          ("organ", "trombone", "harmonica", "electric guitar", "alto sax"), ("electric guitar", "organ", "piano"),
          ("electric bass",), (), ("skank", "double skank", "bubble"), ("reggae",), ("onedrop", "steppers"),
          ("reggae",),
          swing=0.56, swing_unit=0.25, laid_back_in_s=0.012, melody=_sing(syncopation=0.6, pentatonic=True), solo=0.0),
    Style("blues", ("slow blues", "twelve-bar blues"), 0.4, -0.2, (60, 120), "blues",
          ("harmonica", "electric guitar", "piano", "saxophone", "honky-tonk piano"),
          ("piano", "organ", "electric guitar"), ("electric bass", "acoustic bass"), (), ("boogie", "comping",
          "quarters"),
          ("boogie", "walking"), ("shuffle",), ("rock/shuffle", "jazz"), swing=0.667, laid_back_in_s=0.015,
          melody=_sing(form="riff", syncopation=0.5, pentatonic=True), solo=0.03),
    Style("tango", ("Argentine tango", "milonga"), 0.5, -0.6, (75, 125), "tango",
          ("bandoneon", "violin", "piano", "accordion"), ("piano", "bandoneon", "strings"), ("contrabass",),
          ("strings",), ("marcato", "sincopa"), ("habanera", "two"), ("tango",), legato=-0.3,
          melody=_sing(syncopation=0.5, chromatic=0.2, leaps=0.35), solo=0.0),
    Style("folk", ("folk tune", "country dance"), 0.5, 0.5, (75, 135), "folk",
          ("steel guitar", "harmonica", "accordion", "banjo", "flute", "recorder", "dulcimer"),
          ("steel guitar", "acoustic guitar"), ("acoustic bass",), (), ("strum", "travis", "arpeggio"), ("two",
          "root-fifth"),
          ("shaker", "stomp"), ("country",), melody=_sing(syncopation=0.15, pentatonic=True), flavours=("mixolydian",
          "dorian")),
    Style("country", ("bluegrass tune", "hoedown"), 0.7, 0.8, (90, 160), "folk",
          ("banjo", "harmonica", "steel guitar", "honky-tonk piano"), ("steel guitar", "honky-tonk piano"),
          ("acoustic bass",),
          ("fiddle",), ("oompah", "strum", "travis"), ("two", "walking"), ("train", "stomp"), ("country",),
          melody=_sing(syncopation=0.2, pentatonic=True, leaps=0.3), solo=0.03),
    Style("celtic", ("Irish tune", "Celtic dance"), 0.6, 0.4, (75, 135), "celtic",
          ("whistle", "violin", "bagpipes", "harp", "accordion"), ("acoustic guitar", "harp", "steel guitar"),
          ("acoustic bass",), ("strings",), ("jig chop", "jig arpeggio"), ("waltz",), ("jig",), (), 3,
          melody=_sing(metre="jig", leaps=0.25), flavours=("mixolydian", "dorian")),
    Style("world", ("Asian-inspired piece", "world music"), 0.35, 0.0, (60, 110), "ambient",
          ("koto", "sitar", "kalimba", "shakuhachi", "dulcimer", "marimba", "pan flute"), ("koto", "shamisen",
          "kalimba", "harp"),
          (), ("bowed pad", "warm pad"), ("slow arpeggio", "travis", "arpeggio"), (), ("pulse", "rumba"),
          melody=_sing(pentatonic=True, syncopation=0.1), flavours=("dorian", "phrygian", "lydian")),
    Style("jazz", ("swing tune", "jazz combo"), 0.6, 0.3, (75, 160), "jazz",
          ("saxophone", "trumpet", "piano", "clarinet", "vibraphone", "muted trumpet", "alto sax"), ("piano",
          "jazz guitar"),
          ("acoustic bass",), (), ("charleston", "comping", "freddie"), ("walking",), ("swing", "brushes"), ("jazz",),
          swing=0.64, laid_back_in_s=0.012, melody=_sing(syncopation=0.5, chromatic=0.3, leaps=0.3), solo=0.03),
    Style("cinematic", ("film score", "epic orchestral piece"), 0.65, -0.5, (60, 135), "epic",
          ("french horn", "strings", "brass section", "choir", "trumpet", "cello"), ("strings", "tremolo strings"),
          ("contrabass", "tuba"), ("choir", "strings", "brass section"), ("ostinato", "ostinato16", "sustain",
          "tremolo"),
          ("root", "pulse", "pedal"), ("epic", "pulse"), melody=_sing(syncopation=0.0, leaps=0.3), solo=0.0),
    Style("march", ("marching band piece", "parade music"), 0.7, 0.5, (90, 135), "march",
          ("trumpet", "brass section", "clarinet", "trombone", "piccolo", "glockenspiel"),
          ("brass section", "trombone", "french horn"), ("tuba",), (), ("afterbeat",), ("two",), ("march",),
          legato=-0.4,
          melody=_sing(syncopation=0.0, leaps=0.35), solo=0.0),
    Style("ska", ("ska tune", "upbeat ska"), 0.8, 0.8, (110, 160), "reggae",
          ("trumpet", "trombone", "saxophone", "organ"), ("electric guitar", "organ"), ("electric bass",
          "picked bass"),
          ("brass section",), ("ska",), ("walking", "arpeggio"), ("ska",), ("reggae",), legato=-0.3,
          melody=_sing(form="riff", syncopation=0.5), solo=0.0),
    Style("funk", ("funky groove", "funk jam"), 0.75, 0.4, (85, 125), "funk",
          ("saxophone", "brass section", "electric guitar", "organ", "trumpet"), ("clavinet", "electric guitar",
          "muted guitar"),
          ("slap bass", "electric bass"), ("organ",), ("scratch", "stabs"), ("funk",), ("funk",), ("funk",),
          legato=-0.5,
          melody=_sing(form="riff", syncopation=0.8, pentatonic=True), flavours=("mixolydian", "dorian"), solo=0.0),
    Style("disco", ("disco track", "dance-floor disco"), 0.78, 0.8, (105, 135), "dance",
          ("strings", "synth brass", "electric piano", "flute", "brass section"), ("electric guitar",
          "electric piano", "clavinet"),
          ("electric bass", "slap bass"), ("synth strings", "strings"), ("scratch", "strum16", "offbeat"), ("octave",),
          ("disco",), ("dance",), melody=_sing(syncopation=0.4), solo=0.0),
    Style("hip hop", ("hip-hop beat", "trap beat"), 0.55, -0.5, (65, 95), "soul",
          ("piano", "electric piano", "vibraphone", "flute", "synth brass"), ("piano", "synth strings",
          "pizzicato strings"),
          ("deep synth bass", "synth bass"), ("slow strings", "choir pad"), ("block", "stabs", "slow arpeggio"),
          ("lofi", "halftime"),
          ("boombap", "trap"), ("hiphop",), swing=0.54, swing_unit=0.25, laid_back_in_s=0.01,
          melody=_sing(form="riff", syncopation=0.5, pentatonic=True), solo=0.0),
    Style("synthwave", ("retro synth track", "eighties synth-pop"), 0.7, -0.1, (85, 125), "dance",
          ("saw lead", "synth brass", "square lead", "electric guitar"), ("polysynth", "synth brass"),
          ("synth bass", "deep synth bass"), ("synth strings", "sweep pad"), ("synth arp", "gate", "eighths"),
          ("sixteenth", "octave"), ("synthwave",), melody=_sing(syncopation=0.4), solo=0.0),
    Style("chiptune", ("8-bit game music", "video game tune"), 0.8, 0.4, (100, 160), "pop",
          ("square lead",), ("square lead", "calliope lead"), ("synth bass",), (), ("fastarp", "chiparp", "offbeat"),
          ("octave", "arpeggio"), ("chip",), legato=-0.2, melody=_sing(syncopation=0.35, leaps=0.35), solo=0.0),
    Style("techno", ("electronic dance track", "techno beat"), 0.92, -0.3, (115, 140), "dance",
          ("saw lead", "square lead", "crystal"), ("polysynth", "saw lead"), ("synth bass", "deep synth bass"),
          ("warm pad", "sweep pad"),
          ("gate", "synth arp", "offbeat"), ("rolling", "offbeat"), ("four",), legato=-0.6,
          melody=_sing(form="riff", syncopation=0.6, pentatonic=True), solo=0.0),
    Style("house", ("house track", "club music"), 0.82, 0.4, (110, 135), "dance",
          ("piano", "organ", "saw lead", "vibraphone", "synth brass"), ("piano", "polysynth", "organ"),
          ("synth bass", "deep synth bass"), ("synth strings", "warm pad"), ("house stabs", "offbeat"), ("offbeat",
          "octave"),
          ("house",), melody=_sing(form="riff", syncopation=0.7), solo=0.0),
    Style("rock", ("driving rock", "hard rock"), 0.9, 0.1, (100, 160), "rock",
          ("distorted guitar", "electric guitar", "organ"), ("distorted guitar", "overdriven guitar"),
          ("picked bass", "electric bass"), ("rock organ",), ("chug", "riff", "ring"), ("pulse",), ("rock", "drive",
          "punk"),
          ("rock", "punk"), melody=_sing(syncopation=0.4, pentatonic=True, leaps=0.3), flavours=("mixolydian",),
          solo=0.0),
    Style("metal", ("heavy metal", "aggressive metal"), 1.0, -0.9, (110, 160), "metal",
          ("distorted guitar",), ("distorted guitar", "overdriven guitar"), ("picked bass",), ("choir",),
          ("gallop", "chug", "half ring"), ("gallop", "pulse"), ("double", "gallop", "halftime"), ("rock", "punk"),
          melody=_sing(form="riff", syncopation=0.3), flavours=("phrygian",), solo=0.0),
)  # fmt: skip
"""All styles, roughly from calm to excited."""
