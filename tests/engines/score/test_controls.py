"""Controls as latents and back."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from melfusion_core.engines.score.codes import circle, code_table, nearest_code, on_circle
from melfusion_core.engines.score.controls import FIELDS, KINDS, decode_controls, encode_controls
from melfusion_core.engines.score.grid import grid_from_score
from melfusion_core.engines.score.inputs import fold_rows, input_channels, meaningful, unet_input, unfold_rows
from melfusion_core.engines.score.layout import (
    CELL_DIM,
    CHANNELS,
    DRUM_ROW,
    FIRST_OCTAVE_ROW,
    OCTAVES,
    PARTS,
    ROWS,
)
from melfusion_core.engines.score.measure import measure_controls
from melfusion_core.engines.score.names import INSTRUMENT_NUMBERS, STYLE_NUMBERS


def test_codes_lie_four_apart_and_are_found_again():
    table = code_table()
    distances = (table[:, None] != table[None]).sum(axis=-1)
    assert distances[~np.eye(len(table), dtype=bool)].min() == 4
    noisy = table[:90] + 0.45 * np.random.default_rng(0).normal(size=(90, 12))
    assert (nearest_code(noisy, 90) == np.arange(90)).mean() > 0.95
    assert (nearest_code(table[:90], 90) == np.arange(90)).all()


def test_circles_close():
    phases = np.arange(12) / 12
    assert np.allclose(circle(phases, (1, 2)), circle(phases + 1, (1, 2)), atol=1e-5)
    assert np.allclose(circle(np.linspace(0, 1, 1000, endpoint=False), (1, 3)).var(axis=0), 1.0, atol=0.01)
    assert (on_circle(circle(phases, (1, 2)), phases, (1, 2)) == np.arange(12)).all()


def test_fields_do_not_overlap():
    taken = np.zeros((CHANNELS, ROWS), dtype=int)
    for row, channels in FIELDS.values():
        taken[channels, row] += 1
    assert taken.max() == 1


@pytest.mark.parametrize("tempo", [60.0, 93.5, 128.0, 174.0])
@pytest.mark.parametrize("tonic", [0, 6, 11])
def test_measured_controls_come_back(duet, tempo, tonic):
    duet.tempo_bpm, duet.tonic = tempo, tonic
    grid = grid_from_score(duet, 4)
    said = measure_controls(duet, grid, STYLE_NUMBERS["folk"], INSTRUMENT_NUMBERS, (0.2, 0.9), ends=True)
    back = decode_controls(encode_controls(said), len(STYLE_NUMBERS), len(INSTRUMENT_NUMBERS))
    for item in fields(said):
        wanted, found = (np.nan_to_num(getattr(c, item.name).astype(float), posinf=-9.0) for c in (said, back))
        assert np.allclose(wanted, found, atol=0.51 if "level" in item.name else 1e-3), item.name
    assert KINDS[back.kind[0]] == "" and back.root[0] == (2 - tonic) % 12
    assert list(back.presence[:, 0]) == [part in ("lead", "chords", "drums") for part in PARTS]


def test_rows_fold_and_unfold_and_what_is_known_is_seen():
    import torch

    latents = torch.randn(2, CHANNELS, 4, ROWS)
    assert torch.equal(unfold_rows(fold_rows(latents, 3), 3), latents)
    clean, known = torch.full_like(latents, 7.0), torch.zeros_like(latents, dtype=torch.bool)
    known[:, :, 1] = True
    seen = unet_input(latents, clean, known, 0, 3, 0.5)
    assert seen.shape == (2, input_channels(3), 4, ROWS // 3)
    rows = unfold_rows(seen[:, : 3 * CHANNELS], 3)
    told = meaningful().unsqueeze(1)
    assert torch.equal(rows[:, :, 1], (7.0 * told[:, 0]).expand(2, -1, -1))
    assert torch.equal(rows[:, :, 0], latents[:, :, 0] * told[:, 0])
    later = unet_input(latents, clean, known, 4, 3, 0.5)
    waves = slice(-33, -15)
    assert not torch.equal(later[:, waves], seen[:, waves]) and torch.equal(later[:, -15:], seen[:, -15:])
    odds = unfold_rows_of(seen[:, -15:], 3)
    assert (odds[:, :, 1, FIRST_OCTAVE_ROW:] == 1.0).all()  # what is known is sure
    assert not unet_input(latents, clean, known, 0, 3, 0.9)[:, -15:].eq(seen[:, -15:]).all()


def unfold_rows_of(folded, fold):
    """As `unfold_rows`, of any number of channels."""
    batch, channels, beats, rows = folded.shape
    return folded.view(batch, channels // fold, fold, beats, rows).permute(0, 1, 3, 4, 2).flatten(3)


def test_gates_pass_cells_and_values_add_what_is_known_better():
    import torch

    from melfusion_core.engines.score.inputs import clean_estimate, output_channels
    from melfusion_core.engines.score.layout import ROLES, role_channels

    noisy = fold_rows(torch.randn(2, CHANNELS, 4, ROWS), 3)
    output = torch.zeros(2, output_channels(3), 4, ROWS // 3)
    alpha = torch.tensor([0.25, 0.81])
    gates = output[:, 3 * CHANNELS :]
    gates[:] = -200.0
    assert torch.equal(clean_estimate(output, noisy, alpha), torch.zeros_like(noisy))
    gates[:, 3 * ROLES.index("bass") + 1] = 50.0  # the second row of every three
    estimate, whole = (unfold_rows(x, 3) for x in (clean_estimate(output, noisy, alpha), noisy))
    passed = torch.zeros_like(whole)
    passed[:, role_channels("bass"), :, 1::3] = whole[:, role_channels("bass"), :, 1::3]
    torch.testing.assert_close(estimate, passed * torch.tensor([0.5, 0.9]).view(-1, 1, 1, 1))
    output[:, role_channels("bass").start * 3 : role_channels("bass").stop * 3] = 2.0
    shifted = unfold_rows(clean_estimate(output, noisy, alpha), 3) - estimate
    added = (2.0 * (1 - alpha).sqrt()).view(2, 1, 1, 1).expand(-1, CELL_DIM, 4, 4)
    torch.testing.assert_close(shifted[:, role_channels("bass"), :, 1::3], added)
    others = shifted[:, role_channels("bass"), :, FIRST_OCTAVE_ROW:][..., 2::3]
    assert torch.equal(others, torch.zeros_like(others))  # empty cells stay empty, whatever the network adds
    controls = shifted[:, role_channels("bass"), :, 0]
    torch.testing.assert_close(controls, added[..., 0])  # controls are never empty


def test_sparseness_alone_denoises():
    import torch

    from melfusion_core.engines.score.inputs import clean_estimate, filled_odds, output_channels

    torch.manual_seed(0)
    clean = torch.zeros(4, CHANNELS, 8, ROWS)
    cells = torch.nn.functional.normalize(torch.randn(4, CELL_DIM, 8, OCTAVES), dim=1) * CELL_DIM**0.5
    there = torch.rand(4, 1, 8, OCTAVES) < 0.2
    clean[:, :CELL_DIM, :, FIRST_OCTAVE_ROW:DRUM_ROW] = torch.where(there, cells, 0.0)
    for alpha, worst in ((0.98, 0.002), (0.9, 0.02), (0.7, 0.08)):
        noisy = alpha**0.5 * clean + (1 - alpha) ** 0.5 * torch.randn_like(clean)
        odds = filled_odds(noisy, alpha)[:, 0, :, FIRST_OCTAVE_ROW:DRUM_ROW]
        assert ((odds > 0) == there[:, 0]).float().mean() > 0.97 and not filled_odds(noisy, alpha)[..., :4].any()
        folded = fold_rows(noisy, 3)
        output = torch.zeros(4, output_channels(3), 8, ROWS // 3)
        error = unfold_rows(clean_estimate(output, folded, alpha), 3) - clean
        assert error[..., FIRST_OCTAVE_ROW:DRUM_ROW].square().mean() < worst
    assert filled_odds(torch.zeros(1, CHANNELS, 1, ROWS), 0.5)[..., DRUM_ROW].max() < -3
    assert filled_odds(torch.full((1, CHANNELS, 1, ROWS), 2.0), 0.9)[..., DRUM_ROW].min() > 3
