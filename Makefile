# The everyday commands; `make help` lists them. Each installs what it needs on Debian and is quiet when
# there is nothing to do.
BUILD  := build/release
AGAVE  := $(BUILD)/bin/agave
MODEL  ?= smollm2
PROMPT ?= Why is the sky blue? Answer in two sentences.
TOKENS ?= 64

.DEFAULT_GOAL := help
.PHONY: help run test bench format format-check size clean build build-all

help:
	@echo "make run     build, fetch a small model and generate text (MODEL=smollm2|gemma3-270m|file.gguf"
	@echo "             PROMPT=\"...\" TOKENS=64)"
	@echo "make test    build and run every fast test"
	@echo "make bench   build and measure prefill and decode of MODEL on this machine"
	@echo "make format  format the C++ sources with clang-format-19"
	@echo "make size    the stripped size of the binary against its ceiling"
	@echo "make clean   remove build/ (models/ stays)"

# Says how long each stage took.
run:
	@begin=$$(date +%s); stage() { now=$$(date +%s); echo "make run: $$1 in $$((now - begin)) s" >&2; begin=$$now; }; \
	scripts/install-deps.sh build && stage "packages there" && \
	scripts/build.sh release agave && stage "program built" && \
	model=$$(scripts/get-model.sh "$(MODEL)") && stage "model there" && \
	$(AGAVE) run "$$model" "$(PROMPT)" -n $(TOKENS) && stage "text generated"

test: build-all
	@ctest --test-dir $(BUILD) --output-on-failure --parallel $$(nproc) --timeout 300

bench: build
	@model=$$(scripts/get-model.sh "$(MODEL)") && $(AGAVE) bench "$$model"

format:
	@scripts/install-deps.sh format
	@scripts/format.sh

format-check:
	@scripts/install-deps.sh format
	@scripts/format.sh --check

size: build
	@python3 tools/checks/binary.py --ceiling 2244608 $(AGAVE)

clean:
	@rm -rf build

build:
	@scripts/install-deps.sh build
	@scripts/build.sh release agave

build-all:
	@scripts/install-deps.sh build
	@scripts/build.sh release
