"""A tiny pipeline that makes notes."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from melfusion_core.engines.score.engine import ScoreEngine
from melfusion_core.engines.score.inputs import input_channels, output_channels
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from tests.conftest import TextModels, image_scheduler, make_image_unet, make_synapse, music_scheduler
from tests.engines.score.test_engine import make_codec

FOLD = 3


def make_score_pipeline(text: TextModels) -> MelFusionPipeline:
    """With equal weights every time."""
    tokenizer, text_encoder = text
    width = text_encoder.config.hidden_size
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=(32, 4),
        in_channels=input_channels(FOLD),
        out_channels=output_channels(FOLD),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=(1, 2),
        norm_num_groups=4,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=width,
    ).eval()
    pipe = MelFusionPipeline(
        engine=ScoreEngine(make_codec(), fold=FOLD).eval(),
        unet=unet,
        image_unet=make_image_unet(width),
        synapse=make_synapse(),
        scheduler=music_scheduler(),
        image_scheduler=image_scheduler(),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
