"""MIDI files: writing a score, and reading what others wrote.

Files are read by mido, within limits, so that a broken or hostile one gives one clear error after bounded work. Times
are beats (quarter notes) as written. A score has one tempo, so the tempo changes of a file are flattened: beats stay
as they are, and the tempo becomes the one at which the piece lasts as long as before.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mido
import numpy as np

from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import krumhansl_key
from melfusion_core.score.score import ROLES, Note, Score, Track, playable

LARGEST_FILE_BYTES = 1_000_000
MOST_TRACKS = 256
MOST_NOTES = 100_000
LONGEST_BEATS = 8192.0
SLOWEST_BPM, FASTEST_BPM = 10.0, 1000.0
"""Limits of a file that is read; the longest movement of the training packs has 0.5 MB and 17,000 notes."""

SHORTEST_NOTE_BEATS = 0.05
TICKS_PER_BEAT = 960
DRUM_CHANNEL = 9
VOLUME_AT_0_DB = 80
"""Controller 7 of a track with a gain of 0 dB, which leaves 8 dB above it; synthesisers play 40 log10 of it."""

_MIDI_KEYS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm"),
}
_BY_PROGRAM = {row.program: row for row in reversed(list(INSTRUMENTS.values()))}


class MidiError(ValueError):
    """A MIDI file that cannot be read; the message is meant for people."""


@dataclass
class MidiPart:
    """The notes of one channel in one track of a file.

    Args:
        name: name of the track; may be empty.
        program: General MIDI program of its first note, 0 to 127.
        is_drum: whether it is on the percussion channel.
        notes: the notes in the order in which they end; times in beats.
        gain_db: its volume controller as a gain.
    """

    name: str
    program: int
    is_drum: bool
    notes: list[Note] = field(default_factory=list)
    gain_db: float = 0.0


@dataclass
class Song:
    """What a MIDI file holds, times in beats.

    Args:
        parts: one for each track and channel with notes, in the order of their first ends of notes.
        tempi: where each tempo starts, and its quarter notes per minute.
        time_signatures: where each starts, its numerator and its denominator.
        keys: where each key signature starts, and its name as in "F#m".
        markers: where each marker is, and its text.
    """

    parts: list[MidiPart]
    tempi: list[tuple[float, float]]
    time_signatures: list[tuple[float, int, int]]
    keys: list[tuple[float, str]]
    markers: list[tuple[float, str]]

    @property
    def beats(self) -> float:
        """Where the last note ends."""
        return max(note.start + note.duration for part in self.parts for note in part.notes)

    @property
    def tempo_bpm(self) -> float:
        """The one tempo at which the piece lasts as long as with its changes of tempo."""
        end = self.beats
        starts = [0.0, *(min(beat, end) for beat, _ in self.tempi[1:]), end]
        minutes = sum((b - a) / tempo for a, b, (_, tempo) in zip(starts[:-1], starts[1:], self.tempi, strict=True))
        return end / minutes

    @property
    def beats_per_bar(self) -> int:
        """Quarter notes of the time signature that holds longest: 3, or 4 for all that are not in three."""
        held: dict[float, float] = {}
        changes = self.time_signatures or [(0.0, 4, 4)]
        for (start, upper, lower), end in zip(changes, [*(c[0] for c in changes[1:]), self.beats], strict=True):
            held[upper * 4 / lower] = held.get(upper * 4 / lower, 0.0) + max(end - start, 0.0)
        return 3 if max(held, key=held.__getitem__) in (1.5, 3.0, 6.0) else 4


def read_song(source: Path | bytes, *, pedal: bool = True, largest_bytes: int = LARGEST_FILE_BYTES) -> Song:
    """Read a MIDI file.

    Args:
        source: the file, or its bytes.
        pedal: whether notes sound until the sustain pedal is lifted, as they would.
        largest_bytes: size of the largest file that is read.

    Raises:
        MidiError: it is missing, broken, empty or beyond the limits of this module.
    """
    name = source.name if isinstance(source, Path) else "The MIDI file"
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
        if len(data) > largest_bytes:
            raise MidiError(f"{name} has {len(data) / 1e6:.1f} MB, and at most {largest_bytes / 1e6:.1f} MB are read.")
        midi = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except (OSError, EOFError, ValueError, LookupError, TypeError, mido.KeySignatureError) as error:
        if isinstance(error, MidiError):
            raise
        if isinstance(error, FileNotFoundError):
            raise MidiError(f"There is no file {source}.") from error
        why = str(error)[:100] or "it ends too early"
        raise MidiError(f"{name} is not a readable MIDI file: {why}.") from error
    if len(midi.tracks) > MOST_TRACKS:
        raise MidiError(f"{name} has {len(midi.tracks)} tracks, and at most {MOST_TRACKS} are read.")
    if not 1 <= midi.ticks_per_beat < 32768:
        raise MidiError(f"{name} counts time in film frames instead of beats, which is not read.")
    song = Song([], [], [], [], [])
    try:
        for track in midi.tracks:
            _read_track(track, midi.ticks_per_beat, song, pedal)
    except OverflowError as error:
        raise MidiError(f"{name} has waits between its notes that never end.") from error
    count = sum(len(part.notes) for part in song.parts)
    if not count:
        raise MidiError(f"{name} has no notes.")
    if count > MOST_NOTES:
        raise MidiError(f"{name} has {count} notes, and at most {MOST_NOTES} are read.")
    if song.beats > LONGEST_BEATS:
        raise MidiError(f"{name} lasts {song.beats:.0f} beats, and at most {LONGEST_BEATS:.0f} are read.")
    for events in (song.tempi, song.time_signatures, song.keys, song.markers):
        events.sort(key=lambda event: event[0])
    if not song.tempi or song.tempi[0][0] > 0:
        song.tempi.insert(0, (0.0, 120.0))
    if not SLOWEST_BPM <= song.tempo_bpm <= FASTEST_BPM:
        raise MidiError(f"{name} has {song.tempo_bpm:.4g} BPM, and {SLOWEST_BPM:.0f} to {FASTEST_BPM:.0f} are read.")
    return song


class _Channel:
    """What one track does on one channel: its sounding notes, pedal and part."""

    def __init__(self) -> None:
        self.program, self.volume, self.pedal = 0, None, False
        self.sounding: dict[int, tuple[float, int]] = {}
        self.held: set[int] = set()
        self.part: MidiPart | None = None


def _read_track(track: mido.MidiTrack, ticks_per_beat: int, song: Song, pedal: bool) -> None:
    """Add what a track holds to a song."""
    ticks, name = 0, ""
    channels: dict[int, _Channel] = {}

    def end(channel: int, pitch: int, beat: float) -> None:
        state = channels[channel]
        start, velocity = state.sounding.pop(pitch)
        state.held.discard(pitch)
        if state.part is None:
            state.part = MidiPart("", state.program, channel == DRUM_CHANNEL)
            song.parts.append(state.part)
        state.part.notes.append(Note(start, max(beat - start, SHORTEST_NOTE_BEATS), pitch, velocity))

    for message in track:
        ticks += message.time
        beat = ticks / ticks_per_beat
        if message.type in ("note_on", "note_off"):
            state = channels.setdefault(message.channel, _Channel())
            down = message.type == "note_on" and message.velocity > 0
            if message.note in state.sounding:
                if down or not state.pedal:
                    end(message.channel, message.note, beat)
                else:
                    state.held.add(message.note)
            if down:
                state.sounding[message.note] = (beat, message.velocity)
        elif message.type == "program_change":
            channels.setdefault(message.channel, _Channel()).program = message.program
        elif message.type == "control_change":
            state = channels.setdefault(message.channel, _Channel())
            if message.control == 7 and state.volume is None:
                state.volume = message.value
            elif message.control == 64 and pedal:
                state.pedal = message.value >= 64
                if not state.pedal:
                    for pitch in sorted(state.held):
                        end(message.channel, pitch, beat)
        elif message.type == "track_name":
            name = name or _decoded(message.name)
        else:
            _read_meta(message, beat, song)
    for channel, state in channels.items():
        for pitch in sorted(state.sounding):  # notes that are never let go end with their track
            end(channel, pitch, ticks / ticks_per_beat)
        if state.part is not None:
            state.part.name = name
            if state.volume is not None:
                state.part.gain_db = 40 * float(np.log10(max(state.volume, 1) / VOLUME_AT_0_DB))


def _read_meta(message: Any, beat: float, song: Song) -> None:
    """Add a tempo, time signature, key signature or marker to a song; mido's stubs know no meta message's fields."""
    if message.type == "set_tempo":
        song.tempi.append((beat, 60e6 / max(message.tempo, 1)))
    elif message.type == "time_signature" and message.numerator and message.denominator <= 64:
        song.time_signatures.append((beat, message.numerator, message.denominator))
    elif message.type == "key_signature":
        song.keys.append((beat, message.key))
    elif message.type == "marker":
        song.markers.append((beat, _decoded(message.text)))


def _encoded(text: str) -> str:
    """Text as UTF-8, in the one-byte characters that mido writes."""
    return text.encode().decode("latin-1")


def _decoded(text: str) -> str:
    """Text of a file: UTF-8 where it is that, Latin-1 otherwise."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def song_to_score(song: Song, piece: str, seed: int = 0) -> Score:
    """A song as a score. Roles are those in the parts' names where `score_to_midi` wrote them, or else guessed.

    Args:
        song: what was read.
        piece: identifier of the work.
        seed: seed of the humanising noise.
    """
    roles = [role for part in song.parts if (role := _named_role(part))]
    if len(roles) < len(song.parts):
        roles = _guessed_roles(song.parts)
    tracks = []
    for part, role in zip(song.parts, roles, strict=True):
        notes = playable(part.notes)
        instrument = "drums" if part.is_drum else _instrument(part.program)
        tracks.append(Track(instrument, part.program, notes, part.is_drum, role, part.gain_db))
    tonic, mode = _key(song)
    return Score(
        tracks, round(song.tempo_bpm, 3), song.beats_per_bar, tonic, mode, "", piece, "midi", seed,
        timing_noise_in_s=0.0,
    )  # fmt: skip


def _named_role(part: MidiPart) -> str | None:
    """The role that a part's name ends with in brackets."""
    found = re.search(r"\((\w+)\)$", part.name)
    return found.group(1) if found and found.group(1) in ROLES else None


def _instrument(program: int) -> str:
    """Our name for a General MIDI program: of the very sound, or of one of its family of eight."""
    nearest = min(_BY_PROGRAM, key=lambda p: (p // 8 != program // 8, abs(p - program)))
    return _BY_PROGRAM[nearest].name


def _guessed_roles(parts: Sequence[MidiPart]) -> list[str]:
    """The tune is the highest part that is mostly of one voice; basses and low single voices are the bass."""
    pitch = [float(np.mean([n.pitch for n in part.notes])) for part in parts]
    voices = [len(part.notes) / len({round(n.start, 2) for n in part.notes}) for part in parts]
    pitched = [i for i, part in enumerate(parts) if not part.is_drum]
    roles = ["drums" if part.is_drum else "chords" for part in parts]
    if pitched:
        lead = max(pitched, key=lambda i: pitch[i] - 12 * (voices[i] - 1) + (6 if len(parts[i].notes) >= 8 else 0))
        for i in pitched:
            if i != lead and (32 <= parts[i].program <= 39 or (pitch[i] < 48 and voices[i] < 1.2)):
                roles[i] = "bass"
        roles[lead] = "lead"
    return roles


def _key(song: Song) -> tuple[int, str]:
    """Tonic and mode: of the first key signature, or else of the notes."""
    if song.keys:
        name = song.keys[0][1]
        mode = "minor" if name.endswith("m") else "major"
        letter = "CDEFGAB".index(name[0])
        return ((0, 2, 4, 5, 7, 9, 11)[letter] + name.count("#") - name.count("b")) % 12, mode
    weights = np.zeros(12)
    for note in (note for part in song.parts if not part.is_drum for note in part.notes):
        weights[note.pitch % 12] += note.duration
    return krumhansl_key(weights)[:2]


def score_to_midi(score: Score, markers: Iterable[tuple[float, str]] = ()) -> mido.MidiFile:
    """Write a score as MIDI: a track of tempo, metre, key and markers, then one a part with name, program and volume.

    Channels are given in order; beyond fifteen pitched parts they are given again on the next port.

    Args:
        score: what to write.
        markers: beats and texts, such as the names of sections.
    """
    midi = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    song: list[_Event] = [
        (0, 0, mido.MetaMessage("track_name", name=_encoded(score.piece))),
        (0, 0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(score.tempo_bpm))),
        (0, 0, mido.MetaMessage("time_signature", numerator=score.beats_per_bar, denominator=4)),
        (0, 0, mido.MetaMessage("key_signature", key=_MIDI_KEYS[score.mode][score.tonic])),
    ]
    song += [(_tick(beat), 1, mido.MetaMessage("marker", text=_encoded(text))) for beat, text in markers]
    midi.tracks.append(_timed(song))
    pitched = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    used = 0
    for track in score.tracks:
        port, place = (0, 0) if track.is_drum else divmod(used, len(pitched))
        used += not track.is_drum
        midi.tracks.append(_timed(_track_events(track, DRUM_CHANNEL if track.is_drum else pitched[place], port)))
    return midi


_Event = tuple[int, int, mido.Message | mido.MetaMessage]
"""Its tick, its rank among those of the same tick, and what it says."""


def _track_events(track: Track, channel: int, port: int) -> list[_Event]:
    """Name, program, volume and notes of a track."""
    heads = [
        mido.MetaMessage("track_name", name=_encoded(f"{track.instrument} ({track.role})")),
        *([mido.MetaMessage("midi_port", port=port)] if port else []),
        mido.Message("program_change", channel=channel, program=track.program),
        mido.Message("control_change", channel=channel, control=7, value=volume(track)),
    ]
    events: list[_Event] = [(0, rank, message) for rank, message in enumerate(heads, -len(heads))]
    for note in playable(track.notes):
        on, off = _tick(note.start), _tick(note.start + note.duration)
        events.append((on, 1, mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)))
        events.append((max(off, on + 1), 0, mido.Message("note_off", channel=channel, note=note.pitch)))
    return events


def _tick(beat: float) -> int:
    return round(beat * TICKS_PER_BEAT)


def _timed(events: list[_Event]) -> mido.MidiTrack:
    """A track of events in their order."""
    track, now = mido.MidiTrack(), 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    return track


def volume(track: Track) -> int:
    """Controller 7 that gives a track its gain, 1 to 127.

    Args:
        track: whose gain.
    """
    return int(np.clip(round(VOLUME_AT_0_DB * 10 ** (track.gain_db / 40)), 1, 127))


def midi_bytes(score: Score, markers: Iterable[tuple[float, str]] = ()) -> bytes:
    """The bytes of a score's MIDI file; equal scores give equal bytes.

    Args:
        score: what to write.
        markers: beats and texts, such as the names of sections.
    """
    buffer = io.BytesIO()
    score_to_midi(score, markers).save(file=buffer)
    return buffer.getvalue()
