from contextlib import AbstractContextManager
from typing import Any

queue_lock: AbstractContextManager[Any]
