# SPDX-License-Identifier: MIT
# Every .c file of the product's folders is built; no list names a source.

SRC ?= .
BUILD ?= build
VERSION := 0.1.0

# What works before ./configure has run: these install what is missing and configure themselves.
BOOTSTRAP := run check check-long bench deps clean distclean
ifeq ($(wildcard config.mk),)
ifneq ($(filter-out $(BOOTSTRAP),$(or $(MAKECMDGOALS),all)),)
$(error run ./configure first (or 'make run', 'make check', which do all that is needed))
endif
else
include config.mk
endif

FOLDERS := util core cpu hw hw/rom block net ui migration monitor system
OPTIONAL := $(if $(HAVE_SDL),,ui/sdl%)
SOURCES := $(foreach d,$(FOLDERS),$(patsubst $(SRC)/%,%,$(wildcard $(SRC)/$(d)/*.c)))
SOURCES := $(filter-out $(OPTIONAL),$(SOURCES))
OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o)
# Our option ROMs: hw/rom/x.S becomes the array x_rom in build/gen/hw/rom/x.c.
ROMS := $(patsubst $(SRC)/hw/rom/%.S,%,$(wildcard $(SRC)/hw/rom/*.S))
OBJECTS += $(ROMS:%=$(BUILD)/obj/hw/rom/%.o)
# What tests link: everything but main().
PRODUCT := $(filter-out $(BUILD)/obj/system/main.o,$(OBJECTS))
# stasis-img: the block layer and util.
IMG_OBJECTS := $(filter $(BUILD)/obj/util/% $(BUILD)/obj/block/%,$(OBJECTS)) \
	$(patsubst $(SRC)/%.c,$(BUILD)/obj/%.o,$(wildcard $(SRC)/tools/stasis-img*.c))

ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) -I$(SRC) -I$(BUILD)/gen $(LIB_CFLAGS) $(DEFINES) \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSTASIS_VERSION='"$(VERSION)"' \
	-DFIRMWARE_PATH='"$(FIRMWARE_PATH)"' -MMD -MP
# The interpreter's handlers call one another at their ends: see cpu/dispatch.h.
$(BUILD)/obj/cpu/%.o: ALL_CFLAGS += -fno-strict-aliasing -fomit-frame-pointer
ALL_LIBS = $(LIBS) -lpthread -lm -lutil

# make V=1 shows whole commands.
Q := $(if $(V),,@)
SAY = @$(if $(V),:,echo "  $(1)	$(patsubst $(BUILD)/%,%,$(2))")

PROGRAMS := $(BUILD)/stasis $(BUILD)/stasis-img
.PHONY: all
all: $(PROGRAMS)

$(BUILD)/stasis: $(OBJECTS)
	$(call SAY,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/stasis-img: $(IMG_OBJECTS)
	$(call SAY,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/obj/%.o: $(SRC)/%.c config.mk
	@mkdir -p $(@D)
	$(call SAY,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/gen/hw/rom/%.c: $(SRC)/hw/rom/%.S $(wildcard $(SRC)/hw/rom/*.inc) $(SRC)/hw/rom/embed.sh
	@mkdir -p $(@D)
	$(call SAY,ROM,$<)
	$(Q)as --32 -I $(SRC)/hw/rom -o $(@:.c=.o) $<
	$(Q)ld -m elf_i386 --oformat binary -Ttext 0 -o $(@:.c=.bin) $(@:.c=.o)
	$(Q)$(SRC)/hw/rom/embed.sh $* $(@:.c=.bin) > $@.new && mv $@.new $@

$(BUILD)/obj/hw/rom/%.o: $(BUILD)/gen/hw/rom/%.c config.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Tests in C: tests/FOLDER/x.c becomes build/tests/FOLDER/x.
TEST_SOURCES := $(patsubst $(SRC)/%,%,$(wildcard $(SRC)/tests/*/*.c))
TEST_PROGRAMS := $(TEST_SOURCES:%.c=$(BUILD)/%)
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(PRODUCT)
	@mkdir -p $(@D)
	$(call SAY,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(ALL_LIBS) $(TEST_LIBS)

.PHONY: tests
tests: $(TEST_PROGRAMS)

# -- everything from nothing ----------------------------------------------------------------------

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# -j of the outer make goes on; without one, all processors work.
AGAIN = +@$(MAKE) -s --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

# Installs what is missing, then configures where nobody has.
.PHONY: deps deps-build deps-check deps-bench
deps: deps-check
deps-build:
	@$(SRC)/tools/deps.sh build
	@[ -f config.mk ] || $(SRC)/configure
deps-check:
	@$(SRC)/tools/deps.sh build check
	@[ -f config.mk ] || $(SRC)/configure
deps-bench: deps-check

.PHONY: run run-demo
run: deps-build
	$(AGAIN) all
	$(AGAIN) run-demo

DEMO := $(BUILD)/demo.qcow2
$(DEMO): $(wildcard $(SRC)/demo/*) | $(BUILD)/stasis-img
	$(SRC)/demo/build.sh $(SRC)/demo $(BUILD)/demo.img
	$(BUILD)/stasis-img convert -f raw -O qcow2 $(BUILD)/demo.img $@
	@rm -f $(BUILD)/demo.img

# A window shows the screen where there is a display; the monitor is on this terminal.
run-demo: $(BUILD)/stasis $(DEMO)
	@echo "The guest's serial port writes to $(BUILD)/demo.log.  Try savevm a, loadvm a, help, quit."
	@$(BUILD)/stasis -name demo -m 16 -hda $(DEMO) -nic user,model=ne2k_pci \
		-serial file:$(BUILD)/demo.log -monitor stdio $(RUN_ARGS)

# -- tests ----------------------------------------------------------------------------------------

RUN_TESTS = $(SRC)/tests/run --src $(abspath $(SRC)) --build $(abspath $(BUILD)) \
	$(if $(SANITIZE),--times 5)
.PHONY: check check-long run-tests run-tests-long
check: deps-check
	$(AGAIN) all tests
	@$(MAKE) --no-print-directory run-tests
run-tests: # T=unit/parse runs one
	@$(RUN_TESTS) $(T)

# Writes tests/schema anew: what every state looks like on the wire.
.PHONY: schema
schema: $(BUILD)/tests/unit/schema
	@SRCDIR=$(SRC) $< --update

check-long: deps-check
	$(AGAIN) all tests
	@$(MAKE) --no-print-directory run-tests-long
run-tests-long:
	@$(RUN_TESTS) --long $(T)

.PHONY: bench
bench: deps-bench
	$(AGAIN) all
	@$(RUN_TESTS) --bench $(T)

# -- the rest -------------------------------------------------------------------------------------

BINDIR = $(DESTDIR)$(PREFIX)/bin
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/stasis
.PHONY: install uninstall clean distclean
install: all
	install -d $(BINDIR) $(DOCDIR)
	install -m 755 $(PROGRAMS) $(BINDIR)
	install -m 644 $(wildcard $(SRC)/LICENSE $(SRC)/README.md $(SRC)/docs/*.md) $(DOCDIR)
uninstall:
	rm -f $(patsubst $(BUILD)/%,$(BINDIR)/%,$(PROGRAMS))
	rm -rf $(DOCDIR)

clean:
	rm -rf $(BUILD)/obj $(BUILD)/tests $(BUILD)/gen $(PROGRAMS) $(DEMO) compile_commands.json
distclean: clean
	rm -f config.mk
	[ $(BUILD) = . ] || rm -rf $(BUILD)

# For editors and analysers: how each file is compiled.
compile_commands.json: config.mk Makefile
	@{ echo '['; first=; \
	for f in $(SOURCES) $(TEST_SOURCES) $(patsubst $(SRC)/%,%,$(wildcard $(SRC)/tools/*.c)); do \
		[ -z "$$first" ] || echo ','; first=no; \
		printf '{"directory":"%s","file":"%s","command":"%s"}' '$(CURDIR)' "$(SRC)/$$f" \
			"$$(echo '$(CC) $(subst ','\'',$(ALL_CFLAGS)) -c '"$(SRC)/$$f" | sed 's/["\\]/\\&/g')"; \
	done; echo; echo ']'; } >$@

.PRECIOUS: $(BUILD)/obj/%.o $(BUILD)/gen/hw/rom/%.c
-include $(shell [ -d $(BUILD)/obj ] && find $(BUILD)/obj -name '*.d')
