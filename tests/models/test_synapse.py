from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from melfusion_core.models.features import decoder_attention_names
from melfusion_core.models.fusion import concatenate_attention, interpolate_attention, resample_tokens
from melfusion_core.models.inversion import ddim_invert, first_timestep, inversion_timesteps, load_image_scheduler
from melfusion_core.models.synapse import (
    ImageFeatures,
    VisualSynapse,
    capture_image_features,
    install_synapse,
)
from melfusion_core.models.text import TextCondition

TEXT, DIM = 64, 32
DIMS = {"num_layers": 2, "music_dims": (16, 16), "image_dims": (16, 16), "heads": (2, 2)}


def random_text(batch: int, seed: int = 0) -> TextCondition:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(TEXT) < torch.randint(2, 20, (batch, 1), generator=generator)
    return TextCondition(
        torch.randn(batch, TEXT, DIM, generator=generator), mask, torch.randn(batch, DIM, generator=generator)
    )


@pytest.fixture(scope="module")
def image_unet() -> UNet2DConditionModel:
    torch.manual_seed(3)
    return UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=DIM,
        attention_head_dim=(1, 2),
        norm_num_groups=4,
    ).eval()


@pytest.fixture(scope="module")
def music_unet() -> UNet2DConditionModel:
    torch.manual_seed(4)
    return UNet2DConditionModel(
        sample_size=(8, 4),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=DIM,
        attention_head_dim=(1, 2),
        norm_num_groups=4,
    ).eval()


@pytest.fixture(scope="module")
def scheduler() -> DDIMScheduler:
    return DDIMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction")


def random_features(batch: int, tokens: int = 64, timesteps=(100, 500), seed: int = 5) -> ImageFeatures:
    generator = torch.Generator().manual_seed(seed)
    layers = tuple(
        tuple(
            tuple(torch.randn(batch, tokens, 16, generator=generator) for _ in range(2))
            for _ in range(DIMS["num_layers"])
        )
        for _ in timesteps
    )
    return ImageFeatures(tuple(timesteps), layers)


def run(unet: UNet2DConditionModel, text: TextCondition, seed: int = 6) -> torch.Tensor:
    sample = torch.randn(len(text), 4, 8, 4, generator=torch.Generator().manual_seed(seed))
    return unet(sample, 300, encoder_hidden_states=text.states, encoder_attention_mask=text.mask).sample


@pytest.mark.parametrize("fusion", ["decoupled", "interpolate", "concatenate"])
@pytest.mark.parametrize("tokens", [16, 64, 100])
def test_scale_is_per_sample_and_zero_is_exactly_text_only(music_unet, fusion, tokens):
    synapse = VisualSynapse(**DIMS, fusion=fusion)
    text = random_text(3)
    handle = install_synapse(music_unet, synapse)
    try:
        with torch.no_grad():
            plain = run(music_unet, text)
            handle.set(random_features(3, tokens).at(100), torch.tensor([0.0, 1.0, 0.0]))
            mixed = run(music_unet, text)
            handle.set(random_features(3, tokens).at(100), 0.0)
            off = run(music_unet, text)
    finally:
        handle.remove()
    assert torch.equal(mixed[0], plain[0]) and torch.equal(mixed[2], plain[2]) and torch.equal(off, plain)
    assert (mixed[1] - plain[1]).abs().max() > 1e-4


@pytest.mark.parametrize("fusion", ["decoupled", "interpolate", "concatenate"])
def test_zero_stays_exact_and_gradients_finite_in_training(music_unet, fusion):
    synapse = VisualSynapse(**DIMS, fusion=fusion)
    text = random_text(2)
    plain = run(music_unet, text).detach()
    handle = install_synapse(music_unet, synapse)
    try:
        timesteps = torch.tensor([20, 900])
        handle.set(random_features(2).at(timesteps), torch.tensor([0.0, 1.0]))
        output = run(music_unet, text)
        output.square().sum().backward()
        handle.clear()
        text_only = run(music_unet, text).detach()
    finally:
        handle.remove()
        music_unet.zero_grad()
    assert torch.equal(output[0], text_only[0])
    torch.testing.assert_close(text_only, plain)
    for name, parameter in synapse.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert synapse.gate_logits.grad.abs().min() > 0
    assert synapse.value_projections[0].weight.grad.abs().max() > 0


def test_decoupled_is_the_stated_mixture():
    """Closed form: with gate 0 the caption's attention, with gate 1 the picture's, between them the blend."""
    torch.manual_seed(0)
    synapse = VisualSynapse(1, (8,), (8,), (2,), project=False, gate_init=0.25)
    query, text_key, text_value = torch.randn(1, 2, 5, 4), torch.randn(1, 7, 8), torch.randn(1, 7, 8)
    image_key, image_value = torch.randn(1, 9, 8), torch.randn(1, 9, 8)

    def attend(key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        key, value = (item.view(1, -1, 2, 4).transpose(1, 2) for item in (key, value))
        return torch.softmax(query @ key.transpose(2, 3) / math.sqrt(4), dim=-1) @ value

    text, image = attend(text_key, text_value), attend(image_key, image_value)
    for scale, gate in [(0.0, 0.0), (1.0, 0.25), (2.0, 0.5), (8.0, 1.0)]:
        mixed = synapse(0, query, text_key, text_value, None, image_key, image_value, torch.tensor([scale]))
        torch.testing.assert_close(mixed, (1 - gate) * text + gate * image)


def test_an_image_schedule_is_found_in_exports_and_models(tmp_path):
    schedule = DDIMScheduler(beta_end=0.05)
    schedule.save_pretrained(tmp_path / "export/scheduler")
    schedule.save_pretrained(tmp_path / "model/image_scheduler")
    for folder in ("export", "model/image_unet"):
        assert load_image_scheduler(tmp_path / folder).config.beta_end == 0.05
    with pytest.raises(FileNotFoundError, match="image_scheduler"):
        load_image_scheduler(tmp_path / "elsewhere" / "image_unet")


def test_concatenate_is_one_softmax_with_the_gate_as_prior():
    torch.manual_seed(0)
    query, text_key, text_value = (torch.randn(1, 2, length, 4) for length in (5, 7, 7))
    image_key, image_value = torch.randn(1, 2, 9, 4), torch.randn(1, 2, 9, 4)
    padding = torch.zeros(1, 1, 1, 7)
    padding[..., 5:] = -1e4
    for gate in (0.25, 1.0):
        logits = torch.cat([query @ text_key.mT / 2 + padding, query @ image_key.mT / 2], dim=-1)
        chances = logits.exp() * torch.tensor([1.0] * 7 + [gate] * 9)
        expected = chances / chances.sum(-1, keepdim=True) @ torch.cat([text_value, image_value], dim=2)
        gates = torch.full((1, 1, 1, 1), gate)
        actual = concatenate_attention(query, text_key, text_value, image_key, image_value, gates, padding)
        torch.testing.assert_close(actual, expected)


def test_interpolate_is_the_papers_equation():
    torch.manual_seed(0)
    query, text_key, text_value, image_key, image_value = (torch.randn(1, 2, 6, 4) for _ in range(5))
    for gate in (0.0, 0.3, 1.0):
        key = gate * image_key + (1 - gate) * text_key
        value = gate * image_value + (1 - gate) * text_value
        expected = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(4), dim=-1) @ value
        actual = interpolate_attention(
            query, text_key, text_value, image_key, image_value, torch.full((1, 1, 1, 1), gate)
        )
        torch.testing.assert_close(actual, expected)


def test_interpolate_at_padding():
    """Padded positions: masked at gate 0, full picture tokens at gate 1, weighted by the gate between."""
    torch.manual_seed(0)
    query, text_key, text_value, image_key, image_value = (torch.randn(1, 2, 6, 4) for _ in range(5))
    bias = torch.tensor([0.0, 0.0, -10000.0, -10000.0, -10000.0, -10000.0]).view(1, 1, 1, 6)
    padded = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    for gate in (0.0, 0.3, 1.0):
        key = gate * image_key + (1 - gate) * text_key
        value = gate * image_value + (1 - gate) * text_value
        weight = torch.where(padded.bool(), gate, 1.0)
        scores = (query @ key.transpose(-1, -2) / math.sqrt(4)).exp() * weight
        expected = (scores / scores.sum(-1, keepdim=True)) @ value
        actual = interpolate_attention(
            query, text_key, text_value, image_key, image_value, torch.full((1, 1, 1, 1), gate), bias
        )
        torch.testing.assert_close(actual, expected)


def test_resampling_tokens():
    tokens = torch.arange(8.0).view(1, 8, 1).repeat(2, 1, 3)
    assert resample_tokens(tokens, 8) is tokens
    torch.testing.assert_close(resample_tokens(tokens, 4)[0, :, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]))
    torch.testing.assert_close(resample_tokens(tokens, 15)[1, :, 2], torch.arange(15) / 2)


def test_wrong_settings_raise(music_unet):
    for wrong in (
        {"num_layers": 3},
        {"fusion": "sum"},
        {"gate_init": 1.0},
        {"image_dims": (8, 8), "project": False},
        {"key_timesteps": ()},
        {"num_inversion_steps": 0},
    ):
        with pytest.raises(ValueError):
            VisualSynapse(**{**DIMS, **wrong})
    with pytest.raises(ValueError, match="connects layers"):
        install_synapse(music_unet, VisualSynapse(**{**DIMS, "heads": (4, 4)}))
    handle = install_synapse(music_unet, VisualSynapse(**DIMS))
    try:
        with pytest.raises(ValueError, match="layers of features"):
            handle.set(random_features(2).at(0)[:1], 1.0)
        with pytest.raises(ValueError, match="strength"):
            handle.set(random_features(2).at(0), torch.ones(3))
    finally:
        handle.remove()


def test_installing_and_removing_restores_the_very_processors(music_unet):
    before = dict(music_unet.attn_processors)
    handle = install_synapse(music_unet, VisualSynapse(**DIMS))
    changed = [name for name, processor in music_unet.attn_processors.items() if processor is not before[name]]
    assert changed == decoder_attention_names(music_unet, "attn2") and len(changed) == 2
    handle.remove()
    assert all(music_unet.attn_processors[name] is processor for name, processor in before.items())


def test_the_handle_holds_features_only_inside_using(music_unet):
    handle = install_synapse(music_unet, VisualSynapse(**DIMS))
    with pytest.raises(RuntimeError, match="inside"), handle.using(random_features(1).at(0), 1.0):
        assert handle.features is not None
        raise RuntimeError("inside")
    assert handle.features is None
    handle.remove()


def test_save_and_load(tmp_path):
    synapse = VisualSynapse(**DIMS, fusion="interpolate", key_timesteps=(50,))
    synapse.save_pretrained(tmp_path)
    loaded = VisualSynapse.from_pretrained(tmp_path)
    assert loaded.config.fusion == "interpolate" and tuple(loaded.config.key_timesteps) == (50,)
    assert all(torch.equal(a, b) for a, b in zip(synapse.parameters(), loaded.parameters(), strict=True))


def test_capture_takes_keys_and_values_and_restores_processors(image_unet, scheduler):
    before = dict(image_unet.attn_processors)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    null = random_text(1)
    features = capture_image_features(image_unet, scheduler, pixels, null, (100, 500), 3)
    assert all(image_unet.attn_processors[name] is processor for name, processor in before.items())
    assert len(features) == 2 and features.timesteps == (100, 500)
    assert features.shapes == ((64, 16), (64, 16))
    assert features.layers[0][0][0].dtype == torch.float16
    alone = capture_image_features(image_unet, scheduler, pixels[1:], null, (100, 500), 3)
    torch.testing.assert_close(alone.at(500)[1][0], features.index([1]).at(500)[1][0], atol=2e-3, rtol=0)
    assert not torch.equal(features.at(100)[0][0][0], features.at(100)[0][0][1])


def test_capture_sees_the_inverted_sample_itself(image_unet, scheduler):
    """The captured keys are those of a plain UNet call on the trajectory's sample at the key timestep."""
    pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    null = random_text(1)
    features = capture_image_features(image_unet, scheduler, pixels, null, (200,), 2, dtype=torch.float32)

    def predict(sample: torch.Tensor, timestep: int) -> torch.Tensor:
        return image_unet(sample, timestep, encoder_hidden_states=null.states, encoder_attention_mask=null.mask).sample

    seen = []
    with torch.no_grad():
        inverted = ddim_invert(predict, pixels, scheduler, [0, 100, 200])
        name = decoder_attention_names(image_unet, "attn1")[0].removesuffix(".processor")
        hook = image_unet.get_submodule(name).to_k.register_forward_hook(lambda *call: seen.append(call[2]))
        predict(inverted, 200)
        hook.remove()
    torch.testing.assert_close(features.at(200)[0][0], seen[0], atol=1e-4, rtol=1e-4)


def test_capture_restores_processors_after_an_error(image_unet, scheduler):
    before = dict(image_unet.attn_processors)
    broken = TextCondition(torch.zeros(1, TEXT, DIM + 1), torch.ones(1, TEXT, dtype=torch.bool), torch.zeros(1, DIM))
    with pytest.raises(RuntimeError):
        capture_image_features(image_unet, scheduler, torch.zeros(1, 3, 16, 16), broken)
    assert all(image_unet.attn_processors[name] is processor for name, processor in before.items())
    with pytest.raises(ValueError, match="pixels"):
        capture_image_features(image_unet, scheduler, torch.zeros(3, 16, 16), random_text(1))
    with pytest.raises(ValueError, match="one null"):
        capture_image_features(image_unet, scheduler, torch.zeros(1, 3, 16, 16), random_text(2))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_inversion_against_the_closed_form(prediction_type):
    """For Gaussian data N(0, s^2) the exact path is x_t = x_0 sqrt(a s^2 + 1 - a) / sqrt(a_0 s^2 + 1 - a_0)."""
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", prediction_type=prediction_type)
    spread = 0.5

    def variance(timestep: int) -> float:
        alpha = float(scheduler.alphas_cumprod[timestep])
        return alpha * spread**2 + 1 - alpha

    def predict(sample: torch.Tensor, timestep: int) -> torch.Tensor:
        alpha = float(scheduler.alphas_cumprod[timestep])
        clean = math.sqrt(alpha) * spread**2 * sample / variance(timestep)
        epsilon = (sample - math.sqrt(alpha) * clean) / math.sqrt(1 - alpha)
        if prediction_type == "epsilon":
            return epsilon
        if prediction_type == "sample":
            return clean
        return math.sqrt(alpha) * epsilon - math.sqrt(1 - alpha) * clean

    start = torch.tensor([0.7, -1.2], dtype=torch.float64)
    end = ddim_invert(predict, start, scheduler, list(range(0, 901)))
    torch.testing.assert_close(end, start * math.sqrt(variance(900) / variance(0)), rtol=5e-3, atol=0)
    with pytest.raises(ValueError, match="outside"):
        ddim_invert(predict, start, scheduler, [0, 1000])
    wrong = SimpleNamespace(config=SimpleNamespace(prediction_type="flow"), alphas_cumprod=scheduler.alphas_cumprod)
    with pytest.raises(ValueError, match="flow"):
        ddim_invert(predict, start, wrong, [0, 1])


def test_inversion_of_clean_sample_networks_starts_where_noise_is_seen():
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    assert first_timestep(scheduler) == 0
    scheduler.register_to_config(prediction_type="sample")
    first = first_timestep(scheduler)
    noise = (1 - scheduler.alphas_cumprod).sqrt()
    assert float(noise[first]) >= 0.2 > float(noise[first - 1])


def test_inversion_timesteps():
    assert inversion_timesteps((100, 500), 5) == [0, 100, 200, 300, 400, 500]
    assert inversion_timesteps((100, 500), 1) == [0, 100, 500]
    assert inversion_timesteps((0,), 4) == [0]
    assert inversion_timesteps((100,), 2, first=40) == [40, 70, 100]
    for wrong in (((), 3), ((-1,), 3), ((5,), 0)):
        with pytest.raises(ValueError):
            inversion_timesteps(*wrong)


def test_features_nearest_timestep():
    features = random_features(3)
    assert features.at(299)[0][0] is features.layers[0][0][0]
    assert features.at(301)[0][0] is features.layers[1][0][0]
    each = features.at(torch.tensor([0, 999, 250]))
    for row, step in enumerate((0, 1, 0)):
        assert torch.equal(each[1][1][row], features.layers[step][1][1][row])
    with pytest.raises(ValueError):
        features.at(torch.tensor([1, 2]))


def test_features_index_concat_pack():
    features = random_features(3)
    joined = ImageFeatures.concat([features.index([0]), features.index([1, 2])])
    assert torch.equal(joined.pack(), features.pack())
    unpacked = ImageFeatures.unpack(features.pack(), features.timesteps, features.shapes)
    assert torch.equal(unpacked.at(500)[1][0], features.at(500)[1][0])
    assert features.to(dtype=torch.float16).at(0)[0][0].dtype == torch.float16
    with pytest.raises(ValueError):
        ImageFeatures.concat([features, random_features(1, tokens=16)])
    with pytest.raises(ValueError):
        ImageFeatures.unpack(features.pack()[:, 1:], features.timesteps, features.shapes)
    with pytest.raises(ValueError):
        ImageFeatures((1, 2), features.layers[:1])
