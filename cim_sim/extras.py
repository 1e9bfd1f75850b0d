"""Optional packages, and what to type when one of them is absent."""

from cim_sim.config import UsageError

FINETUNE = ("accelerate", "datasets", "peft", "safetensors", "tokenizers", "transformers", "trl")
REQUIREMENTS = {
    **dict.fromkeys(FINETUNE, "lcda-ft[finetune]"),
    "ray": "lcda-ft[ray]",
    "gymnasium": "lcda-ft[gym]",
    "aihwkit_lightning": "aihwkit-lightning",
}
"""What pip installs, by the name that is imported."""


def missing(error: ModuleNotFoundError) -> Exception:
    """Return the UsageError that says how to install a package; any other error as it is."""
    package = (error.name or "").partition(".")[0]
    if package not in REQUIREMENTS:
        return error
    return UsageError(f"{package} is not installed; type: pip install '{REQUIREMENTS[package]}'")
