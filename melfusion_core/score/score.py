"""Symbolic music: the common form between composers, score files and the renderer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from melfusion_core.score.chords import BeatChord
from melfusion_core.score.keys import PITCH_CLASSES

ROLES = ("lead", "counter", "chords", "pad", "bass", "drums")
"""What a part does in the piece."""

TICKS_PER_BEAT = 12
"""Sections stand on this grid: sixteenths, triplets and swing are all whole ticks."""


@dataclass(frozen=True)
class Note:
    """One note.

    Args:
        start: onset in beats (quarter notes) from the start of the clip.
        duration: length in beats.
        pitch: MIDI note number, 0 to 127.
        velocity: MIDI velocity, 1 to 127.
    """

    start: float
    duration: float
    pitch: int
    velocity: int


@dataclass
class Track:
    """The notes of one instrument.

    Args:
        instrument: name as in `instruments.INSTRUMENTS`, or "drums".
        program: General MIDI program, 0 to 127; for drums the kit, 0 the standard one.
        notes: the notes, in any order.
        is_drum: whether the notes go to the percussion channel.
        role: one of `ROLES`.
        gain_db: level of the instrument in the mix, about -16 to 8 dB.
    """

    instrument: str
    program: int
    notes: list[Note] = field(default_factory=list)
    is_drum: bool = False
    role: str = "chords"
    gain_db: float = 0.0


@dataclass
class Score:
    """A short piece with constant tempo.

    Args:
        tracks: one entry per instrument; the lead is the track whose role is "lead".
        tempo_bpm: quarter notes per minute.
        beats_per_bar: 3 or 4.
        tonic: pitch class of the key, 0 (C) to 11 (B).
        mode: "major" or "minor".
        style: style name, as used in captions.
        piece: identifier of the work; splits never divide a work.
        source: "composer" or the name of the score pack.
        seed: seed of the humanising noise added by the renderer.
        subset: "core" (few keys, tempi on the latent grid, at most four tracks) or "full".
        chords: chord symbols in playing order, for example ("C", "Am", "F", "G7"); empty when not known.
        timing_noise_in_s: standard deviation of the timing noise the renderer may add; swing and laid-back playing are
            already in the notes.
        harmony: the chord of every beat, None where it is not known; empty when nothing is known.
        swing: where the off-beat eighth falls in the beat, 0.5 (straight) to 0.75; it is already in the notes.
    """

    tracks: list[Track]
    tempo_bpm: float
    beats_per_bar: int
    tonic: int
    mode: str
    style: str
    piece: str
    source: str
    seed: int
    subset: str = "full"
    chords: tuple[str, ...] = ()
    timing_noise_in_s: float = 0.005
    harmony: tuple[BeatChord | None, ...] = ()
    swing: float = 0.5

    @property
    def lead(self) -> Track:
        """The track that carries the melody."""
        for track in self.tracks:
            if track.role == "lead":
                return track
        raise ValueError("the score has no lead track")

    @property
    def key_name(self) -> str:
        """Key in words, for example "A minor"."""
        return f"{PITCH_CLASSES[self.tonic]} {self.mode}"

    def clipped(self, seconds: float) -> Score:
        """Keep what starts in the first `seconds`, and shorten notes that would ring past it.

        Args:
            seconds: length of the clip in seconds.
        """
        end = seconds * self.tempo_bpm / 60.0
        tracks = []
        for track in self.tracks:
            notes = [
                Note(n.start, min(n.duration, end - n.start), n.pitch, n.velocity)
                for n in track.notes
                if 0.0 <= n.start < end - 0.05
            ]
            if notes:
                tracks.append(replace(track, notes=playable(notes)))
        return replace(self, tracks=tracks)


def playable(notes: list[Note]) -> list[Note]:
    """Notes in order, none sounding twice at once: of equal onsets the longer stays, repeated keys are let go first.

    Args:
        notes: the notes of one track, in any order.
    """
    out: list[Note] = []
    last: dict[int, int] = {}
    for note in sorted(notes, key=lambda n: (n.start, n.pitch, -n.duration)):
        before = last.get(note.pitch)
        if before is not None:
            gap = note.start - out[before].start
            if gap < 0.02:
                continue
            if out[before].duration > gap:
                out[before] = replace(out[before], duration=gap)
        last[note.pitch] = len(out)
        out.append(note)
    return out
