"""Numbers of instruments and styles in the control rows. New names go to the end: no number changes its meaning."""

from __future__ import annotations

from melfusion_core.score.instruments import INSTRUMENTS

STYLES = (
    "ambient", "art song", "ballad", "baroque", "blues", "bossa nova", "brass ensemble", "celtic", "chiptune",
    "choral", "cinematic", "classical", "country", "disco", "folk", "funk", "guitar piece", "harpsichord piece",
    "hip hop",
    "house", "jazz", "lo-fi", "lullaby", "march", "metal", "music box tune", "new age", "old-time song",
    "orchestral music", "organ piece", "piano piece", "reggae", "rock", "samba", "ska", "string duo",
    "string ensemble", "string quartet", "string trio", "synth music", "synthwave", "tango", "techno", "waltz",
    "woodwind ensemble", "world",
)  # fmt: skip
STYLE_NUMBERS = {name: number for number, name in enumerate(STYLES)}
INSTRUMENT_NAMES = tuple(INSTRUMENTS)
INSTRUMENT_NUMBERS = {name: number for number, name in enumerate(INSTRUMENT_NAMES)}
