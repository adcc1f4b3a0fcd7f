"""Langfuse: prompts, datasets, traces and scores of a project, and the prompt that is in production."""
