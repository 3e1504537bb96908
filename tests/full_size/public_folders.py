"""Tiny, randomly initialised folders of the same classes and layout as the public repositories."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AutoencoderKL,
    DDIMScheduler,
    PNDMScheduler,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import (
    ClapConfig,
    ClapModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaTokenizer,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

CHANNELS = (8, 16, 16, 16)
SD_BLOCKS = {
    "block_out_channels": CHANNELS,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
    "norm_num_groups": 4,
}
AUDIOLDM_BLOCKS = {
    "block_out_channels": CHANNELS,
    "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 3,
    "up_block_types": ("CrossAttnUpBlock2D",) * 3 + ("UpBlock2D",),
    "layers_per_block": 2,
    "norm_num_groups": 4,
    "in_channels": 8,
    "out_channels": 8,
    "sample_size": 16,
}
WORDS = "a the slow fast piano music jazz calm loud guitar rock of with and".split()


def byte_vocabulary() -> dict[str, int]:
    symbols = [chr(number) for number in range(33, 127)]
    return {symbol: number for number, symbol in enumerate(symbols + [f"{symbol}</w>" for symbol in symbols])}


def clip_tokenizer() -> CLIPTokenizer:
    vocabulary = byte_vocabulary()
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[token] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=12)


def t5_tokenizer() -> T5Tokenizer:
    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(
        vocab=[(piece, -1.0 - 0.01 * i) for i, piece in enumerate(pieces)], extra_ids=0, model_max_length=32
    )


def roberta_tokenizer() -> RobertaTokenizer:
    vocabulary = {token: number for number, token in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))}
    for symbol in [*(chr(number) for number in range(33, 127)), "Ġ"]:
        vocabulary.setdefault(symbol, len(vocabulary))
    return RobertaTokenizer(vocab=vocabulary, merges=[], model_max_length=40)


def make_image_folder(folder: Path) -> Path:
    """Stable Diffusion 1.5: unet, vae, text_encoder, tokenizer, scheduler."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    UNet2DConditionModel(
        **SD_BLOCKS, sample_size=8, in_channels=4, out_channels=4, cross_attention_dim=12, attention_head_dim=2
    ).save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        scaling_factor=0.18215,
    ).save_pretrained(folder / "vae")
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=12,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=12,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    return folder


def make_audio_folder(folder: Path) -> Path:
    """AudioLDM's VAE and vocoder; 800 Hz, 16 mel bins."""
    torch.manual_seed(1)
    AutoencoderKL(
        in_channels=1,
        out_channels=1,
        block_out_channels=(4, 4, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=8,
        norm_num_groups=4,
        scaling_factor=0.9227914214134216,
    ).save_pretrained(folder / "vae")
    config = SpeechT5HifiGanConfig(
        model_in_dim=32,
        sampling_rate=800,
        upsample_initial_channel=8,
        upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
        n_fft=64,
    )
    SpeechT5HifiGan(config).save_pretrained(folder / "vocoder")
    return folder


def make_text_folder(folder: Path) -> Path:
    """FLAN-T5: the encoder at the repository's top."""
    torch.manual_seed(2)
    t5_tokenizer().save_pretrained(folder)
    T5EncoderModel(t5_config()).save_pretrained(folder)
    return folder


def t5_config() -> T5Config:
    return T5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=16,
        d_ff=16,
        d_kv=8,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )


def tango_unet() -> UNet2DConditionModel:
    torch.manual_seed(3)
    return UNet2DConditionModel(
        **SD_BLOCKS,
        sample_size=(32, 2),
        in_channels=8,
        out_channels=8,
        cross_attention_dim=16,
        attention_head_dim=(2, 2, 2, 2),
        use_linear_projection=True,
        upcast_attention=True,
    )


def make_tango_folder(folder: Path, layout: str = "safetensors", with_text: bool = False) -> Path:
    """Tango's UNet: in diffusers' layout, or in Tango's own as safetensors or pickle."""
    folder.mkdir(parents=True, exist_ok=True)
    unet = tango_unet()
    if layout == "diffusers":
        unet.save_pretrained(folder / "unet")
        DDIMScheduler(prediction_type="v_prediction", beta_schedule="scaled_linear").save_pretrained(
            folder / "scheduler"
        )
        return folder
    unet.save_config(folder)
    (folder / "config.json").rename(folder / "unet_config.json")
    state = {f"unet.{name}": value for name, value in unet.state_dict().items()}
    if with_text:
        torch.manual_seed(7)
        text = T5EncoderModel(t5_config()).state_dict()
        state |= {f"text_encoder.{name}": value.clone() for name, value in text.items()}
    if layout == "pickle":
        torch.save(state, folder / "pytorch_model_main.bin")
    else:
        save_file(state, folder / "model.safetensors")
    return folder


def clap_model() -> ClapModel:
    tokenizer = roberta_tokenizer()
    return ClapModel(
        ClapConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 16,
                "max_position_embeddings": 42,
                "pad_token_id": tokenizer.pad_token_id,
                "projection_dim": 8,
            },
            audio_config={
                "spec_size": 64,
                "num_mel_bins": 16,
                "patch_embeds_hidden_size": 8,
                "hidden_size": 16,
                "depths": [1, 1],
                "num_attention_heads": [1, 1],
                "num_hidden_layers": 2,
                "window_size": 4,
                "patch_size": 4,
                "patch_stride": [4, 4],
                "projection_dim": 8,
            },
            projection_dim=8,
        )
    )


def make_musicldm_folder(folder: Path) -> Path:
    """MusicLDM: unet, scheduler, CLAP."""
    torch.manual_seed(4)
    UNet2DConditionModel(
        **AUDIOLDM_BLOCKS,
        cross_attention_dim=CHANNELS,
        attention_head_dim=2,
        class_embed_type="simple_projection",
        class_embeddings_concat=True,
        projection_class_embeddings_input_dim=8,
    ).save_pretrained(folder / "unet")
    DDIMScheduler(beta_schedule="scaled_linear").save_pretrained(folder / "scheduler")
    clap_model().save_pretrained(folder / "text_encoder")
    roberta_tokenizer().save_pretrained(folder / "tokenizer")
    return folder


def make_audioldm2_folder(folder: Path) -> Path:
    """AudioLDM2: unet, scheduler, CLAP, FLAN-T5, projection, GPT-2."""
    torch.manual_seed(5)
    AudioLDM2UNet2DConditionModel(
        **AUDIOLDM_BLOCKS, cross_attention_dim=[[None, 8, 16]] * 4, attention_head_dim=2
    ).save_pretrained(folder / "unet")
    DDIMScheduler(beta_schedule="scaled_linear").save_pretrained(folder / "scheduler")
    clap_model().save_pretrained(folder / "text_encoder")
    roberta_tokenizer().save_pretrained(folder / "tokenizer")
    T5EncoderModel(t5_config()).save_pretrained(folder / "text_encoder_2")
    t5_tokenizer().save_pretrained(folder / "tokenizer_2")
    AudioLDM2ProjectionModel(8, 16, 8).save_pretrained(folder / "projection_model")
    GPT2LMHeadModel(
        GPT2Config(n_embd=8, n_layer=1, n_head=2, n_positions=64, vocab_size=5, bos_token_id=0, eos_token_id=0)
    ).save_pretrained(folder / "language_model")
    language_model = folder / "language_model" / "config.json"
    language_model.write_text(language_model.read_text().replace("{\n", '{\n  "max_new_tokens": 8,\n', 1))
    return folder
