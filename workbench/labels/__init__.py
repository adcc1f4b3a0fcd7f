"""Labels that people give to replies, and judges calibrated against them."""

from workbench.labels.calibrating import calibrate
from workbench.labels.calibration import Calibration, load_calibration
from workbench.labels.queue import LabelQueue, label_queue
from workbench.labels.store import Label, Labels, label, load_labels

__all__ = ["Calibration", "Label", "LabelQueue", "Labels", "calibrate", "label", "label_queue", "load_calibration",
           "load_labels"]  # fmt: skip
