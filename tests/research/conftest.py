"""Research looks at what the trainers make: their fixtures."""

from tests.training.conftest import codec_folder, fake_text, mini_corpus, trained, trained_once  # noqa: F401
