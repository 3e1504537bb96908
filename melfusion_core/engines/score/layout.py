"""Where everything lies in a score's latent image of shape ``(channels, beats, rows)``.

A column is a beat. Rows from the top: four rows of controls, seven octaves from bass to treble, the drums. In an
octave's row every role has channels of its own, so that a role can be known, kept or redone apart from the others.
"""

from __future__ import annotations

TICKS = 12
"""Ticks of a beat: sixteenths, triplets and swing are all exact."""

ROLES = ("lead", "counter", "chords", "pad", "bass")
"""Pitched roles, one instrument each."""
PARTS = (*ROLES, "drums")

OCTAVES = 7
LOWEST_PITCH = 24
"""MIDI number of the lowest C; the highest pitch is 107."""
HIGHEST_PITCH = LOWEST_PITCH + 12 * OCTAVES - 1

CELL_DIM = 24
"""Numbers that say what one role plays in one beat of one octave."""
CHANNELS = CELL_DIM * len(ROLES)

SONG_ROW, PARTS_ROW, INSTRUMENTS_ROW, HARMONY_ROW = range(4)
FIRST_OCTAVE_ROW = 4
DRUM_ROW = FIRST_OCTAVE_ROW + OCTAVES
ROWS = DRUM_ROW + 1

DRUM_CLASSES = (
    ("kick", (36, 35)),
    ("snare", (38, 40)),
    ("rim or clap", (39, 37, 31)),
    ("closed hat", (42,)),
    ("pedal hat", (44,)),
    ("open hat", (46,)),
    ("low tom", (43, 41, 45)),
    ("mid tom", (47, 48)),
    ("high tom", (50, 60, 65)),
    ("crash", (49, 57, 55, 52)),
    ("ride", (51, 53, 59)),
    ("percussion", (54, 82, 70, 69, 56, 61, 62, 63, 64, 66, 67, 68, 75, 76, 77, 80, 81, 58, 71, 72, 73, 74, 78, 79)),
)
"""Names of the drum row's classes and the General MIDI percussion notes of each; the first note is the one played."""

DRUM_DIM = 36
"""Numbers that say what the drums play in one beat."""


def role_channels(role: str) -> slice:
    """Channels of a role in the rows of octaves.

    Args:
        role: One of :data:`ROLES`.

    Returns:
        Its channels.
    """
    first = ROLES.index(role) * CELL_DIM
    return slice(first, first + CELL_DIM)
