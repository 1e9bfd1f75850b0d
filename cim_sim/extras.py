"""Optional packages, and what to type when one of them is absent."""

from cim_sim.config import UsageError

FINETUNE = ("accelerate", "datasets", "peft", "safetensors", "tokenizers", "transformers", "trl")
REQUIREMENTS = {
    **dict.fromkeys(FINETUNE, ".[finetune]"),
    "ray": ".[ray]",
    "gymnasium": ".[gym]",
    "aihwkit_lightning": "aihwkit-lightning",
}
"""What pip installs, by the name that is imported."""


def missing(error: ModuleNotFoundError) -> Exception:
    """Return the UsageError that says how to install a package; any other error as it is."""
    package = (error.name or "").partition(".")[0]
    if package not in REQUIREMENTS:
        return error
    wanted = REQUIREMENTS[package]
    where = ", in the checkout of LCDA-FT" if wanted.startswith(".") else ""
    return UsageError(f"{package} is not installed; type: pip install '{wanted}'{where}")
