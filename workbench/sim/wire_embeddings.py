"""Embeddings in the formats of OpenAI and Ollama; an answer's text is its vectors as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.sim import wire_openai
from workbench.sim.asked import Asked, key_of, repeat_of
from workbench.sim.said import Problem
from workbench.sim.wire import Body, names, need
from workbench.sim.wire_ollama import OllamaChat
from workbench.sim.wire_openai_chat import OpenAIChat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sim.said import Said

ENDPOINT = "embeddings"
FIELDS = names("dimensions encoding_format input model user")


class OpenAIEmbeddings(OpenAIChat):
    """OpenAI's embeddings endpoint."""

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""
        wire_openai.check_fields(body, FIELDS)
        need(body, ("model", "input"), "Missing required parameter: '{}'.")
        if body.get("encoding_format", "float") != "float" or "dimensions" in body:
            raise Problem("bad_request", "This stand-in answers with floats of one length only.")
        return _asked(self.provider, body, headers)

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""
        vectors = json.loads(said.text)
        data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        usage = {"prompt_tokens": said.counts.input, "total_tokens": said.counts.input}
        return {"object": "list", "data": data, "model": said.model, "usage": usage}


class OllamaEmbed(OllamaChat):
    """Ollama's embed endpoint."""

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""
        need(body, ("model", "input"), "{} is required")
        return _asked(self.provider, body, headers)

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""
        return {
            "model": said.model,
            "embeddings": json.loads(said.text),
            "total_duration": 2_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": said.counts.input,
        }


def _asked(provider: str, body: Body, headers: Mapping[str, str]) -> Asked:
    given: Any = body["input"]
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise Problem("bad_request", "Invalid 'input': expected one text or several, none of them empty.")
    return Asked(
        provider=provider,
        endpoint=ENDPOINT,
        model=body["model"],
        system="",
        user="\n\n".join(texts),
        key=key_of(body, headers),
        repeat=repeat_of(headers),
        texts=texts,
    )
