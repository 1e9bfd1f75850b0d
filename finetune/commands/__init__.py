"""The verbs of `python -m finetune`, one module each."""
