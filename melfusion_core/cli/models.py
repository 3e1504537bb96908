"""Which model a command works with: a folder, or a repository on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError

if TYPE_CHECKING:
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

DTYPES = ("float32", "float16", "bfloat16")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a model and where and how it runs.

    Args:
        parser: To add to.
    """
    parser.add_argument(
        "--model",
        type=Path,
        default=None,
        help="checkpoint folder, or a repository on the Hub, ORGANISATION/NAME "
        f"(default checkpoints/{options.MODEL_NAME})",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default auto)")


def add_memory_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags with which a full-size model fits a smaller device.

    Args:
        parser: To add to.
    """
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="of the weights but the text encoder's (default float32)"
    )
    parser.add_argument(
        "--offload", action="store_true", help="keep only the network at work on the device, the others in main memory"
    )
    parser.add_argument("--vae-slicing", action="store_true", help="run the VAEs one sample at a time")


def model_folder(model: Path | None) -> Path:
    """Find the folder of a model; a repository of the Hub is downloaded, or found in the local cache.

    Args:
        model: As given on the command line; None for the model that ships with the program.

    Returns:
        The folder.

    Raises:
        CommandError: The repository could not be had.
    """
    if model is None or model.exists():
        return model or options.default_model()
    from melfusion_core.pipelines.loading import HubError, find_model

    try:
        return find_model(model)
    except FileNotFoundError as error:
        raise CommandError(str(error)) from error
    except HubError as error:
        raise CommandError(
            f"There is no model in {model}: the folder does not exist, and as a repository {error}", code=1
        ) from error


def prepare_pipeline(pipe: MelFusionPipeline, args: argparse.Namespace) -> MelFusionPipeline:
    """Apply the flags of `add_memory_arguments` to a loaded pipeline.

    Args:
        pipe: The pipeline, on its device.
        args: Parsed command line.

    Returns:
        The pipeline.

    Raises:
        CommandError: There is no accelerator to offload from.
    """
    import torch

    if args.dtype != "float32":
        for name, component in pipe.components.items():
            # FLAN-T5 overflows in float16; it runs twice per clip, so it may as well stay exact.
            if isinstance(component, torch.nn.Module) and name != "text_encoder":
                component.to(dtype=getattr(torch, args.dtype))
    if args.vae_slicing:
        for part in (*pipe.engine.parts.values(), pipe.image_vae):
            if hasattr(part, "enable_slicing"):
                part.enable_slicing()
    if args.offload:
        device = pipe.device if pipe.device.type != "cpu" else None
        if device is None:
            raise CommandError("--offload needs an accelerator to take networks off; on the CPU leave it out.")
        pipe.enable_model_cpu_offload(device=device)
    return pipe
