"""`melfusion evaluate-codec`: how near the codec's reconstructions are to held-out clips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli import options
from melfusion_core.cli.evaluate import default_judge
from melfusion_core.cli.options import CommandError

if TYPE_CHECKING:
    from melfusion_core.engines.spectrogram.engine import SpectrogramEngine

QUICK = {"n": 40, "solos": 8, "pieces": 12}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "evaluate-codec",
        help="measure the codec's reconstructions",
        description="Measure reconstructions of held-out clips: Frechet distance by the judge against the floor "
        "between two halves of the originals, spectral distances, pitch of fresh monophonic pieces, onsets of fresh "
        "pieces against their scores, speed. The fresh pieces need FluidSynth.",
    )
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--out", type=options.out_folder, required=True, help="folder for the report")
    parser.add_argument("--judge", type=Path, help="export of `melfusion train judge` (default the shipped judge)")
    parser.add_argument("--model", type=Path, help="folder of a whole model; or give --vae and --vocoder")
    parser.add_argument("--vae", type=Path, help="export of `melfusion train codec`, or of `vae`")
    parser.add_argument("--vocoder", type=Path, help="export of `melfusion train vocoder`")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="(default test)")
    parser.add_argument("--n", type=options.whole_number(4, 100_000), default=200, help="clips (default 200)")
    solos = options.whole_number(0, 1000)
    parser.add_argument("--solos", type=solos, default=16, help="fresh monophonic pieces for the pitch (default 16)")
    parser.add_argument("--pieces", type=solos, default=32, help="fresh pieces for the onsets (default 32)")
    parser.add_argument("--quick", action="store_true", help="40 clips, 8 monophonic and 12 fresh pieces")
    parser.add_argument("--soundfont", type=Path, help="General MIDI SoundFont (default that of fluid-soundfont-gm)")
    parser.add_argument("--seed", type=options.seed, default=0, help="(default 0)")
    parser.add_argument("--threads", type=options.whole_number(1, 1024), help="CPU threads (default PyTorch's choice)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    args.judge = args.judge or default_judge()
    folders = [args.corpus, args.judge, *(path for path in (args.model, args.vae, args.vocoder) if path)]
    for folder in folders:
        if not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    if args.quick:
        args.n, args.solos, args.pieces = QUICK["n"], QUICK["solos"], QUICK["pieces"]
    import numpy as np
    import torch

    from melfusion_core.data.renderer import RendererError
    from melfusion_core.evaluation.codec import CodecUnderTest
    from melfusion_core.evaluation.codec_report import evaluate_codec
    from melfusion_core.evaluation.judging import load_judge, load_triplets
    from melfusion_core.evaluation.pieces import known_pieces

    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        codec = CodecUnderTest(_load_engine(args.model, args.vae, args.vocoder, args.device))
        judge = load_judge(args.judge, args.device)
        triplets = load_triplets(args.corpus, args.split)
        rate = codec.sample_rate
        if judge.sample_rate != rate:
            raise ValueError(f"the codec works at {rate} Hz, the judge hears {judge.sample_rate} Hz")
        solos, pieces = known_pieces(args.solos, args.pieces, args.seed, args.soundfont, rate)
    except (RendererError, ValueError) as error:
        raise CommandError(str(error)) from error
    order = np.random.default_rng(args.seed).permutation(len(triplets))[: args.n]
    originals = [triplets[index].read_audio(rate).numpy() for index in order]
    shortest = min(len(clip) for clip in originals)
    source = {"model": args.model} if args.model else {"vae": args.vae, "vocoder": args.vocoder}
    notes = {name: "/".join(path.parts[-2:]) for name, path in source.items()} | {"split": args.split}
    originals = [clip[:shortest] for clip in originals]
    evaluate_codec(codec, judge, originals, solos, pieces, args.out, notes, args.seed)
    print((args.out / "codec.md").read_text(encoding="utf-8"))
    return 0


def _load_engine(model: Path | None, vae: Path | None, vocoder: Path | None, device: str) -> SpectrogramEngine:
    """The engine of a whole model, or one of a codec's and a vocoder's folders."""
    from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
    from melfusion_core.engines.spectrogram.latents import load_codec
    from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder

    if model is None and vae is not None and vocoder is not None:
        return SpectrogramEngine(load_codec(vae), ISTFTVocoder.from_pretrained(vocoder)).to(device)
    if model is None or vae is not None or vocoder is not None:
        raise CommandError("Give either --model, or --vae and --vocoder.")
    from melfusion_core.cli.takes import load_pipeline

    engine = load_pipeline(model, device).engine
    if not isinstance(engine, SpectrogramEngine):
        raise CommandError(f"{model} makes no spectrograms: it has no codec to measure.")
    return engine
