"""Prompts: named templates with versions, `prompts/<name>/<version>.yaml`, keys exactly Langfuse's.

Variables are `{{name}}` and nothing else. A released version is not meant to change; half a thought is tried with
`prompt.edit(...)`, which gives a draft, and kept with `.save()`.
"""

from workbench.prompts.files import NEWEST, load_prompt, load_prompts, prompt_folders, prompt_names
from workbench.prompts.prompt import Prompt, unused
from workbench.prompts.shown import piece_html
from workbench.prompts.version_file import to_yaml
from workbench.prompts.wording import diff_words, too_repetitive, word_diff

__all__ = ["NEWEST", "Prompt", "diff_words", "load_prompt", "load_prompts", "piece_html", "prompt_folders",
           "prompt_names", "to_yaml", "too_repetitive", "unused", "word_diff"]  # fmt: skip
