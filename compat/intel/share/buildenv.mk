# Included by Makefiles of enclaves: where trusted libraries are, and the flags of the LVI mitigations when
# MITIGATION-CVE-2020-0551 is LOAD or CF.
SGX_TRUSTED_INCLUDE_PATH ?= $(SGX_SDK)/include
SGX_TRUSTED_LIBRARY_PATH ?= $(SGX_SDK)/lib64

CC ?= gcc

ifeq ($(MITIGATION-CVE-2020-0551), LOAD)
    MITIGATION_ASFLAGS := -Wa,-mlfence-after-load=yes -Wa,-mlfence-before-indirect-branch=memory
    SGX_TRUSTED_LIBRARY_PATH := $(SGX_TRUSTED_LIBRARY_PATH)/cve_2020_0551_load
else ifeq ($(MITIGATION-CVE-2020-0551), CF)
    MITIGATION_ASFLAGS := -Wa,-mlfence-before-indirect-branch=all
    SGX_TRUSTED_LIBRARY_PATH := $(SGX_TRUSTED_LIBRARY_PATH)/cve_2020_0551_cf
endif

ifneq ($(filter LOAD CF,$(MITIGATION-CVE-2020-0551)),)
    MITIGATION_ASFLAGS += -Wa,-mlfence-before-ret=shl -fno-plt
    MITIGATION_CFLAGS += -fcf-protection=none -mindirect-branch-register -mfunction-return=thunk-extern
endif

MITIGATION_CFLAGS += $(MITIGATION_ASFLAGS)
