"""Score corpora: tables of notes, chunks, shares and how they join."""

from __future__ import annotations

import json

import numpy as np
import pytest

from melfusion_core.cli.parser import main
from melfusion_core.data import score_corpus
from melfusion_core.data.score_corpus import ScoreCorpusSpec, build_score_corpus, make_section
from melfusion_core.data.score_table import ScoreTable
from melfusion_core.data.triplets import CorpusBuildError, split_of


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(score_corpus, "CHUNK", 4)


def test_a_table_holds_scores_exactly(tmp_path):
    spec = ScoreCorpusSpec(6, seed=3)
    made = [make_section(spec, index) for index in range(6)]
    ScoreTable.from_scores([score for score, _ in made], [known for _, known in made]).save(tmp_path)
    table = ScoreTable.load(tmp_path)
    assert len(table) == 6
    for row, (score, known) in enumerate(made):
        back = table.score(row)
        assert table.clips[row]["beats"] == known["beats"]
        assert (back.tempo_bpm, back.tonic, back.mode, back.style, back.harmony, back.swing) == (
            score.tempo_bpm, score.tonic, score.mode, score.style, score.harmony, score.swing,
        )  # fmt: skip
        for track, other in zip(score.tracks, back.tracks, strict=True):
            assert (track.instrument, track.role, track.program) == (other.instrument, other.role, other.program)
            for note, copy in zip(track.notes, other.notes, strict=True):
                assert abs(note.start - copy.start) < 1e-6 and abs(note.duration - copy.duration) < 1e-6
                assert (note.pitch, note.velocity) == (copy.pitch, copy.velocity)


def contents(folder):
    return {name: (folder / name).read_bytes() for name in ("scores.jsonl", "notes.npy", "offsets.npy")}


def test_shares_of_machines_join_to_the_whole(tmp_path):
    spec = ScoreCorpusSpec(9, seed=5)
    whole = build_score_corpus(tmp_path / "whole", spec, progress=False)
    assert whole == tmp_path / "whole"
    for index in range(2):
        assert build_score_corpus(tmp_path / str(index), spec, shard=(index, 2), progress=False) is None
    for part in (tmp_path / "1" / "parts").iterdir():
        part.rename(tmp_path / "0" / "parts" / part.name)
    assert build_score_corpus(tmp_path / "0", spec, shard=(0, 2), progress=False) is not None
    assert contents(tmp_path / "0") == contents(whole)


def test_clips_say_what_training_needs(tmp_path):
    folder = build_score_corpus(tmp_path, ScoreCorpusSpec(8, seed=1), progress=False)
    table = ScoreTable.load(folder)
    moods = np.array([[clip["valence"], clip["arousal"]] for clip in table.clips])
    assert (moods >= 0).all() and (moods <= 1).all() and (moods.std(axis=0) > 0.2).all()
    for clip in table.clips:
        assert len(clip["captions"]) == 8 and clip["split"] == split_of(clip["piece"], 11)
        assert clip["beats"] % clip["beats_per_bar"] == 0


def test_another_corpus_is_not_mixed_in(tmp_path):
    build_score_corpus(tmp_path, ScoreCorpusSpec(2, seed=1), progress=False)
    with pytest.raises(CorpusBuildError, match="other settings"):
        build_score_corpus(tmp_path, ScoreCorpusSpec(2, seed=2), progress=False)
    with pytest.raises(CorpusBuildError, match="no score pack"):
        build_score_corpus(tmp_path / "b", ScoreCorpusSpec(2, scores=str(tmp_path)), progress=False)


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2)])
def test_shares_that_make_no_sense(tmp_path, shard):
    with pytest.raises(ValueError, match="shard"):
        build_score_corpus(tmp_path, ScoreCorpusSpec(2), shard=shard)


@pytest.mark.parametrize("wrong", [{"sections": 0}, {"sections": 2, "score_share": 2.0}])
def test_specifications_are_checked(wrong):
    with pytest.raises(ValueError):
        ScoreCorpusSpec(**wrong)


def test_the_command_builds_shares(tmp_path, capsys):
    flags = ["corpus", "scores", "--sections", "5", "--seed", "2", "--workers", "1", "--out", str(tmp_path / "c")]
    assert main([*flags, "--shard", "0/2"]) == 0
    assert "still missing" in capsys.readouterr().out
    assert main([*flags, "--shard", "1/2"]) == 0
    assert json.loads((tmp_path / "c" / "scores.jsonl").read_text().splitlines()[0])["captions"]
    with pytest.raises(SystemExit):
        main([*flags, "--shard", "2/2"])
