"""`melfusion bench`: how long each stage of a generation takes, and how much memory it needs."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melfusion_core.cli import options
from melfusion_core.cli.generate import add_model_arguments
from melfusion_core.recipe import checkpoint_sha256, library_versions
from melfusion_core.take import TakeSettings

if TYPE_CHECKING:
    from PIL import Image

    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

CAPTION = "A calm solo piano piece in a minor key at a slow tempo."


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "bench",
        help="time every stage of a generation",
        description="Time every stage of a generation with a picture and a caption, each the median of some repeats "
        "after one run that is not counted, and tell the peak memory. The report is JSON.",
    )
    options.add_settings(parser, "duration_s", "num_inference_steps")
    parser.add_argument("--repeats", type=options.whole_number(1, 100), default=3, help="(default 3)")
    parser.add_argument("--threads", type=options.whole_number(1, 1024), help="CPU threads (default PyTorch's choice)")
    parser.add_argument("--out", type=options.out_file, help="write the report to this file too")
    add_model_arguments(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Measure, and print the report."""
    import torch

    from melfusion_core.cli.takes import load_pipeline, write_error

    if args.threads:
        torch.set_num_threads(args.threads)
    folder = args.model or options.default_model()
    started = time.perf_counter()
    pipe = load_pipeline(folder, args.device)
    loading_s = time.perf_counter() - started
    report = {
        "model": folder.resolve().name,
        "model_sha256": checkpoint_sha256(folder),
        "device": torch.cuda.get_device_name(pipe.device) if pipe.device.type == "cuda" else cpu_name(),
        "threads": torch.get_num_threads(),
        "packages": library_versions(),
        "duration_s": args.duration_s,
        "steps": args.num_inference_steps,
        "repeats": args.repeats,
        "loading_s": round(loading_s, 3),
        **measure(pipe, args.duration_s, args.num_inference_steps, args.repeats),
        "peak_memory_mb": round(peak_memory_bytes(pipe.device.type) / 1e6),
    }
    text = json.dumps(report, indent=2)
    print(text)
    if args.out is not None:
        try:
            args.out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise write_error(args.out, error) from error
    return 0


def measure(pipe: MelFusionPipeline, duration_s: float, steps: int, repeats: int) -> dict[str, float]:
    """Time the stages of a generation.

    Args:
        pipe: Pipeline to measure.
        duration_s: Length of the takes in seconds.
        steps: Denoising steps, at least 2.
        repeats: Timed runs of each stage; one more goes first, untimed.

    Returns:
        Medians in seconds by stage; `compare_ratio` is one comparison over its two takes made one by one.
    """
    import torch

    picture = example_picture()

    def wait() -> None:
        if pipe.device.type == "cuda":
            torch.cuda.synchronize(pipe.device)

    def median_s(action: Callable[[], Any]) -> float:
        seconds = []
        for _ in range(repeats + 1):
            wait()
            started = time.perf_counter()
            action()
            wait()
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds[1:])

    def encode_picture() -> None:
        pipe.clear_image_cache()
        pipe.encode_image(picture)

    settings: dict[str, Any] = {"prompt": CAPTION, "duration_s": duration_s, "num_inference_steps": steps}

    plan = pipe.engine.plan([CAPTION], TakeSettings(duration_s=duration_s))

    def take(image: Image.Image | None, **more: Any) -> Any:
        return pipe(
            image=image, generator=torch.Generator("cpu").manual_seed(0), **settings, **more, return_dict=False
        )[0]

    def compare() -> None:
        pipe.compare(image=picture, generator=torch.Generator("cpu").manual_seed(0), **settings)

    def step_s(image: Image.Image | None) -> float:
        seconds: list[float] = []
        for count in range(repeats + 1):
            marks: list[float] = []

            def mark(_: Any, marks: list[float] = marks) -> None:
                wait()
                marks.append(time.perf_counter())

            take(image, output_type="latent", callback_on_step_end=mark)
            if count:
                seconds += [after - before for before, after in zip(marks, marks[1:], strict=False)]
        return statistics.median(seconds)

    with torch.no_grad():
        latents = take(picture, output_type="latent")
        stages = {
            "text_encoding_s": median_s(lambda: pipe.encode_prompt(CAPTION)),
            "image_branch_s": median_s(encode_picture),
            "step_text_only_s": step_s(None),
            "step_with_picture_s": step_s(picture),
            "view_s": median_s(lambda: pipe.engine.view(latents)),
            "decoding_s": median_s(lambda: pipe.engine.decode(latents, plan)),
            "take_text_only_s": median_s(lambda: take(None)),
            "take_with_picture_s": median_s(lambda: take(picture)),
            "compare_s": median_s(compare),
        }
    ratio = stages["compare_s"] / (stages["take_text_only_s"] + stages["take_with_picture_s"])
    return {name: round(value, 4) for name, value in stages.items()} | {"compare_ratio": round(ratio, 3)}


def cpu_name() -> str:
    """Name the processor.

    Returns:
        Its model where the system tells (Linux), else its architecture.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def example_picture(side: int = 256) -> Image.Image:
    """Make a picture to measure with: a colour gradient.

    Args:
        side: In pixels.

    Returns:
        RGB picture.
    """
    from PIL import Image

    ramp = Image.linear_gradient("L").resize((side, side))
    return Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180)))


def peak_memory_bytes(device_type: str) -> int:
    """Read the peak memory of this process: of the GPU on CUDA, else resident memory.

    Args:
        device_type: As torch names it.

    Returns:
        Bytes.
    """
    if device_type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
