"""The codec's report: known notes, distances that rise with damage, and the command on tiny components."""

from __future__ import annotations

import json

import numpy as np
import pytest

from melfusion_core.cli import main
from melfusion_core.evaluation import notes as notes_module
from melfusion_core.evaluation.codec import CodecUnderTest, codec_speed
from melfusion_core.evaluation.codec_report import evaluate_codec
from melfusion_core.evaluation.judging import Judge
from melfusion_core.evaluation.notes import KnownNote, KnownPiece, onset_score, pitch_errors
from tests.conftest import TINY_MEL
from tests.evaluation.conftest import make_network

RATE = 16000


def melody(cents: float = 0.0) -> tuple[np.ndarray, tuple[KnownNote, ...]]:
    """Four decaying notes with eight partials, bent by some cents."""
    time = np.arange(2 * RATE) / RATE
    samples, notes = np.zeros_like(time), []
    for index, pitch in enumerate((57, 60, 64, 45)):
        start = 0.5 * index
        since = np.clip(time - start, 0, None)
        sounding = (time >= start) & (time < start + 0.5)
        frequency = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        decay = np.exp(-since / 0.2) * 0.1
        samples += sounding * decay * sum(np.sin(2 * np.pi * k * frequency * since) / k for k in range(1, 9))
        notes.append(KnownNote(start, start + 0.5, pitch))
    return samples.astype(np.float32), tuple(notes)


def test_bent_notes_are_measured_in_cents():
    waveform, notes = melody()
    piece = KnownPiece("melody", waveform, notes, monophonic=True)
    same = pitch_errors(piece, waveform, RATE)
    assert len(same) > 100 and same[:, 1].max() == 0.0
    bent = pitch_errors(piece, melody(cents=20)[0], RATE)
    assert np.median(bent[:, 1]) == pytest.approx(20, abs=2)
    assert bent[:, 0].min() == pytest.approx(110.0)
    with pytest.raises(ValueError, match="monophonic"):
        pitch_errors(KnownPiece("chords", waveform, notes), waveform, RATE)


@pytest.mark.parametrize(
    ("heard", "score"),
    [([0.52, 0.53, 1.04, 1.5], 2 / 3), ([0.56], 0.0), ([0.5, 1.0], 1.0), ([], 0.0)],
)
def test_onsets_are_matched_once(heard, score, monkeypatch):
    piece = KnownPiece("two notes", np.zeros(10), (KnownNote(0.5, 1, 60), KnownNote(1, 2, 60)))
    monkeypatch.setattr(notes_module, "onset_times", lambda *_: np.array(heard))
    assert onset_score(piece, piece.waveform, RATE) == pytest.approx(score)
    assert onset_score(KnownPiece("rest", np.zeros(10), ()), piece.waveform, RATE) == float(not heard)


def test_notes_that_begin_together_are_one_onset():
    together = KnownPiece("chord", np.zeros(10), (KnownNote(0.5, 1, 60), KnownNote(0.51, 1, 64), KnownNote(1, 2, 60)))
    np.testing.assert_allclose(together.onsets_s, [0.5, 1.0])


def test_an_original_scores_better_than_a_blurred_one():
    waveform, notes = melody()
    piece = KnownPiece("melody", waveform, notes[1:])
    assert onset_score(piece, waveform, RATE) > 0.7
    assert onset_score(piece, np.zeros_like(waveform), RATE) == 0.0


@pytest.fixture
def codec(shared_pipeline):
    return CodecUnderTest(shared_pipeline.engine)


def test_report_of_a_tiny_codec(codec, tmp_path):
    judge = Judge(make_network(TINY_MEL.to_dict()), "tiny judge")
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, 2048).astype(np.float32) for _ in range(6)]
    time = np.arange(2048) / 800
    solo = (0.3 * np.sin(2 * np.pi * 110 * time)).astype(np.float32)
    note = (KnownNote(0.0, 2.5, 45),)
    report = evaluate_codec(
        codec, judge, clips, [KnownPiece("solo", solo, note, True)], [KnownPiece("piece", solo, note)], tmp_path,
        {"split": "test"}, progress=False,
    )  # fmt: skip
    assert report["clips"] == 6 and report["embedder"] == "tiny judge" and report["split"] == "test"
    for stage in ("codec", "vocoder"):
        assert report["distances"][stage]["mel_l1_nats"]["value"] > 0
        assert report["distances"][stage]["frechet_paired"]["value"] > 0
    assert report["distances"]["floor"]["frechet_halves"]["n"] == 3
    assert report["pitch"]["codec"]["all"]["frames"] > 0
    assert json.loads((tmp_path / "codec.json").read_text()) == report
    text = (tmp_path / "codec.md").read_text()
    assert "times the floor" in text and "times real time" in text
    assert (tmp_path / "0_rebuilt.flac").is_file() and (tmp_path / "0.png").is_file()


def test_clips_are_cut_to_the_codecs_grid(codec):
    assert len(codec.cut(np.zeros(codec.engine.position_samples * 3 + 5))) == codec.engine.position_samples * 3
    with pytest.raises(ValueError, match="too short"):
        codec.cut(np.zeros(5))
    with pytest.raises(ValueError, match="unknown stage"):
        codec.rebuild([], "guess")
    assert codec_speed(codec, 2.0, 1)["decode_times_real_time"] > 0


def test_command_needs_its_folders(tmp_path, capsys):
    common = ["evaluate-codec", str(tmp_path), "--out", str(tmp_path / "out"), "--judge", str(tmp_path)]
    assert main([*common, "--vae", str(tmp_path)]) == 2
    assert "--vae and --vocoder" in capsys.readouterr().err
    assert main([*common, "--model", str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err
