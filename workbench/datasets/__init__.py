"""Datasets: cases with `id, inputs, expected, tags` and a split, from JSONL, CSV, Parquet or a DataFrame.

A file is read whole or not at all; every complaint names file and line. Rows without a `split` get one from the hash
of their id (60 % dev, 40 % test), so adding cases never moves one from dev to test. Rows without any `id` column get
ids made from their inputs.
"""

from workbench.datasets.adding import append_case, case_line
from workbench.datasets.cases import place
from workbench.datasets.dataset import Dataset
from workbench.datasets.files import dataset_names, dataset_of, load_dataset

__all__ = ["Dataset", "append_case", "case_line", "dataset_names", "dataset_of", "load_dataset", "place"]
