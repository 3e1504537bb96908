"""The linear patch codec."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from melfusion_core.engines.spectrogram.latents import (
    compression,
    decode_mel,
    encode_mel,
    latents_from_mel,
    load_codec,
    mel_from_latents,
)
from melfusion_core.engines.spectrogram.patch_codec import PatchCodec


def patches_of(mel, patch):
    """Cut spectrograms into flat square patches, another way than the codec does."""
    return functional.pixel_unshuffle(mel, patch).flatten(2).transpose(1, 2).reshape(-1, patch * patch)


def test_cut_and_rectangular_patches():
    mel = torch.randn(2, 1, 16, 8, generator=torch.Generator().manual_seed(0))
    square = PatchCodec(patch=4, latent_channels=16)
    assert torch.equal(square.cut(mel), patches_of(mel, 4))
    codec = PatchCodec(patch=(2, 4), latent_channels=8)
    codec.fit(codec.cut(mel.repeat(8, 1, 1, 1)))
    latents = encode_mel(codec, mel).mode()
    assert latents.shape == (2, 8, 8, 2) and compression(codec) == (2, 4)
    assert torch.allclose(decode_mel(codec, latents), mel, atol=1e-5)
    first = mel[0, 0, 2:4, 4:8].flatten()  # second patch in time, second in frequency
    assert torch.allclose(latents[0, :, 1, 1], codec.basis @ (first - codec.mean_patch), atol=1e-5)


def smooth_mel(seed=0, batch=4):
    """Random but smooth spectrograms: an 8 times smaller random picture, enlarged."""
    small = torch.randn(batch, 1, 10, 4, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(small, scale_factor=8, mode="bilinear")


def test_all_coefficients_give_the_spectrogram_back():
    codec = PatchCodec(patch=4, latent_channels=16)
    mel = torch.randn(2, 1, 16, 8, generator=torch.Generator().manual_seed(0))
    codec.fit(patches_of(mel.repeat(8, 1, 1, 1), 4))
    assert torch.allclose(decode_mel(codec, encode_mel(codec, mel).mode()), mel, atol=1e-5)


def test_fit_is_the_best_linear_projection():
    mel = smooth_mel()
    patches = patches_of(mel, 4)
    codec = PatchCodec(patch=4, latent_channels=3)
    spread = codec.fit(patches)
    rebuilt = decode_mel(codec, encode_mel(codec, mel).mode()).detach()
    centred = (patches - patches.mean(0)).double()
    lost = torch.linalg.svdvals(centred)[3:].square().sum()  # Eckart-Young
    assert float((rebuilt - mel).double().square().sum()) == pytest.approx(float(lost), rel=1e-3)
    assert torch.allclose(codec.basis @ codec.basis.T, torch.eye(3), atol=1e-5)
    assert bool((spread.diff() <= 0).all())


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_normalised_latents_have_unit_power(whitening):
    mel = smooth_mel()
    codec = PatchCodec(patch=4, latent_channels=3)
    codec.fit(patches_of(mel, 4), whitening)
    latents = latents_from_mel(codec, mel).detach()
    assert float(latents.square().mean()) == pytest.approx(1.0, rel=1e-3)
    spread = latents.detach().square().mean(dim=(0, 2, 3))
    assert (float(spread.max() / spread.min()) == pytest.approx(1.0, rel=1e-2)) is (whitening == 1.0)
    assert torch.allclose(
        mel_from_latents(codec, latents), decode_mel(codec, encode_mel(codec, mel).mode()), atol=1e-5
    )


def test_save_and_load(tmp_path):
    codec = PatchCodec(patch=4, latent_channels=3)
    codec.fit(patches_of(smooth_mel(), 4))
    codec.save_pretrained(tmp_path)
    loaded = load_codec(tmp_path)
    mel = smooth_mel(1)
    assert isinstance(loaded, PatchCodec) and compression(loaded) == (4, 4)
    assert torch.equal(latents_from_mel(loaded, mel), latents_from_mel(codec, mel))


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match="latent_channels"):
        PatchCodec(patch=2, latent_channels=5)
    with pytest.raises(ValueError, match="one input"):
        PatchCodec(in_channels=2)
    codec = PatchCodec(patch=4, latent_channels=3)
    with pytest.raises(ValueError, match="need at least 64 patches"):
        codec.fit(torch.zeros(10, 16))
    with pytest.raises(ValueError, match="whitening"):
        codec.fit(torch.zeros(100, 16), 2.0)
    (tmp_path / "config.json").write_text('{"_class_name": "VQModel"}')
    with pytest.raises(ValueError, match="VQModel"):
        load_codec(tmp_path)
