# The commands of the README. Each does all of its set-up; a second run of the first two costs seconds.
# Behind them is plain CMake: see CMakePresets.json.

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
BUILD = build/release
PREFIX ?= /usr/local
# For the benchmark: a Python with torch and torchvision, of the libtorch that neurotap is built with.
PYTHON ?= /usr/bin/python3
BENCH_ARGS ?=
SOAK_ARGS ?= --seconds 300

MAKEFLAGS += --no-print-directory

.PHONY: help demo test install docs deb bench bench-growth bench-build soak clean

demo: ## build, then draw what drives neurons of a small CNN on real images
	@sh cmake/setup.sh
	@cmake --preset release -DNEUROTAP_BUILD_TESTS=OFF >/dev/null
	@cmake --build $(BUILD) --target neurotap_cli -j $(JOBS)
	@sh examples/fashion_mnist/demo.sh $(BUILD)/cli/neurotap build/demo

test: ## build everything and run all tests
	@sh cmake/setup.sh
	@cmake --preset release -DNEUROTAP_BUILD_TESTS=ON >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --preset release -j $(JOBS)

deb: ## build Debian packages, into build/package
	@sh cmake/setup.sh deb
	@cmake --preset package >/dev/null
	@cmake --build build/package -j $(JOBS)
	@cd build/package && cpack

install: ## build, and install into PREFIX: the library, its headers, the program
	@sh cmake/setup.sh
	@cmake --preset release -DNEUROTAP_BUILD_TESTS=OFF >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@cmake --install $(BUILD) --prefix $(PREFIX)

docs: ## the reference of all functions, as HTML
	@sh cmake/setup.sh
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) --target reference
	@echo $(BUILD)/docs/html/index.html

bench: bench-build ## how fast, against captum (if PYTHONPATH leads to it) and libtorch by hand
	@$(PYTHON) bench/run.py --build $(BUILD) --json build/bench/bench.json \
		--markdown build/bench/bench.md $(BENCH_ARGS)

bench-growth: bench-build ## how time grows with neurons, batch and image size, plotted
	@$(PYTHON) bench/growth.py --build $(BUILD) --json build/bench/growth.json \
		--png build/bench/growth.png $(BENCH_ARGS)

soak: ## minutes of load from many threads, a good part of the requests faulty
	@sh cmake/setup.sh
	@cmake --preset release -DNEUROTAP_BUILD_BENCH=ON >/dev/null
	@cmake --build $(BUILD) --target neurotap_soak -j $(JOBS)
	@$(BUILD)/bench/soak --json build/soak.json $(SOAK_ARGS) \
		tests/fixtures

bench-build:
	@PYTHON=$(PYTHON) sh cmake/setup.sh bench
	@cmake --preset release -DNEUROTAP_BUILD_BENCH=ON >/dev/null
	@cmake --build $(BUILD) --target neurotap neurotap_bench_peer -j $(JOBS)

clean: ## remove all that was built
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1: /p' $(firstword $(MAKEFILE_LIST)) | column -t -s: -l 2
