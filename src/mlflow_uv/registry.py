"""Every step there is."""

from typing import Any

from .step import Step
from .steps import build_image, check_lock, doctor, export, log_model, register, smoke_test

STEPS: tuple[Step[Any, Any, Any], ...] = (
    check_lock.STEP,
    export.STEP,
    log_model.STEP,
    register.STEP,
    build_image.STEP,
    smoke_test.STEP,
    doctor.STEP,
)
