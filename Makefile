# make help     what there is to make
#
# Variables: WERROR=1 turns warnings into errors; BNN_DOUBLE=1 builds ./bnn in double precision, MPI=1 for several machines
# (MPICC=mpicc); CC=clang (with libomp-dev);
# CFLAGS, LDFLAGS; BUILD=build, where objects go; ONNX_PROTO, where onnx.proto is.

CC ?= cc
PREFIX ?= /usr/local
BUILD ?= build
VERSION := 0.1.0

# All cores, unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wvla
ifdef WERROR
WARNINGS += -Werror
endif
OPTIMISE := -O3 -g -fno-math-errno -fno-trapping-math
# Checks by calls instead of inline: the vector kernels, unrolled, take a minute to compile otherwise.
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
            --param asan-instrumentation-with-call-threshold=0
SANITIZE_FUZZ := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer
BASE := -std=c11 -D_GNU_SOURCE -fopenmp -Iinclude -Isrc -isystem $(BUILD)/onnx -DBNN_VERSION='"$(VERSION)"' -MMD -MP $(WARNINGS)
LIBS := -lopenblas -lcjson -lzip -lpng -lz -lprotobuf-c -lmd -lm
ONNX_PROTO ?= $(firstword $(wildcard $(addsuffix /onnx/onnx.proto,/usr/include /usr/local/include /opt/homebrew/include)))

# A variant is a directory of objects: release (float), double, asan, tsan (float, sanitizers), coverage (float, for gcov).
flags_release := $(OPTIMISE)
flags_double := $(OPTIMISE) -DBNN_DOUBLE
flags_asan := $(SANITIZE)
flags_coverage := -O1 -g --coverage -fprofile-update=atomic
flags_tsan := -O1 -g -fsanitize=thread
simd_flags_release := $(flags_release)
simd_flags_double := $(flags_double)
simd_flags_asan := $(or $(SANITIZE_SIMD),$(SANITIZE))
simd_flags_coverage := $(flags_coverage)
simd_flags_tsan := -O1 -g
variant := $(if $(BNN_DOUBLE),double,release)$(if $(MPI),-mpi)
MPICC ?= mpicc
mpi_cc = OMPI_CC='$(CC)' MPICH_CC='$(CC)' $(MPICC)

# src/ROOM/*.c are compiled once, src/ROOM/simd/*.c once for each instruction set; the fastest that runs here is chosen at
# run time.
sources := $(patsubst src/%.c,%,$(filter-out src/commands/main.c,$(wildcard src/*/*.c)))
simd_sources := $(patsubst src/%.c,%,$(wildcard src/*/simd/*.c))
machine := $(shell $(CC) -dumpmachine)
tests := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
faults := $(if $(findstring gnu,$(machine)),test_faults) # which stands between the program and the GNU C library
tests := $(filter-out $(if $(faults),,test_faults),$(tests))
isas := portable
ifneq (,$(findstring x86_64,$(machine)))
isas += avx2 avx512
endif
isa_portable := -ffp-contract=fast
isa_avx2 := $(isa_portable) -mavx2 -mfma
isa_avx512 := $(isa_avx2) -mavx512f -mavx512dq -mavx512vl -mavx512bw -mprefer-vector-width=512

define help
make                    build ./bnn (BNN_DOUBLE=1: in double precision; MPI=1: that mpirun runs on several machines)
make deps               install what is missing (Debian), or say what to install
make demo               train a model, evaluate and show it
make test               all tests, in float and in double precision
make asan               all tests under the address and undefined-behaviour sanitizers
make tsan               tests that use threads under the thread sanitizer (clang, which it installs)
make coverage           all tests in float (minutes), and the share of the lines of src that they reach
make lint               clang-tidy, cppcheck, clang-format (14) and shellcheck, which it installs
make test-mpi           the same bits from 1 to 4 ranks under mpirun, which it installs
make torture            kill runs at random moments, KILLS=1000 times, resume them and compare the bits
make faults             let every allocation and every call on files of every command fail once (the tests: a part of them)
make fuzz               readers of files under libFuzzer (clang, which it installs), SECONDS=60 each
make bench              measure speed on this machine; make bench-kernels: one kernel at a time; make bench-mpi: ranks
make simulate-ranks     what a training step would take on 1 to 64 ranks, over two networks
make onnx-test          exported graphs under onnxruntime, which npm fetches into build/npm
make testu01            the raw random numbers under TestU01 (BATTERY=crush: half an hour)
make install            program, manuals and completions; PREFIX=/usr/local DESTDIR=; make uninstall
make clean
endef

.PHONY: all help deps demo test test-release test-double test-mpi asan tsan coverage lint lint-files torture faults fuzz bench bench-mpi bench-kernels simulate-ranks onnx-test testu01 documents install uninstall clean force
all: bnn documents
help:
	$(info $(help))
	@:

# One line instead of a page of errors where a library is missing.
$(BUILD)/libraries:
	@mkdir -p $(@D)
	@printf '#include <cblas.h>\n#include <cjson/cJSON.h>\n#include <omp.h>\n#include <png.h>\n#include <protobuf-c/protobuf-c.h>\n#include <sha2.h>\n#include <zip.h>\n#include <zlib.h>\nint main(void) { return 0; }\n' | \
	    $(CC) -fopenmp $(CFLAGS) -x c -fsyntax-only - 2>/dev/null || \
	    { echo 'bnn needs OpenBLAS, cJSON, libzip, libpng, zlib, protobuf-c, libmd and OpenMP with their headers: run "make deps"' >&2; exit 1; }
	@touch $@

# The messages of ONNX's published definition, as C.
$(BUILD)/onnx/onnx.pb-c.h: | $(BUILD)/libraries
	@[ -e '$(ONNX_PROTO)' ] && command -v protoc-c >/dev/null || \
	    { echo 'bnn needs onnx.proto and protoc-c: run "make deps", or set ONNX_PROTO=/folder/onnx.proto' >&2; exit 1; }
	@mkdir -p $(@D); echo "protoc-c $@"; protoc-c --c_out=$(@D) -I$(dir $(ONNX_PROTO)) $(ONNX_PROTO)
$(BUILD)/onnx/onnx.pb-c.c: $(BUILD)/onnx/onnx.pb-c.h

# Copied only where it differs, so that it follows BNN_DOUBLE and is not made anew otherwise.
bnn: $(BUILD)/$(variant)/bnn force
	@cmp -s $< $@ || { echo "cp $< $@"; cp $< $@; }

define isa_rules
$(BUILD)/$(1)/%.$(2).o: src/%.c Makefile | $(BUILD)/libraries
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) $(simd_flags_$(1)) $(CFLAGS) -DBNN_ISA=$(2) $(isa_$(2)) -c $$< -o $$@
endef
define variant_rules
objects_$(1) := $(sources:%=$(BUILD)/$(1)/%.o)
objects_$(1) += $(BUILD)/$(1)/onnx.pb-c.o
objects_$(1) += $(foreach i,$(isas),$(simd_sources:%=$(BUILD)/$(1)/%.$(i).o))
$(foreach i,$(isas),$(eval $(call isa_rules,$(1),$(i))))
$(BUILD)/$(1)/%.o: src/%.c Makefile | $(BUILD)/libraries
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) $(flags_$(1)) $(CFLAGS) -c $$< -o $$@
$(BUILD)/$(1)/data/onnx.o: $(BUILD)/onnx/onnx.pb-c.h
$(BUILD)/$(1)/onnx.pb-c.o: $(BUILD)/onnx/onnx.pb-c.c
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) $(flags_$(1)) -w $(CFLAGS) -c $$< -o $$@
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
$(BUILD)/$(1)/faults.so: tests/faults.c tests/faults.h Makefile
	@mkdir -p $$(@D); echo "CC $$@"; $(CC) $(BASE) -O1 -g $(CFLAGS) -MF $$@.d -fPIC -shared $$< -o $$@
run-$(1): $(if $(faults),$(BUILD)/$(1)/faults.so)
-include $(wildcard $(BUILD)/$(1)/*/*.d $(BUILD)/$(1)/*/simd/*.d)
endef
$(foreach v,release double asan tsan coverage,$(eval $(call variant_rules,$(v))))

# With MPI a variant is the same objects, but for the one module that talks to other ranks.
define mpi_rules
$(BUILD)/$(1)-mpi/ranks.o: src/base/ranks.c Makefile | $(BUILD)/libraries
	@command -v $(MPICC) >/dev/null || { echo 'bnn for several machines needs $(MPICC): run "make deps MPI=1"' >&2; exit 1; }
	@mkdir -p $$(@D); echo "CC $$@"; $(mpi_cc) $(BASE) $(flags_$(1)) $(CFLAGS) -DBNN_MPI -c $$< -o $$@
$(BUILD)/$(1)-mpi/bnn: $(BUILD)/$(1)/commands/main.o
$(BUILD)/$(1)-mpi/bench: $(BUILD)/$(1)/tests/bench.o
$(BUILD)/$(1)-mpi/bnn $(BUILD)/$(1)-mpi/bench: $(BUILD)/$(1)-mpi/ranks.o $(BUILD)/$(1)/libbnn.a
	@echo "LD $$@"; $(mpi_cc) -fopenmp $(flags_$(1)) $(CFLAGS) $$(sort $$(filter %.o,$$^)) $(BUILD)/$(1)/libbnn.a $(LDFLAGS) $(LIBS) -o $$@
-include $(BUILD)/$(1)-mpi/ranks.d
endef
$(foreach v,release double asan,$(eval $(call mpi_rules,$(v))))

test: deps
	$(MAKE) test-release
	$(MAKE) test-double
	@tests/run.sh --total $(BUILD)/release $(BUILD)/double
test-release: run-release
test-double: run-double
test-mpi: $(BUILD)/release/bnn
	$(MAKE) deps debian_packages='$(mpi_packages)'
	$(MAKE) $(BUILD)/release-mpi/bnn
	BNN=$(BUILD)/release/bnn BNN_MPI=$(BUILD)/release-mpi/bnn tests/mpi.sh
asan: run-asan
# GCC's OpenMP is not known to the sanitizer; LLVM's tells it, through archer, where threads wait for each other. The kernels
# share nothing by themselves, and clang takes minutes for each: they are left out, as for make fuzz.
tsan_tests := test_engine test_evaluate test_health test_modes test_prior test_randomness test_train
tsan:
	$(MAKE) deps debian_packages='$(clang_packages)'
	$(MAKE) CC=clang BUILD=$(BUILD)/clang tsan-run
tsan-run: $(tsan_tests:%=$(BUILD)/tsan/%) $(BUILD)/tsan/bnn
	@for t in $(tsan_tests); do \
	    echo "== $$t"; \
	    OMP_WAIT_POLICY=passive OMP_TOOL_LIBRARIES=$(ARCHER) TSAN_OPTIONS='ignore_noninstrumented_modules=1 halt_on_error=1' \
	        BNN=$(BUILD)/tsan/bnn $(BUILD)/tsan/$$t || exit 1; \
	done
ARCHER ?= $(firstword $(wildcard /usr/lib/llvm-*/lib/libarcher.so))

# In a directory of its own. Lines that are compiled for several instruction sets count once.
coverage:
	@[ ! -d $(BUILD)/coverage ] || find $(BUILD)/coverage -name '*.gcda' -delete
	$(MAKE) run-coverage
	@tests/coverage.py $(BUILD)/coverage

# A file is looked at again where it, a header or the checks have changed.
CLANG_TIDY ?= clang-tidy-14
CLANG_FORMAT ?= clang-format-14
c_sources := $(filter-out tests/testu01.c,$(wildcard src/*/*.c src/*/simd/*.c tests/*.c)) # TestU01 is not at hand
c_headers := $(wildcard include/bnn/*.h src/*/*.h src/*/simd/*.h tests/*.h)
scripts := .ci/run .ci/floors .ci/names $(wildcard configs/*.sh configs/*.slurm data/*.sh tests/*.sh tests/cases.d/*.sh)
lint:
	$(MAKE) deps debian_packages='$(lint_packages)'
	$(MAKE) lint-files
lint-files: $(c_sources:%=$(BUILD)/lint/%) $(BUILD)/lint/mpi $(BUILD)/lint/cppcheck
	@echo clang-format; $(CLANG_FORMAT) --dry-run --Werror $(c_sources) $(c_headers)
	@echo shellcheck; shellcheck -S warning $(scripts)
$(BUILD)/lint/%.c: %.c $(c_headers) .clang-tidy tests/.clang-tidy $(BUILD)/onnx/onnx.pb-c.h
	@mkdir -p $(@D); echo "clang-tidy $<"; \
	$(CLANG_TIDY) --quiet $< -- $(filter-out -W% -MMD -MP,$(BASE)) -Itests -DBNN_ISA=portable 2>$@.log || { cat $@.log >&2; exit 1; }
	@touch $@
# The half of a module that the default build does not see.
$(BUILD)/lint/mpi: src/base/ranks.c $(c_headers) .clang-tidy
	@mkdir -p $(@D); echo "clang-tidy $< with MPI"; \
	$(CLANG_TIDY) --quiet $< -- $(filter-out -W% -MMD -MP,$(BASE)) -DBNN_MPI $(addprefix -isystem ,$(shell $(MPICC) --showme:incdirs)) \
	    2>$@.log || { cat $@.log >&2; exit 1; }
	@touch $@
$(BUILD)/lint/cppcheck: $(c_sources) $(c_headers) .cppcheck .ci/cppcheck.cfg
	@mkdir -p $@.d; echo cppcheck src; \
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 --library=posix -j2 --cppcheck-build-dir=$@.d \
	    --suppressions-list=.cppcheck -Iinclude -Isrc --library=.ci/cppcheck.cfg src
	@touch $@

torture: bnn
	BNN=./bnn tests/torture.sh $(KILLS)
faults: $(BUILD)/release/bnn $(BUILD)/release/test_faults $(BUILD)/release/faults.so
	FAULTS=all BNN=$(BUILD)/release/bnn $(BUILD)/release/test_faults
# The kernels read no files: they are left out of the sanitizers, under which clang takes minutes for each.
fuzz:
	$(MAKE) deps debian_packages='$(clang_packages)'
	$(MAKE) CC=clang BUILD=$(BUILD)/clang SANITIZE='$(SANITIZE_FUZZ)' SANITIZE_SIMD='-O1 -g' $(BUILD)/clang/asan/fuzz
	tests/fuzz.sh $(BUILD)/clang/asan/fuzz $(SECONDS)
$(BUILD)/asan/fuzz: $(BUILD)/asan/tests/fuzz.o $(BUILD)/asan/libbnn.a
	@echo "LD $@"; $(CC) -fopenmp -fsanitize=fuzzer $(flags_asan) $(CFLAGS) $^ $(LDFLAGS) $(LIBS) -o $@

bench: $(BUILD)/release/bench
	$(BUILD)/release/bench
	@$(MAKE) --no-print-directory bench-mpi
bench-mpi:
	@if command -v mpirun >/dev/null && command -v $(MPICC) >/dev/null; then \
	    $(MAKE) -s $(BUILD)/release-mpi/bench && BENCH=$(BUILD)/release-mpi/bench tests/bench-mpi.sh; \
	else \
	    echo 'skipped: ranks come by MPI (make deps MPI=1), which is missing'; \
	fi
bench-kernels: $(BUILD)/release/bench_kernels
	$(BUILD)/release/bench_kernels
simulate-ranks: $(BUILD)/release/simulate_ranks
	$(BUILD)/release/simulate_ranks
$(BUILD)/release/bench $(BUILD)/release/bench_kernels $(BUILD)/release/simulate_ranks: $(BUILD)/release/%: $(BUILD)/release/tests/%.o $(BUILD)/release/libbnn.a
	@echo "LD $@"; $(CC) -fopenmp $(flags_release) $(CFLAGS) $^ $(LDFLAGS) $(LIBS) -o $@

# What npm fetches (290 MB unpacked) stays in build/npm, where the other tests find it too. Its scripts would fetch more, for GPUs.
onnx-test: $(BUILD)/release/bnn
	@if ! command -v npm >/dev/null || ! command -v node >/dev/null; then \
	    echo 'skipped: onnxruntime comes by npm (Debian: npm), which is missing'; \
	elif [ -e $(BUILD)/npm/node_modules/onnxruntime-node ] || npm install --prefix $(BUILD)/npm --ignore-scripts \
	    --no-audit --no-fund onnxruntime-node@1.30.0; then \
	    BNN=$(BUILD)/release/bnn tests/cases.sh python; \
	else \
	    echo 'skipped: npm could not fetch onnxruntime-node'; \
	fi

# Not among the tests, nor in deps: TestU01 is not free for every use.
testu01:
	@echo '#include <testu01/unif01.h>' | $(CC) $(CFLAGS) -E - >/dev/null 2>&1 || \
	    { echo 'TestU01 is missing: apt-get install libtestu01-0-dev (Debian, section non-free)'; exit 1; }
	$(MAKE) $(BUILD)/release/testu01
	$(BUILD)/release/testu01 $(BATTERY)
$(BUILD)/release/testu01: $(BUILD)/release/tests/testu01.o $(BUILD)/release/libbnn.a
	@echo "LD $@"; $(CC) -fopenmp $(flags_release) $(CFLAGS) $^ $(LDFLAGS) -ltestu01 -ltestu01probdist -ltestu01mylib $(LIBS) -o $@

# Manuals and completions are what the program says of itself, in folders as they are installed.
documents := man/man1/bnn.1 man/man5/bnn-config.5 bash-completion/completions/bnn zsh/site-functions/_bnn
as_man/man1/bnn.1 := man
as_man/man5/bnn-config.5 := man-config
as_bash-completion/completions/bnn := bash
as_zsh/site-functions/_bnn := zsh
documents: $(documents:%=$(BUILD)/share/%)
$(documents:%=$(BUILD)/share/%): $(BUILD)/share/%: $(BUILD)/$(variant)/bnn
	@mkdir -p $(@D) && $< help --as $(as_$*) > $@.new && mv $@.new $@

install: bnn documents
	install -D -m 755 bnn $(DESTDIR)$(PREFIX)/bin/bnn
	for f in $(documents); do install -D -m 644 $(BUILD)/share/$$f $(DESTDIR)$(PREFIX)/share/$$f || exit 1; done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/bnn $(documents:%=$(DESTDIR)$(PREFIX)/share/%)

clean:
	rm -rf $(BUILD) bnn

# ---- what has to be installed -------------------------------------------------------------------------------
debian_packages := libopenblas-dev libcjson-dev libcmocka-dev libzip-dev libpng-dev libmd-dev zlib1g-dev gnuplot-nox dataset-fashion-mnist
debian_packages += libprotobuf-c-dev protobuf-c-compiler libonnx-dev python3-numpy python3-onnx chromium
debian_packages += $(if $(findstring clang,$(CC)),libomp-dev)
mpi_packages := libopenmpi-dev openmpi-bin
debian_packages += $(if $(MPI),$(mpi_packages))
lint_packages := libopenmpi-dev clang-tidy-14 clang-format-14 cppcheck shellcheck
clang_packages := clang libclang-rt-dev libomp-dev # of tsan and fuzz
become := $(if $(filter 0,$(shell id -u)),,$(shell command -v sudo))

deps:
	@if ! command -v apt-get >/dev/null; then \
	    echo 'bnn needs OpenBLAS, cJSON, libzip, libpng, zlib, libmd, protobuf-c, OpenMP, gnuplot for pictures and, for its tests, cmocka, NumPy and Chromium:' \
	        'dnf install openblas-devel cjson-devel libzip-devel libpng-devel zlib-devel libmd-devel protobuf-c-devel protobuf-c-compiler gnuplot libcmocka-devel' \
	        'python3-numpy (Fedora), pacman -S openblas cjson libzip libpng zlib libmd protobuf-c gnuplot cmocka python-numpy (Arch),' \
	        'brew install gcc openblas cjson libzip libpng zlib libmd protobuf-c gnuplot cmocka numpy (macOS);' \
	        'onnx.proto comes with ONNX, onnx.ai (make ONNX_PROTO=/folder/onnx.proto);' \
	        'the FashionMNIST files go into data/fashion-mnist (data/README.md)'; \
	    exit 0; \
	fi; \
	missing=; \
	for p in $(debian_packages); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] && [ -z "$(become)" ]; then \
	    echo "missing:$$missing; as root: apt-get install$$missing" >&2; \
	    exit 1; \
	fi; \
	echo "installing$$missing"; \
	$(become) apt-get update -q && \
	$(become) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends$$missing

demo: deps
	$(MAKE) bnn
	./bnn train configs/quickstart.json --out runs/quickstart --overwrite
	./bnn eval --equivariance runs/quickstart/model.bin
	./bnn show runs/quickstart --first 23 --out runs/quickstart/orbits.png
