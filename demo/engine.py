"""The model behind the studio: a pipeline that reports each step, turned into a generator that can be closed."""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

from PIL import Image

from demo.takes import Reading, Settings
from melfusion_core import MelFusionPipeline
from melfusion_core.models.scenes import SceneReader, load_scene_classifier
from melfusion_core.pipelines.loading import find_model
from melfusion_core.pipelines.rendering import Finished, Step, open_pipeline, render_takes
from melfusion_core.recipe import checkpoint_sha256

PREVIEWS = 8
MANY_PIECES = 4  # a word that the tokenizer takes apart so far is none that it has met
GPU_SECONDS_TO_BEGIN = 10
GPU_SECONDS_PER_STEP = 0.2  # of 10.24 s; generous, and still far below what locks a visitor out


class PipelineEngine:
    """Makes music with a pipeline.

    One take at a time: another one waits until the first is finished or its generator closed.

    Args:
        pipe: The pipeline, on its device.
        model_name: Name of the model, for recipes.
        model_sha256: Hash of the model's files, for recipes.
        scene_reader: Says what pictures show; ``None`` where the model has no scene classifier.
    """

    def __init__(
        self, pipe: MelFusionPipeline, model_name: str, model_sha256: str, scene_reader: SceneReader | None = None
    ) -> None:
        self.pipe = pipe
        self.pipe.set_progress_bar_config(disable=True)
        self.sample_rate = pipe.sample_rate
        self.model_name = model_name
        self.model_sha256 = model_sha256
        self.device = str(pipe.device)
        self.sounds_sha256 = pipe.engine.sounds_sha256
        self._scene_reader = scene_reader
        self._busy = threading.Lock()
        self.render = _on_zero_gpu(self.render)

    @classmethod
    def from_folder(cls, folder: str | Path) -> PipelineEngine:
        """Load a pipeline, onto the GPU where there is one.

        Args:
            folder: Folder in diffusers format, or ``owner/name`` of a repository on the Hugging Face Hub.

        Returns:
            The engine.

        Raises:
            FileNotFoundError: When there is no model in the folder.
            HubError: When the repository could not be had.
            ValueError: When its weights do not fit, or its scene classifier was fitted to another image model or is
                damaged.
        """
        found = find_model(folder)
        pipe = open_pipeline(found)
        classifier, reader = load_scene_classifier(found), None
        if classifier is not None:
            null_text = pipe.encode_prompt("") if pipe.image_null is None else pipe.image_null.condition()
            reader = SceneReader(classifier, pipe.image_unet, pipe.image_scheduler, null_text, pipe.image_encoder)
        return cls(pipe, Path(folder).resolve().name, checkpoint_sha256(found), reader)

    def reads(self, caption: str) -> Reading:
        """Say how a caption is read; see :class:`demo.takes.Engine`.

        Args:
            caption: What was written.

        Returns:
            What is cut off, and words that fall into many pieces; nothing where the tokenizer does not tell.
        """
        tokenizer = self.pipe.tokenizer
        if not tokenizer.is_fast or not caption:
            return Reading()
        read = tokenizer(caption, return_offsets_mapping=True, truncation=False, verbose=False)
        places, words = read["offset_mapping"], read.word_ids()
        last = self.pipe.config.max_caption_tokens - 1  # the end's own token comes after
        beyond = [begin for begin, end in places[last:] if end > begin]
        pieces = Counter(word for word in words if word is not None)
        strange = [read.word_to_chars(word) for word, count in pieces.items() if count >= MANY_PIECES]
        cut = caption[beyond[0] :] if len(places) > last + 1 and beyond else ""
        return Reading(cut, tuple(caption[span.start : span.end] for span in strange))

    def scene(self, image: Image.Image) -> str | None:
        """Say what kind of scene a picture shows; see :class:`demo.takes.Engine`.

        Args:
            image: RGB picture.

        Returns:
            A few words, or ``None``.
        """
        return self._scene_reader.read(image).word if self._scene_reader is not None else None

    def render(self, settings: Settings) -> Generator[Step | Finished, None, None]:
        """Make the music step by step; see :class:`demo.takes.Engine`.

        Args:
            settings: What to make.

        Yields:
            Each step, with a preview every few of them, and last the takes.
        """
        with self._busy:
            what = settings.caption, settings.image, settings, settings.compares
            yield from render_takes(self.pipe, *what, previews=PREVIEWS)


def gpu_seconds(settings: Settings) -> int:
    """Say how long a run may need a lent GPU: what is asked for counts against the visitor's quota.

    Args:
        settings: What is made.

    Returns:
        Seconds.
    """
    length = settings.duration_s / 10.24
    return math.ceil(GPU_SECONDS_TO_BEGIN + GPU_SECONDS_PER_STEP * settings.num_inference_steps * length)


def _on_zero_gpu(render: Callable) -> Callable:
    """On a Hugging Face ZeroGPU Space the work runs in a process that is lent a GPU; elsewhere nothing changes."""
    if not os.environ.get("SPACES_ZERO_GPU"):
        return render
    import spaces

    return spaces.GPU(duration=gpu_seconds)(render)
