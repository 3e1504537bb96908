"""Latents that mean notes: cells become notes, sampled instruments play them.

Shape legend: ``batch`` samples, ``channels``/``beats``/``rows`` of a latent, whose rows are folded into channels as
the UNet wants them (:func:`~melfusion_core.engines.score.inputs.fold_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from melfusion_core.engines.base import Engine, Known, Plan, Rendered
from melfusion_core.engines.score.caption_facts import read_caption
from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import encode_grid, snap_cells
from melfusion_core.engines.score.controls import Controls, decode_controls
from melfusion_core.engines.score.decode import score_from_latents
from melfusion_core.engines.score.direction import (
    MAX_TEMPO_BPM,
    MIN_TEMPO_BPM,
    Direction,
    DirectionError,
    keyed,
    known_cells,
    parse_key,
)
from melfusion_core.engines.score.grid import grid_from_score
from melfusion_core.engines.score.inputs import (
    clean_estimate,
    fold_of,
    fold_rows,
    input_channels,
    meaningful,
    unet_input,
    unfold_rows,
)
from melfusion_core.engines.score.layout import CHANNELS, ROWS
from melfusion_core.engines.score.measure import measure_controls
from melfusion_core.engines.score.names import INSTRUMENT_NAMES, INSTRUMENT_NUMBERS, STYLE_NUMBERS, STYLES
from melfusion_core.engines.score.source import Source
from melfusion_core.engines.score.view import ScoreView
from melfusion_core.score.bank import default_soundfont
from melfusion_core.score.performance import Humanise
from melfusion_core.score.score import Score
from melfusion_core.score.synth import SAMPLE_RATE, add_stems, loudness_gain, render_score
from melfusion_core.take import TakeSettings

LOOK_BEATS = 16
"""Length of the first look, from which tempo and metre are read where they are not told."""
SNAP_FROM_ALPHA = 0.4
"""Share of signal from which cells are moved to notes."""
MIN_BEATS, MAX_BEATS = 8, 128


@dataclass(frozen=True)
class ScorePlan(Plan):
    """A plan of takes made of notes.

    Args:
        directions: What each take is told, one per sample.
        beats: Length of each take.
    """

    directions: tuple[Direction, ...] = ()
    beats: tuple[int, ...] = ()


class ScoreEngine(Engine):
    """Music as notes on a beat grid, stereo.

    Args:
        codec: The cell codec.
        fold: How many rows of the latent image are one row for the UNet.
        thresholds: Log-odds from which a note of a part starts, calibrated on held-out works; 0 where none is given.
    """

    part_classes = {"codec": CellCodec}
    accepts_known = True
    makes_notes = True

    def __init__(
        self,
        codec: CellCodec,
        fold: int = 1,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.register_to_config(fold=fold, thresholds=dict(thresholds or {}))

    @property
    def sample_rate(self) -> int:
        """Of the sound, in Hz."""
        return SAMPLE_RATE

    @property
    def sounds_sha256(self) -> str:
        """Hash of the bank that plays its notes."""
        return default_soundfont().sha256

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return CHANNELS * self.config.fold

    def plan(
        self,
        captions: Sequence[str],
        settings: TakeSettings,
        multiple: int = 1,
        directions: Sequence[Direction] | None = None,
    ) -> ScorePlan:
        """Settle what is known before composing; see :meth:`Engine.plan`.

        What a caption states in so many words is followed, what the settings say counts more, and a direction most.
        """
        told = directions or [Direction()] * len(captions)
        mine = tuple(
            keyed(_from_source(more.source) | read_caption(caption) | _from_settings(settings) | more)
            for caption, more in zip(captions, told, strict=True)
        )
        if all(direction.tempo_bpm and direction.beats_per_bar for direction in mine):
            return self._settled(settings, mine, multiple)
        cells = [self._cells(direction, LOOK_BEATS, ends=False) for direction in mine]
        look = self._known(cells, [LOOK_BEATS] * len(mine), LOOK_BEATS)
        shape = (self.latent_channels, LOOK_BEATS, ROWS // self.config.fold)
        return ScorePlan(settings, shape, None, look, mine, (LOOK_BEATS,) * len(mine))

    def settled(self, plan: ScorePlan, looked: torch.Tensor, multiple: int = 1) -> ScorePlan:
        """Fix tempo, metre and length after a first look."""
        images = unfold_rows(looked.float().cpu(), self.config.fold).numpy()
        found = [decode_controls(image, len(STYLES), len(INSTRUMENT_NAMES)) for image in images]
        pairs = zip(found, plan.directions, strict=True)
        return self._settled(plan.settings, tuple(_heard(said, told) | told for said, told in pairs), multiple)

    def _settled(self, settings: TakeSettings, directions: tuple[Direction, ...], multiple: int) -> ScorePlan:
        lengths = [_beats(direction, settings.duration_s) for direction in directions]
        time = -(-max(lengths) // multiple) * multiple
        cells = [self._cells(direction, beats) for direction, beats in zip(directions, lengths, strict=True)]
        shape = (self.latent_channels, time, ROWS // self.config.fold)
        return ScorePlan(settings, shape, self._known(cells, lengths, time), None, directions, tuple(lengths))

    def _cells(self, direction: Direction, beats: int, ends: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """What is known of a take: what is told, and what of a piece stays."""
        values, told = known_cells(direction, beats, ends)
        if direction.source is None:
            return values, told
        kept, mask = direction.source.cells(self.codec, beats)
        return torch.where(told, values, kept), told | mask

    def _known(self, cells: Sequence[tuple[torch.Tensor, torch.Tensor]], lengths: Sequence[int], time: int) -> Known:
        """Known cells of takes of several lengths; what lies behind a take's end is known to be nothing."""
        values = torch.zeros(len(cells), CHANNELS, time, ROWS)
        mask = torch.ones_like(values, dtype=torch.bool)
        for row, ((value, told), beats) in enumerate(zip(cells, lengths, strict=True)):
            values[row, :, :beats], mask[row, :, :beats] = value, told
        mask &= meaningful().unsqueeze(1)
        return Known(fold_rows(values, self.config.fold), fold_rows(mask, self.config.fold))

    def check_channels(self, channels: int) -> None:
        """Check that a UNet fits."""
        wanted = input_channels(self.config.fold)
        if channels != wanted:
            raise ValueError(f"the UNet takes {channels} channels, notes on {self.config.fold} rows need {wanted}")

    @staticmethod
    def model_input(
        latents: torch.Tensor,
        channels: int,
        start: torch.Tensor | int = 0,
        known: Known | None = None,
        alpha_cumprod: float = 1.0,
    ) -> torch.Tensor:
        """What the UNet sees of noisy latents."""
        fold = fold_of(latents.shape[1])
        if channels != input_channels(fold):
            raise ValueError(f"{channels} channels do not fit {latents.shape[1]} of the latents")
        whole = unfold_rows(latents, fold)
        if known is None:
            nothing = torch.zeros_like(whole, dtype=torch.bool)
            return unet_input(whole, whole, nothing, start, fold, alpha_cumprod)
        values, mask = unfold_rows(known.values, fold), unfold_rows(known.mask, fold)
        return unet_input(whole, values.to(whole.dtype), mask, start, fold, alpha_cumprod)

    @staticmethod
    def model_output(output: torch.Tensor, latents: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
        """Read the UNet's output; see :func:`~melfusion_core.engines.score.inputs.clean_estimate`."""
        return clean_estimate(output, latents, alpha_cumprod)

    def snapped(self, clean: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
        """Cells moved to the points of notes, once most of the noise is gone."""
        if alpha_cumprod < SNAP_FROM_ALPHA:
            return clean
        return fold_rows(snap_cells(self.codec, unfold_rows(clean, self.config.fold)), self.config.fold)

    def encode(self, music: Sequence[Rendered]) -> torch.Tensor:
        """Turn scores into latents."""
        scores = [piece.score for piece in music if piece.score is not None and piece.score.tracks]
        if len(scores) < len(music):
            raise ValueError("this engine encodes notes, and there are none")
        views = [piece.view for piece in music]
        beats = {v.beats if isinstance(v, ScoreView) else _length(s) for v, s in zip(views, scores, strict=True)}
        if len(beats) != 1:
            raise ValueError(f"pieces of one length are needed, these have {sorted(beats)} beats")
        return torch.stack([self.encode_score(score, beats.copy().pop()) for score in scores])

    def encode_score(self, score: Score, beats: int) -> torch.Tensor:
        """Turn one score into latents.

        Args:
            score: The notes.
            beats: Length in beats.

        Returns:
            Of shape ``(channels, beats, rows)``.

        Raises:
            GridError: When a role stands twice.
        """
        grid = grid_from_score(score, beats)
        style = STYLE_NUMBERS.get(score.style, 0)
        said = measure_controls(score, grid, style, INSTRUMENT_NUMBERS, (0.5, 0.5))
        return fold_rows(encode_grid(self.codec, grid, said)[None], self.config.fold)[0].to(self.device)

    def decode(self, latents: torch.Tensor, plan: ScorePlan) -> list[Rendered]:
        """Turn latents into music, in stereo with stems and score; silent where nothing plays."""
        return [_played(view, latents.device) for view in self.view(latents, plan)]

    def view(self, latents: torch.Tensor, plan: ScorePlan | None = None) -> list[ScoreView]:
        """Read latents as notes."""
        lengths = plan.beats[: len(latents)] if plan else [latents.shape[2]] * len(latents)
        sources = (
            [direction.source for direction in plan.directions[: len(latents)]] if plan else [None] * len(latents)
        )
        seed = plan.settings.seed or 0 if plan else 0
        views = []
        for image, length, source in zip(unfold_rows(latents, self.config.fold), lengths, sources, strict=True):
            score = score_from_latents(self.codec, image[:, :length], self.config.thresholds, seed).score
            views.append(ScoreView(source.restored(score) if source else score, length))
        return views


def _from_source(source: Source | None) -> Direction:
    """What a piece settles unless it is told otherwise: its length, pulse and key."""
    if source is None:
        return Direction()
    score, bars = source.score, source.before + source.bars
    return Direction(
        bars=bars, tempo_bpm=score.tempo_bpm, beats_per_bar=score.beats_per_bar, tonic=score.tonic, mode=score.mode
    )


def _heard(said: Controls, told: Direction) -> Direction:
    """Tempo and metre of a first look, the tempo within the limits that were told."""
    low, high = told.tempo_within or (MIN_TEMPO_BPM, MAX_TEMPO_BPM)
    tempo = min(max(float(said.tempo_bpm[0]), low), high)
    return Direction(tempo_bpm=tempo, beats_per_bar=int(said.beats_per_bar[0]))


def _from_settings(settings: TakeSettings) -> Direction:
    tonic, mode = parse_key(settings.key) if settings.key else (None, None)
    return Direction(bars=settings.bars, tempo_bpm=settings.tempo_bpm, tonic=tonic, mode=mode)


def _beats(direction: Direction, duration_s: float) -> int:
    """Length of a take in beats: whole bars."""
    bar = int(direction.beats_per_bar or 4)
    bars = direction.bars or max(round(duration_s * float(direction.tempo_bpm or 120.0) / 60.0 / bar), 1)
    bars = max(bars, -(-MIN_BEATS // bar)) if direction.bars is None else bars
    if not bars * bar <= MAX_BEATS:
        raise DirectionError(f"a take has at most {MAX_BEATS} beats; {bars} bars of {bar} are {bars * bar}")
    return bars * bar


def _length(score: Score) -> int:
    end = max(note.start + note.duration for track in score.tracks for note in track.notes)
    return int(-(-end // score.beats_per_bar)) * score.beats_per_bar


def _played(view: ScoreView, device: torch.device) -> Rendered:
    """A piano roll as sound: at least as long as its bars, and the last note rings out."""
    least = round(view.duration_s * SAMPLE_RATE)
    if not view.score.tracks:
        return Rendered(torch.zeros(2, least, device=device), SAMPLE_RATE, view, {}, view.score)
    sound = render_score(view.score, humanise=Humanise(accents=1.0))  # the grid knows one level for a beat
    gain = np.float32(loudness_gain(sound.mix, SAMPLE_RATE))
    rest = max(least - sound.mix.shape[1], 0)
    stems = {role: np.pad(stem * gain, ((0, 0), (0, rest))) for role, stem in sound.stems.items()}
    audio = torch.from_numpy(add_stems(stems)).to(device)
    parts = {role: torch.from_numpy(stem).to(device) for role, stem in stems.items()}
    return Rendered(audio, SAMPLE_RATE, view, parts, view.score)
