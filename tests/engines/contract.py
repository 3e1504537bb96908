"""What every engine promises to pipelines, trainers and front ends: subclass it, and give fixtures for one engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from melfusion_core.engines.base import Engine, Known, Plan, Rendered
from melfusion_core.take import TakeSettings

MULTIPLE = 2


class EngineContract:
    """Tests of an engine.

    Subclasses give the fixtures ``engine``, ``music`` (two different pieces that it can encode) and ``channels`` (how
    many its UNet takes); and say by how much a take may be longer than was asked for.
    """

    longer_by_s = 0.0
    short, long = TakeSettings(duration_s=1.28), TakeSettings(duration_s=5.12)

    def seen(self, latents: torch.Tensor) -> torch.Tensor:
        """What the UNet sees of latents where nothing is known."""
        return latents

    def plan(self, engine: Engine, settings: TakeSettings | None = None, takes: int = 2) -> Plan:
        """The plan of some takes."""
        return engine.plan(["a piece of music"] * takes, settings or self.short, MULTIPLE)

    @pytest.fixture
    def latents(self, engine: Engine) -> torch.Tensor:
        """Two random samples, with what their plan settles."""
        plan = self.plan(engine)
        shape = plan.shape
        noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        return noise if plan.known is None else plan.known.paste(noise)

    def test_longer_takes_have_more_latents(self, engine):
        short, long = (self.plan(engine, settings).shape for settings in (self.short, self.long))
        assert short[0] == long[0] == engine.latent_channels and short[2] == long[2]
        assert short[1] < long[1] and short[1] % MULTIPLE == long[1] % MULTIPLE == 0

    def test_the_unet_sees_the_latents_first_and_then_where_they_lie(self, engine, latents, channels):
        engine.check_channels(channels)
        seen = type(engine).model_input(latents, channels)
        assert seen.shape == (2, channels, *latents.shape[2:])
        assert torch.equal(seen[:, : engine.latent_channels], self.seen(latents))
        crop = type(engine).model_input(latents[..., 2:6, :], channels, torch.tensor([2, 2]))
        torch.testing.assert_close(crop, seen[..., 2:6, :])
        with pytest.raises(ValueError):
            engine.check_channels(engine.latent_channels - 1)

    def test_what_is_known_is_told_or_refused(self, engine, latents, channels):
        known = Known(torch.ones_like(latents), torch.rand_like(latents) > 0.5)
        if engine.accepts_known:
            told = engine.model_input(latents, channels, known=known)
            assert told.shape == (2, channels, *latents.shape[2:])
            assert not torch.equal(told, engine.model_input(latents, channels))
        else:
            with pytest.raises(ValueError):
                engine.model_input(latents, channels, known=known)

    def test_latents_become_music(self, engine, latents):
        pieces = engine.decode(latents, self.plan(engine))
        assert len(pieces) == 2
        for piece in pieces:
            assert isinstance(piece, Rendered) and piece.sample_rate == engine.sample_rate
            assert piece.audio.ndim == 2 and piece.audio.dtype == torch.float32 and torch.isfinite(piece.audio).all()
            assert 0 <= piece.duration_s - self.short.duration_s <= self.longer_by_s
            if piece.stems is not None:
                torch.testing.assert_close(sum(piece.stems.values()), piece.audio)
        assert not torch.equal(pieces[0].audio, pieces[1].audio)

    def test_a_sample_does_not_depend_on_its_neighbours_or_on_chance(self, engine, latents):
        together, again = (engine.decode(latents, self.plan(engine)) for _ in range(2))
        [alone] = engine.decode(latents[1:], self.plan(engine, takes=1))
        assert torch.equal(together[1].audio, again[1].audio)
        torch.testing.assert_close(together[1].audio, alone.audio, atol=1e-4, rtol=1e-3)

    def test_latents_can_be_seen_while_they_form(self, engine, latents):
        views = engine.view(latents)
        [first, second] = engine.decode(latents, self.plan(engine))
        assert len(views) == 2 and type(views[0]) is type(first.view)
        assert views[0].duration_s >= first.view.duration_s > 0
        assert views[0].nbytes >= 0 and isinstance(views[0].figure("Title"), Figure)
        assert len(first.view.figure("A", second.view, "B").axes) > len(first.view.figure("A").axes)

    def test_music_becomes_latents(self, engine, music):
        latents = engine.encode(music)
        assert latents.shape[:2] == (2, engine.latent_channels) and latents.dtype == torch.float32
        assert torch.isfinite(latents).all() and not torch.equal(latents[0], latents[1])
        torch.testing.assert_close(engine.encode(music[1:]), latents[1:], atol=1e-4, rtol=1e-4)
        back = engine.decode(latents, self.plan(engine, TakeSettings(duration_s=music[0].duration_s)))
        assert engine.encode(back).shape == latents.shape

    def test_music_that_it_cannot_encode_is_refused(self, engine, music):
        with pytest.raises(ValueError):
            engine.encode([Rendered(torch.zeros(7, 100), engine.sample_rate + 1)])

    @pytest.mark.parametrize("variant", [None, "fp16"])
    def test_saving_and_loading(self, engine, latents, tmp_path, variant):
        engine.save_pretrained(tmp_path, variant=variant, max_shard_size="1MB")
        loaded = type(engine).from_pretrained(tmp_path, variant=variant)
        assert not loaded.training and not any(weight.requires_grad for weight in loaded.parameters())
        before, after = (one.decode(latents, self.plan(one))[0].audio.numpy() for one in (engine, loaded))
        assert np.array_equal(before, after)
