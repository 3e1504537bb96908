"""What every engine promises to pipelines, trainers and front ends: subclass it, and give fixtures for one engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from melfusion_core.engines.base import Engine, Known, Rendered
from melfusion_core.take import TakeSettings

MULTIPLE = 2
SHORT, LONG = TakeSettings(duration_s=1.28), TakeSettings(duration_s=5.12)


class EngineContract:
    """Tests of an engine.

    Subclasses give the fixtures ``engine``, ``music`` (two different pieces that it can encode) and ``channels`` (of a
    UNet's input and output); and say by how much a take may be longer than was asked for.
    """

    longer_by_s = 0.0

    @pytest.fixture
    def latents(self, engine: Engine) -> torch.Tensor:
        """Two random samples."""
        shape = engine.latent_shape(SHORT, MULTIPLE)
        return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))

    def test_longer_takes_have_more_latents(self, engine):
        short, long = (engine.latent_shape(settings, MULTIPLE) for settings in (SHORT, LONG))
        assert short[0] == long[0] == engine.latent_channels and short[2] == long[2]
        assert short[1] < long[1] and short[1] % MULTIPLE == long[1] % MULTIPLE == 0

    def test_the_unet_sees_where_latents_lie(self, engine, latents, channels):
        inputs, outputs = channels
        engine.check_channels(inputs, outputs)
        seen = engine.model_input(latents, inputs)
        assert seen.shape[:3] == (2, inputs, latents.shape[2])
        assert not torch.equal(seen, engine.model_input(latents + 1.0, inputs))
        crop = engine.model_input(latents[..., 2:6, :], inputs, torch.tensor([2, 2]))
        torch.testing.assert_close(crop, seen[..., 2:6, :])
        assert not torch.allclose(crop, engine.model_input(latents[..., 2:6, :], inputs))
        assert engine.model_output(torch.zeros(2, outputs, *seen.shape[2:])).shape == latents.shape
        for wrong in ((engine.latent_channels - 1, outputs), (inputs, outputs + 1)):
            with pytest.raises(ValueError):
                engine.check_channels(*wrong)

    def test_what_is_known_is_told_or_refused(self, engine, latents, channels):
        known = Known(torch.ones_like(latents), torch.rand_like(latents) > 0.5)
        inputs, _ = channels
        if engine.accepts_known:
            told, untold = engine.model_input(latents, inputs, known=known), engine.model_input(latents, inputs)
            assert told.shape == untold.shape and not torch.equal(told, untold)
        else:
            with pytest.raises(ValueError):
                engine.model_input(latents, inputs, known=known)

    def test_latents_become_music(self, engine, latents):
        pieces = engine.decode(latents, SHORT)
        assert len(pieces) == 2
        for piece in pieces:
            assert isinstance(piece, Rendered) and piece.sample_rate == engine.sample_rate
            assert piece.audio.ndim == 2 and piece.audio.dtype == torch.float32 and torch.isfinite(piece.audio).all()
            assert 0 <= piece.duration_s - SHORT.duration_s <= self.longer_by_s
            if piece.stems is not None:
                torch.testing.assert_close(sum(piece.stems.values()), piece.audio)
        assert not torch.equal(pieces[0].audio, pieces[1].audio)

    def test_a_sample_does_not_depend_on_its_neighbours_or_on_chance(self, engine, latents):
        together, again = engine.decode(latents, SHORT), engine.decode(latents, SHORT)
        [alone] = engine.decode(latents[1:], SHORT)
        assert torch.equal(together[1].audio, again[1].audio)
        torch.testing.assert_close(together[1].audio, alone.audio, atol=1e-4, rtol=1e-3)

    def test_latents_can_be_seen_while_they_form(self, engine, latents):
        views = engine.view(latents)
        [first, second] = engine.decode(latents, SHORT)
        assert len(views) == 2 and type(views[0]) is type(first.view)
        assert views[0].duration_s >= first.view.duration_s > 0
        assert isinstance(views[0].figure("Title"), Figure)
        assert len(first.view.figure("A", second.view, "B").axes) > len(first.view.figure("A").axes)

    def test_music_becomes_latents(self, engine, music):
        latents = engine.encode(music)
        assert latents.shape[:2] == (2, engine.latent_channels) and latents.dtype == torch.float32
        assert torch.isfinite(latents).all() and not torch.equal(latents[0], latents[1])
        torch.testing.assert_close(engine.encode(music[1:]), latents[1:], atol=1e-4, rtol=1e-4)
        back = engine.decode(latents, TakeSettings(duration_s=music[0].duration_s))
        assert engine.encode(back).shape == latents.shape

    def test_music_that_it_cannot_encode_is_refused(self, engine, music):
        with pytest.raises(ValueError):
            engine.encode([Rendered(torch.zeros(7, 100), engine.sample_rate + 1)])

    @pytest.mark.parametrize("variant", [None, "fp16"])
    def test_saving_and_loading(self, engine, latents, tmp_path, variant):
        engine.save_pretrained(tmp_path, variant=variant, max_shard_size="1MB")
        loaded = type(engine).from_pretrained(tmp_path, variant=variant)
        assert not loaded.training and not any(weight.requires_grad for weight in loaded.parameters())
        before, after = (one.decode(latents, SHORT)[0].audio.numpy() for one in (engine, loaded))
        assert np.array_equal(before, after)
