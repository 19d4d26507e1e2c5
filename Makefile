# The two commands of the README. Each does all of its set-up; a second run costs seconds.
# Behind them is plain CMake: see CMakePresets.json.

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
BUILD = build/release

.PHONY: demo test clean

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

clean:
	@rm -rf build
