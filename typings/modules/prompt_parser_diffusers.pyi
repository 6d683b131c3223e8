from collections.abc import Callable
from typing import Any

get_weighted_text_embeddings: Callable[..., Any]
