"""Words and phrases of the captions."""

from __future__ import annotations

NEUTRAL = (
    "a piece of music", "music", "an instrumental", "some music", "a short piece of music", "a tune", "a soundtrack",
    "an instrumental piece", "instrumental music", "a melody", "a song without words", "background music",
    "a musical excerpt", "a track", "music for this picture", "a composition", "a recording", "sound for the scene",
)  # fmt: skip
"""Captions that say nothing: the picture decides."""

TEMPO_PHRASES = {
    "slow": ("at a slow tempo", "slowly", "at a slow pace", "in a slow tempo", "with a slow beat"),
    "moderate": ("at a moderate tempo", "at a walking pace", "at a medium tempo", "with a moderate beat"),
    "fast": ("at a fast tempo", "at a quick pace", "at high speed", "in a fast tempo", "with a fast beat"),
}
"""Tempo class -> adverbial phrases."""

ITALIAN_TEMPI = (
    (60.0, "largo"), (76.0, "adagio"), (108.0, "andante"), (120.0, "moderato"), (156.0, "allegro"), (1e9, "presto"),
)  # fmt: skip
"""Upper bound in BPM -> the word on a metronome."""

MOODS = {
    (0, 0): (
        "sad", "melancholic", "gloomy", "lonely", "sombre", "mournful", "sorrowful", "bleak", "desolate", "dreary",
        "wistful", "grieving", "forlorn", "heavy-hearted", "depressing",
    ),
    (0, 1): (
        "uneasy", "dark", "mysterious", "troubled", "brooding", "ominous", "eerie", "suspenseful", "restless", "cold",
        "bitter", "haunting", "worried", "foreboding",
    ),
    (0, 2): (
        "tense", "angry", "threatening", "aggressive", "frantic", "fierce", "menacing", "furious", "violent",
        "chaotic", "stormy", "anxious", "dramatic", "fearful", "wild",
    ),
    (1, 0): (
        "quiet", "still", "pensive", "thoughtful", "reflective", "contemplative", "hushed", "nostalgic", "spacious",
        "solemn", "introspective", "gentle",
    ),
    (1, 1): (
        "neutral", "balanced", "bittersweet", "steady", "curious", "floating", "laid-back", "casual", "flowing",
        "reserved",
    ),
    (1, 2): (
        "energetic", "driving", "intense", "powerful", "urgent", "pulsing", "bold", "forceful", "determined",
        "relentless", "busy",
    ),
    (2, 0): (
        "calm", "peaceful", "tender", "serene", "dreamy", "relaxing", "soothing", "warm", "soft", "loving", "tranquil",
        "comforting", "sweet", "idyllic", "restful",
    ),
    (2, 1): (
        "cheerful", "pleasant", "bright", "light-hearted", "hopeful", "friendly", "sunny", "carefree", "charming",
        "graceful", "optimistic", "content", "good-natured",
    ),
    (2, 2): (
        "happy", "joyful", "exciting", "triumphant", "festive", "playful", "jubilant", "euphoric", "lively",
        "exuberant", "celebratory", "uplifting", "thrilling", "vibrant", "victorious",
    ),
}  # fmt: skip
"""Third of the valence axis, third of the arousal axis (0 low to 2 high) -> mood words (after Russell 1980)."""

COUNTABLE = frozenset({
    "ballad", "band", "beat", "combo", "cue", "dance", "drone", "duo", "ensemble", "groove", "hoedown", "hymn", "jam",
    "lullaby", "march", "melody", "milonga", "number", "piece", "quartet", "samba", "score", "solo", "song",
    "soundscape", "tango", "theme", "three", "track", "trio", "tune", "twenties", "waltz",
})  # fmt: skip
"""Last words of styles that take an article; other styles are mass nouns or adjectives."""

PLURAL = frozenset({"strings", "woodwinds"})
"""Last words of styles that are plurals."""

STYLE_NOUNS = ("piece", "track", "tune", "instrumental", "number")
"""Nouns after a style that is no noun itself."""

HEADS = (
    "{np}", "{np}", "{np}", "{np}", "this is {np}", "a recording of {np}", "an excerpt from {np}", "{np} is heard",
    "we hear {np}", "the sound of {np}",
)  # fmt: skip
INSTRUMENT_CLAUSES = (
    "with {list}", "featuring {list}", "for {bare}", "played by {list}", "performed on {list}", "with the sound of "
    "{list}", "on {list}", "built around {list}", "arranged for {bare}", "using {list}", "that features {list}",
    "led by {lead}{behind}", "where {lead} takes the melody{behind}", "with {lead} as the main voice{behind}",
)  # fmt: skip
INSTRUMENT_SENTENCES = (
    "it features {list}", "it is played by {list}", "{lead} carries the melody{behind}",
    "you can hear {list}", "the melody is played by {lead}{behind}", "instruments: {bare}",
    "{list} can be heard", "the main instrument is {lead}{behind}", "{lead} leads{behind}",
)  # fmt: skip
BEHIND = (
    ", accompanied by {others}", ", backed by {others}", " over {others}", ", with {others} behind it",
    ", supported by {others}", ", and {others} in the background",
)  # fmt: skip
KEY_CLAUSES = ("in {key}", "in the key of {key}", "in {mode}", "in a {mode} key", "set in {key}", "written in {key}")
KEY_SENTENCES = (
    "the key is {key}", "it is in {key}", "the harmony is {mode}", "it stays in {key}", "the tonality is {mode}",
    "the key is {mode}", "key: {key}",
)  # fmt: skip
METRE_CLAUSES = {
    3: ("in 3/4", "in three-four time", "in triple time", "with three beats in a bar", "in 3/4 time"),
    4: ("in 4/4", "in four-four time", "in common time", "with four beats in a bar", "in 4/4 time"),
}
METRE_SENTENCES = {
    3: ("the time signature is 3/4", "it counts in three", "the metre is triple", "it moves in three-four time"),
    4: ("the time signature is 4/4", "it counts in four", "the metre is 4/4", "it moves in four-four time"),
}
BPM_CLAUSES = ("at {bpm} BPM", "at {bpm} beats per minute", "at around {round} BPM", "at about {round} bpm")
BPM_SENTENCES = (
    "the tempo is {bpm} BPM", "the tempo is {pace}", "it runs at about {round} BPM", "the pace is {pace}",
    "the speed is {bpm} beats per minute", "tempo: {bpm} BPM", "the tempo marking is {italian}",
)  # fmt: skip
MOOD_CLAUSES = (
    "in {amood} mood", "with {amood} feeling", "that sounds {mood}", "with {amood} atmosphere", "feeling {mood}",
)  # fmt: skip
MOOD_SENTENCES = (
    "the mood is {mood}", "it sounds {mood}", "it feels {mood}", "the atmosphere is {mood}", "mood: {mood}",
    "the overall feeling is {mood}", "it has {amood} character",
)  # fmt: skip
CHORD_SENTENCES = ("the chords are {chords}", "it goes through {chords}", "the progression begins {chords}")
LEAD_ONLY = (
    "{name}", "{name} music", "a piece with {lead}", "{aname} melody", "music played by {lead}", "a tune on {the}",
    "{lead}", "some {name}", "{name} playing", "the sound of {lead}", "music for {name}", "{aname} theme",
)  # fmt: skip
DURATIONS = ("ten seconds of {mass}", "a ten-second clip of {mass}", "a short loop of {mass}")
