"""The notebooks as the nightly regression suite: `workbench nightly [--live --budget 5]`.

`night` runs them one after another, `replayed` by nbval and `live` by nbclient; `kernel` is what a live notebook's
kernel is asked to do beside its cells; `summary` and `page` say what was found.
"""

from workbench.nightly.night import nightly
from workbench.nightly.records import NightReport, Part

__all__ = ["NightReport", "Part", "nightly"]
