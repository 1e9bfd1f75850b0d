"""A two-million-parameter control model, pre-trained here from scratch: no model of the world."""
