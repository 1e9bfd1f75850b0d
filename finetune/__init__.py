"""Makes a language model better at proposing designs: traces, dataset, LoRA, round trip."""
