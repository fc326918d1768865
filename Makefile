# Everything runs in environments of the project's own, below .venvs/; only Python >= 3.11, make and git are needed.
PYTHON ?= python3
INSTALL = $(PYTHON) requirements/install.py
DEV = .venvs/dev/bin
export PYTHONDONTWRITEBYTECODE = 1
# `make deploy` takes these from its command line only: shells have an EMAIL and a REGION of their own.
$(foreach name,EMAIL MAX_COST REGION STACK PARAMETERS,$(if $(filter command,$(origin $(name))),,$(eval unexport $(name))))

.DEFAULT_GOAL := help
.PHONY: help demo test faults mutants check bench local deploy replay images images-check lock pages clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## the main job on the embedded local cloud, from a drop to a model in the inbox
	@$(INSTALL) dev lambda sam training
	@$(DEV)/python -m demo

local: ## the local cloud in the foreground until Ctrl-C, stack deployed; TRAINER=stub trains in a second
	@$(INSTALL) dev lambda sam aws training
	@$(DEV)/python -m local_cloud

test: ## every test but the long ones of `make faults`
	@$(INSTALL) dev lambda sam aws training
	@$(DEV)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

faults: ## inject every fault of the fault table and print what came of it; under 40 minutes
	@$(INSTALL) dev lambda sam aws training
	@$(DEV)/python -m pytest -q -n 3 --dist loadfile -m "not brief" $(ARGS) tests/faults

mutants: ## change the modules that decide, one thing at a time; 80% of each must be noticed by unit tests
	@$(INSTALL) mutation
	@.venvs/mutation/bin/python mutants.py

check: ## lint, types, templates, state machine, security, secrets, dependencies
	@$(INSTALL) dev sam checkov audit
	@$(DEV)/python checks.py

bench: ## benchmarks; writes benchmarks/results.json
	@$(INSTALL) dev lambda sam aws training
	@$(DEV)/python -m benchmarks $(ARGS)

deploy: ## to your AWS account, the first time and each time after; EMAIL=, MAX_COST=, REGION=, STACK= answer beforehand
	@$(INSTALL) sam
	@.venvs/sam/bin/python -m deployment

replay: ## handle anew what lies in the dead-letter queues of STACK (default traindrop), once the cause is mended
	@$(INSTALL) dev
	@$(DEV)/python -m traindrop.replay $(STACK)

images: ## resolve the training image of every region with the SageMaker SDK, offline, into the template
	@$(INSTALL) dev images
	@.venvs/images/bin/python training_images/resolve.py

images-check: ## compare the template with what the SDK says now
	@$(INSTALL) dev images
	@.venvs/images/bin/python training_images/resolve.py --check
	@.venvs/images/bin/python training_images/request.py

lock: ## compile requirements/*.txt anew
	@$(INSTALL) uv
	@$(PYTHON) requirements/lock.py $(ARGS)

pages: ## write what docs/ has from the code: pictures, settings.md, the JSON Schema of training.yaml
	@$(INSTALL) dev
	@$(DEV)/python -m docs.draw_state_machine
	@$(DEV)/python docs/draw_architecture.py
	@$(DEV)/python docs/write_settings.py

clean: ## remove what was built
	rm -rf .aws-sam .cache .local build *.egg-info
