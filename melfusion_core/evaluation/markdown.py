"""The evaluation's report in words."""

from __future__ import annotations

from typing import Any

from melfusion_core.evaluation.figures import format_estimate
from melfusion_core.take import KNOBS

_VARIANTS = (("with_image", "picture and caption"), ("text_only", "caption alone"), ("real", "real clips"))


def format_markdown(report: dict[str, Any]) -> str:
    """Write the report as Markdown.

    Args:
        report: As `evaluate` returns it.

    Returns:
        The text.
    """
    settings = report["settings"]
    given = ((knob.flags[0].replace("-", " "), settings.get(name)) for name, knob in KNOBS.items())
    told = ", ".join(f"{name} {value}" for name, value in given if value not in (None, ""))
    lines = [
        "# Evaluation",
        "",
        f"{report['n']} held-out triplets of the {report['split']} split. Settings: {told}. Brackets are 95 % "
        "intervals. Both takes of a pair start from the same noise. Judge and embedder: "
        f"{report['judge']['name']}; figures from other embedders are not comparable.",
        "",
    ]
    lines += _picture(report) + _caption(report) + _likeness(report) + _judge(report["judge"]["real_clips"])
    lines += [
        "## Sound",
        "",
        "| takes | not finite | silent | clipped | without onset | median peak | contrast |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in report["sound"].items():
        lines.append(
            f"| {name} ({row['takes']}) | {row['not_finite']} | {row['silent']} | {row['clipped']} | "
            f"{row['without_onset']} | {row['median_peak_dbfs']} dBFS | {row['contrast_db']} dB |"
        )
    return "\n".join(lines) + "\n"


def _picture(report: dict[str, Any]) -> list[str]:
    lines = [
        "## Does the music obey the picture?",
        "",
        f'Caption: "{report["neutral_caption"]}". Spearman rank correlation of the picture\'s mood with what is '
        "measured in the music. The real clips show how strongly the corpus itself ties them. `arousal_cues` is the "
        "mean rank of onset rate, tempo, level, centroid and flux; `valence_cues` that of mode and centroid.",
        "",
    ]
    for group, table in report["picture_obeyed"].items():
        themes = f", {table['themes']} themes, intervals over themes" if table["themes"] else ""
        lines += [
            f"### Pictures: {group} ({table['n']}{themes})",
            "",
            "| picture -> music | picture and caption | caption alone | gain | real clips |",
            "|---|---|---|---|---|",
        ]
        for name, row in table["pairs"].items():
            cells = (format_estimate(row[key]) for key in ("with_image", "text_only", "gain", "real"))
            lines.append(f"| {name} | {' | '.join(cells)} |")
        ceiling = report.get("feature_ceiling", {}).get(group)
        if ceiling:
            lines += [
                "",
                f"Ceiling without an eye: a ridge regression on colours and texture, trained on "
                f"{ceiling['train_pictures']} training pictures of {ceiling['train_themes']} themes, tells arousal by "
                f"{format_estimate(ceiling['arousal'])} and valence by {format_estimate(ceiling['valence'])}.",
            ]
        lines.append("")
    labels = {"own_picture": "in the judge's joint space", "own_mood": "by the mood heard and the known moods"}
    for key, label in labels.items():
        own = report[key]
        if own:
            cells = "; ".join(f"{words} {format_estimate(own[name], True)}" for name, words in _VARIANTS)
            lines += [f"Own picture among {own['among']}, {label}: {cells}; chance {100 * own['chance']:.0f} %.", ""]
    points = next(iter(report["doses"].values()))["points"]
    lines += [
        f"### Dose ({report['dose_n']} triplets)",
        "",
        f"| measure | {' | '.join(str(point['strength']) for point in points)} | monotone |",
        f"|---|{'---|' * len(points)}---|",
    ]
    for name, curve in report["doses"].items():
        cells = " | ".join(format_estimate(point) for point in curve["points"])
        lines.append(f"| {name} | {cells} | {'yes' if curve['monotone'] else 'no'} |")
    strengths = " | ".join(str(point["strength"]) for point in points)
    lines += [
        "",
        "How far the music moves from the calmest to the most excited picture, or from the most unpleasant one to the "
        "most pleasant, in the unit of the measure (slope by least squares):",
        "",
        f"| measure | {strengths} | monotone | real clips |",
        f"|---|{'---|' * len(points)}---|---|",
    ]
    for name, curve in report["dose_slopes"].items():
        cells = " | ".join(format_estimate(point) for point in curve["points"])
        own = format_estimate(curve["real"])
        lines.append(f"| {name} | {cells} | {'yes' if curve['monotone'] else 'no'} | {own} |")
    return [*lines, ""]


def _caption(report: dict[str, Any]) -> list[str]:
    obeyed = report["caption_obeyed"]
    lines = [
        "## Does the music obey the caption?",
        "",
        f'Captions such as "{report["described_caption"]}".',
        "",
        "| | picture and caption | caption alone | real clips | chance: uniform, commonest |",
        "|---|---|---|---|---|",
    ]
    chance = obeyed["chance"]
    labels = {
        "lead": "lead instrument",
        "lead_top3": "lead among the first three",
        "style": "style",
        "tempo": "tempo word",
        "mode": "major or minor",
        "mode_by_krumhansl": "major or minor, by Krumhansl (librosa)",
    }
    for key, label in labels.items():
        cells = " | ".join(format_estimate(obeyed[variant][key], True) for variant, _ in _VARIANTS)
        row = chance.get(key)
        side = f"{100 * row['uniform']:.1f} % of {row['classes']}, {100 * row['commonest']:.1f} %" if row else ""
        lines.append(f"| {label} | {cells} | {side} |")
    tempo = " | ".join(format_estimate(obeyed[variant]["tempo_by_librosa"]) for variant, _ in _VARIANTS)
    lines.append(f"| tempo, rank correlation with librosa's | {tempo} | 0 |")
    if "own_caption_among_20" in obeyed["real"]:
        own = " | ".join(format_estimate(obeyed[variant]["own_caption_among_20"], True) for variant, _ in _VARIANTS)
        among = min(20, report["n"])
        lines.append(f"| own caption among {among} | {own} | {100 / among:.0f} % |")
    return [*lines, ""]


def _likeness(report: dict[str, Any]) -> list[str]:
    like = report["likeness"]
    lines = ["## Likeness to real clips", "", f"Embedder: {like['embedder']}.", ""]
    if "note" in like:
        return [*lines, f"{like['note']}.", ""]
    lines += [
        "| set | Frechet distance, same triplets | halves that share no clip | KL of the lead | times the codec's |",
        "|---|---|---|---|---|",
    ]
    for name, row in like["sets"].items():
        cells = " | ".join(format_estimate(row[key]) for key in ("frechet", "frechet_halves", "kl"))
        ratio = (
            f"{row['frechet_over_codec']} and {row['frechet_halves_over_codec']}"
            if "frechet_over_codec" in row
            else ""
        )
        lines.append(f"| {name} | {cells} | {ratio} |")
    lines += [
        f"| floor: real halves | | {format_estimate(like['floor'])} | {like['kl_chance']} (mismatched real clips) | |",
        "",
    ]
    if "codec" in report:
        codec = report["codec"]
        lines += [
            f"Codec: log-mel L1 {format_estimate(codec['mel_l1_nats'])} nats, multi-resolution STFT convergence "
            f"{format_estimate(codec['stft_convergence'])}, log L1 {format_estimate(codec['stft_log_l1_nats'])} nats.",
            "",
        ]
    else:
        lines += ["The codec was not measured.", ""]
    return lines


def _judge(quality: dict[str, Any]) -> list[str]:
    return ["## The judge on the real clips", "", *format_quality(quality), ""]


def format_quality(quality: dict[str, Any]) -> list[str]:
    """Write how good a judge is on real clips.

    Args:
        quality: As `judge_quality` returns it.

    Returns:
        Lines of a Markdown table.
    """
    lines = ["| attribute | judge | chance: commonest |", "|---|---|---|"]
    for name in ("lead", "lead_top3", "style", "tempo", "mode"):
        row = quality[name]
        side = f"{100 * row['commonest']:.1f} % ({row['classes']} classes)" if "commonest" in row else ""
        lines.append(f"| {name} | {format_estimate(row, True)} | {side} |")
    lines.append(f"| instruments, F-measure | {quality['instruments_f1']} | |")
    for name in ("log_tempo", "log_onset_rate", "valence", "arousal"):
        lines.append(f"| {name}, Spearman | {format_estimate(quality[f'{name}_spearman'])} | 0 |")
    for name in ("own_picture_among_20", "own_caption_among_20"):
        if name in quality:
            chance = f"{100 * quality['chance_among_20']:.0f} %"
            lines.append(f"| {name.replace('_', ' ')} | {format_estimate(quality[name], True)} | {chance} |")
    return lines
