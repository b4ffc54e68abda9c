# The door to the build. Everything else is meson's.
BUILD ?= build
PREFIX ?= /usr/local
MESON ?= meson
NINJA ?= ninja

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD)

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) .

.PHONY: all
