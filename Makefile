# make          build ./bnn                      make demo     install what is missing, train, evaluate
# make test     all tests, float and double      make asan     all tests under the sanitizers
# make bench    measure speed on this machine (make bench-kernels: one kernel at a time)
# make install  PREFIX=/usr/local DESTDIR=
#
# Variables: WERROR=1 turns warnings into errors; BNN_DOUBLE=1 builds ./bnn in double precision.

CC ?= cc
PREFIX ?= /usr/local
BUILD ?= build
VERSION := 0.1.0

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wvla
ifdef WERROR
WARNINGS += -Werror
endif
OPTIMISE := -O3 -g -fno-math-errno -fno-trapping-math
# Checks by calls instead of inline: the vector kernels, unrolled, take a minute to compile otherwise.
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
            --param asan-instrumentation-with-call-threshold=0
BASE := -std=c11 -D_GNU_SOURCE -fopenmp -Iinclude -Isrc -DBNN_VERSION='"$(VERSION)"' -MMD -MP $(WARNINGS)
LIBS := -lopenblas -lcjson -lz -lm

# A variant is a directory of objects: release (float), double, asan (float, sanitizers).
flags_release := $(OPTIMISE)
flags_double := $(OPTIMISE) -DBNN_DOUBLE
flags_asan := $(SANITIZE)
variant := $(if $(BNN_DOUBLE),double,release)

# src/ROOM/*.c are compiled once, src/ROOM/simd/*.c once for each instruction set; the fastest that runs here is chosen at
# run time.
sources := $(patsubst src/%.c,%,$(filter-out src/commands/main.c,$(wildcard src/*/*.c)))
simd_sources := $(patsubst src/%.c,%,$(wildcard src/*/simd/*.c))
tests := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
machine := $(shell $(CC) -dumpmachine)
isas := portable
ifneq (,$(findstring x86_64,$(machine)))
isas += avx2 avx512
endif
isa_portable := -ffp-contract=fast
isa_avx2 := $(isa_portable) -mavx2 -mfma
isa_avx512 := $(isa_avx2) -mavx512f -mavx512dq -mavx512vl -mavx512bw -mprefer-vector-width=512

.PHONY: all help deps demo test test-release test-double asan bench bench-kernels install clean force
all: bnn

# Copied only where it differs, so that it follows BNN_DOUBLE and is not made anew otherwise.
bnn: $(BUILD)/$(variant)/bnn force
	@cmp -s $< $@ || { echo "cp $< $@"; cp $< $@; }

define isa_rules
$(BUILD)/$(1)/%.$(2).o: src/%.c Makefile
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) $(flags_$(1)) $(CFLAGS) -DBNN_ISA=$(2) $(isa_$(2)) -c $$< -o $$@
endef
define variant_rules
objects_$(1) := $(sources:%=$(BUILD)/$(1)/%.o)
objects_$(1) += $(foreach i,$(isas),$(simd_sources:%=$(BUILD)/$(1)/%.$(i).o))
$(foreach i,$(isas),$(eval $(call isa_rules,$(1),$(i))))
$(BUILD)/$(1)/%.o: src/%.c Makefile
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) $(flags_$(1)) $(CFLAGS) -c $$< -o $$@
$(BUILD)/$(1)/libbnn.a: $$(objects_$(1))
	@rm -f $$@ && ar rcs $$@ $$^
$(BUILD)/$(1)/bnn: $(BUILD)/$(1)/commands/main.o $(BUILD)/$(1)/libbnn.a
	@echo "LD $$@"; $(CC) -fopenmp $(flags_$(1)) $(CFLAGS) $$^ $(LDFLAGS) $(LIBS) -o $$@
$(BUILD)/$(1)/tests/%.o: tests/%.c Makefile
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) $(flags_$(1)) $(CFLAGS) -Itests -c $$< -o $$@
$(BUILD)/$(1)/test_%: $(BUILD)/$(1)/tests/test_%.o $(BUILD)/$(1)/libbnn.a
	@echo "LD $$@"; $(CC) -fopenmp $(flags_$(1)) $(CFLAGS) $$^ $(LDFLAGS) -lcmocka $(LIBS) -o $$@
run-$(1): $(tests:%=$(BUILD)/$(1)/%) $(BUILD)/$(1)/bnn
	@tests/run.sh $(BUILD)/$(1) $(tests)
.PHONY: run-$(1)
.SECONDARY: $(tests:%=$(BUILD)/$(1)/tests/%.o)
-include $(wildcard $(BUILD)/$(1)/*/*.d $(BUILD)/$(1)/*/simd/*.d)
endef
$(foreach v,release double asan,$(eval $(call variant_rules,$(v))))

test: deps
	$(MAKE) test-release test-double
	@tests/run.sh --total $(BUILD)/release $(BUILD)/double
test-release: run-release
test-double: run-double
asan: run-asan

bench: $(BUILD)/release/bench
	$(BUILD)/release/bench
bench-kernels: $(BUILD)/release/bench_kernels
	$(BUILD)/release/bench_kernels
$(BUILD)/release/bench $(BUILD)/release/bench_kernels: $(BUILD)/release/%: $(BUILD)/release/tests/%.o $(BUILD)/release/libbnn.a
	@echo "LD $@"; $(CC) -fopenmp $(flags_release) $(CFLAGS) $^ $(LDFLAGS) $(LIBS) -o $@

install: bnn
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 bnn $(DESTDIR)$(PREFIX)/bin/bnn

clean:
	rm -rf $(BUILD) bnn

# ---- what has to be installed -------------------------------------------------------------------------------
debian_packages := libopenblas-dev libcjson-dev libcmocka-dev zlib1g-dev dataset-fashion-mnist
sudo := $(if $(filter 0,$(shell id -u)),,sudo)

deps:
	@if command -v apt-get >/dev/null; then \
	    missing=; \
	    for p in $(debian_packages); do \
	        dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$p"; \
	    done; \
	    if [ -n "$$missing" ]; then \
	        echo "installing$$missing"; \
	        $(sudo) apt-get update -q && $(sudo) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends$$missing; \
	    fi; \
	else \
	    echo 'bnn needs OpenBLAS, cJSON, zlib and, for its tests, cmocka. Install them with'; \
	    echo '  Fedora:  dnf install openblas-devel cjson-devel zlib-devel libcmocka-devel'; \
	    echo '  Arch:    pacman -S openblas cjson zlib cmocka'; \
	    echo '  macOS:   brew install gcc openblas cjson zlib cmocka'; \
	    echo 'and put the four FashionMNIST .gz files into data/fashion-mnist (see data/README.md).'; \
	    printf '#include <cblas.h>\n#include <cjson/cJSON.h>\n#include <zlib.h>\nint main(void) { return 0; }\n' | \
	        $(CC) $(CFLAGS) -x c -fsyntax-only - ; \
	fi

demo: deps
	$(MAKE) bnn
	./bnn train configs/quickstart.json --out runs/quickstart --overwrite
	./bnn eval --equivariance runs/quickstart/model.bin
