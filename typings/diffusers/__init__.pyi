# Taken as untyped: its annotations say less than is so (configurations are dictionaries, loaders give unions).
from typing import Any

def __getattr__(name: str) -> Any: ...
