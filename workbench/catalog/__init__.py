"""Models, tiers, what each model accepts, and what a call costs. Facts are data: the shipped `catalog.toml`, and the
workspace's own over it."""

from workbench.catalog.facts import PARAMETERS, TIERS
from workbench.catalog.models import Model, find_model, load_models, nearest, provider_names, providers_of
from workbench.catalog.prices import Rates, is_priced, price, rates_today, worst_case

__all__ = ["PARAMETERS", "TIERS", "Model", "Rates", "find_model", "is_priced", "load_models", "nearest",
           "price", "provider_names", "providers_of", "rates_today", "worst_case"]  # fmt: skip
