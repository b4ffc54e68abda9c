# The door to the build: every target is one line of meson or one script. `make help` lists them.
BUILD ?= build
PREFIX ?= /usr/local
MESON ?= meson
NINJA ?= ninja

# What it prints matters only when it fails.
quietly = log=$$($(1) 2>&1) || { echo "$$log" >&2; exit 1; }

all: $(BUILD)/build.ninja ## build everything; programs end in $(BUILD)/bin
	@$(NINJA) -C $(BUILD) --quiet
	@ln -sf ../compat/openenclave/oesign ../compat/intel/sgx_sign ../compat/intel/sgx_config_cpusvn \
		../services/quoted/cella-quoted ../services/device-plugin/cella-device-plugin ../services/webhook/cella-webhook ../services/attestd/cella-attestd ../services/pccs/cella-pccs \
		../services/attestd/enclave/cella-attestd-enclave $(BUILD)/bin/
	@scripts/print-sizes $(BUILD)

$(BUILD)/build.ninja: | meson.build
	@$(call quietly,$(MESON) setup $(BUILD) . --prefix=$(PREFIX) -Dtests=disabled)

# A tree has tests only once they are asked for: half of what they build is enclaves.
$(BUILD)/with-tests: | $(BUILD)/build.ninja
	@$(call quietly,$(MESON) setup --reconfigure $(BUILD) . -Dtests=enabled)
	@touch $@

run: ## what ./run does
	@./run

check: $(BUILD)/with-tests ## every test; ./check installs the packages first
	@$(MAKE) -s all
	@scripts/run-tests $(BUILD)

bench: all ## one line a figure: name value goal ok|short; kept in bench/results.json
	@bench/run $(BUILD)

repro: ## two builds in two folders give the same MRENCLAVE
	@scripts/repro

fuzz: ## fuzz every parser for FUZZ_SECONDS (60) each, with libFuzzer
	@scripts/fuzz

sanitize: ## the unit tests under ASan and UBSan
	@scripts/sanitize

check-boundary: ## clang proves that the enclave does not touch host memory but through the boundary
	@scripts/check-boundary

format: ## clang-format over the whole tree
	@git ls-files '*.c' '*.h' | xargs clang-format -i

golden-update: all ## rewrite golden files; read the diff
	@scripts/golden --update $(BUILD)

install: all ## install under PREFIX (and DESTDIR)
	@$(call quietly,$(MESON) setup --reconfigure $(BUILD) . --prefix=$(PREFIX))
	@$(NINJA) -C $(BUILD) --quiet
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild --quiet

clean: ## remove the build folder
	@rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

.PHONY: all run check bench repro fuzz sanitize check-boundary format golden-update install clean help
