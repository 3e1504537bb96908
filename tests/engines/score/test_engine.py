"""The engine of notes: the contract, and what is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from melfusion_core.engines.base import Engine, Plan, Rendered
from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import snap_cells
from melfusion_core.engines.score.direction import Direction, DirectionError
from melfusion_core.engines.score.engine import LOOK_BEATS, ScoreEngine
from melfusion_core.engines.score.inputs import fold_rows, input_channels, meaningful, unfold_rows
from melfusion_core.engines.score.layout import CELL_DIM, DRUM_ROW, FIRST_OCTAVE_ROW
from melfusion_core.engines.score.view import ScoreView
from melfusion_core.score.score import Note, Score, Track
from melfusion_core.take import TakeSettings
from tests.engines.contract import MULTIPLE, EngineContract

FOUR = TakeSettings(bars=2, tempo_bpm=120.0, duration_s=4.0)


def make_codec() -> CellCodec:
    """A random codec that finds few notes in random points."""
    torch.manual_seed(0)
    codec = CellCodec(width=8)
    with torch.no_grad():
        for decoder in (codec.notes_out, codec.drums_out):
            decoder[-1].weight.normal_(0.0, 2.0)
            decoder[-1].bias.fill_(-1.0)
    return codec.eval()


@pytest.fixture
def engine() -> ScoreEngine:
    return ScoreEngine(make_codec(), fold=3).eval()


def piece(pitch: int, beats: int = 8) -> Rendered:
    notes = [Note(float(beat), 1.0, pitch + beat % 3, 80) for beat in range(beats)]
    score = Score([Track("piano", 0, notes, role="lead")], 120.0, 4, 0, "major", "folk", "test/piece", "test", 0)
    return Rendered(torch.zeros(2, 4 * 44100), 44100, ScoreView(score, beats), {}, score)


class TestScoreEngine(EngineContract):
    longer_by_s = 8.0  # the last note and the room ring out
    short, long = FOUR, TakeSettings(bars=4, tempo_bpm=120.0)

    def plan(self, engine: Engine, settings: TakeSettings | None = None, takes: int = 2) -> Plan:
        settings = settings or self.short
        told = settings if settings.bars else settings.changed(tempo_bpm=120.0)
        return engine.plan(["music in 4/4"] * takes, told, MULTIPLE, [Direction(parts={"lead": "piano"})] * takes)

    def seen(self, latents: torch.Tensor) -> torch.Tensor:
        return fold_rows(unfold_rows(latents, 3) * meaningful().unsqueeze(1), 3)

    @pytest.fixture
    def music(self) -> list[Rendered]:
        return [piece(60), piece(66)]

    @pytest.fixture
    def channels(self) -> int:
        return input_channels(3)


def test_what_is_not_told_is_looked_for_first(engine):
    plan = engine.plan(["slow piano"], TakeSettings(duration_s=10.0), MULTIPLE)
    assert plan.look is not None and plan.shape[1] == LOOK_BEATS
    fast, slow = (engine.encode_score(piece(60).score, LOOK_BEATS) for _ in range(2))
    other = piece(60).score
    other.tempo_bpm, other.beats_per_bar = 90.0, 3
    slow = engine.encode_score(other, LOOK_BEATS)
    two = engine.plan(["piano", "harp"], TakeSettings(duration_s=10.0), MULTIPLE)
    settled = engine.settled(two, torch.stack([fast, slow]), MULTIPLE)
    assert settled.look is None
    assert settled.beats == (20, 15) and settled.shape[1] == 20
    mask, told = unfold_rows(settled.known.mask, 3), meaningful()
    assert (mask[1, :, 15:] == told.unsqueeze(1)).all(), "behind the end it is known that there is nothing"
    assert not mask[0, :, :, FIRST_OCTAVE_ROW:].any()


def test_captions_settings_and_directions_count_in_this_order(engine):
    settings = TakeSettings(tempo_bpm=100.0, key="A minor")
    [told] = engine.plan(["folk in 3/4 at 88 BPM in C major"], settings, 2, [Direction(tonic=2)]).directions
    assert (told.tempo_bpm, told.beats_per_bar, told.tonic, told.mode) == (100.0, 3, 2, "minor")


def test_lengths_are_whole_bars_and_bounded(engine):
    for bars, metre in ((5, "3/4"), (3, "4/4")):
        plan = engine.plan([f"music in {metre}"], TakeSettings(bars=bars, tempo_bpm=90.0), 2)
        assert plan.beats == (bars * int(metre[0]),) and plan.shape[1] % 2 == 0
    with pytest.raises(DirectionError, match="at most"):
        engine.plan(["music in 4/4 at 200 BPM"], TakeSettings(bars=64), 2)


def test_a_decoded_take_has_what_it_was_told(engine):
    told = Direction(beats_per_bar=3, tonic=7, mode="minor", parts={"lead": "flute", "drums": "off"})
    plan = engine.plan(["music"], FOUR.changed(bars=4, seed=5), MULTIPLE, [told])
    latents = plan.known.paste(torch.randn(1, *plan.shape, generator=torch.Generator().manual_seed(1)))
    [take] = engine.decode(latents, plan)
    score = take.score
    assert (score.tempo_bpm, score.beats_per_bar, score.tonic, score.mode) == (120.0, 3, 7, "minor")
    assert score.seed == 5 and not any(track.is_drum for track in score.tracks)
    assert [track.instrument for track in score.tracks if track.role == "lead"] == ["flute"]
    assert take.audio.shape[0] == 2 and take.sample_rate == 44100
    total = sum(take.stems.values())
    assert torch.equal(total, take.audio)


def test_silence_is_silent(engine):
    plan = engine.plan(["music in 4/4"], FOUR, MULTIPLE)
    quiet = torch.zeros(1, *plan.shape)
    [take] = engine.decode(quiet, plan)
    assert not take.score.tracks and not take.audio.any() and take.duration_s == pytest.approx(4.0)


def test_notes_without_a_score_are_refused(engine):
    with pytest.raises(ValueError, match="there are none"):
        engine.encode([Rendered(torch.zeros(2, 10), 44100)])
    with pytest.raises(ValueError, match="one length"):
        engine.encode([piece(60), piece(60, 12)])


def test_only_a_fitting_unet_is_taken(engine):
    engine.check_channels(input_channels(3))
    with pytest.raises(ValueError, match="need"):
        engine.check_channels(100)
    with pytest.raises(ValueError, match="do not fit"):
        engine.model_input(torch.zeros(1, engine.latent_channels, 4, 4), 7)


def test_views_are_piano_rolls(engine):
    plan = engine.plan(["music in 4/4"], FOUR, MULTIPLE)
    [view] = engine.view(torch.randn(1, *plan.shape), plan)
    assert view.beats == 8 and view.duration_s == pytest.approx(8 * 60 / view.score.tempo_bpm)
    figure = view.figure("A", view, "B")
    assert len(figure.axes) == 2 and np.isfinite(figure.axes[0].get_ylim()).all()


def test_estimates_snap_to_notes(engine):
    latents = unfold_rows(engine.encode([piece(60)]), 3)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    once = snap_cells(engine.codec, 0.9 * latents + 0.02 * noise)
    size = once[:, :CELL_DIM, :, FIRST_OCTAVE_ROW:DRUM_ROW].square().mean(1).sqrt()
    assert ((size < 1e-4) | ((size - 1).abs() < 1e-3)).all() and (size > 0.5).any()  # on the sphere, or empty
    faint = snap_cells(engine.codec, 0.2 * latents)
    decodes_nothing = snap_cells(engine.codec, torch.zeros_like(latents))
    assert torch.equal(faint[..., 4:], decodes_nothing[..., 4:]) and torch.equal(
        once[..., :4], (0.9 * latents + 0.02 * noise)[..., :4]
    )


def test_what_is_mostly_noise_does_not_snap(engine):
    clean = torch.randn(2, engine.latent_channels, 8, 4, generator=torch.Generator().manual_seed(0))
    assert engine.snapped(clean, 0.1) is clean
    snapped = engine.snapped(clean, 0.9)
    assert snapped.shape == clean.shape and not torch.equal(snapped, clean)
