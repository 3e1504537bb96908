"""Tunes: motifs that come back, vary and answer each other, laid over the chords by the cheapest path through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.data.harmony import chord_scale
from melfusion_core.data.phrases import bar_rhythm, strong_beats
from melfusion_core.data.sections.form import Phrase
from melfusion_core.data.sections.plan import Event, Plan
from melfusion_core.score.score import TICKS_PER_BEAT

_FORMULAS = {
    "song": {
        2: ("ac",), 3: ("abc", "aac", "asc"), 4: ("asbc", "abac", "aabc", "astc", "abvc", "absc", "avbc"),
        5: ("abasc", "asbsc"), 6: ("abasbc", "aabasc"),
    },
    "riff": {
        2: ("ac", "aa"), 3: ("aac", "abc"), 4: ("aaac", "abac", "aabc", "arac", "avac", "aabr"),
        5: ("aabac", "abaac"), 6: ("aabaac", "abaabc"),
    },
}  # fmt: skip
"""Bars of a phrase by its length: motifs a and b, the sequences s and t of a, a varied v, a rest r, the cadence c."""

_ARCHES = ((0, 1, 3, 0), (0, 0, 2, 0), (0, 2, 4, 1), (2, 1, 0, -2), (0, -1, 1, -2), (3, 1, 2, 0), (0, 1, 2, 3))
"""How the bars of a phrase rise and fall, in scale steps."""

_INTERVAL_COST = np.array([0.9, 0.15, 0.0, 0.35, 0.4, 0.5, 2.0, 0.6, 1.2, 1.1, 2.4, 3.0, 1.3] + [4.0 + 0.5 * i
                           for i in range(40)])  # fmt: skip
"""What an interval costs, by semitones: steps are free, a repeat costs a little, wide and augmented leaps much."""


@dataclass(frozen=True)
class _Aim:
    """Where a note of the tune would like to be."""

    tick: int
    ticks: int
    degree: int
    strong: bool
    final: str  # how its phrase ends, on the last note of one


@dataclass(frozen=True)
class _Motif:
    """A bar of rhythm in ticks, and a contour in scale steps."""

    rhythm: tuple[tuple[int, int], ...]
    shape: tuple[int, ...]


def _contour(rng: np.random.Generator, count: int, leaps: float) -> tuple[int, ...]:
    """Scale steps around 0: runs in one direction, leaps that turn back, or a broken chord."""
    shape, direction = [int(rng.integers(-1, 2))], int(rng.choice([-1, 1]))
    if count > 2 and rng.random() < 0.5 * leaps:
        turn = int(rng.integers(2, min(count, 4) + 1))
        return tuple(shape[0] + direction * 2 * (i if i < turn else 2 * turn - 2 - i) for i in range(count))
    for _ in range(count - 1):
        if rng.random() < leaps:
            far = int(rng.choice([2, 3, 4, 5, 7], p=[0.3, 0.35, 0.2, 0.1, 0.05]))
            move = far * (-1 if shape[-1] > 1 else 1 if shape[-1] < -1 else direction)
            direction = -1 if move > 0 else 1
        else:
            if rng.random() < 0.25 or abs(shape[-1] + direction) > 4:
                direction = -direction
            move = 0 if rng.random() < 0.1 else direction
        shape.append(shape[-1] + move)
    return tuple(shape)


def _motif(rng: np.random.Generator, plan: Plan, per_beat: float) -> _Motif:
    """Draw a motif of one bar."""
    character = plan.style.melody
    events = bar_rhythm(rng, plan.beats, per_beat, character)
    rhythm = [(round(start * TICKS_PER_BEAT), round(length * TICKS_PER_BEAT)) for start, length in events]
    if character.metre != "jig" and not plan.swing and character.syncopation < 0.45 and rng.random() < 0.12:
        rhythm = _with_triplets(rng, rhythm)
    if character.form == "riff" and len(rhythm) > 2 and rng.random() < 0.4:  # riffs leave air
        gone = int(rng.integers(1, len(rhythm)))
        rhythm = rhythm[:gone] + rhythm[gone + 1 :]
    return _Motif(tuple(rhythm), _contour(rng, len(rhythm), character.leaps))


def _with_triplets(rng: np.random.Generator, rhythm: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One beat of the rhythm becomes a triplet."""
    whole = [i for i, (start, length) in enumerate(rhythm) if start % TICKS_PER_BEAT == 0 and length == TICKS_PER_BEAT]
    if not whole:
        return rhythm
    index = whole[int(rng.integers(len(whole)))]
    start = rhythm[index][0]
    third = TICKS_PER_BEAT // 3
    return [*rhythm[:index], *((start + third * i, third) for i in range(3)), *rhythm[index + 1 :]]


def _cadence(rng: np.random.Generator, plan: Plan, motif: _Motif, ending: str, last: bool, per_beat: float) -> _Motif:
    """A bar that comes to rest: the opening of a motif, then one long note, and then a breath."""
    bar = plan.bar_ticks
    if plan.style.melody.metre == "jig":
        places = (18,)
    elif plan.beats == 3:
        places = (0, 12, 24) if not last else (0, 12)
    else:
        places = (0, 24, 24, 36) if not last else (0, 0, 24)
    rest = int(places[int(rng.integers(len(places)))]) if per_beat >= 0.6 else 0
    before = [(start, min(length, rest - start)) for start, length in motif.rhythm if start < rest - 2]
    shape = [*motif.shape[: len(before)], 0]
    if len(before) and ending == "close":
        shape = [round(step * (1 - 0.5 * i / len(before))) for i, step in enumerate(shape)]
    air = 0 if last or rest == bar - TICKS_PER_BEAT else int(rng.choice([0, 6, 12], p=[0.3, 0.35, 0.35]))
    return _Motif((*before, (rest, bar - rest - air)), tuple(shape))


def _pickup(rng: np.random.Generator, plan: Plan, per_beat: float) -> list[tuple[int, int]]:
    """Notes on the last beat that lead into the next phrase: onset from the end of the bar, and length."""
    if plan.style.melody.metre == "jig":
        return [(-6, 6)]
    if per_beat > 1.2:
        return [(-12, 6), (-6, 6)] if rng.random() < 0.6 else [(-6, 6)]
    return [(-12, 12)]


def _aims(rng: np.random.Generator, plan: Plan, base: int, per_beat: float) -> list[_Aim]:
    """The whole tune as wishes."""
    character = plan.style.melody
    motifs = {name: _motif(rng, plan, per_beat) for name in "ab"}
    denser = per_beat * float(rng.choice([0.75, 1.3]))
    contrast = {name: _motif(rng, plan, denser) for name in "ab"}
    if rng.random() < 0.5:  # the contrast keeps the first rhythm and turns its contour round
        contrast["a"] = _Motif(motifs["a"].rhythm, tuple(-step for step in motifs["a"].shape))
    sequence = int(rng.choice([-2, -1, 1, 2]))
    formulas: dict[str, str] = {}
    lifts = {"a": 0, "b": int(rng.choice([2, 3, 4, -2])), "c": int(rng.choice([1, 2, -1]))}
    arch = _ARCHES[int(rng.integers(len(_ARCHES)))]
    aims: list[_Aim] = []
    strong = {round(beat * TICKS_PER_BEAT) for beat in strong_beats(plan.beats, character.metre)}
    for number, phrase in enumerate(plan.phrases):
        options = _FORMULAS[character.form].get(phrase.bars) or _FORMULAS[character.form][4]
        if phrase.bars == 1:
            options = ("c",)
        formula = formulas.setdefault(f"{phrase.label}{phrase.bars}", options[int(rng.integers(len(options)))])
        last = number == len(plan.phrases) - 1
        if phrase.ending == "close" or (last and plan.closing):
            formula = formula[:-1] + "c"
        own = motifs if phrase.label != "b" else contrast
        climax = 1 if number == len(plan.phrases) - 2 and len(plan.phrases) > 2 else 0
        vary = phrase.turn > 0 and rng.random() < 0.6
        changed = int(rng.integers(max(len(formula) - 1, 1))) if vary else -1
        for index, kind in enumerate(formula):
            lift = lifts[phrase.label] + climax + arch[min(index, 3)]
            motif = own["b" if kind == "b" else "a"]
            bar = phrase.start + index
            if kind == "r":
                continue
            if kind == "c":
                home = last and plan.closing
                motif = _cadence(rng, plan, motif, phrase.ending, home, per_beat)
            elif kind == "v" or index == changed:
                motif = _varied(rng, motif)
            shift = {"s": sequence, "t": 2 * sequence}.get(kind, 0) + base + lift
            aims += _bar_aims(plan, bar, motif, shift, strong, phrase, kind == "c")
        if not (last and plan.closing) and character.form == "song" and rng.random() < 0.45:
            aims = _led_over(rng, plan, aims, phrase, base, per_beat)
    return aims


def _varied(rng: np.random.Generator, motif: _Motif) -> _Motif:
    """The motif with a small change: another last step, or a long note in two."""
    long = [i for i, (_, length) in enumerate(motif.rhythm) if length >= TICKS_PER_BEAT and length % 2 == 0]
    if long and rng.random() < 0.5:
        index = long[int(rng.integers(len(long)))]
        start, length = motif.rhythm[index]
        step = motif.shape[index]
        rhythm = (*motif.rhythm[:index], (start, length // 2), (start + length // 2, length // 2),
                  *motif.rhythm[index + 1 :])  # fmt: skip
        neighbour = step + int(rng.choice([-1, 1]))
        return _Motif(rhythm, (*motif.shape[: index + 1], neighbour, *motif.shape[index + 1 :]))
    return _Motif(motif.rhythm, (*motif.shape[:-1], motif.shape[-1] + int(rng.choice([-2, -1, 1, 2]))))


def _bar_aims(plan: Plan, bar: int, motif: _Motif, shift: int, strong: set[int], phrase: Phrase,
              cadence: bool) -> list[_Aim]:  # fmt: skip
    """Wishes of one bar."""
    out = []
    for index, ((start, length), step) in enumerate(zip(motif.rhythm, motif.shape, strict=True)):
        final = phrase.ending if cadence and index == len(motif.rhythm) - 1 else ""
        stands = start in strong or length >= 18 or bool(final)
        out.append(_Aim(bar * plan.bar_ticks + start, length, shift + step, stands, final))
    return out


def _led_over(rng: np.random.Generator, plan: Plan, aims: list[_Aim], phrase: Phrase, base: int,
              per_beat: float) -> list[_Aim]:  # fmt: skip
    """Add a pickup before the next phrase, where the cadence leaves room."""
    end = (phrase.start + phrase.bars) * plan.bar_ticks
    notes = _pickup(rng, plan, per_beat)
    first = end + notes[0][0]
    if not aims or aims[-1].tick > first - TICKS_PER_BEAT:
        return aims
    held = aims[-1]
    aims[-1] = _Aim(held.tick, min(held.ticks, first - held.tick), held.degree, held.strong, held.final)
    climb = int(rng.choice([-1, 1]))
    return [*aims, *(_Aim(end + at, length, base - climb * (len(notes) - i), False, "")
                     for i, (at, length) in enumerate(notes))]  # fmt: skip


class _Path:
    """Pitches that each note may take, and what they cost."""

    def __init__(self, plan: Plan, low: int, high: int) -> None:
        self.plan = plan
        self.pitches = np.arange(low, high + 1)
        self.intervals = np.abs(self.pitches[:, None] - self.pitches[None, :])
        self.base = _INTERVAL_COST[np.minimum(self.intervals, len(_INTERVAL_COST) - 1)]
        self.signed = self.pitches[None, :] - self.pitches[:, None]
        self.leap = (self.intervals > 2).astype(float)
        self.perfect = {low: np.isin((self.pitches - low) % 12, (0, 7)) for low in range(12)}
        self.scales: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        pentatonic = (0, 2, 4, 7, 9) if plan.mode == "major" else (0, 3, 5, 7, 10)
        self.half_steps = np.array([(p - plan.tonic) % 12 not in pentatonic for p in self.pitches], dtype=float)

    def masks(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Which pitches are in the scale, and in the chord, of a slot."""
        if slot not in self.scales:
            chord = self.plan.slots[slot].chord
            steps = chord_scale(chord, self.plan.tonic, self.plan.scale)
            inside = {(self.plan.tonic + step) % 12 for step in steps}
            classes = self.pitches % 12
            self.scales[slot] = (np.isin(classes, list(inside)), np.isin(classes, list(chord.tones)))
        return self.scales[slot]

    def pitch_of(self, degree: int, slot: int) -> int:
        """Pitch of a scale degree over a slot's chord."""
        steps = chord_scale(self.plan.slots[slot].chord, self.plan.tonic, self.plan.scale)
        return 12 * (degree // 7) + self.plan.tonic + steps[degree % 7]

    def cost(self, aim: _Aim, wish: int, slot: int, thirds: bool) -> np.ndarray:
        """What each pitch costs for a note by itself."""
        scale, chord = self.masks(slot)
        cost = 0.28 * np.abs(self.pitches - wish) + np.where(scale, 0.0, 30.0)
        if aim.final == "close":
            home = (self.pitches - self.plan.tonic) % 12
            third = 4 if self.plan.mode == "major" else 3
            return cost + np.where(home == 0, 0.0, np.where(home == third, 0.8 if thirds else 6.0, 20.0))
        if aim.strong or aim.final:  # short ones may lean on a neighbour of the chord
            return cost + np.where(chord, 0.0, 4.0 if aim.final or aim.ticks > TICKS_PER_BEAT else 1.5)
        cost = cost + np.where(chord, 0.0, 0.35)
        return cost + 1.6 * self.half_steps * ~chord if self.plan.style.melody.pentatonic else cost

    def step(self, moved: int, first: int, second: int) -> np.ndarray:
        """What going from each pitch over one slot to each over another costs.

        The motif wants to move by `moved` semitones; notes outside the chord move on by step, and the tune does not go
        in fifths or octaves with the bass.
        """
        before, after = self.masks(first)[1], self.masks(second)[1]
        cost = self.base + 0.26 * np.minimum(np.abs(self.signed - moved), 9)
        cost += self.leap * (1.8 * ~before[:, None] + 0.9 * ~after[None, :])
        lows = self.plan.slots[first].chord.bass, self.plan.slots[second].chord.bass
        if lows[0] != lows[1]:
            gaps = (self.pitches - lows[0]) % 12, (self.pitches - lows[1]) % 12
            cost += 1.2 * ((gaps[0][:, None] == gaps[1][None, :]) & self.perfect[lows[1]][None, :])
        return cost


def _realised(rng: np.random.Generator, plan: Plan, aims: list[_Aim], low: int, high: int) -> list[int]:
    """The cheapest pitches for all wishes together."""
    path = _Path(plan, low, high)
    slots = [plan.slot_index(aim.tick) for aim in aims]
    wishes = [path.pitch_of(aim.degree, slot) for aim, slot in zip(aims, slots, strict=True)]
    wishes = [wish - 12 if wish > high - 2 else wish + 12 if wish < low + 2 else wish for wish in wishes]
    thirds = rng.random() < 0.25
    best, back = None, []
    for index, (aim, wish, slot) in enumerate(zip(aims, wishes, slots, strict=True)):
        own = path.cost(aim, wish, slot, thirds)
        if best is None:
            best = own
            continue
        total = best[:, None] + path.step(wish - wishes[index - 1], slots[index - 1], slot)
        back.append(total.argmin(0))
        best = total.min(0) + own
    assert best is not None  # there is at least one wish
    place = int(best.argmin())
    places = [place]
    for arrows in reversed(back):
        place = int(arrows[place])
        places.append(place)
    places.reverse()
    return [int(path.pitches[place]) for place in places]


def _approached(rng: np.random.Generator, plan: Plan, events: list[Event]) -> list[Event]:
    """Weak notes before a beat become chromatic neighbours, as often as the style likes."""
    out = list(events)
    for index in range(len(out) - 1):
        here, after = out[index], out[index + 1]
        weak = here.tick % TICKS_PER_BEAT and here.ticks <= 6 and after.tick % TICKS_PER_BEAT == 0
        if weak and abs(after.pitch - here.pitch) > 1 and rng.random() < plan.style.melody.chromatic:
            out[index] = here._replace(pitch=after.pitch - 1)
    return out


def tune(rng: np.random.Generator, plan: Plan, low: int, high: int, centre: float, per_beat: float) -> list[Event]:
    """The melody of a section, in straight time.

    Args:
        rng: source of randomness.
        plan: what was decided.
        low: lowest MIDI pitch.
        high: highest MIDI pitch.
        centre: MIDI pitch around which it moves.
        per_beat: wanted notes a beat.
    """
    base = round((centre - plan.tonic) / 12 * 7)
    aims = _aims(rng, plan, base, per_beat)
    low, high = max(low, round(centre) - 12), min(high, round(centre) + 14)
    pitches = _realised(rng, plan, aims, low, high)
    mean = float(np.mean(pitches))
    events = []
    for aim, pitch in zip(aims, pitches, strict=True):
        accent = float(np.clip(0.5 * (pitch - mean), -6, 6)) + (2.0 if aim.strong else 0.0)
        events.append(Event(aim.tick, aim.ticks, pitch, accent))
    return _approached(rng, plan, events)
