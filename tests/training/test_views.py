"""Windows of stored picture features."""

from __future__ import annotations

import pytest
import torch

from melfusion_core.training.views import crop_features


def numbered(batch: int, grid: int, dim: int = 3) -> torch.Tensor:
    """Tokens that say where they are: row, column, picture."""
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).reshape(1, grid * grid, 2).repeat(batch, 1, 1)
    pictures = torch.arange(batch).view(batch, 1, 1).expand(-1, grid * grid, dim - 2)
    return torch.cat([places, pictures], dim=2).float()


def test_a_window_lies_at_its_place_in_every_layer():
    features = [(numbered(2, 4), -numbered(2, 4)), (numbered(2, 8), -numbered(2, 8))]
    places = torch.tensor([[0.0, 1.0], [1.0, 0.5]])  # left and bottom; right and middle
    small, large = crop_features(features, 0.5, places)
    for (key, value), (tops, lefts), kept in ((small, ((2, 1), (0, 2)), 2), (large, ((4, 2), (0, 4)), 4)):
        assert key.shape == value.shape == (2, kept * kept, 3)
        assert torch.equal(value, -key)
        for picture in range(2):
            window = key[picture].view(kept, kept, 3)
            assert torch.equal(window[:, 0, 0], torch.arange(kept).float() + tops[picture])
            assert torch.equal(window[0, :, 1], torch.arange(kept).float() + lefts[picture])
            assert (window[..., 2] == picture).all()


def test_a_whole_picture_is_left_alone():
    features = [(numbered(2, 4), numbered(2, 4))]
    assert crop_features(features, 1.0, torch.zeros(2, 2)) is features


def test_at_least_one_token_is_kept():
    ((key, _),) = crop_features([(numbered(1, 4), numbered(1, 4))], 0.01, torch.ones(2, 1))
    assert torch.equal(key, torch.tensor([[[3.0, 3.0, 0.0]]]))


@pytest.mark.parametrize(
    ("side", "tokens", "message"), [(0.0, 16, "above 0"), (1.5, 16, "at most 1"), (0.5, 15, "15")]
)
def test_bad_input_is_refused(side, tokens, message):
    features = [(torch.zeros(1, tokens, 3), torch.zeros(1, tokens, 3))]
    with pytest.raises(ValueError, match=message):
        crop_features(features, side, torch.zeros(2, 1))
