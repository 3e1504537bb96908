"""One track for every role: what a piece from elsewhere needs before parts of it can be kept."""

from __future__ import annotations

from dataclasses import replace

from melfusion_core.score.score import ROLES, Score, Track, playable


def _voices(track: Track) -> float:
    return len(track.notes) / len({round(note.start, 2) for note in track.notes})


def _spare(track: Track, taken: set[str]) -> str:
    """Another role that would do for a track, or its own where none is free."""
    single = _voices(track) < 1.3
    wanted = {"lead": ("counter",), "bass": (), "drums": ()}.get(
        track.role, ("counter", "pad") if single else ("pad",)
    )
    return next((role for role in wanted if role not in taken), track.role)


def one_track_a_role(score: Score) -> Score:
    """Give every role at most one track, and lose no note.

    Of tracks that share a role the fullest keeps it. Others take a role that is free and would do (counter-melody for
    single voices, pad for chords); the rest join the track that has their role, and its instrument plays them.

    Args:
        score: the piece.
    """
    tracks: dict[str, Track] = {}
    for track in sorted((t for t in score.tracks if t.notes), key=lambda t: (ROLES.index(t.role), -len(t.notes))):
        role = track.role if track.role not in tracks else _spare(track, set(tracks))
        if role in tracks:
            joined = tracks[role]
            tracks[role] = replace(joined, notes=playable([*joined.notes, *track.notes]))
        else:
            tracks[role] = replace(track, role=role)
    return replace(score, tracks=[tracks[role] for role in ROLES if role in tracks])
