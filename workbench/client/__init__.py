"""One call, from request to stored reply: cache → budget → slot → provider → price → store; and who answers."""

from workbench.client.asking import Asking
from workbench.client.client import Client
from workbench.client.session import Origin, Session, current, in_use, use, use_by_default

__all__ = ["Asking", "Client", "Origin", "Session", "current", "in_use", "use", "use_by_default"]
