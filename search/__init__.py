"""Proposes designs: the LCDA loop with classic optimisers or a language model."""
