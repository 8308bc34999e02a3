# The pipeline in reading order. Each line calls one command; all thinking is in commands/ and lib/.
#
#   make quarter Q=2024Q3                          the whole quarter, from transcripts to a page to look at
#   make quarter Q=2016Q3 TRANSCRIPTS=~/calls      the same with your own transcripts: a folder or a file
#   make cluster-firm Q=2016Q4 FIRM=MU FORCE=1     one step, one firm, again
#   make quarter Q=2016Q3 METHOD=communities       clustered by the second method (docs/method.md says when to use which)
#   make report Q=2016Q3 OPEN=1                    the page of a quarter, once more, in the browser
#   make export WHAT=panel FORMAT=dta              what to regress on: all quarters, for Stata

Q ?=
# 2024q3 and 2024-Q3 mean 2024Q3, also where a folder is looked for.
override Q := $(subst -,,$(subst q,Q,$(Q)))
FIRM ?=
FORCE ?=
METHOD ?=
# Samples that ship stand in data/samples/; with neither, ingest goes on with what the database has.
TRANSCRIPTS ?= $(wildcard data/samples/$(Q))
SKIP_BAD ?=
DRY_RUN ?=
INSTANCE ?=
FIRMS ?= 5000
SENTENCES ?=
OPEN ?=
WHAT ?=
FORMAT ?=
OUTPUT ?=

RUN := node bin/quarterdeck.mjs
OF = --quarter "$(Q)"
# Not every shell puts the home folder in the place of a ~ behind an =.
TRANSCRIPTS_WORD = $(if $(TRANSCRIPTS),"$(patsubst ~/%,$(HOME)/%,$(TRANSCRIPTS))")
WHERE = $(TRANSCRIPTS_WORD) $(if $(SKIP_BAD),--skip-bad)
OUTPUT_WORDS = $(if $(OUTPUT),--output "$(patsubst ~/%,$(HOME)/%,$(OUTPUT))")
# Said before anything is read; the commands would say it after `ingest`.
$(if $(filter-out umap-hdbscan communities,$(METHOD)),$(error METHOD is "$(METHOD)"; it must be umap-hdbscan or communities))
METHOD_WORDS = $(if $(METHOD),--method "$(METHOD)")
WHOSE = $(if $(FIRM),--firm "$(FIRM)") $(if $(FORCE),--force)

.DEFAULT_GOAL := help
.PHONY: help quarter ingest embed cluster-firm name-topics aggregate index novelty lineage themes report trends export eval status db-start db-stop plan provision cuda test check bench docs clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@sed -n 's/^#   /  /p' Makefile

quarter: node_modules ## All steps of a quarter: Q=2024Q3 [TRANSCRIPTS=folder-or-file] [METHOD=communities]
	@$(RUN) ingest $(OF) $(WHERE)
	@node --import tsx bin/side-by-side.ts embed $(OF) -- cluster-firm $(OF) --follow $(METHOD_WORDS) -- name-topics $(OF) --follow
	@$(RUN) aggregate $(OF) $(METHOD_WORDS)
	@$(RUN) index $(OF)
	@$(RUN) novelty $(OF)
	@$(RUN) lineage $(OF)
	@$(RUN) themes $(OF)
	@$(RUN) report $(OF)

ingest: node_modules ## Step 1, read transcripts: Q= TRANSCRIPTS= [FIRM=] [FORCE=1]
	@$(RUN) ingest $(OF) $(WHOSE) $(WHERE)

embed: node_modules ## Step 2, an embedding for every sentence: Q= [FIRM=] [FORCE=1]
	@$(RUN) embed $(OF) $(WHOSE)

cluster-firm: node_modules ## Step 3, topics of each firm: Q= [FIRM=] [FORCE=1] [METHOD=communities]
	@$(RUN) cluster-firm $(OF) $(WHOSE) $(METHOD_WORDS)

name-topics: node_modules ## Step 4, names for the topics: Q= [FIRM=] [FORCE=1]
	@$(RUN) name-topics $(OF) $(WHOSE)

aggregate: node_modules ## Step 5, themes across firms: Q= [FORCE=1] [METHOD=communities]
	@$(RUN) aggregate $(OF) $(if $(FORCE),--force) $(METHOD_WORDS)

index: node_modules ## Step 6, the vector index: Q= [FORCE=1]
	@$(RUN) index $(OF) $(if $(FORCE),--force)

novelty: node_modules ## Step 7, what is new to each firm: Q= [FIRM=] [FORCE=1]
	@$(RUN) novelty $(OF) $(WHOSE)

lineage: node_modules ## Step 8, themes from quarter to quarter: Q= [FORCE=1]
	@$(RUN) lineage $(OF) $(if $(FORCE),--force)

themes: node_modules ## Show the themes of a quarter: Q=
	@$(RUN) themes $(OF)

report: node_modules ## Write the page of a quarter: Q= [OPEN=1] [OUTPUT=file]
	@$(RUN) report $(OF) $(if $(OPEN),--open) $(OUTPUT_WORDS)

trends: node_modules ## Show each theme's share from quarter to quarter
	@$(RUN) trends

export: node_modules ## Write a table: [WHAT=panel] [FORMAT=csv] [Q=] [OUTPUT=file]
	@$(RUN) export $(if $(WHAT),--what "$(WHAT)") $(if $(FORMAT),--format "$(FORMAT)") $(if $(Q),$(OF)) $(OUTPUT_WORDS)

eval: node_modules ## Measure the topics: noise, coherence, separation, stability: Q= [FIRM=]
	@$(RUN) eval $(OF) $(if $(FIRM),--firm "$(FIRM)")

status: node_modules ## Show what is done and what is left: [Q=]
	@$(RUN) status $(if $(Q),$(OF))

db-start: node_modules ## Start the embedded database and print how to connect
	@$(RUN) db-start

db-stop: node_modules ## Stop the embedded database
	@$(RUN) db-stop

plan: node_modules ## What a quarter takes and costs, and on which instance: FIRMS=5000 [SENTENCES=]
	@$(RUN) plan --firms "$(FIRMS)" $(if $(SENTENCES),--sentences "$(SENTENCES)")

provision: node_modules ## A quarter on a rented instance: Q= [TRANSCRIPTS=] [METHOD=] [INSTANCE=] [DRY_RUN=1] (docs/operations.md)
	@node bin/provision.mjs $(OF) $(TRANSCRIPTS_WORD) $(if $(INSTANCE),--instance "$(INSTANCE)") $(METHOD_WORDS) $(if $(DRY_RUN),--dry-run)

cuda: node_modules ## Install what the device cuda needs, and try it: [DRY_RUN=1] (docs/operations.md)
	@node --import tsx bin/install-cuda.ts $(if $(DRY_RUN),--dry-run)

test: node_modules ## Type check, lint, and all tests
	@bash test/setup-python.sh
	@sh test/setup-vulkan.sh
	@npm run --silent check
	@npm run --silent test

check: node_modules ## Type check and lint alone
	@npm run --silent check

bench: node_modules ## The figures of docs/benchmarks.md
	@npm run --silent bench

docs: node_modules ## Write docs/commands.md and docs/data-dictionary.md anew
	@npm run --silent docs

clean: node_modules ## Delete the embedded database of this folder; asks first
	@printf 'Delete %s with every quarter in it? Type yes: ' "$${QUARTERDECK_HOME:-.quarterdeck}"; \
	  read -r answer; [ "$$answer" = yes ] || { echo 'Nothing was deleted.'; exit 0; }; \
	  env -u DATABASE_URL -u RDS_INSTANCE $(RUN) db-stop && rm -rf "$${QUARTERDECK_HOME:-.quarterdeck}" && echo 'Deleted.'

# Packages: again whenever the lock file is newer than what was installed.
node_modules: package.json package-lock.json
	@npm ci --loglevel=error
	@touch node_modules
