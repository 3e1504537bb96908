"""The model behind the studio: a pipeline that reports each step, turned into a generator that can be closed."""

from __future__ import annotations

import math
import os
import queue
import re
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from demo.takes import TEXT_ONLY, WITH_IMAGE, Settings, Sound, Step
from melfusion_core import MelFusionPipeline
from melfusion_core.mel import mel_to_db
from melfusion_core.models.scenes import SceneReader, load_scene_classifier
from melfusion_core.pipelines.loading import download_pipeline
from melfusion_core.pipelines.outputs import StepInfo
from melfusion_core.recipe import checkpoint_sha256

PREVIEWS = 8
GPU_SECONDS_TO_BEGIN = 10
GPU_SECONDS_PER_STEP = 0.2  # of 10.24 s; generous, and still far below what locks a visitor out
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


class PipelineEngine:
    """Makes music with a pipeline.

    The pipeline calls back after each step; here it runs in a thread of its own and the steps come out of a
    generator. Closing the generator stops the thread after the step it is in and waits for it.

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
        self.mel_config = pipe.mel_config
        self.model_name = model_name
        self.model_sha256 = model_sha256
        self.device = str(pipe.device)
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
            OSError: When there is no model in the folder.
            HubError: When the repository could not be had.
            ValueError: When its scene classifier was fitted to another image model, or is damaged.
        """
        if not Path(folder).exists() and REPOSITORY.fullmatch(str(folder)):
            name, folder = str(folder).rpartition("/")[2], download_pipeline(str(folder))
        else:
            name, folder = Path(folder).resolve().name, Path(folder)
        if not (folder / "model_index.json").is_file():
            raise FileNotFoundError(f"there is no model_index.json in {folder}")
        pipe = MelFusionPipeline.from_pretrained(folder)
        classifier, reader = load_scene_classifier(folder), None
        if classifier is not None:
            null_text = pipe.encode_prompt("") if pipe.image_null is None else pipe.image_null.condition()
            reader = SceneReader(classifier, pipe.image_unet, pipe.image_scheduler, null_text, pipe.image_encoder)
        pipe.to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(pipe, name, checkpoint_sha256(folder), reader)

    def scene(self, image: Image.Image) -> str | None:
        """Say what kind of scene a picture shows; see :class:`demo.takes.Engine`.

        Args:
            image: RGB picture.

        Returns:
            A few words, or ``None``.
        """
        return self._scene_reader.read(image).word if self._scene_reader is not None else None

    def render(self, settings: Settings) -> Generator[Step | dict[str, Sound], None, None]:
        """Make the music step by step; see :class:`demo.takes.Engine`.

        Args:
            settings: What to make.

        Yields:
            Each step, with a preview every few of them, and last the sounds.
        """
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stop = threading.Event()

        def work() -> None:
            try:
                with self._busy:
                    events.put(self._run(settings, events.put, stop))
            except Exception as error:  # noqa: BLE001  (raised again below, in the caller's thread)
                events.put(error)

        thread = threading.Thread(target=work, name="melfusion-engine", daemon=True)
        thread.start()
        try:
            while True:
                event = events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, dict):
                    return
        finally:
            stop.set()
            thread.join()

    @torch.no_grad()
    def _run(self, settings: Settings, report: Callable[[Step], None], stop: threading.Event) -> dict[str, Sound]:
        every = max(1, settings.num_inference_steps // PREVIEWS)

        def on_step(info: StepInfo) -> bool:
            step, num_steps, mel_db = info["step"], info["num_steps"], None
            if (step == 1 or step % every == 0) and step < num_steps and not stop.is_set():
                mel_db = self._to_db(self.pipe.decode_latents(info["clean_latents"][:1])[0, 0])
            report(Step(step, num_steps, mel_db))
            return not stop.is_set()

        options = {
            "prompt": settings.caption,
            "image": settings.image,
            "settings": settings,
            "callback_on_step_end": on_step,
        }
        if settings.compares:
            pair = self.pipe.compare(**options)
            return {
                WITH_IMAGE: Sound(pair.with_image[0], self._to_db(pair.with_image_mels[0])),
                TEXT_ONLY: Sound(pair.text_only[0], self._to_db(pair.text_only_mels[0])),
            }
        output = self.pipe(**options)
        name = WITH_IMAGE if settings.image is not None else TEXT_ONLY
        return {name: Sound(output.audios[0], self._to_db(output.mels[0]))}

    def _to_db(self, mel: torch.Tensor) -> Any:
        return mel_to_db(mel.float().cpu(), self.mel_config).numpy()


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
