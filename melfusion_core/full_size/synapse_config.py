"""Settings of the trainer of a full-size model's synapse."""

from __future__ import annotations

from dataclasses import dataclass

from melfusion_core.data.corpus import FORMATS
from melfusion_core.full_size.trainable import MODES
from melfusion_core.training.config import TrainConfig


@dataclass(frozen=True)
class SynapseConfig(TrainConfig):
    """Train the synapse of a full-size model on triplets of picture, caption and music.

    Args:
        model: Folder of the pipeline to start from.
        data: MeLBench folder, file of JSON lines, or Hugging Face dataset (folder or name on the Hub).
        validation: Another table to measure on; empty for the rows of split `validation` in data, or else for the
            first training rows.
        data_format: `auto`, `melbench`, `jsonl` or `datasets`.
        root: Folder below which the table's relative paths lie; empty for the table's own.
        audio_column: Name of the audio's column; empty for the usual ones.
        image_column: Name of the picture's column; empty for the usual ones.
        caption_column: Name of the caption's column; empty for the usual ones.
        mode: `gates`, `gates_kv`, `full` or `lora`.
        lora_rank: Rank in mode `lora`.
        lora_alpha: Scale in mode `lora`, over the rank.
        batch_size: Rows per process, and per step without accumulation.
        accumulation: Batches whose gradients are added before a step.
        checkpointing: Whether to recompute activations instead of keeping them: slower, much less memory.
        learning_rate: Peak learning rate of all but the gates.
        gate_rate: Learning rate of the gates relative to the rest.
        duration_s: Length of a clip in seconds.
        peak: Peak that waveforms are scaled to; 0 leaves them.
        text_dropout: Share of rows without their caption.
        image_dropout: Share of rows without their picture.
        both_dropout: Share of rows with neither.
        min_snr_gamma: Gamma of the min-SNR weighting; 0 for none.
        cache_rows: Rows whose encodings are kept in main memory.
        validation_rows: Rows to measure on.
        checkpoint_minutes: Minutes between two checkpoints.
        validate_minutes: Minutes between two validations.
        sample_minutes: Minutes between two exports.
    """

    model: str = ""
    validation: str = ""
    data_format: str = "auto"
    root: str = ""
    audio_column: str = ""
    image_column: str = ""
    caption_column: str = ""
    mode: str = "gates"
    lora_rank: int = 16
    lora_alpha: float = 16.0
    batch_size: int = 2
    accumulation: int = 1
    checkpointing: bool = False
    learning_rate: float = 1e-5
    weight_decay: float = 1e-2
    gate_rate: float = 1000.0
    duration_s: float = 10.24
    peak: float = 0.5
    text_dropout: float = 0.1
    image_dropout: float = 0.1
    both_dropout: float = 0.1
    min_snr_gamma: float = 5.0
    cache_rows: int = 0
    validation_rows: int = 32
    checkpoint_minutes: float = 15.0
    validate_minutes: float = 30.0
    sample_minutes: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(bool(self.model), "model must name a pipeline's folder")
        self.require(self.mode in MODES, f"mode must be one of {MODES}")
        self.require(self.data_format in FORMATS, f"data_format must be one of {FORMATS}")
        self.require(self.accumulation >= 1 and self.lora_rank >= 1, "accumulation and lora_rank must be at least 1")
        usual = (type(self).lora_rank, type(self).lora_alpha)
        lora = self.mode == "lora" or (self.lora_rank, self.lora_alpha) == usual
        self.require(lora, "lora_rank and lora_alpha have no effect but in mode lora")
        rates = (self.text_dropout, self.image_dropout, self.both_dropout)
        self.require(min(rates) >= 0 and sum(rates) <= 1, "dropouts must not be negative, nor more than 1 in sum")
        self.require(self.min_snr_gamma >= 0 and self.gate_rate > 0, "gamma and gate_rate must not be negative")
        self.require(0 <= self.peak <= 1 and self.duration_s > 0, "peak must be in [0, 1], duration_s positive")
        self.require(self.validation_rows >= 1 and self.cache_rows >= 0, "there must be rows to measure on")
