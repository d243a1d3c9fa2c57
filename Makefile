# SPDX-License-Identifier: MIT
# Every .c file of the product's folders is built; no list names a source.

SRC ?= .
BUILD ?= build
VERSION := 0.1.0

ifeq ($(wildcard config.mk),)
ifeq ($(filter run check check-long bench clean distclean deps,$(MAKECMDGOALS)),)
$(error run ./configure first)
endif
else
include config.mk
endif

FOLDERS := util core cpu hw hw/rom block net ui migration monitor system
OPTIONAL := $(if $(HAVE_SDL),,ui/sdl%)
SOURCES := $(foreach d,$(FOLDERS),$(patsubst $(SRC)/%,%,$(wildcard $(SRC)/$(d)/*.c)))
SOURCES := $(filter-out $(OPTIONAL),$(SOURCES))
OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o)
# What tests link: everything but main().
PRODUCT := $(filter-out $(BUILD)/obj/system/main.o,$(OBJECTS))
# stasis-img: the block layer and util.
IMG_OBJECTS := $(filter $(BUILD)/obj/util/% $(BUILD)/obj/block/%,$(OBJECTS)) \
	$(BUILD)/obj/tools/stasis-img.o

ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) -I$(SRC) -I$(BUILD)/gen $(LIB_CFLAGS) $(DEFINES) \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSTASIS_VERSION='"$(VERSION)"' \
	-DFIRMWARE_PATH='"$(FIRMWARE_PATH)"' -MMD -MP
# The interpreter's handlers call one another at their ends: see cpu/dispatch.h.
$(BUILD)/obj/cpu/%.o: ALL_CFLAGS += -fno-strict-aliasing -fomit-frame-pointer

PROGRAMS := $(BUILD)/stasis $(BUILD)/stasis-img
.PHONY: all
all: $(PROGRAMS)

$(BUILD)/stasis: $(OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lpthread -lm -lutil

$(BUILD)/stasis-img: $(IMG_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lpthread -lm -lutil

$(BUILD)/obj/%.o: $(SRC)/%.c config.mk
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Tests in C: tests/FOLDER/x.c becomes build/tests/FOLDER/x.
TEST_SOURCES := $(patsubst $(SRC)/%,%,$(wildcard $(SRC)/tests/*/*.c))
TEST_PROGRAMS := $(TEST_SOURCES:%.c=$(BUILD)/%)
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(PRODUCT)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lpthread -lm -lutil

.PRECIOUS: $(BUILD)/obj/%.o
-include $(shell [ -d $(BUILD)/obj ] && find $(BUILD)/obj -name '*.d')
