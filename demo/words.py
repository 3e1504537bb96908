"""The studio's words for people, in one place, so that they can be translated."""

from __future__ import annotations

# What a request lacks
NOTHING_GIVEN = "Give a picture, a few words, or both: there is nothing to make music from yet."
TOO_LONG = "The words are too long: {given} characters, and at most {most} fit."
NEEDS_PICTURE = "This experiment needs a picture: choose one first."
NEEDS_OTHER_PICTURE = "Choose the other picture first: one of the small ones below Swap the picture."
SETTINGS = {
    "duration": "The length in seconds",
    "steps": "The number of steps",
    "guidance": "Text guidance",
    "image-guidance": "Image guidance",
    "guidance-stop": "The guided share of the way",
    "guidance-rescale": "The softening of guidance",
    "synapse": "How much the picture is heard",
    "sampler": "The sampler",
    "negative": "What it should not be",
    "seed": "The seed",
    "num-takes": "The number of takes",
    "region-size": "The size of the region",
    "region-x": "The place of the region",
    "region-y": "The place of the region",
}
UNKNOWN_MODE = "The mode must be one of {all}, not {given}."
NO_SOUND = "The model finished without any sound. Please try again."
NOT_NUMBERS = "The model gave samples that are not numbers. Lower the guidance and try again."
TOO_MANY_PICTURES = "Too many pictures are being looked at just now. Please try again in a minute."
PICTURE_GONE = "There is no picture here any more: choose it again."
VALUE_UNREADABLE = "A value that was sent is not of the kind that is taken there."
NO_SUCH_EXAMPLE = "There is no such example picture."
NOT_UPLOADED = "This file is not here, or no longer: choose it again, and it is uploaded anew."

NOT_FETCHED = "The picture could not be fetched: its address has to be a public one that answers at once."
FETCHED_TOO_LARGE = "The picture at that address is larger than {most} MB."

# When many come
BODY_TOO_LARGE = "That is more than {most} MB, which is more than the studio takes at once."
LENGTH_NEEDED = "An upload has to say how large it is."
MANY_UPLOADS = "Your address has uploaded {most} MB within the hour. Please come back in an hour."
STORE_FULL = "The studio holds as many files as it can just now. Please come back in an hour."
TOO_MANY_OF_YOURS = "{most} requests from your address wait already. The next one can come when one of them is done."
QUEUE_FULL = "{count} requests wait already, about {seconds} seconds of work. Please come back then."

LIMITS = (
    "Files up to {file} MB, {hour} MB an hour and {each} waiting requests from one address, {all} from all together. "
    "What you upload is deleted within {minutes} minutes. Of a picture only what it shows is used: its place, date, "
    "camera and file name go into no take, recipe or vote."
)

# Headings of takes
TITLE_WITH_IMAGE = "Picture and words"
TITLE_TEXT_ONLY = "Words alone"
TITLE_PICTURE_ALONE = "Picture alone"
TITLE_SEED = "Seed {seed}"
TITLE_DOSE = "Picture at {percent}\u00a0%"
TITLE_THIS_PICTURE = "Your picture"
TITLE_OTHER_PICTURE = "The other picture"

# Notes on a result
NOTE_WORDS_ALONE = "No picture was given, so this was made from the words alone."
NOTE_PICTURE_ALONE = "No words were given, so this was made from the picture alone."
NOTE_ZERO = "The picture is set to 0 %, so it is not heard: both takes are the same, sample by sample."
NOTE_ZERO_UNHEARD = "The picture is set to 0 %, so it was not heard either."
NOTE_REGION = "Only the chosen part of the picture was heard; the recipe names that part."
NOTE_SILENT = "A take came out silent; another seed will do better."
NOTE_LOUDNESS = "All takes are set to the same loudness, so none sounds better by being louder."

# Notes on what was written
NOTE_SINGING = "The model plays instruments and cannot sing: a choir hums, but there are no words and no solo voices."
NOTE_LANGUAGE = "The model learned English words, and may hear little of what you mean in another language."
NOTE_STRANGE = "The model may not know {words}. Plain words for instruments, mood and tempo work best."
NOTE_CUT = "That is more than the model reads; it stops before \u201c{rest}\u201d."

# The listening room
FACE_NOTES, FACE_SOUND = "Notes", "Sound"
ROLES = {
    "lead": "melody",
    "counter": "second melody",
    "chords": "chords",
    "pad": "background",
    "bass": "bass",
    "drums": "drums",
}
NOBODY_PLAYS = "nobody plays"
SCALE_NOTE = "One colour scale for all takes"
LOUDER_B, LOUDER_A, DIFFERENCE_NOTE = "louder in B", "louder in A", "Up to {most:g} dB either way"
ONLY_A, ONLY_B, IN_BOTH = "only in A", "only in B", "in both"
LITTLE_CHANGED = "The picture changed little here"
LITTLE_DIFFERENT = "Little differs here"
ALT_TAKE = "Spectrogram of take {letter}, {title}"
ALT_NOTES = "Piano roll of take {letter}, {title}"
ALT_DIFFERENCE_NOTES = "Where the two takes differ: notes only in A are red, notes only in B blue"
DIFFERENCE_NOTES_TITLE = "Notes in one of them only"
ALT_DIFFERENCE = "Where the two takes differ: red where take A is louder, blue where take B is"
DIFFERENCE_TITLE = "A minus B"
PLAYER = {
    "room": "Listening room",
    "play": "Play",
    "pause": "Pause",
    "which": "Which take is heard",
    "hidden_take": "hidden",
    "position": "Position in seconds",
    "volume": "Volume",
    "seconds_of": "{now} of {all} seconds",
    "hint": "Keys {keys} switch, Space plays, arrows move. All takes are equally loud.",
    "hint_plots": "Click a picture below to hear it from there.",
    "difference": "What changed between them",
    "blind": "Blind test",
    "vote_title": "Which do you prefer?",
    "vote_now": "You have heard both. Your vote is written down with both recipes; then the takes are named.",
    "listen_first": "Listen to both for a while; then you can vote.",
    "heard": "Share of the listening that take {letter} still needs",
    "comment": "What made the difference? (optional)",
    "comment_hint": "For instance: B fits the picture better",
    "choices": {"A": "A is better", "B": "B is better", "tie": "No difference", "both bad": "Both are bad"},
    "chose": "Your choice: {choice}.",
    "was": "{letter} in the test was: {title}, which is {now} here.",
    "revealed": "Thank you, your vote is kept.",
    "look": "What is shown",
    "alike": "The two are nearly the same from beginning to end.",
    "picture_of": "The picture of this take",
    "vote_failed": "Your vote could not be sent. Please try again.",
    "cannot_play": "The sound could not be loaded. Compose again, or reload the page.",
}

# Votes
VOTE_INVALID = "This vote cannot be read."
VOTE_OVER = "This pair has been voted on already, or is too old."
VOTE_TOO_SOON = "Listen to both takes first, {seconds:g} seconds each."
VOTE_NOT_WRITTEN = "The vote could not be written down. Please tell whoever runs this studio."

# What is computed of a picture
PALETTE = "Its commonest colours"
FACTS = "Lightness {lightness} of 100. Its colours feel {valence} and {arousal}."
FACTS_NOTE = "A rough guess from the colours alone."
VALENCES = ("rather gloomy", "neither gloomy nor cheerful", "rather cheerful")
AROUSALS = ("calm", "neither calm nor lively", "lively")

SCENE = "Looks like {scene}."

# Files
UNKNOWN_FORMAT = "{kind} is not a kind of file that the studio writes."
NO_FFMPEG = "MP4 needs the program ffmpeg, which is not installed where the studio runs (Debian: apt install ffmpeg)."
FFMPEG_FAILED = "The video could not be made: {reason}."
NOT_RESTORABLE = "{name} cannot be opened here: {reason}"
SOUND_DAMAGED = "its sound cannot be read, or is too long."
NOTES_DAMAGED = "its notes are damaged."
RESTORED = "Here is this very take, and every control is as it had it."
RESTORED_EXACT = " The picture is the very one."
RESTORED_SEED = " Its seed is kept for the next one; the button beside Compose lets it go."
RESTORED_COPY = " The picture is the small copy that came with it, so composing again gives music alike, not the same."
RESTORED_LOST = " The picture did not come with it: choose it again."
RESTORED_RECIPE_TITLE = "A recipe, not yet music"
RESTORED_RECIPE = "Every control is as the recipe has it. Press Compose to hear it."
RESTORED_MODEL = " It was made with another model, {name}."

NOT_TAKEN = "Nothing was changed"
FILE_TOO_LARGE = "{name} is larger than {most} MB, more than the studio takes."
NO_NOTES_YET = (
    "{name} holds notes, and the model on this page cannot begin from notes. Give a picture, words, or a take."
)
ARRIVALS = {"drop": "Drop it anywhere: a picture, a take or a recipe"}

# What the browser keeps
SHELF = {
    "title": "Your takes",
    "empty": "Nothing yet. What you compose is kept here, sound and picture, in this browser only.",
    "open": "Open a take or a recipe from a file",
    "clear": "Forget all without a star",
    "name": "Name of this take",
    "rename": "Rename {title}",
    "star": "Star {title}: starred takes are never cleared away",
    "remove": "Forget {title}",
    "cannot_keep": "This browser has no room for the take, or keeps nothing: download it if you want it again.",
    "cannot_open": "This take could not be opened. Please try again.",
}
HISTORY_DETAIL = {
    "compare": "seed {seed}",
    "takes": "{takes} takes from seed {seed}",
    "dose": "more and more of the picture, seed {seed}",
    "swap": "two pictures, seed {seed}",
}

# Models
MODEL = {"label": "Model", "info": "The one that is loaded answers at once; another is loaded when you compose."}
MODEL_ANY = " You may also write a folder's path, or owner/name of a repository on the Hugging Face Hub."
MODEL_LOADING_TITLE, MODEL_LOADING_TEXT = "Loading the model", "{name} is being loaded; this happens once."
MODEL_NOT_OFFERED = "This model is not offered here."
MODEL_ASK = "Whoever runs this studio can read why."
MODEL_UNREACHABLE = "The model {name} could not be loaded: {reason}"

# The page
PAGE_TITLE = "MeLFusion Studio"
SHARE_TEXT = (
    "Open software that composes music from a picture and a few words, and lets you hear what the picture changed."
)
SHARE_ALT = "A sun over the sea, whose reflection is a spectrogram"
SAMPLER_LABELS = {"dpm++": "DPM++ (fewer steps)", "ddim": "DDIM (plain)"}
PICTURE = {
    "label": "Picture",
    "placeholder": "Drop a picture here, or tap to choose one",
    "alt_text": "The picture that the music is made from",
}
EXAMPLE_PICTURES = "Example pictures"
WORDS_OF_EXAMPLE, WORDS_BACK = "Use its words: {words}", "Change the words back"
EXAMPLES_TITLE = "Or begin with one of these"
CAPTION = {
    "label": "Words",
    "info": "Instruments, tempo, mood, style. Leave them out to hear the picture alone.",
    "placeholder": "A slow piano with soft strings",
}
SUGGEST = "Add what the colours suggest: {words}"
SUGGEST_SCENE = "Add what the picture suggests: {words}"
LIKE = "like {scene}"
CHIPS_TITLE = "Words to tap: mood, style, instrument, tempo"
CHIPS = {
    "Mood": ("calm", "dreamy", "cheerful", "triumphant", "energetic", "tense", "mysterious", "melancholic"),
    "Style": ("ambient", "classical", "folk", "jazz", "cinematic", "lo-fi", "bossa nova", "waltz", "rock", "techno"),
    "Instrument": ("piano", "strings", "harp", "flute", "cello", "acoustic guitar", "saxophone", "trumpet", "organ"),
    "Tempo": ("slow", "fast"),
}
REGION = "Only a part of the picture"
REGION_SIZE = {"label": "Size of the part (%)", "info": "100: all of it. Smaller: only the square that is marked."}
REGION_X = {"label": "From left to right (%)"}
REGION_Y = {"label": "From top to bottom (%)"}
REGION_ALT = "The picture, with the part that sounds marked"
REGION_EMPTY = "Choose a picture first."
SYNAPSE = {
    "label": "How much the picture is heard (%)",
    "info": "0: not at all, the words alone. 100: as the model learned it. Above: exaggerated.",
}
QUALITY = "Quality (steps)"
COMPOSE, STOP = "Compose", "Stop"
TURNS = {"noted": "Noted: the next one begins when this one is done, with what the controls say then. Stop ends both."}
SEED_NEW, SEED_KEPT = "New seed each time", "Seed {seed} kept"
EXPLORE = "Explore"
EXPLORE_FROM = "Experiments go on from the take on the stage: they begin from its seed, unless another one is kept."
EXPLORE_TAKES = "Compose several takes"
EXPLORE_TAKES_COUNT = {
    "label": "How many takes",
    "info": "The same wishes, begun anew each time; the first is like the take on the stage.",
}
EXPLORE_DOSE = "Compose at 0, 50, 100, 150 %"
EXPLORE_DOSE_TITLE, EXPLORE_SWAP_TITLE = "More and more of the picture.", "Swap the picture."
EXPLORE_DOSE_INFO = "The same take four times, with the picture heard a little more each time."
EXPLORE_SWAP_INFO = "The same words and seed with another picture. Tap it to hear both."
EXPLORE_SWAP = "Swap for a picture of yours"
ADVANCED = "Advanced"
GUIDANCE = {"label": "Text guidance", "info": "Higher follows the words more strictly; too high sounds harsh."}
IMAGE_GUIDANCE = {"label": "Image guidance", "info": "Higher follows the picture more strictly."}
GUIDANCE_STOP = {
    "label": "Guidance until (%)",
    "info": "How far words and picture are pressed. Less is quicker and softer.",
}
GUIDANCE_RESCALE = {
    "label": "Soften guidance (%)",
    "info": "Guidance makes takes louder and harsher. More takes that back.",
}
STEPS = {"label": "Steps", "info": "More steps sound clearer and take longer."}
DURATION = {"label": "Length (seconds)", "info": "The model learned takes of 10.24 s; longer ones may wander."}
SAMPLER = "Sampler"
NEGATIVE = {
    "label": "Words to steer away from",
    "info": "What the music should not be. Needs a text guidance above 1.",
    "placeholder": "drums",
}
SEED = {
    "label": "Seed",
    "info": "The number behind chance: the same seed and wishes give the same take. {new}: a new one each time.",
}
DICE, UNLOCK_SEED, LOCK_SEED = "Roll a seed", "New each time", "Keep this seed"
KEEP = "Keep"
KEEP_TAKE, KEEP_FORMAT, DOWNLOAD = "Take", "Format", "Download"
KEEP_INFO = (
    "Sound and video carry the recipe in their tags and the picture as cover. Open such a file here later and every "
    "control comes back."
)
RECIPE = "Recipe: every setting of this take"
DUPLICATE = "Duplicate this Space"
EXAMPLE_NOTE = "A finished example: press play, or compose your own."
NOTHING_TO_KEEP = "There is no take to download yet."
RESTORED_TITLE = "Brought back"
HISTORY_GONE = "This take is no longer in the history."
HERO_TITLE = "What does your picture sound like?"
HERO_TEXT = (
    "Choose a picture, say what should play, press Compose. The music is made twice from the same noise: once from "
    "picture and words, once from the words alone. So you hear what the picture changed."
)
FAILED_TITLE = "This did not work"
FAILED_TEXT = "Something went wrong inside the studio. Please try again, perhaps with another length or picture."
STOPPED_TITLE, STOPPED_TEXT = "Stopped", "What was here before is here still. Press Compose to begin again."
WAITING_TITLE = "Waiting for a free moment"
WAITING_TEXT = "Visitors take turns; keep this page open."
NOT_BEGUN_TITLE = "Not begun"
NOT_BEGUN_TEXT = "A note at the edge of the page says why, unless you stopped it. Press Compose to try again."
READING_TITLE, READING_TEXT = "Reading what you gave", "{steps} steps follow"
COMPOSING, COMPOSING_TAKE = "Composing", "Composing take {take} of {takes}"
STEP_OF, SECONDS_LEFT = "Step {step} of {steps}", ", about {seconds} s left"
SOUNDING, ALL_STEPS = "Turning it into sound", "All {steps} steps are done"
DONE_TITLE, DONE_SEED, NOT_YET = "Here it is", "seed", "Not yet"
TAKING_SHAPE = "Spectrogram taking shape, step {step} of {steps}"
EXAMPLE_TITLE = "{title}: a finished example"
MASTHEAD_TITLE, MASTHEAD_TEXT = "MeLFusion Studio", "A picture and a few words become music."
