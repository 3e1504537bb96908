"""Music as a log-mel spectrogram: codec, vocoder."""
