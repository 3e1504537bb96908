"""Defaults and limits of a take: one place for pipeline, command line, evaluation and studio. Imports nothing."""

DURATION_S = 10.24
"""Length in seconds; melfusion-mini was trained on this one."""
NUM_INFERENCE_STEPS = 25
GUIDANCE_SCALE = 3.0
"""Weight of the caption."""
IMAGE_GUIDANCE_SCALE = 4.0
"""Weight of the picture."""
GUIDANCE_RESCALE = 0.5
"""Share in which guided takes are brought back to the deviation of unguided ones (Lin et al. 2024)."""
GUIDANCE_STOP = 1.0
"""Share of the way from noise to music after which guidance stops."""
SYNAPSE_STRENGTH = 1.0
"""Multiplier of the synapse's gates; 1 is as trained."""
SAMPLERS = ("dpm++", "ddim")
"""Names of the samplers, the default one first."""

MIN_DURATION_S = 1.0
MAX_DURATION_S = 30.72
MAX_INFERENCE_STEPS = 1000
MAX_GUIDANCE_SCALE = 50.0
MAX_SYNAPSE_STRENGTH = 2.0
